/** The pre-shared keys on their way from the key source to the runners: which ids exist, and when they changed. */
import type { KeySource } from "../keys/mod.ts";
import { encodePsks } from "../pipe/messages.ts";

/** How often a rotation by another process is looked for; an unknown key id is looked up at once. */
const POLL_MS = 2_000;
/** Unknown key ids cause at most one look into the key store in this time. */
const UNKNOWN_INTERVAL_MS = 1_000;

export class KeyFeed {
  readonly #keys: KeySource;
  /** Gives the current keys to every runner. */
  readonly #spread: () => Promise<void>;
  readonly #timer: ReturnType<typeof setInterval>;
  #ids = new Set<string>();
  #generation = -1;
  #lastUnknown = 0;

  constructor(keys: KeySource, spread: () => Promise<void>) {
    this.#keys = keys;
    this.#spread = spread;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Number of ids that a client may come with. */
  get count(): number {
    return this.#ids.size;
  }

  /** Whether a client may still exist under this id: an unknown one makes the key store be read again, at most once a second. */
  async knows(id: string): Promise<boolean> {
    if (this.#ids.has(id)) return true;
    const now = Date.now();
    if (now - this.#lastUnknown < UNKNOWN_INTERVAL_MS) return false;
    this.#lastUnknown = now;
    await this.#spread();
    return this.#ids.has(id);
  }

  /** The key frame's payload; the caller zeroes it. */
  async frame(): Promise<Uint8Array> {
    // Before the keys: a rotation in between is then seen by the next poll.
    this.#generation = await this.#keys.generation();
    const entries = await this.#keys.psks();
    this.#ids = new Set(entries.map((e) => e.pskId));
    const payload = encodePsks(entries);
    for (const { psk } of entries) psk.fill(0);
    return payload;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    try {
      if (await this.#keys.generation() !== this.#generation) await this.#spread();
    } catch {
      // The store is locked or gone for now: the runners keep the keys they have, and the next poll tries again.
    }
  }
}
