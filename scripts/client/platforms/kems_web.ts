/** The KEM of each suite, in a browser: X25519 by WebCrypto, the hybrid by noble, since few browsers have ML-KEM. */
import { KEM_MLKEM768_X25519 } from "@panva/hpke-noble";
import { KEM_DHKEM_X25519_HKDF_SHA256 } from "hpke";
import type { KemRow } from "../../../src/sealed/hpke.ts";

export const KEMS: readonly KemRow[] = [
  { id: 1, name: "X25519-HKDF-SHA256-AES-256-GCM", kem: KEM_DHKEM_X25519_HKDF_SHA256 },
  { id: 2, name: "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM", kem: KEM_MLKEM768_X25519 },
];
