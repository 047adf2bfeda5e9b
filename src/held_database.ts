/**
 * An SQLite database that a process holds open for long. When its files are moved away, replaced or changed by somebody else, what came
 * in their place is opened before the next use: what is written to files that were moved away nobody finds again.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  areSameFiles,
  areTheSame,
  type DatabaseFiles,
  databaseFiles,
  fileAt,
  isAwayFromItsLog,
  isBesideAnothersLog,
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
   * @throws {Error} As `notThere` makes it, where nothing is there, or what is there has another one's log beside it.
   */
  takeUp(there: DatabaseFiles, check: (db: DatabaseSync) => void): void {
    const { path, notThere, timeout = 0 } = this.#options;
    // What was closed last would write SQLite's log into a file that is damaged. Of other files this one's hands must be off first.
    if (!this.isOpen || !areTheSame(this.#files, there)) this.close();
    const isAway = there.file === "" || isAwayFromItsLog(path) ||
      isBesideAnothersLog(this.#files, there);
    if (isAway) throw notThere();
    const [before, files] = [this.#connection, this.#files];
    const db = new DatabaseSync(path, { timeout });
    this.#connection = { db, statements: new Map() };
    this.#files = there;
    this.#isRefused = false;
    try {
      check(db);
    } catch (error) {
      this.#isRefused = true;
      this.#end(this.#connection);
      this.#connection = before;
      this.#files = files;
      throw error;
    }
    this.#end(before);
    this.look();
  }

  /** Closes the connection. */
  close(): void {
    this.#end(this.#connection);
  }

  #end({ db, statements }: Connection): void {
    if (!db.isOpen) return;
    statements.clear();
    db.close();
    this.#options.onClose?.();
  }
}
