/**
 * The keyset's files in the data folder: `keyset.json`, replaced as a whole or not at all, and `keyset.lock`, which one
 * changing process holds at a time. Readers take no lock: a rename is atomic.
 */
import { dirname, join } from "node:path";
import { SecLlamaError } from "../../errors.ts";
import { fileStamp, fileStampSync } from "../../file_stamp.ts";
import { ioReason } from "../../hints.ts";
import { refuseHalfRestored } from "../half_restored.ts";
import { corruptManifest, MANIFEST_CAP_BYTES } from "./manifest.ts";

/** What may go wrong while writing, as a seam: tests make each of these fail in turn. */
export interface FileSystem {
  /** Opens or makes a file. */
  open(path: string, options: Deno.OpenOptions): Promise<Deno.FsFile>;
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Writes some of the bytes; returns how many. */
  write(file: Deno.FsFile, bytes: Uint8Array): Promise<number>;
  /** Returns when the file is on the disk. */
  sync(file: Deno.FsFile): Promise<void>;
}

export const denoFileSystem: FileSystem = {
  open: (path, options) => Deno.open(path, options),
  rename: (from, to) => Deno.rename(from, to),
  remove: (path) => Deno.remove(path),
  write: (file, bytes) => file.write(bytes),
  sync: (file) => file.sync(),
};

const LOCK_POLL_MS = 20;

/** The manifest in a data folder, and the lock under which keyset and clients change. */
export class ManifestFile {
  /** The data folder. */
  readonly dataDir: string;
  /** The manifest's path. */
  readonly path: string;
  readonly #lockPath: string;
  readonly #fs: FileSystem;
  readonly #lockTimeoutMs: number;

  /** Nothing is opened yet. */
  constructor(dataDir: string, options: { fs?: FileSystem; lockTimeoutMs?: number } = {}) {
    this.dataDir = dataDir;
    this.path = join(dataDir, "keyset.json");
    this.#lockPath = join(dataDir, "keyset.lock");
    this.#fs = options.fs ?? denoFileSystem;
    this.#lockTimeoutMs = options.lockTimeoutMs ?? 10_000;
  }

  /**
   * The file's content, or undefined if there is none.
   * @throws {SecLlamaError} `key-corrupt` if it is over 1 MiB, `key-io` if it cannot be read.
   */
  async read(): Promise<Uint8Array | undefined> {
    await refuseHalfRestored(this.dataDir);
    try {
      using file = await Deno.open(this.path);
      const { size } = await file.stat();
      if (size > MANIFEST_CAP_BYTES) throw corruptManifest("is over 1 MiB");
      return await readAll(file, size);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError("read", this.path, error);
    }
  }

  /** What changes whenever the file is replaced or written to; undefined if there is none. Cheaper than reading it. */
  async fingerprint(): Promise<string | undefined> {
    try {
      return await fileStamp(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError("read", this.path, error);
    }
  }

  /**
   * Replaces the file: a temporary file, fsync, rename, fsync of the folder. After a failure the old file is whole.
   * @throws {SecLlamaError} `key-io`, for instance when the disk is full.
   */
  async write(bytes: Uint8Array): Promise<void> {
    await writeFileAtomically(this.path, bytes, this.#fs);
  }

  /** Removes the manifest of an `init` that never committed. */
  async remove(): Promise<void> {
    try {
      await this.#fs.remove(this.path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw ioError("remove", this.path, error);
    }
  }

  /**
   * Runs `change` while holding the keyset's exclusive lock; the system releases it if this process dies. Whoever takes it sets the
   * lock file's time: so many that come at once wait for all who were quicker, and the time limit is for each of these.
   * @throws {SecLlamaError} `key-lock-busy` if one holds it for the whole time limit.
   */
  async withLock<T>(change: () => Promise<T>): Promise<T> {
    let file: Deno.FsFile;
    try {
      await Deno.mkdir(this.dataDir, { recursive: true, mode: 0o700 });
      file = await this.#fs.open(this.#lockPath, { create: true, write: true, mode: 0o600 });
    } catch (error) {
      throw ioError("open", this.#lockPath, error);
    }
    using _closing = file;
    let deadline = performance.now() + this.#lockTimeoutMs;
    let taken = await takenAt(file);
    while (!await file.tryLock(true)) {
      const latest = await takenAt(file);
      if (latest !== taken) {
        taken = latest;
        deadline = performance.now() + this.#lockTimeoutMs;
      }
      if (performance.now() >= deadline) {
        throw new SecLlamaError(
          "key-lock-busy",
          `another secllama has been changing the keys for ${this.#lockTimeoutMs / 1000} s`,
          { hint: "wait for it to end, or end it, and run the command again" },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
    try {
      // Where that cannot be (another user's file), others wait for the time limit once.
      await file.utime(new Date(), new Date(Math.max(Date.now(), taken + 1))).catch(() => {});
      return await change();
    } finally {
      await file.unlock();
    }
  }
}

/** When the lock was taken last, ms. */
async function takenAt(file: Deno.FsFile): Promise<number> {
  return (await file.stat()).mtime?.getTime() ?? 0;
}

/**
 * What changes whenever the file is replaced or written to; empty if there is none. Cheap: one look at one file, and synchronous.
 * @throws {SecLlamaError} `key-io`.
 */
export function fileFingerprint(path: string): string {
  try {
    return fileStampSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw ioError("read", path, error);
  }
}

/**
 * Writes `bytes` to `path` (0600) so that a crash at any point leaves the old file or the new one whole. The caller keeps
 * other writers of the same file away.
 * @throws {SecLlamaError} `key-io`.
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  fs: FileSystem = denoFileSystem,
): Promise<void> {
  // One fixed name, for only the lock's holder writes: the next write replaces what a killed process left.
  const temporary = `${path}.tmp`;
  try {
    {
      using file = await fs.open(temporary, {
        create: true,
        write: true,
        truncate: true,
        mode: 0o600,
      });
      for (let at = 0; at < bytes.length;) at += await fs.write(file, bytes.subarray(at));
      await fs.sync(file);
    }
    await fs.rename(temporary, path);
    if (Deno.build.os !== "windows") {
      using folder = await fs.open(dirname(path), { read: true });
      await fs.sync(folder);
    }
  } catch (error) {
    await fs.remove(temporary).catch(() => {});
    throw ioError("write", path, error);
  }
}

async function readAll(file: Deno.FsFile, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let length = 0; length < size;) {
    const n = await file.read(bytes.subarray(length));
    if (n === null || n === 0) return bytes.slice(0, length);
    length += n;
  }
  return bytes;
}

/** `key-io` with the system's reason and the file's name. Our own errors pass. */
export function ioError(action: string, path: string, error: unknown): SecLlamaError {
  if (error instanceof SecLlamaError) return error;
  return new SecLlamaError("key-io", `could not ${action} ${path}: ${ioReason(error)}`, {
    hint: "no key was lost; put that right and run the command again",
    cause: error,
  });
}
