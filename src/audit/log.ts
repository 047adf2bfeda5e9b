/**
 * The audit log, as those write it who act: the gateway for each exchange, the command line for each act of administration. Several
 * processes may; SQLite keeps them apart. What is recorded in one turn of the event loop becomes one transaction.
 */
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { AuditDatabase } from "./database.ts";
import type { AuditEntry } from "./line.ts";
import { AuditSigner } from "./signer.ts";
import { type AuditLogOptions, AuditWriter } from "./writer.ts";

/** A line waits at most so long for a signed head, ms. */
const HEAD_MS = 1_000;
/** Nor are there more lines than this without one; it bounds what the next process must check. */
const HEAD_LINES = 1_000;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: (n: number) => void;
  readonly reject: (error: SecLlamaError) => void;
}

/** An audit log that is open to be written. */
export class AuditLog {
  readonly #db: AuditDatabase;
  readonly #writer: AuditWriter;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: SecLlamaError | undefined;
  #checking: Promise<void> | undefined;

  private constructor(db: AuditDatabase, writer: AuditWriter) {
    this.#db = db;
    this.#writer = writer;
  }

  /**
   * Opens the log, or begins one.
   * @throws {SecLlamaError} `audit-failed` if it cannot be written, `audit-broken` if what is there was changed by somebody without
   * the key or put back from earlier, and what the key store throws.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    using made = new DisposableStack();
    const db = made.use(AuditDatabase.open(options.dataDir));
    const signer = made.use(await AuditSigner.of(options.keys));
    const writer = made.use(new AuditWriter(db, signer, options));
    await writer.probe();
    made.move();
    return new AuditLog(db, writer);
  }

  /** Lines of the log. */
  get size(): number {
    return this.#writer.size;
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

  /** Whether lines can be written: tries, if the last one could not. @throws {SecLlamaError} `audit-failed`, `audit-broken`. */
  async check(): Promise<void> {
    if (this.#failure === undefined) return;
    // However many ask, it is tried once at a time.
    await (this.#checking ??= this.#tryAgain().finally(() => this.#checking = undefined));
  }

  async #tryAgain(): Promise<void> {
    await this.#writer.probe();
    this.#failure = undefined;
  }

  /** Signs a head over all lines, if there are any since the last one. @throws {SecLlamaError} */
  async sign(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writer.sign();
  }

  /** Writes what waits, signs a last head, and closes the file. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    try {
      await this.sign();
    } finally {
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
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.sign().catch((error) => this.#failure = toSecLlamaError(error));
    }, HEAD_MS);
    Deno.unrefTimer(this.#timer);
  }
}
