/**
 * The replay window of one recipient key: every encapsulated key it ever accepted.
 *
 * Entries are never evicted, since an evicted entry could be replayed; a full window ends the recipient key's life instead,
 * and with the private key gone nothing sealed to it can be opened again. Checking and inserting is one synchronous
 * step, so two copies of a request that arrive together cannot both pass.
 */
import { toHex } from "../bytes.ts";
import { sha256 } from "./primitives.ts";

/** Entries of one window unless told otherwise: some 10 MB, and nine requests a second over two hours. */
export const DEFAULT_REPLAY_ENTRIES = 65_536;

export class ReplayWindow {
  readonly #seen = new Set<string>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#seen.size;
  }

  /**
   * Notes `enc` and says what it was. A known `enc` is a replay even when the window is full.
   *
   * 16 bytes of SHA-256 stand for it: equal keys always collide, so no replay passes, and a chance collision refuses
   * one honest request in 2^64 or so, which its client seals again.
   */
  admit(enc: Uint8Array): "fresh" | "replay" | "full" {
    const name = toHex(sha256(enc).subarray(0, 16));
    if (this.#seen.has(name)) return "replay";
    if (this.#seen.size >= this.#capacity) return "full";
    this.#seen.add(name);
    return "fresh";
  }
}
