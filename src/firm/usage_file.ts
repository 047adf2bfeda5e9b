/**
 * What clients have used of their limits: `usage.db` in the data folder, so that a limit of a day outlives a restart. What is counted
 * is in the file a moment later; a kill loses that moment. While the file cannot be written, counting goes on in memory.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileAt, isAwayFromItsLog, walOf } from "../database_files.ts";
import { SecLlamaError } from "../errors.ts";
import { fileStampSync } from "../file_stamp.ts";
import { HINTS } from "../hints.ts";
import { newerFile } from "../newer_file.ts";
import type { Usage, UsageStore } from "./limiter.ts";

/** Its name in the data folder. */
const USAGE_FILE = "usage.db";
/** Of the table's form; a file of before it was written down has 0, and the same form. */
const VERSION = 1;
/** So long after a count, ms, it is in the file. */
const SAVE_MS = 50;
const TABLE = `CREATE TABLE IF NOT EXISTS usage (
  client TEXT PRIMARY KEY,
  minute INTEGER NOT NULL, minute_requests INTEGER NOT NULL, minute_tokens INTEGER NOT NULL,
  day INTEGER NOT NULL, day_requests INTEGER NOT NULL, day_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID`;

/** By name: a table that lacks one is none of ours, and has not nothing to say. */
const COLUMNS = "client, minute, minute_requests, minute_tokens, day, day_requests, day_tokens";

/** What no program of ours writes: less than nothing, or more than JavaScript counts exactly. */
const NO_COUNT = "SELECT 1 FROM usage WHERE " +
  ["minute", "minute_requests", "minute_tokens", "day", "day_requests", "day_tokens"]
    .map((column) =>
      `typeof(${column}) <> 'integer' OR ${column} NOT BETWEEN 0 AND ${Number.MAX_SAFE_INTEGER}`
    ).join(" OR ") +
  " LIMIT 1";

/** Which files are at the path: the database's own, and SQLite's log beside it. */
interface Files {
  readonly file: string;
  readonly log: string;
  /** Differs once the database's own was written: by SQLite, which does so seldom, or by somebody else. */
  written: string;
}

/**
 * The file, open. One that was replaced or moved away is opened anew, and so is one that failed: what was put right is used from the
 * next request on.
 */
export class UsageFile implements UsageStore, Disposable {
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  #db: DatabaseSync | undefined;
  /** Those that were opened last. */
  #files: Files | undefined;
  readonly #changed = new Map<string, Usage>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(path: string, onError: (error: unknown) => void) {
    this.#path = path;
    this.#onError = onError;
  }

  /**
   * Opens the file, or makes it.
   * @param onError Told where what was counted could not be written; it is tried again.
   * @throws {SecLlamaError} `limits-failed`.
   */
  static open(dataDir: string, onError: (error: unknown) => void = () => {}): UsageFile {
    const opened = new UsageFile(join(dataDir, USAGE_FILE), onError);
    opened.#with(() => {}, 2_000);
    return opened;
  }

  /** What is in the file, by client; for who only looks. @throws {SecLlamaError} `limits-failed`. */
  static read(dataDir: string): Map<string, Usage> {
    const path = join(dataDir, USAGE_FILE);
    try {
      if (isAwayFromItsLog(path)) throw notThere(path);
      Deno.statSync(path);
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        versionOf(path, db);
        const rows = db.prepare(`SELECT ${COLUMNS} FROM usage`).all();
        return new Map(rows.map((row) => [String(row["client"]), usageOf(row)]));
      } finally {
        db.close();
      }
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return new Map();
      throw unusable(path, cause);
    }
  }

  /** What was counted of this client. @throws {SecLlamaError} `limits-failed`. */
  load(client: string): Usage | undefined {
    const waiting = this.#changed.get(client);
    if (waiting !== undefined) return waiting;
    return this.#with((db) => {
      const row = db.prepare(`SELECT ${COLUMNS} FROM usage WHERE client = ?`).get(client);
      return row && usageOf(row);
    });
  }

  /** That the file is whole, as far as one look through it says. @throws {SecLlamaError} `limits-failed`. */
  check(): void {
    this.#with((db) => {
      if (db.prepare(NO_COUNT).get() !== undefined) throw new RangeError("no count");
    });
  }

  save(client: string, usage: Usage): void {
    this.#changed.set(client, usage);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#write(), SAVE_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Writes what waits, and closes the file. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#write(2_000);
    clearTimeout(this.#timer);
    this.#close();
  }

  #write(waitMs = 0): void {
    this.#timer = undefined;
    if (this.#changed.size === 0) return;
    try {
      this.#with((db) => put(db, this.#changed), waitMs);
      this.#changed.clear();
    } catch (error) {
      this.#onError(error);
      this.#timer = setTimeout(() => this.#write(), SAVE_MS * 20);
      Deno.unrefTimer(this.#timer);
    }
  }

  /** @param waitMs For another process that writes; nobody's request waits for one. @throws {SecLlamaError} `limits-failed`. */
  #with<T>(use: (db: DatabaseSync) => T, waitMs = 0): T {
    try {
      const { file, written } = lookAt(this.#path);
      if (this.#files !== undefined && this.#files.file !== file) {
        this.#close();
        dropLog(this.#path, this.#files);
      }
      if (this.#db === undefined) {
        // Of one that was open here SQLite's log was dropped. Of another process's it has counts that are nowhere else.
        if (this.#files === undefined && isAwayFromItsLog(this.#path)) throw notThere(this.#path);
        this.#db = openAt(this.#path, waitMs);
        checkWhole(this.#db);
        const { file: log } = fileAt(walOf(this.#path));
        this.#files = { ...lookAt(this.#path), log };
      } else if (written !== this.#files!.written) {
        checkWhole(this.#db);
        this.#files!.written = written;
      }
      this.#db.exec(`PRAGMA busy_timeout=${waitMs}`);
      return use(this.#db);
    } catch (cause) {
      this.#close();
      throw unusable(this.#path, cause);
    }
  }

  #close(): void {
    const db = this.#db;
    this.#db = undefined;
    try {
      db?.close();
    } catch {
      // It failed, and is not used any more.
    }
  }
}

function openAt(path: string, waitMs: number): DatabaseSync {
  if (Deno.build.os !== "windows") {
    Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
  }
  using made = new DisposableStack();
  const db = made.adopt(new DatabaseSync(path), (db) => db.close());
  db.exec(`PRAGMA busy_timeout=${waitMs}`);
  const isOld = versionOf(path, db) < VERSION;
  db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  db.exec(TABLE);
  if (isOld) db.exec(`PRAGMA user_version=${VERSION}`);
  made.move();
  return db;
}

/** What is missing from a page that SQLite does not look at closely would be counts that were never made. @throws {RangeError} */
function checkWhole(db: DatabaseSync): void {
  const { quick_check: said } = db.prepare("PRAGMA quick_check(1)").get()!;
  if (said !== "ok") throw new RangeError("pages are damaged");
}

/** SQLite would take the log of the file that was there before for that of the one that is there now. */
function dropLog(path: string, { log }: Files): void {
  if (log === "" || fileAt(walOf(path)).file !== log) return;
  Deno.removeSync(walOf(path));
  Deno.removeSync(`${path}-shm`);
}

/** Which file is there, and how it was last written; both "" where none is. One that is young may have been written since. */
function lookAt(path: string): Omit<Files, "log"> {
  const { file } = fileAt(path);
  return { file, written: file === "" ? "" : fileStampSync(path) };
}

/** All of it, or nothing. */
function put(db: DatabaseSync, changed: ReadonlyMap<string, Usage>): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const put = db.prepare("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?)");
    for (const [client, { minute, day }] of changed) {
      put.run(
        client,
        minute.at,
        minute.requests,
        minute.tokens,
        day.at,
        day.requests,
        day.tokens,
      );
    }
    db.exec("COMMIT");
  } catch (error) {
    // Some errors have rolled it back already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** @throws {SecLlamaError} `limits-failed` if a newer secllama wrote it. */
function versionOf(path: string, db: DatabaseSync): number {
  const v = Number(db.prepare("PRAGMA user_version").get()!["user_version"]);
  const newer = newerFile(path, { v }, VERSION);
  if (newer === undefined) return v;
  throw new SecLlamaError("limits-failed", newer, {
    hint: HINTS.newerWroteIt,
  });
}

/** @throws {RangeError} For what {@link NO_COUNT} finds. */
function usageOf(row: Record<string, unknown>): Usage {
  const count = (column: string) => {
    const value = row[column];
    if (Number.isSafeInteger(value) && value as number >= 0) return value as number;
    throw new RangeError("no count");
  };
  const window = (name: "minute" | "day") => ({
    at: count(name),
    requests: count(`${name}_requests`),
    tokens: count(`${name}_tokens`),
  });
  return { minute: window("minute"), day: window("day") };
}

/** The last counts are in what lies beside it: SQLite would remove that. */
function notThere(path: string): SecLlamaError {
  return new SecLlamaError("limits-failed", `${path}, where the use of limits is kept, is away`, {
    hint: "put it back, with those beside it that begin alike; to begin all counts anew, move " +
      "those away too",
  });
}

function unusable(path: string, cause: unknown): SecLlamaError {
  if (cause instanceof SecLlamaError) return cause;
  return new SecLlamaError("limits-failed", `${path}, where the use of limits is kept, fails`, {
    hint: "give this user the right to write there, and make room; a damaged one can be moved " +
      "away, and all counts begin anew",
    cause,
  });
}
