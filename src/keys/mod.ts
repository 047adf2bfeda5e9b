/** The key manager's public face; see source.ts for what a gateway uses and manager.ts for what the commands do. */
export { type ClientList, type PairedClient } from "./client_list.ts";
export { ClientRegistry } from "./clients.ts";
export { type KeySource, type KeySourceOptions, openKeySource, type PskEntry } from "./source.ts";
export { KeyManager } from "./manager.ts";
export { ManifestFile, writeFileAtomically } from "./manifest_file.ts";
export type { Backend, KeyStore, StoreStatus } from "./store.ts";
export { MemoryStore } from "./store_memory.ts";
export { listPairings, type PairedGateway, PairingStore } from "./pairings.ts";
export { StorageKeys } from "./wrap.ts";
export { deriveProofKey, parsePskId } from "./derive.ts";
