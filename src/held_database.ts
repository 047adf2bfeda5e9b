/**
 * An SQLite database that a process holds open for long. When its files are moved away, replaced or changed by somebody else, what came
 * in their place is opened before the next use: what is written to files that were moved away nobody finds again.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  areSameFiles,
  areTheSame,
  besideLog,
  type DatabaseFiles,
  databaseFiles,
  fileAt,
  isAwayFromItsLog,
  isBesideAnothersLog,
  putAside,
  walOf,
} from "./database_files.ts";

/** What is particular to a database. */
interface HeldOptions {
  /** Of its own file. */
  readonly path: string;
  /** What is thrown where the files are away. */
  readonly notThere: () => Error;
  /** How long SQLite waits for a lock where it is opened anew, ms. */
  readonly timeout?: number;
  /** The files are looked at so often, ms; each time by default. */
  readonly lookMs?: number;
  /** Whether they are as they were; by default, whether only what was told by {@link HeldDatabase.wrote} has been written. */
  readonly areSame?: (before: DatabaseFiles, now: DatabaseFiles) => boolean;
  /** Called when a connection was closed: what is known of what is in it is of it only. */
  readonly onClose?: () => void;
}

interface Connection {
  readonly db: DatabaseSync;
  readonly statements: Map<string, StatementSync>;
}

/** The connection, its statements, and which files it is of. */
export class HeldDatabase {
  readonly #options: HeldOptions;
  #connection: Connection;
  #files: DatabaseFiles;
  #lookedMs = -Infinity;
  /** What was to be taken up was refused, and the connection is still the one of before; or that one is distrusted. */
  #isRefused = false;
  /** The files that were left have something in SQLite's log that is not in their own. */
  #owes = false;
  #isEnded = false;

  /** @param db Taken over. @throws {Error} What the system says of files that cannot be looked at. */
  constructor(db: DatabaseSync, options: HeldOptions) {
    this.#options = options;
    this.#connection = { db, statements: new Map() };
    this.#files = databaseFiles(options.path);
  }

  /** Whether there is a connection: none is, after its files were away. */
  get isOpen(): boolean {
    return this.#connection.db.isOpen;
  }

  /** The connection. @throws {Error} As `notThere` makes it, where there is none. */
  get db(): DatabaseSync {
    const { db } = this.#connection;
    if (!db.isOpen) throw this.#options.notThere();
    return db;
  }

  /** A statement, prepared once for each connection. @throws {Error} As {@link db}. */
  statement(sql: string): StatementSync {
    const { db } = this;
    const { statements } = this.#connection;
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = db.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  }

  /** Whether the connection is of the files that are there, as they were written last; as far as was seen a moment ago. */
  get isInPlace(): boolean {
    if (!this.isOpen || this.#isRefused) return false;
    const { path, lookMs = 0, areSame = areSameFiles } = this.#options;
    const now = performance.now();
    if (now - this.#lookedMs < lookMs) return true;
    try {
      const files = databaseFiles(path);
      if (!areSame(this.#files, files)) return false;
      this.#files = files;
      this.#lookedMs = now;
      return true;
    } catch {
      return false;
    }
  }

  /** Whether the database's own file is the one that was opened, and not refused since. @throws {Error} What the system says. */
  get isOwnFile(): boolean {
    return !this.#isRefused && fileAt(this.#options.path).file === this.#files.file;
  }

  /**
   * SQLite may have written the database's own file. Which files they are is known from when they were opened.
   * @param isCut Its log was cut, too.
   */
  wrote(isCut = false): void {
    const { path } = this.#options;
    try {
      const { written } = fileAt(path);
      const walBytes = isCut ? fileAt(walOf(path)).size : this.#files.walBytes;
      this.#files = { ...this.#files, written, walBytes };
    } catch { /* it is looked at again soon */ }
  }

  /**
   * What is there is opened anew before the next use, whatever its times say. The connection stays until then: the last one that is
   * closed writes SQLite's log into the file and removes it, and here the file may be damaged.
   */
  distrust(): void {
    this.#isRefused = true;
  }

  /** The files are now as they should be. @throws {Error} What the system says. */
  look(): void {
    this.#files = databaseFiles(this.#options.path);
  }

  /**
   * Opens what is there instead.
   * @param there What was seen there just now.
   * @param check Whether it may be used; the connection is the new one meanwhile. What it throws is thrown, and the new one closed.
   * @throws {Error} As `notThere` makes it, where nothing is there, or what is there has another one's log beside it, or not its own.
   */
  takeUp(there: DatabaseFiles, check: (db: DatabaseSync) => void): void {
    const { path, notThere, timeout = 0 } = this.#options;
    // What was closed last would write SQLite's log into a file that is damaged. Of other files this one's hands must be off first.
    if (!this.isOpen || !areTheSame(this.#files, there)) this.#leave(there);
    const isAway = this.#isEnded || there.file === "" || isAwayFromItsLog(path) ||
      isBesideAnothersLog(this.#files, there) ||
      this.#owes && there.file === this.#files.file && there.walBytes === 0;
    if (isAway) throw notThere();
    const [before, files] = [this.#connection, this.#files];
    const db = new DatabaseSync(path, { timeout });
    this.#connection = { db, statements: new Map() };
    this.#files = there;
    this.#isRefused = false;
    try {
      // SQLite opens its log, or makes one, when it reads.
      db.prepare("PRAGMA schema_version").get();
      const opened = this.#files = databaseFiles(path);
      if (opened.file !== there.file) throw notThere();
      check(db);
      // A check takes seconds, and what was put there meanwhile was not checked.
      const now = databaseFiles(path);
      if (!areTheSame(opened, now)) throw notThere();
      this.#files = now;
    } catch (error) {
      this.#isRefused = true;
      // SQLite does nothing to the files while the one of before has them open.
      this.#end(this.#connection, before.db.isOpen && areTheSame(files, this.#files));
      this.#connection = before;
      this.#files = files;
      throw error;
    }
    this.#end(before);
    this.#owes = false;
  }

  /**
   * Closes the connection of files that are not there as they were. While somebody reads them, SQLite's log cannot be moved into the
   * file: then it stays open until both are back, or another database is in their place.
   */
  #leave({ file }: DatabaseFiles): void {
    if (!this.isOpen) return;
    // What is in the file's own pages cannot be left behind with the log. One that is damaged is left as it is.
    this.#owes = this.#isRefused ? countLog(this.db).unmoved > 0 : !move(this.db);
    if (!this.#owes || file !== "" && file !== this.#files.file) this.close();
  }

  /** Closes the connection. */
  close(): void {
    this.#end(this.#connection);
  }

  /** As {@link close}, for good. */
  [Symbol.dispose](): void {
    this.#isEnded = true;
    this.close();
  }

  #end(connection: Connection, isShared = connection !== this.#connection): void {
    const { db, statements } = connection;
    if (!db.isOpen) return;
    const { path, onClose } = this.#options;
    statements.clear();
    const log = isShared ? "its own" : this.#logAtPath(db);
    if (log === "stale") putAside(path);
    if (log === "needed") besideLog(path, () => db.close());
    else db.close();
    onClose?.();
  }

  /**
   * What lies in the log's place while a connection is closed: SQLite would move its own log into the file, and remove what is there.
   * - `its own`: SQLite may do so
   * - `needed`: its own of a file that is not as it should be and will be put right, or one that was put beside a file that nobody has
   *   written since
   * - `stale`: of before what was written through the connection; beside the file it would undo that
   */
  #logAtPath(db: DatabaseSync): "its own" | "needed" | "stale" {
    const before = this.#files;
    try {
      const { file, beside: [wal], walBytes } = databaseFiles(this.#options.path);
      const isOther = wal !== before.beside[0];
      if (file !== before.file || walBytes === 0 || !isOther && !this.#isRefused) return "its own";
      return isOther && !this.#isRefused && !this.#owes && countLog(db).pages > 0
        ? "stale"
        : "needed";
    } catch {
      return "its own";
    }
  }
}

/** Moves SQLite's log into the database's own file, wherever that is by now. @returns Whether all of it was. */
function move(db: DatabaseSync): boolean {
  try {
    db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  } catch { /* it is seen at once what was not */ }
  return countLog(db).unmoved === 0;
}

/** Pages in SQLite's log since it was begun, and of these, those that are not in the database's own file. */
export function countLog(db: DatabaseSync): { readonly pages: number; readonly unmoved: number } {
  try {
    // NOOP only counts (SQLite 3.51).
    const { log, checkpointed } = db.prepare("PRAGMA wal_checkpoint(NOOP)").get()!;
    return { pages: Number(log), unmoved: Number(log) - Number(checkpointed) };
  } catch {
    return { pages: Infinity, unmoved: Infinity };
  }
}
