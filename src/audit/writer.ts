/**
 * Writes lines and heads to the file, each under the keys that are the host's then, and only behind what was checked. One act after
 * another: what the one knows of the log the next goes on from.
 */
import { toBase64Url, toHex, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import type { AuditSource } from "../keys/mod.ts";
import { label } from "../log.ts";
import type { PublicKey, SigningKey } from "./cose.ts";
import type { AuditDatabase } from "./database.ts";
import { readHead, sameBytes, signHead } from "./head.ts";
import { type AuditEntry, lineText, parseLine } from "./line.ts";
import { AuditNote } from "./note.ts";
import { textOf } from "./rows.ts";
import { AuditSigner } from "./signer.ts";
import { Frontier, HASH_BYTES, leafHash } from "./tree.ts";
import { plural } from "../plural.ts";

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
  /** The files are looked at so often, ms. */
  readonly lookMs?: number;
  /** Unix ms. */
  readonly now?: () => number;
  /** Ms of a clock that nobody sets. */
  readonly monotonic?: () => number;
}

/** What this process knows of the log as it is now. */
interface State {
  readonly frontier: Frontier;
  /** Lines under the last signed head. */
  signed: number;
  /** Of the last line; 0 if there is none. */
  lastMs: number;
  /**
   * Receipts of the lines that no head counts yet, and their lines. They are written with the next head: a page of the file for each,
   * anywhere in it, is not for a message to wait for. After a kill they are read from the lines.
   */
  readonly receipts: Map<string, number>;
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

/** Writes to one log. */
export class AuditWriter implements Disposable {
  readonly #db: AuditDatabase;
  readonly #options: AuditLogOptions;
  readonly #note: AuditNote | undefined;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  #signer: AuditSigner;
  #state: State | undefined;
  /** What the last act that succeeded left. */
  #known = { size: 0, signed: 0 };
  #version = "";
  /** Most lines that this process has known of the log. */
  #most = 0;
  #clock: Clock | undefined;
  #told: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param signer Taken over. @throws {SecLlamaError} `audit-broken` if the file was put back from earlier. */
  constructor(db: AuditDatabase, signer: AuditSigner, options: AuditLogOptions) {
    this.#db = db;
    this.#signer = signer;
    this.#told = options.activeKid?.();
    this.#options = options;
    this.#note = options.stateDir === undefined
      ? undefined
      : new AuditNote(options.stateDir, options.hid);
    this.#now = options.now ?? Date.now;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#notPutBack();
  }

  /** Why this machine does not note how far the log came; undefined: it does, as far as is known. */
  get unnoted(): string | undefined {
    return this.#note?.failure;
  }

  /** Lines of the log, as far as was known when it was last written. */
  get size(): number {
    return this.#known.size;
  }

  /** Lines that no head counts yet. */
  get unsigned(): number {
    return this.#known.size - this.#known.signed;
  }

  /** Whether a line that no head counts yet has this receipt: {@link AuditWriter.sign} writes it down. */
  awaitsHead(receipt: string): boolean {
    return this.#state?.receipts.has(receipt) ?? false;
  }

  /** Writes lines; of a new log its first one, too. Resolves with the number of the first entry's line. */
  append(entries: readonly AuditEntry[]): Promise<number> {
    return this.#inTurn(async () => {
      let clock: Clock | undefined;
      const first = await this.#underOwnKey(() => {
        const state = this.#current();
        clock = this.#noteClock(state);
        const first = state.frontier.size;
        for (const entry of entries) this.#append(state, entry);
        return first;
      });
      this.#noteSize();
      this.#most = Math.max(this.#most, this.size);
      this.#clock = clock;
      return first;
    });
  }

  /** Signs a head over all lines, if there are any since the last one. */
  sign(): Promise<void> {
    return this.#inTurn(async () => {
      const seen = await this.#underOwnKey(() => {
        const state = this.#current();
        if (state.frontier.size === state.signed) return undefined;
        this.#addHead(this.#signer, state);
        state.signed = state.frontier.size;
        return this.#seen(state);
      }, true);
      this.#noteSize();
      if (seen !== undefined) this.#note?.write(seen);
    });
  }

  /** Lets `make` sign something else with the key that signed the newest head. @throws {SecLlamaError} As `append`. */
  signWith<T>(make: (key: SigningKey) => T): Promise<T> {
    return this.#inTurn(() =>
      this.#underOwnKey(() => {
        this.#current();
        return make(this.#signer.signing);
      })
    );
  }

  /** Fails where lines cannot be written, or would stand behind what is not as it was written. */
  async probe(): Promise<void> {
    await this.append([]);
    await this.#inTurn(() => this.#db.probe());
  }

  /** Wipes the key of the lines. */
  [Symbol.dispose](): void {
    this.#signer[Symbol.dispose]();
  }

  #noteSize(): void {
    const { frontier, signed } = this.#state!;
    this.#known = { size: frontier.size, signed };
  }

  /** The key changes and the lock is waited for: another act meanwhile would use a key that is wiped. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Runs `write`; if the host's keys were rotated meanwhile, takes the new one up first. */
  async #underOwnKey<T>(write: () => T, durable = false): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#db.transaction(write, { durable });
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
    const version = this.#db.version();
    // Nobody else has written since, and this process forgets the state before it changes the key.
    const isKnown = this.#state !== undefined && version === this.#version;
    if (isKnown && !this.#isRotated()) return this.#state!;
    const kid = this.#db.epochs().at(-1)?.kid;
    if (kid !== undefined && (kid !== this.#signer.kid || this.#isRotated())) {
      throw new OtherKey(kid);
    }
    if (!isKnown) {
      const state = kid === undefined ? this.#begin() : this.#load(this.#signer);
      const { size } = state.frontier;
      if (size < this.#most) throw this.#fromEarlier(size, this.#most);
      this.#state = state;
      this.#version = version;
    }
    return this.#state!;
  }

  #isRotated(): boolean {
    return this.#options.activeKid?.() !== this.#told;
  }

  #begin(): State {
    if (this.#db.size() > 0) throw this.#broken("it has lines, and no word on their key");
    const state: State = { frontier: new Frontier(), signed: 0, lastMs: 0, receipts: new Map() };
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
    const receipts = new Map<string, number>();
    let lastMs = parseLine(this.#db.line(signed - 1)?.text ?? "")?.t ?? 0;
    for (const { n, leaf, tag, text } of this.#db.lines(signed)) {
      const good = n === frontier.size && text !== null && sameBytes(leafHash(utf8(text)), leaf) &&
        tag !== undefined && sameBytes(tag, signer.tag(this.#db.id, n, leaf));
      if (!good) throw this.#broken(`line ${frontier.size} is not as it was written`);
      frontier.append(leaf);
      const line = parseLine(text)!;
      noteReceipt(receipts, n, line["receipt"]);
      lastMs = line.t;
    }
    const size = this.#db.size();
    if (size !== frontier.size) {
      throw this.#broken(`it ends at line ${size}, its head says ${signed}`);
    }
    return { frontier, signed, lastMs, receipts };
  }

  #append(state: State, entry: AuditEntry, signer = this.#signer): void {
    const n = state.frontier.size;
    const timeMs = this.#now();
    const text = lineText(n, timeMs, entry);
    const leaf = leafHash(utf8(text));
    this.#db.addLine({ n, leaf, tag: signer.tag(this.#db.id, n, leaf), text });
    noteReceipt(state.receipts, n, entry.fields?.["receipt"]);
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
    const told = this.#options.activeKid?.();
    const active = await AuditSigner.of(keys);
    this.#told = told;
    const held = this.#signer;
    this.#signer = active;
    if (active.kid === kid) return held[Symbol.dispose]();
    const isHeld = held.kid === kid;
    if (!isHeld) held[Symbol.dispose]();
    using old = isHeld ? held : await AuditSigner.of(keys, kid).catch(() => undefined);
    await this.#db.transaction(() => {
      // Another process may have done it.
      if (this.#db.epochs().at(-1)?.kid !== kid) return;
      // Or it is an earlier copy: nothing is signed in it.
      const size = this.#db.size();
      if (size < this.#most) throw this.#fromEarlier(size, this.#most);
      if (old === undefined && this.#hasSigned(active.signing.publicKey)) {
        throw this.#broken(`it says that it is under the key ${kid}, and its heads are of another`);
      }
      const state = old === undefined ? this.#unchecked() : this.#load(old);
      const n = state.frontier.size;
      this.#append(state, {
        event: "audit-key",
        fields: { ...this.#keyFields(active), endorsed: old !== undefined },
      }, active);
      this.#db.addEpoch({ n, kid: active.kid });
      if (old !== undefined) this.#addHead(old, state);
      this.#addHead(active, state);
    }, { durable: true });
  }

  /** Whether a head is of this key. One that has yet to take the log over has signed none: then the file lies of whose it is. */
  #hasSigned(key: PublicKey): boolean {
    for (const { cose } of this.#db.heads()) {
      try {
        if (readHead(cose).statement.verify(key)) return true;
      } catch {
        // no head at all
      }
    }
    return false;
  }

  /** The old key is gone: what is there is taken as it is, which `audit verify` will say. */
  #unchecked(): State {
    const frontier = new Frontier();
    const receipts = new Map<string, number>();
    const signed = this.#db.lastHead()?.size ?? 0;
    for (const { n, leaf, entry } of this.#db.entries()) {
      if (leaf?.length !== HASH_BYTES) throw this.#broken(`line ${n} has no hash`);
      frontier.append(leaf);
      if (n < signed || entry === null) continue;
      noteReceipt(receipts, n, parseLine(textOf(entry))?.["receipt"]);
    }
    return { frontier, signed: 0, lastMs: 0, receipts };
  }

  #keyFields(signer: AuditSigner) {
    return {
      kid: label(signer.kid),
      key: label(toBase64Url(signer.signing.publicKey.raw)),
    };
  }

  #addHead(signer: AuditSigner, { frontier, receipts }: State): void {
    for (const [id, n] of receipts) this.#db.addReceipt(id, n);
    receipts.clear();
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
    throw this.#fromEarlier(size, seen.size);
  }

  #fromEarlier(size: number, seen: number): SecLlamaError {
    return this.#broken(
      `it has ${plural(size, "line")}, this machine has seen ${seen}: it was put back from earlier`,
    );
  }

  #broken(what: string): SecLlamaError {
    return new SecLlamaError("audit-broken", `the audit log ${this.#db.path}: ${what}`, {
      hint: `to see what is wrong: secllama audit verify; ${HINTS.auditAside}`,
    });
  }
}

function noteReceipt(receipts: Map<string, number>, n: number, receipt: unknown): void {
  if (typeof receipt === "string") receipts.set(receipt, n);
}
