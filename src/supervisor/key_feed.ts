/**
 * The pre-shared keys on their way from the key source to the runners. A runner is given a client's key when that client comes,
 * derived for this start of this runner, and it is taken away as soon as the client may no longer come under it.
 */
import { type Bytes, fromHex, toHex } from "../bytes.ts";
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";
import type {
  ClientRegistry,
  KeyRing,
  PairedClient,
  Permission,
  RingSource,
  Role,
} from "../keys/mod.ts";
import { label, type Logger, sentence } from "../log.ts";
import { encodeGive, encodeTake } from "../pipe/key_frames.ts";

/** How often a change of keys or clients by another process is looked for; a paired client's request looks at once. */
const POLL_MS = 250;
/** Unknown key ids cause at most one look into the key store in this time. */
const UNKNOWN_INTERVAL_MS = 1_000;

/** A runner, as far as keys go. */
export interface KeyReceiver {
  /** The number of its start, 32 bytes. */
  readonly rn: Uint8Array;
  /** By psk_id, what it was given: the ring's generation at that time. Kept by the feed. */
  readonly given: Map<string, number>;
  /**
   * Puts a key frame's payload on the way without waiting: what comes after it on the pipe is read after it, and a runner that
   * reads nothing must not keep the keys from the others. The payload is copied before this returns.
   */
  readonly sendKeys: (payload: Bytes) => void;
}

/** What goes into a key document from the host. */
interface HostWord {
  readonly gen: number;
  /** Hexadecimal. */
  readonly attest: string;
}

/** A host's keys at one time, its own or with those of a fleet. */
type Ring = Pick<KeyRing, keyof KeyRing>;

/** What of the host's keys goes to runners, and where to note which clients have shown their newest one. */
export interface FedKeys extends Pick<RingSource, "changes"> {
  ring(): Promise<Ring>;
  clients(): Pick<ClientRegistry, "confirm">;
}

interface KeyFeedOptions {
  readonly keys: FedKeys;
  /** Every runner that serves. */
  readonly receivers: () => Iterable<KeyReceiver>;
  readonly logger: Logger;
}

export class KeyFeed {
  readonly #options: KeyFeedOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #ring: Ring | undefined;
  #seen = "";
  #lastUnknown = 0;
  /** The look into the key store that is under way. */
  #looking: Promise<void> | undefined;
  #refreshing: Promise<void> = Promise.resolve();
  /** The refresh that has not begun yet. */
  #next: Promise<void> | undefined;
  /** Clients that have shown their newest key, and its kid, to be noted. */
  #shown = new Map<string, string>();
  #noting: Promise<void> | undefined;

  constructor(options: KeyFeedOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  /** Whether there is more than one client: this machine's own, and those that are paired. */
  get shared(): boolean {
    return this.paired > 0;
  }

  /** How many machines are paired, by the keys as they were read last. */
  get paired(): number {
    return Math.max(0, (this.#ring?.holders ?? 0) - 1);
  }

  /** Whether somebody may come under this psk_id, without a look into the key store. */
  has(id: string): boolean {
    return this.#ring?.has(id) ?? false;
  }

  /** The name of a paired client. */
  clientName(id: string): string | undefined {
    return this.#ring?.clientName(id);
  }

  /** The paired client of this id; see {@link KeyRing.client}. */
  client(id: string): PairedClient | undefined {
    return this.#ring?.client(id);
  }

  /** See {@link KeyRing.role}. */
  role(name?: string): Role | undefined {
    return this.#ring?.role(name);
  }

  /** See {@link KeyRing.hasAmounts}. */
  get hasAmounts(): boolean {
    return this.#ring?.hasAmounts ?? false;
  }

  /** See {@link KeyRing.problem}. */
  get problem(): SecLlamaError | undefined {
    return this.#ring?.problem;
  }

  /** Whether the holder of this psk_id may do that; false for a stranger. */
  may(id: string, what: Permission): boolean {
    return this.#ring?.may(id, what) ?? false;
  }

  /**
   * Whether a client may come under this id: an unknown one makes the key store be read again, at most once a second.
   * @param fresh Also for this machine's own id: what changed is read first, as for a paired client's.
   */
  async knows(id: string, fresh = false): Promise<boolean> {
    if (fresh || id.startsWith("client.")) await this.refreshIfChanged();
    if (this.#ring?.has(id)) return true;
    const now = Date.now();
    if (now - this.#lastUnknown >= UNKNOWN_INTERVAL_MS) {
      this.#lastUnknown = now;
      this.#looking = this.refresh().finally(() => this.#looking = undefined);
    }
    // Also for those that came while it is being read: at the start, all first requests do.
    await this.#looking;
    return this.#ring?.has(id) ?? false;
  }

  /** The host's id and the key that metadata proofs of `id` are made with; undefined if nobody is known by this id. */
  async proofKey(id: string): Promise<{ hid: Bytes; key: Bytes } | undefined> {
    const key = await this.knows(id) ? this.#ring!.proofKey(id) : undefined;
    return key && { hid: this.#ring!.hid, key };
  }

  /**
   * Gives a runner the key of `id`, if somebody may come under it, unless it has it with all that the host's keys as they are now
   * make of it. What is opened on the runner's pipe from now on is read after it.
   */
  give(to: KeyReceiver, id: string): void {
    const ring = this.#ring;
    if (ring === undefined || to.given.get(id) === ring.gen) return;
    using psk = secret(ring.runnerPsk(id, to.rn));
    if (psk === undefined) return;
    for (const payload of encodeGive([{ pskId: id, psk, renewal: ring.renewal(id) }])) {
      using _wiped = secret(payload);
      to.sendKeys(payload);
    }
    to.given.set(id, ring.gen);
  }

  /**
   * The host's word for a key document to `id`.
   * @param challenge Hexadecimal.
   */
  attest(
    to: KeyReceiver,
    id: string,
    what: { model: string; challenge: string },
  ): HostWord | undefined {
    const ring = this.#ring;
    const { model, challenge } = what;
    const word = ring?.attest(id, { rn: to.rn, model, challenge: fromHex(challenge) });
    return word && { gen: ring!.genOf(id), attest: toHex(word) };
  }

  /** Looks whether keys or clients have changed: before a paired client is served, so that a revocation holds at once. */
  async refreshIfChanged(): Promise<void> {
    if (await this.#options.keys.changes() !== this.#seen) await this.refresh();
  }

  /** Reads the keys again; one time after another, so that no runner is left with older ones. */
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
    const { keys, receivers } = this.#options;
    // Before the keys: a change in between is then seen by the next look.
    const changes = await keys.changes();
    const ring = await keys.ring();
    const { problem } = ring;
    if (problem !== undefined && problem.message !== this.problem?.message) {
      this.#options.logger.error("clients-not-known", { why: sentence(problem.message) });
    }
    this.#ring?.[Symbol.dispose]();
    this.#ring = ring;
    for (const to of receivers()) this.#update(to, ring);
    this.#seen = changes;
  }

  /** Takes away what a runner should no longer have. Who is to change their key is told so when they come. */
  #update(to: KeyReceiver, ring: Ring): void {
    const gone = { forget: [] as string[], revoke: [] as string[] };
    for (const id of [...to.given.keys()]) {
      if (ring.has(id)) continue;
      to.given.delete(id);
      // Whoever has a newer key, and this machine's own clients, end what they began under the old one.
      const client = /^client\.[^.]+\.(.+)$/.exec(id)?.[1];
      gone[client === undefined || ring.hasClient(client) ? "forget" : "revoke"].push(id);
    }
    for (const kind of ["forget", "revoke"] as const) {
      for (const payload of encodeTake(kind, gone[kind])) to.sendKeys(payload);
    }
  }

  /**
   * Notes that a client has shown that it has its newest key: by a proof, which no runner can make. What waits to be noted is
   * written at once for all, and if it cannot be, the client's next proof brings it again.
   */
  confirm(pskId: string): void {
    if (!this.#ring?.isUnconfirmed(pskId)) return;
    const [, kid, client] = pskId.split(".");
    this.#shown.set(client!, kid!);
    this.#noting ??= this.#note().finally(() => this.#noting = undefined);
  }

  async #note(): Promise<void> {
    while (this.#shown.size > 0) {
      const shown = this.#shown;
      this.#shown = new Map();
      try {
        await this.#options.keys.clients().confirm(shown);
      } catch (error) {
        this.#options.logger.warn("client-not-confirmed", {
          code: label(toSecLlamaError(error).code),
        });
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#ring?.[Symbol.dispose]();
    this.#ring = undefined;
  }

  async #poll(): Promise<void> {
    try {
      await this.refreshIfChanged();
    } catch {
      // The store is locked or gone for now: the runners keep the keys they have, and the next poll tries again.
    }
  }
}
