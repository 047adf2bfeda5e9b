/** What of a data folder belongs in a backup, and a copy of it that no writer changes. */
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { isAwayFromItsLog } from "../database_files.ts";
import { SecLlamaError } from "../errors.ts";
import { ioError } from "../keys/keyset/manifest_file.ts";

/** Of the data folder itself. Not: models, which are large and can be had again; locks; what says that a process runs. */
const FILES =
  /^(?:(?:keyset|clients|pairings|key-usage|tls|host|tokens|audit-syslog|audit-otlp|fleet|fleet-heads)\.json|config\.toml|audit\.db|usage\.db|run-history)$/;
/** A folder of it, whole. */
const FOLDER = "history";
/** SQLite's files beside a database, which a copy made by SQLite has in it; locks; what was being written. */
const NOT_KEPT = /\.(?:db-(?:wal|shm|journal)|lock|tmp)$/;

/** The names in `folder` that a backup has, with a slash below the history's folder. Sorted. */
export async function contentsOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entries(folder)) {
    if (entry.isFile && FILES.test(entry.name)) names.push(entry.name);
    if (!entry.isDirectory || entry.name !== FOLDER) continue;
    for (const { name, isFile } of await entries(join(folder, FOLDER))) {
      const path = `${FOLDER}/${name}`;
      // What a backup has can be put back: not what a file manager leaves there.
      if (isFile && isContent(path) && !NOT_KEPT.test(name)) names.push(path);
    }
  }
  return names.sort();
}

/** A backup without what SQLite's log alone has would be one of less than there is. @throws {SecLlamaError} `key-io`. */
export async function mustBeWhole(folder: string): Promise<void> {
  for (const place of [folder, join(folder, FOLDER)]) {
    for (const { name } of await entries(place)) {
      const path = join(place, name.replace(/-wal$/, ""));
      if (!name.endsWith(".db-wal") || !isAwayFromItsLog(path)) continue;
      throw new SecLlamaError("key-io", `${path} was moved away or emptied, and its log was not`, {
        hint: "put it back, or move the log away, too; then try again",
      });
    }
  }
}

/** Whether a backup may name a file so. */
export function isContent(name: string): boolean {
  const [folder, file, more] = name.split("/");
  if (file === undefined) return FILES.test(name);
  return more === undefined && folder === FOLDER && /^[A-Za-z0-9_][\w.-]{0,200}$/.test(file);
}

/** Files beside a database that go where it goes. */
export async function besideOf(folder: string, name: string): Promise<string[]> {
  const beside = name.endsWith(".db") ? ["-wal", "-shm", "-journal"].map((end) => name + end) : [];
  const there: string[] = [];
  for (const one of beside) {
    if (await Deno.lstat(join(folder, one)).then(() => true, () => false)) there.push(one);
  }
  return there;
}

/** Copies a file as it is at one moment. @throws {SecLlamaError} `key-io`. */
export async function snapshot(from: string, to: string): Promise<void> {
  try {
    if (!from.endsWith(".db")) return await Deno.copyFile(from, to);
    const db = new DatabaseSync(from, { readOnly: true });
    try {
      await backup(db, to);
    } finally {
      db.close();
    }
  } catch (error) {
    throw ioError("copy", from, error);
  }
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw ioError("read", folder, error);
  }
}
