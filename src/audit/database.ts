/**
 * The file of the audit log: SQLite, as the runtime has it. A transaction is whole or it is not there, whatever kills the process.
 *
 * ```
 * meta    version and id of the log
 * lines   n, the leaf's hash, its tag, and its text, which retention takes away
 * heads   the tree's size, its frontier, and the signed head; the last row is the newest
 * epochs  from which line on which key authenticates; each of them is also said by a line
receipts  which line a client may have a receipt of, by the id that it knows
 * ```
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Bytes } from "../bytes.ts";
import {
  areTheSame,
  type DatabaseFiles,
  databaseFiles,
  fileAt,
  isAwayFromItsLog,
} from "../database_files.ts";
import { SecLlamaError } from "../errors.ts";
import { countLog, HeldDatabase } from "../held_database.ts";
import {
  anotherLog,
  damaged,
  failing,
  isBusy,
  isDamage,
  notOurs,
  notThere,
  stillRead,
} from "./failing.ts";
import { type LineBytes, readRows, ROWS_SQL, textOf } from "./rows.ts";
import { BUSY_MS, idOf, prepare, takeUp } from "./tables.ts";
import { HASH_BYTES } from "./tree.ts";

/** Its name in the data folder. */
export const AUDIT_FILE = "audit.db";
/** So long it is waited for without anything else of this process getting a turn. */
const TRY_MS = 5;
/** And so long other work has a turn before the next try. */
const PAUSE_MS = 20;
/** The files are looked at so often. What is written meanwhile to one that is away is missed when a copy is put back, and told. */
const LOOK_MS = 100;
/** SQLite's log is moved into the database once so many of its pages are not, as SQLite itself would. */
const CHECKPOINT_PAGES = 1_000;

/** A line as it lies in the file. */
export interface StoredLine {
  /** Its number. */
  readonly n: number;
  /** Its hash in the tree. */
  readonly leaf: Bytes;
  /** What authenticates it to the host; undefined in an export. */
  readonly tag: Bytes | undefined;
  /** null: taken away by retention. */
  readonly text: string | null;
}

/** A signed head as it lies in the file. */
export interface StoredHead {
  /** Lines that it counts. */
  readonly size: number;
  /** Roots of the complete subtrees, 32 bytes each. */
  readonly frontier: Bytes;
  /** The COSE_Sign1. */
  readonly cose: Bytes;
}

/** From line `n` on, the key of the master key `kid`. */
export interface StoredEpoch {
  /** The first line. */
  readonly n: number;
  /** Of the master key. */
  readonly kid: string;
}

/**
 * An open audit file. What SQLite throws leaves as `audit-failed`. One that is written, and that was replaced, moved away or changed
 * by somebody else, is opened anew before the next line.
 */
export class AuditDatabase implements Disposable {
  /** Of this log alone: 16 random bytes. */
  readonly id: Bytes;
  /** Of the file. */
  readonly path: string;
  readonly #held: HeldDatabase;
  /** Files that were refused, and why, until there are others. */
  #refused: { readonly files: DatabaseFiles; readonly error: unknown } | undefined;
  /** How often it was opened anew. */
  #reopened = 0;

  private constructor(db: DatabaseSync, path: string, id: Bytes, lookMs = LOOK_MS) {
    this.#held = new HeldDatabase(db, { path, lookMs, notThere: () => notThere(path) });
    this.path = path;
    this.id = id;
  }

  /**
   * Opens the log of this data folder, or makes an empty one.
   * @param lookMs Its files are looked at so often.
   * @throws {SecLlamaError} `audit-failed` if it cannot be read or made, `audit-broken` if it is none of ours.
   */
  static open(dataDir: string, lookMs?: number): AuditDatabase {
    const path = join(dataDir, AUDIT_FILE);
    return failing(path, () => {
      if (isAwayFromItsLog(path)) throw notThere(path);
      // SQLite gives its other files the mode of the first.
      try {
        Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
      const db = new DatabaseSync(path);
      try {
        const id = prepare(db, path);
        db.exec(`PRAGMA busy_timeout=${TRY_MS}`);
        const made = new AuditDatabase(db, path, id, lookMs);
        // Whoever wrote last may have been killed before a head.
        made.#checkpoint();
        return made;
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  /** Opens one to read, undefined where there is none. @throws As {@link AuditDatabase.open}. */
  static read(dataDir: string): AuditDatabase | undefined {
    const path = join(dataDir, AUDIT_FILE);
    return failing(path, () => {
      // SQLite would remove the log of one that was taken away.
      if (isAwayFromItsLog(path)) throw notThere(path);
      if (fileAt(path).file === "") return undefined;
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        db.exec(`PRAGMA busy_timeout=${BUSY_MS}`);
        const id = idOf(db, path);
        if (id === undefined) throw notOurs(path);
        return new AuditDatabase(db, path, id);
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  /**
   * Runs `body` as one transaction that no other process writes in. What it throws undoes it. While another process writes, this
   * one goes on with its other work.
   * @param durable Whether it is on the disk, and not only with the system, when this resolves.
   */
  async transaction<T>(body: () => T, { durable = false } = {}): Promise<T> {
    for (const until = performance.now() + BUSY_MS;;) {
      let begun = false;
      try {
        return failing(this.path, () => {
          this.#inPlace();
          return this.#transaction(() => {
            begun = true;
            return body();
          }, durable);
        });
      } catch (error) {
        // Its pages are kept in memory: what is put right within a tick of the file system's clock would stay damaged.
        if (isDamage(error)) this.#held.distrust();
        if (begun || !isBusy(error) || performance.now() >= until) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #transaction<T>(body: () => T, durable: boolean): T {
    const { db } = this.#held;
    if (durable) db.exec("PRAGMA synchronous=FULL");
    let result: T;
    try {
      this.#run("BEGIN IMMEDIATE");
      result = body();
      this.#run("COMMIT");
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    } finally {
      if (durable) db.exec("PRAGMA synchronous=NORMAL");
    }
    if (durable) this.#checkpoint();
    return result;
  }

  /**
   * Moves what SQLite's log holds into the database's own file, where it is long. SQLite is told not to do that by itself
   * ({@link prepare}): a message would wait for it, and whether the file was written would have to be looked at after each line.
   */
  #checkpoint(): void {
    try {
      // How long the log's file is says nothing: SQLite begins it anew without cutting it.
      if (countLog(this.#held.db).unmoved < CHECKPOINT_PAGES) return;
      this.#held.db.exec("PRAGMA wal_checkpoint(PASSIVE)");
      this.#held.wrote();
    } catch { /* what it would have moved is safe where it is, and the next head tries again */ }
  }

  /** Whether the files are those that were written last, as they were then; as far as was seen a moment ago. */
  get isInPlace(): boolean {
    return this.#held.isInPlace;
  }

  /** Opens what was put there meanwhile, if it is this log. A line in a file that was moved away would be in none. */
  #inPlace(): void {
    if (this.isInPlace) return;
    const there = databaseFiles(this.path);
    const known = this.#refused;
    // Either file may have been put right in its place, and given its old time.
    if (known?.files.stamps === there.stamps && areTheSame(known.files, there)) throw known.error;
    try {
      this.#held.takeUp(there, (db) => {
        if (!takeUp(db, this.path, this.id)) throw anotherLog(this.path);
        db.exec(`PRAGMA busy_timeout=${TRY_MS}`);
      });
      this.#reopened++;
      this.#refused = undefined;
    } catch (error) {
      const isBroken = error instanceof SecLlamaError && error.code === "audit-broken";
      // What is written over within a tick of the file system's clock looks the same.
      if (isBroken && !there.isYoung) this.#refused = { files: there, error };
      throw error;
    }
  }

  /** Differs when another process has written, and when the file was opened anew. */
  version(): string {
    return `${this.#reopened} ${this.#get("PRAGMA data_version")!["data_version"]}`;
  }

  /** The number of the next line. */
  size(): number {
    return Number(this.#get("SELECT coalesce(max(n) + 1, 0) AS size FROM lines")!["size"]);
  }

  /** Adds a line with its tag. Only inside a transaction. */
  addLine({ n, leaf, tag, text }: StoredLine): void {
    this.#run("INSERT INTO lines (n, leaf, tag, text) VALUES (?, ?, ?, ?)", n, leaf, tag!, text);
  }

  /** Adds a head, which is the newest from then on. */
  addHead({ size, frontier, cose }: StoredHead): void {
    this.#run("INSERT INTO heads (size, frontier, cose) VALUES (?, ?, ?)", size, frontier, cose);
  }

  /** Notes of which line a receipt may be asked. Only inside a transaction. */
  addReceipt(id: string, n: number): void {
    this.#run("INSERT OR REPLACE INTO receipts (id, n) VALUES (?, ?)", id, n);
  }

  /** The line that this is the receipt of; undefined: none. */
  receiptLine(id: string): number | undefined {
    const row = this.#get("SELECT n FROM receipts WHERE id = ?", id);
    return row && Number(row["n"]);
  }

  /** Notes the key from a line on. */
  addEpoch({ n, kid }: StoredEpoch): void {
    this.#run("INSERT INTO epochs (n, kid) VALUES (?, ?)", n, kid);
  }

  /** Writes as much as a few lines take, and takes it back. @throws {SecLlamaError} `audit-failed`. */
  async probe(): Promise<void> {
    await this.transaction(() => {
      this.#run("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', zeroblob(16384))");
    });
    await this.transaction(() => this.#run("DELETE FROM meta WHERE name = 'probe'"));
  }

  /** The newest head. */
  lastHead(): StoredHead | undefined {
    const row = this.#get("SELECT size, frontier, cose FROM heads ORDER BY id DESC LIMIT 1");
    return row && this.#head(row);
  }

  /** The newest head of so many lines. */
  headOf(size: number): StoredHead | undefined {
    const sql = "SELECT size, frontier, cose FROM heads WHERE size = ? ORDER BY id DESC LIMIT 1";
    const row = this.#get(sql, size);
    return row && this.#head(row);
  }

  /** Every head, the oldest first. */
  *heads(): Generator<StoredHead> {
    const all = this.#all("SELECT size, frontier, cose FROM heads ORDER BY size, id");
    for (const row of all) yield this.#head(row);
  }

  /** The lines from `from` on, in order. */
  *lines(from = 0): Generator<StoredLine> {
    for (const { n, leaf, tag, entry } of this.entries(from)) {
      const text = entry === null ? null : textOf(entry);
      yield { n, leaf: leaf!, tag, text };
    }
  }

  /** As {@link AuditDatabase.lines}, as bytes: for who hashes them all. */
  entries(from = 0): Generator<LineBytes> {
    return readRows(this.path, this.#held.statement(ROWS_SQL), from);
  }

  /** Hashes of the lines from `from` up to `end`, not included. @throws {SecLlamaError} `audit-broken` if one is missing. */
  leaves(from: number, end: number): Bytes[] {
    const sql = "SELECT leaf FROM lines WHERE n >= ? AND n < ? ORDER BY n";
    const leaves = this.#all(sql, from, end).map((row) => this.#bytes(row["leaf"]));
    const isWhole = leaves.length === end - from &&
      leaves.every((leaf) => leaf.length === HASH_BYTES);
    if (!isWhole) throw damaged(this.path);
    return leaves;
  }

  /** One line. */
  line(n: number): StoredLine | undefined {
    const row = this.#get("SELECT n, leaf, tag, text FROM lines WHERE n = ?", n);
    return row && {
      n: Number(row["n"]),
      leaf: this.#bytes(row["leaf"]),
      tag: this.#bytes(row["tag"]),
      text: row["text"] === null ? null : String(row["text"]),
    };
  }

  /** Which key from which line on, in order. */
  epochs(): StoredEpoch[] {
    return this.#all("SELECT n, kid FROM epochs ORDER BY n").map((row) => ({
      n: Number(row["n"]),
      kid: String(row["kid"]),
    }));
  }

  /** Takes the texts of the lines from `from` up to `end`, not included, away, but of those that `keep`. Returns how many. */
  forget(from: number, end: number, keep: (text: string) => boolean): number {
    let count = 0;
    const sql = "SELECT n, text FROM lines WHERE n >= ? AND n < ? AND text IS NOT NULL";
    for (const row of this.#all(sql, from, end)) {
      if (keep(String(row["text"]))) continue;
      this.#run("UPDATE lines SET text = NULL WHERE n = ?", Number(row["n"]));
      count++;
    }
    this.#run("DELETE FROM receipts WHERE n >= ? AND n < ?", from, end);
    return count;
  }

  /** What was taken away is gone from the files, too. */
  compact(): void {
    failing(this.path, () => {
      // Deleted bytes are overwritten (secure_delete). VACUUM would attach a file, which the runtime allows no restricted program.
      const { db } = this.#held;
      db.exec(`PRAGMA busy_timeout=${BUSY_MS}`);
      const { busy } = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as Row;
      db.exec(`PRAGMA busy_timeout=${TRY_MS}`);
      this.#held.wrote(true);
      if (busy !== 0) throw stillRead(this.path);
    });
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }

  #get(sql: string, ...values: (number | string)[]): Row | undefined {
    return failing(this.path, () => this.#held.statement(sql).get(...values)) as Row | undefined;
  }

  #all(sql: string, ...values: number[]): Row[] {
    return failing(this.path, () => this.#held.statement(sql).all(...values)) as Row[];
  }

  #run(sql: string, ...values: (number | string | Uint8Array | null)[]): void {
    this.#held.statement(sql).run(...values);
  }

  #head({ size, frontier, cose }: Row): StoredHead {
    return { size: Number(size), frontier: this.#bytes(frontier), cose: this.#bytes(cose) };
  }

  /** Whoever can write the file can change its schema, too. @throws {SecLlamaError} `audit-broken`. */
  #bytes(value: unknown): Bytes {
    if (value instanceof Uint8Array) return value as Bytes;
    throw damaged(this.path);
  }
}

type Row = Record<string, unknown>;
