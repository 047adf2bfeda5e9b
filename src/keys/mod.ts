/** The key manager's public face; see source.ts for what a gateway uses and manager.ts for what the commands do. */
export {
  type ClientKind,
  type ClientList,
  hasExpired,
  isPermission,
  namedBy,
  type PairedClient,
  type Permission,
} from "./clients/client_list.ts";
export {
  DEFAULT_ROLE,
  isAmount,
  isKinds,
  isRoleName,
  isRolePattern,
  MAX_AMOUNT,
  mayAsk,
  mayAskAt,
  parseRole,
  type Role,
  ROLE_AMOUNTS,
  type RoleAmount,
  termsOf,
} from "./clients/role.ts";
export type { CallKind, CallTerms } from "../api/call_terms.ts";
export { canonicalHours, isTimeZone } from "./clients/hours.ts";
export type { ClientKeys } from "./clients/client_list_file.ts";
export { checkClientName, ClientRegistry } from "./clients/registry.ts";
export { type HostCredentials, KeyRing, type KeyRingOptions, type RingKey } from "./key_ring.ts";
export type {
  AuditKeys,
  AuditSource,
  ClientSource,
  KeyFacts,
  KeySource,
  RingSource,
  StorageSource,
} from "./key_source.ts";
export { type KeySourceOptions, openKeySource, openLastingKeySource } from "./source.ts";
export {
  fileFingerprint,
  type FileSystem,
  ioError,
  ManifestFile,
  writeFileAtomically,
} from "./keyset/manifest_file.ts";
export { type BackendOptions, systemStore } from "./stores/backend.ts";
export type { Backend, KeyStore, StoreStatus, YesNoUnknown } from "./stores/store.ts";
export { sealerTo, type SealTo } from "./clients/sealed_credentials.ts";
export { type OfferState, type OfferTerms, PairingOffers } from "./clients/offers.ts";
export {
  checkPairingName,
  type ExportedPairings,
  isOfPairings,
  listPairings,
  type PairedGateway,
  PairingStore,
} from "./clients/pairings.ts";
export { type MasterKeys, StorageKeys } from "./keyset/wrap.ts";
export { type Height, HighWaterMark } from "./high_water.ts";
