/**
 * What clients have used of their limits: `usage.db` in the data folder, so that a limit of a day outlives a restart. What is counted
 * is in the file a moment later; a kill loses that moment. While the file cannot be written, counting goes on in memory.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { newerFile } from "../newer_file.ts";
import type { Usage, UsageStore } from "./limiter.ts";

/** Its name in the data folder. */
const USAGE_FILE = "usage.db";
/** Of the table's form; a file of before it was written down has 0, and the same form. */
const VERSION = 1;
/** So long after a count, ms, it is in the file. */
const SAVE_MS = 50;
/** Nobody waits for another process that writes: it is tried again. */
const TABLE = `CREATE TABLE IF NOT EXISTS usage (
  client TEXT PRIMARY KEY,
  minute INTEGER NOT NULL, minute_requests INTEGER NOT NULL, minute_tokens INTEGER NOT NULL,
  day INTEGER NOT NULL, day_requests INTEGER NOT NULL, day_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID`;

/** The file, open. */
export class UsageFile implements UsageStore, Disposable {
  readonly #db: DatabaseSync;
  readonly #onError: (error: unknown) => void;
  readonly #changed = new Map<string, Usage>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(db: DatabaseSync, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /**
   * Opens the file, or makes it.
   * @param onError Told where what was counted could not be written; it is tried again.
   * @throws {SecLlamaError} `limits-failed`.
   */
  static open(dataDir: string, onError: (error: unknown) => void = () => {}): UsageFile {
    const path = join(dataDir, USAGE_FILE);
    try {
      if (Deno.build.os !== "windows") {
        Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
      }
      using made = new DisposableStack();
      const db = made.adopt(new DatabaseSync(path), (db) => db.close());
      db.exec("PRAGMA busy_timeout=2000");
      const isOld = versionOf(path, db) < VERSION;
      db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
      db.exec(TABLE);
      if (isOld) db.exec(`PRAGMA user_version=${VERSION}`);
      db.exec("PRAGMA busy_timeout=0");
      made.move();
      return new UsageFile(db, onError);
    } catch (cause) {
      throw unusable(path, cause);
    }
  }

  /** What is in the file, by client; for who only looks. */
  static read(dataDir: string): Map<string, Usage> {
    const path = join(dataDir, USAGE_FILE);
    try {
      Deno.statSync(path);
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        versionOf(path, db);
        const rows = db.prepare("SELECT * FROM usage").all();
        return new Map(rows.map((row) => [String(row["client"]), usageOf(row)]));
      } finally {
        db.close();
      }
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return new Map();
      throw unusable(path, cause);
    }
  }

  load(client: string): Usage | undefined {
    const waiting = this.#changed.get(client);
    if (waiting !== undefined) return waiting;
    const row = this.#db.prepare("SELECT * FROM usage WHERE client = ?").get(client);
    return row && usageOf(row);
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
    this.#db.exec("PRAGMA busy_timeout=2000");
    this.#write();
    clearTimeout(this.#timer);
    this.#db.close();
  }

  #write(): void {
    this.#timer = undefined;
    if (this.#changed.size === 0) return;
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const put = this.#db.prepare("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?)");
        for (const [client, { minute, day }] of this.#changed) {
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
        this.#db.exec("COMMIT");
      } catch (error) {
        this.#db.exec("ROLLBACK");
        throw error;
      }
      this.#changed.clear();
    } catch (error) {
      this.#onError(error);
      this.#timer = setTimeout(() => this.#write(), SAVE_MS * 20);
      Deno.unrefTimer(this.#timer);
    }
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

function usageOf(row: Record<string, unknown>): Usage {
  const window = (name: "minute" | "day") => ({
    at: Number(row[name]),
    requests: Number(row[`${name}_requests`]),
    tokens: Number(row[`${name}_tokens`]),
  });
  return { minute: window("minute"), day: window("day") };
}

function unusable(path: string, cause: unknown): SecLlamaError {
  if (cause instanceof SecLlamaError) return cause;
  return new SecLlamaError("limits-failed", `${path}, where the use of limits is kept, fails`, {
    hint: "give this user the right to write there, and make room; a damaged one can be moved " +
      "away, and all counts begin anew",
    cause,
  });
}
