/** The key manager's public face; see source.ts for what a gateway uses and manager.ts for what the commands do. */
export { type ClientList, type PairedClient } from "./clients/client_list.ts";
export { ClientRegistry } from "./clients/registry.ts";
export { type HostCredentials, KeyRing } from "./key_ring.ts";
export type {
  AuditSource,
  ClientSource,
  KeyFacts,
  KeySource,
  RingSource,
  StorageSource,
} from "./key_source.ts";
export { type KeySourceOptions, openKeySource } from "./source.ts";
export { KeyManager } from "./keyset/manager.ts";
export { ManifestFile, writeFileAtomically } from "./keyset/manifest_file.ts";
export type { Backend, KeyStore, StoreStatus } from "./stores/store.ts";
export { MemoryStore } from "./stores/memory.ts";
export { listPairings, type PairedGateway, PairingStore } from "./clients/pairings.ts";
export { StorageKeys } from "./keyset/wrap.ts";
