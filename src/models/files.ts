/**
 * File work that survives kill -9 at any point: a file appears under its final name complete and on disk, or not at all.
 *
 * Writers fill a file in the store's `tmp` folder, which they hold an exclusive lock on; the lock ends with the process,
 * so a temp file that can be locked is a leftover. Knows nothing of models.
 */
import { createHash, randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { openRegularFile, unreadable } from "./gguf.ts";

const CHUNK_BYTES = 1024 * 1024;

/** A finished temp file: still under its temporary name, synced, locked until closed. */
export interface TempFile extends Disposable {
  readonly path: string;
  readonly file: Deno.FsFile;
}

/** Makes a folder and its parents, for this user only. */
export async function makeFolder(path: string): Promise<void> {
  await attempt(path, () => Deno.mkdir(path, { recursive: true, mode: 0o700 }));
}

/** A new, locked file in `folder` for this user only. Disposing removes it if it is still there. */
export async function createTemp(folder: string): Promise<TempFile> {
  await makeFolder(folder);
  for (;;) {
    const path = join(folder, `part-${randomUUID()}`);
    const file = await attempt(
      path,
      () => Deno.open(path, { read: true, write: true, createNew: true, mode: 0o600 }),
    );
    await file.lock(true);
    // Between creation and lock a cleaner may have taken it for a leftover.
    if (await exists(path)) return { path, file, [Symbol.dispose]: () => discard(path, file) };
    file.close();
  }
}

function discard(path: string, file: Deno.FsFile): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Renamed to its final name: nothing to remove.
  }
  file.close();
}

/** Removes what killed writers left in `folder`. Files of live writers are locked and stay. */
export async function cleanTemps(folder: string): Promise<void> {
  for (const entry of await listFolder(folder)) {
    if (!entry.isFile || !entry.name.startsWith("part-")) continue;
    const path = join(folder, entry.name);
    try {
      using file = await Deno.open(path, { read: true, write: true });
      if (await file.tryLock(true)) await Deno.remove(path);
    } catch {
      // Another process cleaned it, or finished it, at the same moment.
    }
  }
}

/** Syncs the temp file, gives it its final name and syncs the folder. Replaces what is there. */
export async function commitTemp(temp: TempFile, path: string): Promise<void> {
  await attempt(path, async () => {
    // Readable by all, in folders that only the owner can enter: in the sandbox root's runner is another user, and it is handed
    // this one file. chmod, as the umask would narrow a mode given at creation.
    if (Deno.build.os !== "windows") await Deno.chmod(temp.path, 0o644);
    await temp.file.sync();
    await makeFolder(dirname(path));
    await Deno.rename(temp.path, path);
  });
  await syncFolder(dirname(path));
}

/** Writes a whole small file under its final name. */
export async function writeWhole(
  tempFolder: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  using temp = await createTemp(tempFolder);
  await attempt(path, () => writeAll(temp.file, bytes));
  await commitTemp(temp, path);
}

async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // a folder cannot be opened there
  await attempt(path, async () => {
    using folder = await Deno.open(path, { read: true });
    await folder.sync();
  });
}

const cancelledCopy = () =>
  new SecLlamaError("cancelled", "the copy was cancelled", {
    hint: "nothing was changed; the same command begins anew",
  });

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of a file that are done so far, at most once a MiB, and with how many it has. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Reads `from` to its end in chunks, into `to` if given, and hashes what went by.
 * @throws {SecLlamaError} `cancelled` when the signal is aborted.
 */
export async function hashStream(
  from: Deno.FsFile,
  to: Deno.FsFile | undefined,
  options: CopyOptions = {},
): Promise<{ hex: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(CHUNK_BYTES);
  const totalBytes = options.onProgress ? (await from.stat()).size : 0;
  let sizeBytes = 0;
  for (;;) {
    if (options.signal?.aborted) throw cancelledCopy();
    const n = await from.read(buffer);
    if (n === null) break;
    const chunk = buffer.subarray(0, n);
    hash.update(chunk);
    if (to) await writeAll(to, chunk);
    sizeBytes += n;
    options.onProgress?.(sizeBytes, totalBytes);
  }
  return { hex: hash.digest("hex"), sizeBytes };
}

/** SHA-256 of a regular file. */
export async function hashFile(
  path: string,
  options: CopyOptions = {},
): Promise<{ hex: string; sizeBytes: number }> {
  using file = await openRegularFile(path);
  return await attempt(path, () => hashStream(file, undefined, options));
}

/** Writes all bytes at the file's position. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/** Runs `body` while holding the lock file; other processes wait. The lock ends with the process. */
export async function withLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  await makeFolder(dirname(path));
  using file = await attempt(
    path,
    () => Deno.open(path, { read: true, write: true, create: true, mode: 0o600 }),
  );
  await file.lock(true);
  return await body();
}

/** A whole file of at most `limit` bytes; undefined if there is none. */
export async function readSmall(path: string, limit: number): Promise<Uint8Array | undefined> {
  if (!(await exists(path))) return undefined;
  using file = await openRegularFile(path);
  return await attempt(path, async () => {
    const { size } = await file.stat();
    if (size > limit) {
      throw new SecLlamaError("model-corrupt", `larger than ${limit} bytes: ${path}`, {
        hint: "import the model again",
      });
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const n = await file.read(bytes.subarray(at));
      if (n === null) break;
      at += n;
    }
    return bytes.subarray(0, at);
  });
}

/** The entries of a folder; none if there is no such folder. */
export async function listFolder(path: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw unreadable(path, error);
  }
}

/** Whether anything is at the path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw unreadable(path, error);
  }
}

/** Runs `body`; an error of the operating system becomes `model-store-unreadable` naming `path`. */
export async function attempt<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw unreadable(path, error);
  }
}
