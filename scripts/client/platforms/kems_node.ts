/** The KEM of each suite, in Node: as in Deno, but ML-KEM from noble, since Node 20 has none of its own. */
import { KEM_MLKEM768_X25519 } from "@panva/hpke-noble";
import { dhkemX25519 } from "../../../src/sealed/dhkem_x25519.ts";
import type { KemRow } from "../../../src/sealed/hpke.ts";

export const KEMS: readonly KemRow[] = [
  { id: 1, name: "X25519-HKDF-SHA256-AES-256-GCM", kem: dhkemX25519 },
  { id: 2, name: "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM", kem: KEM_MLKEM768_X25519 },
];
