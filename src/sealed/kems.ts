/**
 * The KEM of each suite, in Deno: X25519 on `node:crypto`, the hybrid by the npm library `hpke` over Deno's own ML-KEM.
 * The client's builds for Node and browsers put those of scripts/client/platforms in this file's place.
 */
import { KEM_MLKEM768_X25519 } from "hpke";
import { dhkemX25519 } from "./dhkem_x25519.ts";
import type { KemRow } from "./hpke.ts";

export const KEMS: readonly KemRow[] = [
  { id: 1, name: "X25519-HKDF-SHA256-AES-256-GCM", kem: dhkemX25519 },
  { id: 2, name: "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM", kem: KEM_MLKEM768_X25519 },
];
