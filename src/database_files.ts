/**
 * Which files an open SQLite database has at its path. A process that has them open goes on with them when they are moved away or
 * replaced, and what it writes then is in no file that anybody finds.
 */
import { isYoungAt } from "./file_stamp.ts";

/** Of a file's last change (`ctime`) the runtime tells the second. */
const CHANGED_MS = 1_000;

/** Told by what changes when a file is replaced, not when it is written; "" where none is. */
export interface DatabaseFiles {
  /** The database's own. */
  readonly file: string;
  /** SQLite's log beside it, and the index of that. */
  readonly beside: readonly [wal: string, shm: string];
  /** Differs once the database's own was written: by SQLite, which does so seldom, or by somebody else. */
  readonly written: string;
  /** Bytes of SQLite's log, which is cut by SQLite alone, and seldom. */
  readonly walBytes: number;
  /** Differs once its log was written, too, and where its own was written in place and given the time that it had before. */
  readonly stamps: string;
  /** Whether anything was done to one of them just now: both texts may then be the same after it is written once more. */
  readonly isYoung: boolean;
}

/** Those that are there now. @throws {Error} What the system says of a path that cannot be looked at. */
export function databaseFiles(path: string): DatabaseFiles {
  const own = fileAt(path);
  const wal = fileAt(walOf(path));
  const { file: shm } = fileAt(`${path}-shm`);
  const { file, written } = own;
  const isYoung = [own, wal].some(({ writtenMs }) => isYoungAt(writtenMs)) ||
    isYoungAt(own.changedMs, Date.now(), CHANGED_MS);
  return {
    file,
    written,
    beside: [wal.file, shm],
    walBytes: wal.size,
    stamps: `${own.stamp} ${wal.file} ${wal.written}`,
    isYoung,
  };
}

/** Whether each file is the same one. */
export function areTheSame(before: DatabaseFiles, now: DatabaseFiles): boolean {
  return before.file === now.file && before.beside.every((file, i) => file === now.beside[i]);
}

/** Whether each file is the same one, and nobody has written the database's own or cut its log since `before`. */
export function areSameFiles(before: DatabaseFiles, now: DatabaseFiles): boolean {
  return areTheSame(before, now) && before.written === now.written &&
    before.walBytes <= now.walBytes;
}

/**
 * Whether a database was taken away from beside its log. A new one must not be begun there: SQLite would remove the log, and what is
 * in it is not in the database that may be put back.
 */
export function isAwayFromItsLog(path: string): boolean {
  return fileAt(path).size === 0 && fileAt(walOf(path)).size > 0;
}

/** Whether another database was put beside the log of the one before: SQLite would take that log's pages for the new one's. */
export function isBesideAnothersLog(before: DatabaseFiles, now: DatabaseFiles): boolean {
  const [wal] = now.beside;
  return now.file !== before.file && now.walBytes > 0 && wal === before.beside[0];
}

/**
 * Runs `close`, which closes a connection, with a log that is at the path and is not the connection's out of its way: SQLite removes
 * what has the log's name, whichever file it is.
 */
export function besideLog(path: string, close: () => void): void {
  const wal = walOf(path);
  const aside = `${wal}.${crypto.randomUUID()}`;
  Deno.renameSync(wal, aside);
  try {
    close();
  } finally {
    // Not over one that somebody has made meanwhile.
    Deno.linkSync(aside, wal);
    Deno.removeSync(aside);
  }
}

/** Takes a log away from beside a database, for good, and loses nothing of it. */
export function putAside(path: string): void {
  Deno.renameSync(walOf(path), `${walOf(path)}.other-${crypto.randomUUID()}`);
}

/** SQLite's log. */
export function walOf(path: string): string {
  return `${path}-wal`;
}

/** What is at a path. */
interface FileAt {
  /** Differs when the file is replaced; "" where none is. */
  readonly file: string;
  /** Differs once it was written; "" where none is. */
  readonly written: string;
  /** Differs whenever anything was done to it; "" where none is. */
  readonly stamp: string;
  /** Unix ms. */
  readonly writtenMs: number;
  /** When anything was last done to it, whatever time it was given then, Unix ms: see {@link CHANGED_MS}. */
  readonly changedMs: number;
  readonly size: number;
}

/** Which file is there, and how it was last written. */
export function fileAt(path: string): FileAt {
  try {
    const { dev, ino, size, mtime, ctime } = Deno.statSync(path);
    const [writtenMs, changedMs] = [mtime?.getTime() ?? 0, ctime?.getTime() ?? 0];
    const [file, written] = [`${dev} ${ino}`, `${size} ${writtenMs}`];
    return { file, written, stamp: `${file} ${written} ${changedMs}`, writtenMs, changedMs, size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { file: "", written: "", stamp: "", writtenMs: 0, changedMs: 0, size: 0 };
    }
    throw error;
  }
}
