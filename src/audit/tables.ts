/** The tables of the audit log's file, and the log's id. */
import type { DatabaseSync } from "node:sqlite";
import type { Bytes } from "../bytes.ts";
import { sameBytes } from "./head.ts";
import { damaged, notOurs, otherVersion } from "./failing.ts";

/** 2: the number in a line's tag has seven bytes. */
const VERSION = 2;
/** Another process that writes has this long to end. */
export const BUSY_MS = 5_000;

const TABLES = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT;
CREATE TABLE lines (n INTEGER PRIMARY KEY, leaf BLOB NOT NULL, tag BLOB NOT NULL, text TEXT) STRICT;
CREATE TABLE heads (
  id INTEGER PRIMARY KEY, size INTEGER NOT NULL, frontier BLOB NOT NULL, cose BLOB NOT NULL
) STRICT;
CREATE TABLE epochs (n INTEGER PRIMARY KEY, kid TEXT NOT NULL) STRICT;
`;
/** Of logs that were begun before there were receipts, too. */
const MORE_TABLES =
  "CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT";

/** How this program writes. Who writes moves SQLite's log into the database by itself, where nobody waits for it. */
const WRITING = `
PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON; PRAGMA wal_autocheckpoint=0;
`;

/**
 * Takes up a file that came in place of one that was written. Nothing is written into one that is not ours.
 * @param id Of our log. @returns Whether it is that log. @throws {SecLlamaError} `audit-broken`.
 */
export function takeUp(db: DatabaseSync, path: string, id: Bytes): boolean {
  // Nothing of ours waits long for a lock in the middle of its work.
  db.exec("PRAGMA busy_timeout=100");
  const { quick_check: said } = db.prepare("PRAGMA quick_check(1)").get()!;
  if (said !== "ok") throw damaged(path);
  const found = idOf(db, path);
  if (found === undefined || !sameBytes(found, id)) return false;
  db.exec(WRITING);
  return true;
}

/** Makes the tables where there are none. Returns the log's id. */
export function prepare(db: DatabaseSync, path: string): Bytes {
  db.exec(`PRAGMA busy_timeout=${BUSY_MS}`);
  db.exec(WRITING);
  const known = idOf(db, path);
  if (known !== undefined) {
    db.exec(MORE_TABLES);
    return known;
  }
  const id = crypto.getRandomValues(new Uint8Array(16));
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have made them just now.
    const there = idOf(db, path);
    if (there === undefined) {
      db.exec(TABLES);
      db.exec(MORE_TABLES);
      const insert = db.prepare("INSERT INTO meta (name, value) VALUES (?, ?)");
      insert.run("version", VERSION);
      insert.run("id", id);
    }
    db.exec("COMMIT");
    return there ?? id;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** The id of the log that is in `db`; undefined: there is none yet. @throws {SecLlamaError} `audit-broken` if it is none of ours. */
export function idOf(db: DatabaseSync, path: string): Bytes | undefined {
  if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get()) return undefined;
  const meta = Object.fromEntries(
    db.prepare("SELECT name, value FROM meta WHERE name IN ('version', 'id')").all()
      .map((row) => [String(row["name"]), row["value"]]),
  );
  const { version, id } = meta as { version?: unknown; id?: unknown };
  if (Number.isSafeInteger(version) && version !== VERSION) {
    throw otherVersion(path, version as number, VERSION);
  }
  if (version !== VERSION || !(id instanceof Uint8Array) || id.length !== 16) throw notOurs(path);
  return new Uint8Array(id);
}
