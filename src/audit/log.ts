/**
 * The audit log, as those write it who act: the gateway for each exchange, the command line for each act of administration. Several
 * processes may; SQLite keeps them apart. What is recorded in one turn of the event loop becomes one transaction.
 */
import { toBase64Url, toHex, utf8 } from "../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { AuditSource } from "../keys/mod.ts";
import { label } from "../log.ts";
import { AuditDatabase } from "./database.ts";
import { readHead, sameBytes, signHead } from "./head.ts";
import { type AuditEntry, lineText, parseLine } from "./line.ts";
import { AuditNote } from "./note.ts";
import { AuditSigner } from "./signer.ts";
import { Frontier, leafHash } from "./tree.ts";

/** A line waits at most so long for a signed head, ms. */
const HEAD_MS = 1_000;
/** Nor are there more lines than this without one; it bounds what the next process must check. */
const HEAD_LINES = 1_000;
/** Ms by which two clocks may differ before a line says so. */
const CLOCK_MS = 5_000;

/** Where the log is, and what it is kept with. */
export interface AuditLogOptions {
  /** The folder of the log. */
  readonly dataDir: string;
  /** What signs and authenticates it. */
  readonly keys: AuditSource;
  /** The host's id. */
  readonly hid: Uint8Array;
  /** Where to note how far it has come; undefined: nowhere. */
  readonly stateDir: string | undefined;
  /** The master key that is active as far as its holder knows; where it changes, the log's key does. */
  readonly activeKid?: () => string;
  /** Unix ms. */
  readonly now?: () => number;
  /** Ms of a clock that nobody sets. */
  readonly monotonic?: () => number;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: (n: number) => void;
  readonly reject: (error: SecLlamaError) => void;
}

/** What this process knows of the log as it is now. */
interface State {
  readonly frontier: Frontier;
  /** Lines under the last signed head. */
  signed: number;
  /** Of the last line; 0 if there is none. */
  lastMs: number;
}

interface Clock {
  readonly wallMs: number;
  readonly ownMs: number;
}

/** The log is under another key than the one that is held. */
class OtherKey extends Error {
  constructor(readonly kid: string) {
    super("the log is under another key");
  }
}

/** An audit log that is open to be written. */
export class AuditLog {
  readonly #db: AuditDatabase;
  readonly #options: AuditLogOptions;
  readonly #note: AuditNote | undefined;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  #signer: AuditSigner;
  #state: State | undefined;
  #version = -1;
  #clock: Clock | undefined;
  #told: string | undefined;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: SecLlamaError | undefined;

  private constructor(db: AuditDatabase, signer: AuditSigner, options: AuditLogOptions) {
    this.#db = db;
    this.#signer = signer;
    this.#told = options.activeKid?.();
    this.#options = options;
    this.#note = options.stateDir === undefined
      ? undefined
      : new AuditNote(options.stateDir, options.hid);
    this.#now = options.now ?? Date.now;
    this.#monotonic = options.monotonic ?? (() => performance.now());
  }

  /**
   * Opens the log, or begins one.
   * @throws {SecLlamaError} `audit-failed` if it cannot be written, `audit-broken` if what is there was changed by somebody without
   * the key or put back from earlier, and what the key store throws.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const db = AuditDatabase.open(options.dataDir);
    try {
      const log = new AuditLog(db, await AuditSigner.of(options.keys), options);
      try {
        log.#notPutBack();
        // The first line of a new log, or nothing.
        await log.#commit([]);
        db.probe();
        return log;
      } catch (error) {
        log.#signer[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      db[Symbol.dispose]();
      throw error;
    }
  }

  /** Lines of the log. */
  get size(): number {
    return this.#state?.frontier.size ?? 0;
  }

  /**
   * Writes a line. Resolves with its number once a kill of the process cannot lose it.
   * @throws {SecLlamaError} `audit-failed`, `audit-broken`.
   */
  record(entry: AuditEntry): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#queue.push({ entry, resolve, reject });
    this.#writing ??= this.#drain();
    return promise;
  }

  /** Whether lines can be written: tries, if the last one could not. @throws {SecLlamaError} `audit-failed`. */
  check(): void {
    if (this.#failure === undefined) return;
    this.#db.probe();
    this.#failure = undefined;
  }

  /** Signs a head over all lines, if there are any since the last one. @throws {SecLlamaError} */
  async sign(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#underOwnKey(() => {
      const seen = this.#db.transaction(() => {
        const state = this.#current();
        if (state.frontier.size === state.signed) return undefined;
        this.#addHead(this.#signer, state.frontier);
        state.signed = state.frontier.size;
        return this.#seen(state);
      }, { durable: true });
      if (seen !== undefined) this.#note?.write(seen);
    });
  }

  /** Writes what waits, signs a last head, and closes the file. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    try {
      await this.sign();
    } finally {
      this.#signer[Symbol.dispose]();
      this.#db[Symbol.dispose]();
    }
  }

  async #drain(): Promise<void> {
    // What the same turn records goes along.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, HEAD_LINES);
      try {
        const first = await this.#commit(batch.map(({ entry }) => entry));
        this.#failure = undefined;
        batch.forEach(({ resolve }, i) => resolve(first + i));
        await this.#signSoon();
      } catch (error) {
        const failure = toSecLlamaError(error);
        this.#failure = failure;
        for (const { reject } of batch) reject(failure);
      }
    }
    // In the same turn in which the queue was seen to be empty.
    this.#writing = undefined;
  }

  async #signSoon(): Promise<void> {
    const { frontier, signed } = this.#state!;
    if (frontier.size - signed >= HEAD_LINES) return await this.sign();
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.sign().catch((error) => this.#failure = toSecLlamaError(error));
    }, HEAD_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** The number of the first entry's line. */
  async #commit(entries: readonly AuditEntry[]): Promise<number> {
    let clock: Clock | undefined;
    const first = await this.#underOwnKey(() =>
      this.#db.transaction(() => {
        const state = this.#current();
        clock = this.#noteClock(state);
        const first = state.frontier.size;
        for (const entry of entries) this.#append(state, entry);
        return first;
      })
    );
    this.#clock = clock;
    return first;
  }

  /** Runs `write`; if the host's keys were rotated meanwhile, takes the new one up first. */
  async #underOwnKey<T>(write: () => T): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return write();
      } catch (error) {
        // It may have been changed before the transaction was undone.
        this.#state = undefined;
        if (!(error instanceof OtherKey) || attempt === 3) throw error;
        await this.#changeKey(error.kid);
      }
    }
  }

  /** Only inside a transaction. @throws {SecLlamaError} `audit-broken`. */
  #current(): State {
    const kid = this.#db.epochs().at(-1)?.kid;
    if (kid !== undefined && (kid !== this.#signer.kid || this.#isRotated())) {
      throw new OtherKey(kid);
    }
    const version = this.#db.version();
    if (this.#state === undefined || version !== this.#version) {
      this.#state = kid === undefined ? this.#begin() : this.#load(this.#signer);
      this.#version = version;
    }
    return this.#state;
  }

  #isRotated(): boolean {
    const told = this.#options.activeKid?.();
    const changed = told !== this.#told;
    this.#told = told;
    return changed;
  }

  #begin(): State {
    if (this.#db.size() > 0) throw this.#broken("it has lines, and no word on their key");
    const state: State = { frontier: new Frontier(), signed: 0, lastMs: 0 };
    const before = this.#note?.read();
    this.#append(state, {
      event: "audit-begun",
      fields: {
        log: label(toHex(this.#db.id)),
        host: label(toHex(this.#options.hid)),
        ...this.#keyFields(this.#signer),
        ...(before && { before: label(before.log), before_size: before.size }),
      },
    });
    this.#db.addEpoch({ n: 0, kid: this.#signer.kid });
    return state;
  }

  /** From the last head on, checked with `signer`'s keys: nothing that somebody else wrote is signed later. */
  #load(signer: AuditSigner): State {
    const stored = this.#db.lastHead();
    let frontier = new Frontier();
    if (stored !== undefined) {
      try {
        frontier = Frontier.decode(stored.size, stored.frontier);
        const head = readHead(stored.cose);
        const good = head.size === stored.size && sameBytes(head.log, this.#db.id) &&
          sameBytes(head.root, frontier.root()) &&
          head.statement.verify(signer.signing.publicKey);
        if (!good) throw new RangeError("another head");
      } catch {
        throw this.#broken("its last head was not signed with this host's key");
      }
    }
    const signed = frontier.size;
    let lastMs = parseLine(this.#db.line(signed - 1)?.text ?? "")?.t ?? 0;
    for (const { n, leaf, tag, text } of this.#db.lines(signed)) {
      const good = n === frontier.size && text !== null && sameBytes(leafHash(utf8(text)), leaf) &&
        tag !== undefined && sameBytes(tag, signer.tag(this.#db.id, n, leaf));
      if (!good) throw this.#broken(`line ${frontier.size} is not as it was written`);
      frontier.append(leaf);
      lastMs = parseLine(text)!.t;
    }
    const size = this.#db.size();
    if (size !== frontier.size) {
      throw this.#broken(`it ends at line ${size}, its head says ${signed}`);
    }
    return { frontier, signed, lastMs };
  }

  #append(state: State, entry: AuditEntry, signer = this.#signer): void {
    const n = state.frontier.size;
    const timeMs = this.#now();
    const text = lineText(n, timeMs, entry);
    const leaf = leafHash(utf8(text));
    this.#db.addLine({ n, leaf, tag: signer.tag(this.#db.id, n, leaf), text });
    state.frontier.append(leaf);
    state.lastMs = timeMs;
  }

  /** What both clocks say. Where the one was set, a line says by how much. */
  #noteClock(state: State): Clock {
    const now = { wallMs: this.#now(), ownMs: this.#monotonic() };
    const before = this.#clock;
    const byMs = before === undefined
      ? Math.min(0, now.wallMs - state.lastMs)
      : now.wallMs - before.wallMs - (now.ownMs - before.ownMs);
    if (Math.abs(byMs) >= CLOCK_MS) {
      this.#append(state, { event: "clock-moved", fields: { by_ms: Math.round(byMs) } });
    }
    return now;
  }

  /** The log was under `kid`, and this host's active key is another: the old one signs that the new one goes on. */
  async #changeKey(kid: string): Promise<void> {
    const { keys } = this.#options;
    const active = await AuditSigner.of(keys);
    const held = this.#signer;
    this.#signer = active;
    if (active.kid === kid) return held[Symbol.dispose]();
    const isHeld = held.kid === kid;
    if (!isHeld) held[Symbol.dispose]();
    using old = isHeld ? held : await AuditSigner.of(keys, kid).catch(() => undefined);
    this.#db.transaction(() => {
      // Another process may have done it.
      if (this.#db.epochs().at(-1)?.kid !== kid) return;
      const state = old === undefined ? this.#unchecked() : this.#load(old);
      const n = state.frontier.size;
      this.#append(state, {
        event: "audit-key",
        fields: { ...this.#keyFields(active), endorsed: old !== undefined },
      }, active);
      this.#db.addEpoch({ n, kid: active.kid });
      if (old !== undefined) this.#addHead(old, state.frontier);
      this.#addHead(active, state.frontier);
    }, { durable: true });
  }

  /** The old key is gone: what is there is taken as it is, which `audit verify` will say. */
  #unchecked(): State {
    const frontier = new Frontier();
    for (const { leaf } of this.#db.lines()) frontier.append(leaf);
    return { frontier, signed: 0, lastMs: 0 };
  }

  #keyFields(signer: AuditSigner) {
    return {
      kid: label(signer.kid),
      key: label(toBase64Url(signer.signing.publicKey.raw)),
    };
  }

  #addHead(signer: AuditSigner, frontier: Frontier): void {
    const cose = signHead(signer.signing, {
      log: this.#db.id,
      size: frontier.size,
      root: frontier.root(),
      timeMs: this.#now(),
    });
    this.#db.addHead({ size: frontier.size, frontier: frontier.encode(), cose });
  }

  #seen({ frontier }: State) {
    return { log: toHex(this.#db.id), size: frontier.size, root: toHex(frontier.root()) };
  }

  #notPutBack(): void {
    const seen = this.#note?.read();
    const size = this.#db.size();
    if (seen === undefined || seen.log !== toHex(this.#db.id) || size >= seen.size) return;
    throw this.#broken(
      `it has ${size} lines, this machine has seen ${seen.size}: it was put back from earlier`,
    );
  }

  #broken(what: string): SecLlamaError {
    return new SecLlamaError("audit-broken", `the audit log ${this.#db.path}: ${what}`, {
      hint:
        "to see what is wrong: secllama audit verify; to keep it and begin a new one, move it away " +
        "with those beside it that begin alike",
    });
  }
}
