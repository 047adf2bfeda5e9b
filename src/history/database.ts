/**
 * The history's SQLite file. Write-ahead log, every commit on the disk before it returns, deleted bytes overwritten. In the clear
 * are ids, how many records there are, and their sizes; no table is in the order of time.
 *
 * Any process of the user's may read. One writes: it holds the lock of the file beside it, which ends with the process.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { areSameFiles, areTheSame, databaseFiles, isAwayFromItsLog } from "../database_files.ts";
import { SecLlamaError } from "../errors.ts";
import { HeldDatabase } from "../held_database.ts";
import { ioReason } from "../hints.ts";
import { DATABASE_NAME } from "./folder.ts";

const LOCK_NAME = "history.lock";
/** Of the file format; a higher one is a newer program's. */
const VERSION = 1;
/** "SLH1": what the file is, for `file` and for us. */
const APPLICATION_ID = 0x534c4831;
/** How long a reader waits for a writer's commit, and a writer for a reader. */
const BUSY_MS = 5_000;
/** Larger than SQLite's own 4 KiB: most records are. */
const PAGE_BYTES = 8192;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS conversations (
    id BLOB PRIMARY KEY, vault BLOB NOT NULL, key BLOB NOT NULL, head BLOB NOT NULL, settings BLOB
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS messages (
    conversation BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (conversation, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS drawers (id BLOB PRIMARY KEY, vault BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS texts (
    conversation BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (conversation, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS filters (
    conversation BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (conversation, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS documents (
    id BLOB PRIMARY KEY, vault BLOB NOT NULL, key BLOB NOT NULL, head BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS passages (
    document BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (document, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS words (
    document BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (document, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS vectors (
    document BLOB, position INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (document, position)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS register (
    part BLOB, kind INTEGER, vault BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (part, kind)
  ) WITHOUT ROWID;
  CREATE TRIGGER IF NOT EXISTS erased AFTER DELETE ON conversations BEGIN
    DELETE FROM register WHERE part = substr(OLD.id, 1, 1);
  END;
  CREATE TRIGGER IF NOT EXISTS rekeyed AFTER UPDATE OF key ON conversations BEGIN
    DELETE FROM register WHERE part = substr(OLD.id, 1, 1);
  END;
`;

type Value = Uint8Array | number | string | null;
export type Row = Readonly<Record<string, Value>>;

/** One connection, and the lock once something was to be written. */
export class Database implements Disposable {
  readonly #folder: string;
  readonly #path: string;
  readonly #held: HeldDatabase;
  readonly #verify: () => void;
  #lock: Deno.FsFile | undefined;
  #verified = false;
  #rollbacks = 0;
  /** Deleted bytes may be in the log: also those of a process that was killed before it emptied it. */
  #traces = true;

  private constructor(
    folder: string,
    db: DatabaseSync,
    lock: Deno.FsFile | undefined,
    verify: () => void,
  ) {
    this.#folder = folder;
    this.#path = join(folder, DATABASE_NAME);
    this.#held = new HeldDatabase(db, {
      path: this.#path,
      notThere: movedAway,
      timeout: BUSY_MS,
      // Without the lock, it is another process that writes.
      areSame: (before, now) =>
        this.#lock === undefined ? areTheSame(before, now) : areSameFiles(before, now),
      onClose: () => this.#letGo(),
    });
    this.#lock = lock;
    this.#verify = verify;
  }

  /**
   * Opens the file of a folder, and makes both where there is none.
   * @param verify Called once this process has the lock, before it writes; what it throws is thrown.
   * @throws {SecLlamaError} `history-corrupt`, `not-supported` for a newer version's, `disk-full`.
   */
  static open(folder: string, verify: () => void): Database {
    const path = join(folder, DATABASE_NAME);
    let lock: Deno.FsFile | undefined;
    let db: DatabaseSync | undefined;
    try {
      guarded(() => Deno.mkdirSync(folder, { recursive: true, mode: 0o700 }));
      lock = tryLock(folder);
      if (guarded(() => isAwayFromItsLog(path))) throw movedAway();
      // SQLite would make it readable for all; the log and its index take after it.
      guarded(() => Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close());
      db = guarded(() => new DatabaseSync(path, { timeout: BUSY_MS }));
      const made = db;
      const opened = guarded(() => new Database(folder, made, lock, verify));
      opened.#prepare();
      [db, lock] = [undefined, undefined];
      return opened;
    } finally {
      db?.close();
      lock?.close();
    }
  }

  /**
   * Opens what was put in the place of the files since they were opened, before it is used: what is written to those that were moved
   * away nobody finds again.
   * @throws {SecLlamaError} `history-io` where nothing is there, and what {@link open} throws.
   */
  inPlace(): void {
    if (this.#held.isInPlace) return;
    guarded(() =>
      this.#held.takeUp(databaseFiles(this.#path), () => {
        // Of an earlier copy beside a log that was written since, or of two copies that were mixed.
        if (this.row("PRAGMA quick_check(1)")!["quick_check"] !== "ok") {
          throw corrupt("its file is damaged");
        }
        if (this.row("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined) {
          throw corrupt("there is nothing in its file");
        }
        this.#prepare();
      })
    );
  }

  /** What is known of the files is of those only. */
  #letGo(): void {
    this.#lock?.close();
    this.#lock = undefined;
    this.#verified = false;
    this.#rollbacks++;
  }

  #prepare(): void {
    const pragma = (name: string) => Number(Object.values(this.row(`PRAGMA ${name}`) ?? {})[0]);
    const [version, id] = [pragma("user_version"), pragma("application_id")];
    if (version > VERSION) {
      throw new SecLlamaError(
        "not-supported",
        `the history is of version ${version}, this SecLlama reads version ${VERSION}`,
        { hint: "use the SecLlama that wrote it, or a newer one; nothing was changed" },
      );
    }
    const isNew = version === 0 && id === 0 &&
      this.row("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined;
    if (!isNew && id !== APPLICATION_ID) throw corrupt("it is a database of something else");
    if (isNew) {
      this.claim();
      this.#exec(`PRAGMA page_size = ${PAGE_BYTES}`);
      this.#exec("PRAGMA auto_vacuum = INCREMENTAL");
      this.#exec("PRAGMA secure_delete = ON");
      this.#exec("PRAGMA journal_mode = WAL");
    }
    this.#exec("PRAGMA secure_delete = ON");
    this.#exec("PRAGMA synchronous = FULL");
    this.#exec("PRAGMA temp_store = MEMORY");
    this.#exec("PRAGMA mmap_size = 0");
    this.#exec("PRAGMA trusted_schema = OFF");
    if (this.writable) {
      this.transaction(() => {
        this.#exec(SCHEMA);
        if (!isNew) return;
        this.#exec(`PRAGMA application_id = ${APPLICATION_ID}`);
        this.#exec(`PRAGMA user_version = ${VERSION}`);
      });
    }
    this.row("SELECT id FROM conversations LIMIT 1");
    guarded(() => this.#held.look());
  }

  /** Whether this process may write: it has the lock, or gets it now. */
  get writable(): boolean {
    if (this.#lock !== undefined) return true;
    this.#lock = tryLock(this.#folder);
    // What another process has written until now is no surprise.
    if (this.#lock !== undefined) this.#held.wrote(true);
    return this.#lock !== undefined;
  }

  /**
   * Takes the lock before what is to be changed is read.
   * @throws {SecLlamaError} `history-busy` if another process has it.
   */
  claim(): void {
    if (!this.writable) throw busy();
    if (!this.#verified) this.#verify();
    this.#verified = true;
  }

  /** Differs after another process has written, and after a change here was taken back. */
  get changes(): string {
    return `${this.row("PRAGMA data_version")!["data_version"]} ${this.#rollbacks}`;
  }

  /** All rows of a query. @throws {SecLlamaError} `history-corrupt`, `history-busy`. */
  rows(sql: string, ...values: Value[]): Row[] {
    return guarded(() => this.#held.statement(sql).all(...values) as Row[]);
  }

  /** The rows of a query, one after the other. @throws {SecLlamaError} As {@link rows}. */
  *each(sql: string, ...values: Value[]): Generator<Row> {
    const rows = guarded(() => this.#held.statement(sql).iterate(...values));
    for (;;) {
      const { done, value } = guarded(() => rows.next());
      if (done) return;
      yield value as Row;
    }
  }

  /** The first row, if there is one. @throws {SecLlamaError} As {@link rows}. */
  row(sql: string, ...values: Value[]): Row | undefined {
    return guarded(() => this.#held.statement(sql).get(...values) as Row | undefined);
  }

  /** A change; only within {@link transaction}. */
  run(sql: string, ...values: Value[]): number {
    return guarded(() => Number(this.#held.statement(sql).run(...values).changes));
  }

  /**
   * All of `change` or nothing, and on the disk once this returns; within another one, once that returns.
   * @throws {SecLlamaError} `history-busy` if another process writes, `disk-full`, `history-corrupt`.
   */
  transaction<T>(change: () => T): T {
    const { db } = this.#held;
    this.claim();
    if (db.isTransaction) return change();
    if (!guarded(() => this.#held.isOwnFile)) throw movedAway();
    this.#exec("BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#exec("COMMIT");
      return result;
    } catch (error) {
      this.#rollbacks++;
      // Some errors have rolled it back already.
      if (db.isTransaction) this.#exec("ROLLBACK");
      throw error;
    } finally {
      this.#held.wrote();
    }
  }

  /** Whether {@link forget} has something to do. */
  get traces(): boolean {
    return this.#traces;
  }

  /**
   * Takes what was deleted out of the log and off the end of the file. The bytes themselves were overwritten when they were deleted.
   * @throws {SecLlamaError} `history-busy` if a reader keeps the log from being emptied.
   */
  forget(): void {
    this.#traces = true;
    this.#exec("PRAGMA incremental_vacuum");
    const { busy } = this.row("PRAGMA wal_checkpoint(TRUNCATE)")!;
    this.#held.wrote(true);
    if (busy !== 0) {
      throw new SecLlamaError("history-busy", "another process reads the history just now", {
        hint:
          "what was erased is gone from it, but not from its log yet: the proxy tries again, and so does whatever erases next",
      });
    }
    this.#traces = false;
  }

  #exec(sql: string): void {
    guarded(() => this.#held.db.exec(sql));
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }
}

function tryLock(folder: string): Deno.FsFile | undefined {
  const path = join(folder, LOCK_NAME);
  const file = guarded(() => Deno.openSync(path, { create: true, write: true, mode: 0o600 }));
  if (file.tryLockSync(true)) return file;
  file.close();
  return undefined;
}

/** @throws {SecLlamaError} `history-busy` if a process writes the history of this folder. */
export function refuseWriter(folder: string): void {
  try {
    if (Deno.statSync(folder).isDirectory) {
      const lock = tryLock(folder);
      if (lock === undefined) throw busy();
      lock.close();
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function busy(): SecLlamaError {
  return new SecLlamaError("history-busy", "another process of yours writes the history", {
    hint: "use the proxy that has it, or end that one first: secllama status shows what runs",
  });
}

function corrupt(why: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("history-corrupt", `the history's database cannot be read: ${why}`, {
    hint: "nothing was changed; put history/history.db of the data folder back from a backup, " +
      "or give it up and begin anew: secllama history erase --all",
    cause,
  });
}

function unusable(cause: Error, why?: string): SecLlamaError {
  const more = why === undefined ? "" : `: ${why}`;
  return new SecLlamaError(
    "history-io",
    `the history's database cannot be read or written${more}`,
    { hint: "look at the disk, and at who owns the data folder's history folder", cause },
  );
}

function movedAway(): SecLlamaError {
  return new SecLlamaError("history-io", "the history's database was moved away or removed", {
    hint:
      "put it back, with the files beside it; to begin a new one, end what runs, and start it again",
  });
}

/** SQLite's own errors as ours, whose texts are SQLite's, and the system's. */
function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code } = error as { code?: string };
    // A number that no program of ours writes, and that JavaScript does not have.
    if (code === "ERR_OUT_OF_RANGE") throw corrupt("its file is damaged", error);
    if (Object.values(Deno.errors).some((kind) => error instanceof kind)) {
      throw unusable(error, ioReason(error));
    }
    if (code !== "ERR_SQLITE_ERROR") throw error;
    const text = error.message;
    if (/is full/.test(text)) {
      throw new SecLlamaError("disk-full", "no space is left for the history: nothing was saved", {
        hint: "make room on the disk; what was saved before is still there",
        cause: error,
      });
    }
    if (/is locked|is busy/.test(text)) throw busy();
    if (/not a database|malformed|no such table|unsupported file format/.test(text)) {
      throw corrupt("its file is damaged", error);
    }
    if (/disk I\/O error|unable to open|readonly database/.test(text)) {
      throw unusable(error);
    }
    throw error;
  }
}
