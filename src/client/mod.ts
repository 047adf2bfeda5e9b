/** The client of SecLlama: a `fetch` that seals. */
export type { Credentials, Psk, SealedFetchOptions } from "./options.ts";
export { encodePairing, type Pairing, parsePairing } from "./pairing.ts";
export type { ProvenInit } from "./proven.ts";
export { type SealedFetch, sealedFetch } from "./sealed_fetch.ts";
