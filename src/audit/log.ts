/**
 * The audit log, as those write it who act: the gateway for each exchange, the command line for each act of administration. Several
 * processes may; SQLite keeps them apart. What is recorded in one turn of the event loop becomes one transaction.
 */
import { type Bytes, toHex } from "../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { plural } from "../plural.ts";
import { Blocks } from "./blocks.ts";
import { consistencyProofBy } from "./consistency.ts";
import { AuditDatabase } from "./database.ts";
import { type HeadNames, headNames, sameBytes } from "./head.ts";
import type { AuditEntry } from "./line.ts";
import { AuditNote } from "./note.ts";
import { signReceipt } from "./receipt.ts";
import { AuditSigner } from "./signer.ts";
import { Frontier, rootFromInclusion, rootOf } from "./tree.ts";
import { type AuditLogOptions, AuditWriter } from "./writer.ts";

/** A line waits at most so long for a signed head, ms. */
const HEAD_MS = 1_000;
/** After heads that failed; each try may look the file through. */
const MOST_HEAD_MS = 60_000;
/** Nor are there more lines than this without one; it bounds what the next process must check. */
const HEAD_LINES = 1_000;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: (n: number) => void;
  readonly reject: (error: SecLlamaError) => void;
}

/** A head, and what shows that its log has only grown since an earlier one. */
export interface HeadSince {
  /** The COSE_Sign1. */
  readonly cose: Bytes;
  /** A consistency proof (RFC 9162) from the first `size` lines. */
  readonly since?: { readonly size: number; readonly path: readonly Bytes[] };
}

/** Lines between two heads of which the one is shown to go on from the other: it takes a tenth of a second. */
const MAX_LINK = 50_000;

/** An audit log that is open to be written. */
export class AuditLog {
  readonly #db: AuditDatabase;
  readonly #writer: AuditWriter;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of the last line; undefined: it was written. */
  #failure: SecLlamaError | undefined;
  /** Of the last head. */
  #headFailure: SecLlamaError | undefined;
  /** So many in a row. */
  #headFailures = 0;
  #checking: Promise<void> | undefined;
  readonly #blocks: Blocks;
  #closed = false;
  /** For the user: another log begins here than the one that this machine has seen; undefined: it does not. */
  readonly anew: string | undefined;

  private constructor(db: AuditDatabase, writer: AuditWriter, anew: string | undefined) {
    this.anew = anew;
    this.#db = db;
    this.#writer = writer;
    this.#blocks = new Blocks(db);
  }

  /**
   * Opens the log, or begins one.
   *
   * @example
   * ```ts
   * async function size(options: Parameters<typeof AuditLog.open>[0]): Promise<number> {
   *   const log = await AuditLog.open(options);
   *   await log.record({ event: "key-rotated" });
   *   await log.close();
   *   return log.size;
   * }
   * ```
   * @throws {SecLlamaError} `audit-failed` if it cannot be written, `audit-broken` if what is there was changed by somebody without
   * the key or put back from earlier, and what the key store throws.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    using made = new DisposableStack();
    const db = made.use(AuditDatabase.open(options.dataDir, options.lookMs));
    const signer = made.use(await AuditSigner.of(options.keys));
    const writer = made.use(new AuditWriter(db, signer, options));
    const anew = begunAnew(db, options);
    await writer.probe();
    made.move();
    return new AuditLog(db, writer, anew);
  }

  /** Why this machine does not note how far the log came, for its people; undefined: it does, as far as is known. */
  get unnoted(): string | undefined {
    return this.#writer.unnoted;
  }

  /** Lines of the log. */
  get size(): number {
    return this.#writer.size;
  }

  /** Of these, those behind the last signed head. */
  get unsigned(): number {
    return this.#writer.unsigned;
  }

  /**
   * Writes a line. Resolves with its number once a kill of the process cannot lose it.
   * @throws {SecLlamaError} `audit-failed`, `audit-broken`.
   */
  record(entry: AuditEntry): Promise<number> {
    if (this.#closed) return Promise.reject(closedLog());
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#queue.push({ entry, resolve, reject });
    this.#writing ??= this.#drain();
    return promise;
  }

  /** The newest signed head, a COSE_Sign1; undefined: there is none yet. */
  head(): Bytes | undefined {
    return this.#db.lastHead()?.cose;
  }

  /**
   * The newest head, and that it goes on from one that was given before; without the latter where that cannot be shown.
   * @param before A signed head, a COSE_Sign1.
   */
  headSince(before?: Uint8Array): HeadSince | undefined {
    const head = this.#db.lastHead();
    if (head === undefined) return undefined;
    const { cose, size } = head;
    const first = before && namesIn(before);
    const known = first && this.#db.headOf(first.size);
    if (known === undefined || known.size > size || size - known.size > MAX_LINK) return { cose };
    const frontier = Frontier.decode(known.size, known.frontier);
    // Of another log, or one that was put back.
    if (first!.log !== toHex(this.#db.id) || first!.root !== toHex(frontier.root())) {
      return { cose };
    }
    const edge = new Map(frontier.subtrees().map(({ start, root }) => [start, root]));
    const root = (start: number, end: number) =>
      start < known.size ? edge.get(start)! : rootOfAll(this.#db.leaves(start, end));
    return { cose, since: { size: known.size, path: consistencyProofBy(root, known.size, size) } };
  }

  /** Whether lines can be written: tries, if the last one could not, or the file is another one since. @throws {SecLlamaError} `audit-failed`, `audit-broken`. */
  async check(): Promise<void> {
    const failure = this.#failure ?? this.#headFailure;
    if (failure === undefined && this.#db.isInPlace) return;
    // However many ask, it is tried once at a time.
    await (this.#checking ??= this.#tryAgain().finally(() => this.#checking = undefined));
  }

  async #tryAgain(): Promise<void> {
    try {
      await this.#writer.probe();
      if (this.#headFailure !== undefined) await this.sign();
      this.#failure = undefined;
    } catch (error) {
      throw this.#failure = toSecLlamaError(error);
    }
  }

  /** Signs a head over all lines, if there are any since the last one. Where it cannot, it is tried again soon. @throws {SecLlamaError} */
  async sign(): Promise<void> {
    if (this.#closed) throw closedLog();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      await this.#writer.sign();
      this.#headFailure = undefined;
      this.#headFailures = 0;
    } catch (error) {
      this.#headFailure = toSecLlamaError(error);
      this.#headFailures++;
      this.#signLater();
      throw error;
    }
  }

  /**
   * The receipt of this id: the host's statement on one line, for its client.
   * @throws {SecLlamaError} `not-found` if there is none, or retention took the line's text; `audit-failed`, `audit-broken`.
   */
  async receipt(id: string): Promise<Bytes> {
    const isKnown = this.#writer.awaitsHead(id) || this.#db.receiptLine(id) !== undefined;
    // Another process may have written the line, and was killed before a head.
    if (!isKnown) await this.#writer.append([]);
    if (this.#writer.awaitsHead(id)) await this.sign();
    const n = this.#db.receiptLine(id);
    const line = n === undefined ? undefined : this.#db.line(n);
    if (n === undefined || line === undefined || line.text === null) throw noReceipt();
    const { leaf, text } = line;
    if (n >= (this.#db.lastHead()?.size ?? 0)) await this.sign();
    const head = this.#db.lastHead()!;
    const { size } = head;
    const path = await this.#blocks.proof(n, size);
    const root = Frontier.decode(size, head.frontier).root();
    const made = rootFromInclusion(leaf, { index: n, size, path });
    if (made === undefined || !sameBytes(made, root)) {
      throw new SecLlamaError("audit-broken", `line ${n} is not in the tree that was signed`, {
        hint: "to see what is wrong: secllama audit verify",
      });
    }
    return await this.#writer.signWith((key) =>
      signReceipt(key, text, { index: n, size, path }, root)
    );
  }

  /** Writes what waits, signs a last head, and closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    while (this.#writing !== undefined) await this.#writing;
    try {
      await this.sign();
    } finally {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#writer[Symbol.dispose]();
      this.#db[Symbol.dispose]();
    }
  }

  async #drain(): Promise<void> {
    // What the same turn records goes along.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, HEAD_LINES);
      try {
        const first = await this.#writer.append(batch.map(({ entry }) => entry));
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
    if (this.#writer.unsigned >= HEAD_LINES) return await this.sign();
    this.#signLater();
  }

  #signLater(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.sign().catch(() => {}); // told by check(), and tried again
    }, Math.min(HEAD_MS * 2 ** this.#headFailures, MOST_HEAD_MS));
    Deno.unrefTimer(this.#timer);
  }
}

/** A log without a line, where this machine has noted another: its files were moved away, or removed. */
function begunAnew(db: AuditDatabase, { stateDir, hid }: AuditLogOptions): string | undefined {
  if (stateDir === undefined || db.size() > 0) return undefined;
  const seen = new AuditNote(stateDir, hid).read();
  if (seen === undefined || seen.log === toHex(db.id)) return undefined;
  return `a new audit log begins: the one that this machine has seen, of ${
    plural(seen.size, "line")
  }, is not in ` +
    `${db.path}; if it should be, move this one away and put that back`;
}

function rootOfAll(leaves: readonly Bytes[]): Bytes {
  return rootOf((i) => leaves[i]!, 0, leaves.length);
}

function namesIn(head: Uint8Array): HeadNames | undefined {
  try {
    return headNames(head);
  } catch {
    return undefined;
  }
}

function closedLog(): SecLlamaError {
  return new SecLlamaError("audit-failed", "the audit log is closed: this program ends");
}

function noReceipt(): SecLlamaError {
  return new SecLlamaError("not-found", "there is no receipt of this id", {
    hint: "a receipt is there once the reply has ended, while the audit log has its line",
  });
}
