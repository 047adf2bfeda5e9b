/** The client of SecLlama: a `fetch` that seals. */
export type { Credentials, SealedFetchOptions } from "./options.ts";
export { encodePairing, type Pairing, parsePairing } from "./pairing.ts";
export { type SealedFetch, sealedFetch } from "./sealed_fetch.ts";
