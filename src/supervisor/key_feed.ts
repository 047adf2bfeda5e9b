/** The pre-shared keys on their way from the key source to the runners: which ids exist, and when they changed. */
import type { Bytes } from "../bytes.ts";
import { toSecLlamaError } from "../errors.ts";
import { deriveProofKey, type KeySource, parsePskId, type PskEntry } from "../keys/mod.ts";
import { label, type Logger } from "../log.ts";
import { encodePsks } from "../pipe/messages.ts";

/** How often a change of keys or clients by another process is looked for; a paired client's request looks at once. */
const POLL_MS = 250;
/** Unknown key ids cause at most one look into the key store in this time. */
const UNKNOWN_INTERVAL_MS = 1_000;

export interface KeyFeedOptions {
  readonly keys: KeySource;
  /**
   * Puts a key frame's payload on the way to every runner that serves, without waiting for any: what comes after it on a
   * pipe is read after it, and a runner that reads nothing must not keep the keys from the others. Zeroed afterwards.
   */
  readonly give: (payload: Uint8Array) => void;
  readonly logger: Logger;
}

export class KeyFeed {
  readonly #options: KeyFeedOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  /** psk_id → the key of its metadata proofs: all that is kept here of a pre-shared key. */
  #proofKeys = new Map<string, Bytes>();
  #seen = "";
  #lastUnknown = 0;
  /** The look into the key store that is under way. */
  #looking: Promise<void> | undefined;
  #refreshing: Promise<void> = Promise.resolve();
  /** The refresh that has not begun yet. */
  #next: Promise<void> | undefined;
  /** Clients whose new key is being noted. */
  readonly #confirming = new Set<string>();

  constructor(options: KeyFeedOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Number of ids that a client may come with. */
  get count(): number {
    return this.#proofKeys.size;
  }

  /** Whether a client may still exist under this id: an unknown one makes the key store be read again, at most once a second. */
  async knows(id: string): Promise<boolean> {
    if (id.startsWith("client.")) await this.refreshIfChanged();
    if (this.#proofKeys.has(id)) return true;
    const now = Date.now();
    if (now - this.#lastUnknown >= UNKNOWN_INTERVAL_MS) {
      this.#lastUnknown = now;
      this.#looking = this.refresh().finally(() => this.#looking = undefined);
    }
    // Also for those that came while it is being read: at the start, all first requests do.
    await this.#looking;
    return this.#proofKeys.has(id);
  }

  /** The key that metadata proofs of `id` are made with, a copy; undefined if nobody is known by this id. */
  async proofKey(id: string): Promise<Bytes | undefined> {
    return await this.knows(id) ? this.#proofKeys.get(id)?.slice() : undefined;
  }

  /** Passes keys on if they or the clients have changed: before a paired client is served, so that a revocation holds at once. */
  async refreshIfChanged(): Promise<void> {
    if (await this.#options.keys.changes() !== this.#seen) await this.refresh();
  }

  /** Reads the keys again and gives them to every runner; one time after another, so that none is left with older ones. */
  refresh(): Promise<void> {
    // Whoever comes while one waits for its turn is served by it: a slow key store must not be asked by each poll.
    if (this.#next === undefined) {
      this.#next = this.#refreshing.catch(() => {}).then(() => {
        this.#next = undefined;
        return this.#refresh();
      });
      this.#refreshing = this.#next;
    }
    return this.#next;
  }

  async #refresh(): Promise<void> {
    const { keys } = this.#options;
    // Before the keys: a change in between is then seen by the next look. Noted only once all were given them.
    const changes = await keys.changes();
    const entries = await keys.psks();
    const proofKeys = new Map<string, Bytes>();
    for (const { pskId, psk } of entries) proofKeys.set(pskId, await deriveProofKey(psk));
    for (const key of this.#proofKeys.values()) key.fill(0);
    this.#proofKeys = proofKeys;
    const payload = framed(entries);
    this.#options.give(payload);
    payload.fill(0);
    this.#seen = changes;
  }

  /** The key frame's payload for one runner that begins; the caller zeroes it, and refreshes once the runner serves. */
  async frame(): Promise<Uint8Array> {
    return framed(await this.#options.keys.psks());
  }

  /**
   * Notes that a client has taken up its newest key. If it cannot be noted now, the client's next request brings it again. One
   * at a time for each client, and only while there is an older key to end: a runner may say it without end.
   */
  async confirm(pskId: string): Promise<void> {
    const named = parsePskId(pskId);
    const client = named?.client;
    if (client === undefined || !this.#proofKeys.has(pskId) || this.#confirming.has(client)) return;
    const others = [...this.#proofKeys.keys()].filter((id) => id !== pskId);
    if (!others.some((id) => parsePskId(id)?.client === client)) return;
    this.#confirming.add(client);
    try {
      await this.#options.keys.clients().confirm(client, named!.kid);
    } catch (error) {
      this.#options.logger.warn("client-not-confirmed", {
        code: label(toSecLlamaError(error).code),
      });
    } finally {
      this.#confirming.delete(client);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    try {
      await this.refreshIfChanged();
    } catch {
      // The store is locked or gone for now: the runners keep the keys they have, and the next poll tries again.
    }
  }
}

/** The payload of these keys, which are zeroed. */
function framed(entries: readonly PskEntry[]): Uint8Array {
  const payload = encodePsks(entries);
  for (const { psk } of entries) psk.fill(0);
  return payload;
}
