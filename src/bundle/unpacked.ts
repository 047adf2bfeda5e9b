/**
 * The parts of a compiled program as files:
 *
 * ```
 * <cache folder>/lock             held while anything below changes
 *                <id>/            whole or not there: made aside and renamed
 *                     in-use      each process that uses the folder holds a shared lock on it
 *                     …           the parts, named by the list
 *                .new-<uuid>/     half-written; removed by the next start
 * ```
 *
 * A process compares every file's SHA-256 with the list when it opens the folder, and afterwards, before each spawn, that each is
 * still the same file by device, inode, size, times, owner and mode; one that is not is hashed again. That finds damage,
 * half-written files and tampering by whoever could write there for a while. It does not stop malware of the same user, which can
 * also write between the check and the start: see SECURITY.md.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { ioError, mustBePrivate, mustHaveRoom, openCacheDirectory } from "./cache_folder.ts";
import { fileDigest } from "./digest.ts";
import { type Carried, findPart, type Part } from "./part_list.ts";
import { openProgramFile, programBytes, type ProgramFile } from "./program_file.ts";

const FOLDER_ID = /^[0-9a-f]{64}$/;
const LOCK_TIMEOUT_MS = 60_000;
const LOCK_POLL_MS = 20;

interface OpenOptions {
  readonly carried: Carried;
  readonly cacheDir: string;
  /** Of this process; null where files have no owner. */
  readonly uid: number | null;
  /** The user's own folder. */
  readonly home?: string | undefined;
  /** A line for the person who waits. */
  readonly onNote?: (line: string) => void;
}

export class UnpackedParts {
  readonly #options: OpenOptions;
  readonly #folder: string;
  readonly #seen: Map<string, string>;
  /** Open for as long as the process lives: its lock keeps other versions' starts from removing the folder. */
  #inUse: Deno.FsFile;
  #checking: Promise<void> | undefined;

  constructor(
    options: OpenOptions,
    folder: string,
    state: { seen: Map<string, string>; inUse: Deno.FsFile },
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#seen = state.seen;
    this.#inUse = state.inUse;
  }

  /** The full path of a part, which may be a folder of parts. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  /**
   * Makes sure that the files are those of this program, and unpacks them again if they are not.
   * @throws {SecLlamaError} `unpack-failed`, `unpack-refused`.
   */
  check(): Promise<void> {
    return this.#checking ??= this.#check().finally(() => this.#checking = undefined);
  }

  async #check(): Promise<void> {
    const always = this.#options.carried.list.parts.filter((part) => part.always);
    const same = always.every((part) => {
      const now = signature(join(this.#folder, part.name));
      return now !== null && now === this.#seen.get(part.name);
    });
    if (same) return;
    const again = await openFolder(this.#options);
    this.#inUse.close();
    this.#inUse = again.inUse;
    for (const [name, value] of again.seen) this.#seen.set(name, value);
  }

  /**
   * Writes one more part to `folder`, which is the caller's to remove.
   * @returns Its path.
   */
  unpackInto(folder: string, name: string): string {
    const part = findPart(this.#options.carried.list, name);
    using program = openProgramFile();
    writePart(part, folder, program, payloadOf(this.#options.carried));
    return join(folder, name);
  }
}

/**
 * Opens the folder of this program's parts; unpacks them first if they are not there, or not whole, or changed; removes
 * those of other versions that nobody uses.
 * @throws {SecLlamaError} `unpack-failed`: with a hint what to do. `unpack-refused`: another user could write there.
 */
export async function openParts(options: OpenOptions): Promise<UnpackedParts> {
  const { folder, ...state } = await openFolder(options);
  return new UnpackedParts(options, folder, state);
}

async function openFolder(
  options: OpenOptions,
): Promise<{ folder: string; seen: Map<string, string>; inUse: Deno.FsFile }> {
  const base = openCacheDirectory(options.cacheDir, options.uid, options.home);
  const id = createHash("sha256").update(options.carried.text).digest("hex");
  const folder = join(base, id);
  try {
    using _lock = await lockBase(base);
    let seen = await verifyFolder(folder, options);
    if (seen === null) {
      const there = exists(folder);
      options.onNote?.(
        there
          ? `the unpacked parts in ${folder} are not those of this program: unpacking them again`
          : `unpacking to ${folder}, once`,
      );
      if (there) Deno.removeSync(folder, { recursive: true });
      unpack(base, folder, options.carried);
      seen = await verifyFolder(folder, options);
      if (seen === null) {
        throw new SecLlamaError("unpack-failed", `what was unpacked to ${folder} does not stay`, {
          hint: "another program changes the files; set XDG_CACHE_HOME to another folder",
        });
      }
    }
    const inUse = Deno.openSync(join(folder, "in-use"), { read: true });
    inUse.lockSync(false);
    removeOthers(base, id);
    return { folder, seen, inUse };
  } catch (cause) {
    throw cause instanceof SecLlamaError ? cause : ioError(base, cause);
  }
}

/** Waits for the folder's lock; a killed holder leaves none behind (flock). */
async function lockBase(base: string): Promise<Disposable> {
  const file = Deno.openSync(join(base, "lock"), { create: true, write: true, mode: 0o600 });
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  while (!file.tryLockSync(true)) {
    if (performance.now() > deadline) {
      file.close();
      throw new SecLlamaError("unpack-failed", `another start has held ${base}/lock for a minute`, {
        hint: "end the secllama that hangs, then try again",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  return { [Symbol.dispose]: () => file.close() };
}

/** The signature of every part that is always unpacked, or null if one is missing or another. */
async function verifyFolder(
  folder: string,
  options: OpenOptions,
): Promise<Map<string, string> | null> {
  const { carried, uid } = options;
  if (!exists(folder)) return null;
  if (uid !== null) mustBePrivate(folder, uid);
  if (!exists(join(folder, "in-use"))) return null;
  const seen = new Map<string, string>();
  for (const part of carried.list.parts) {
    if (!part.always) continue;
    const path = join(folder, part.name);
    const before = signature(path);
    if (before === null || !rightKind(path, part, uid)) return null;
    if (await fileDigest(path) !== part.sha256) return null;
    seen.set(part.name, before);
  }
  // ggml opens whatever it finds in its folder, so a file too many is as bad as a changed one.
  const names = new Set([...seen.keys(), "in-use"]);
  return everyFile(folder).every((name) => names.has(name)) ? seen : null;
}

function rightKind(path: string, part: Part, uid: number | null): boolean {
  const info = Deno.lstatSync(path);
  return info.isFile && info.size === part.sizeBytes &&
    (uid === null || (info.uid === uid && ((info.mode ?? 0) & 0o7777) === modeOf(part)));
}

function unpack(base: string, folder: string, carried: Carried): void {
  const parts = carried.list.parts.filter((part) => part.always);
  mustHaveRoom(base, parts.reduce((sum, part) => sum + part.sizeBytes, 0));
  const fresh = join(base, `.new-${crypto.randomUUID()}`);
  try {
    Deno.mkdirSync(fresh, { mode: 0o700 });
    using program = openProgramFile();
    const payload = payloadOf(carried);
    for (const part of parts) writePart(part, fresh, program, payload);
    Deno.writeFileSync(join(fresh, "in-use"), new Uint8Array(), { createNew: true, mode: 0o600 });
    Deno.renameSync(fresh, folder);
  } catch (cause) {
    try {
      Deno.removeSync(fresh, { recursive: true });
    } catch { /* it was not made, or the next start removes it */ }
    throw cause;
  }
}

function payloadOf(carried: Carried): Uint8Array {
  const payload = zstdDecompressSync(Buffer.from(carried.payload()));
  if (payload.length !== carried.list.payloadBytes) {
    throw new SecLlamaError("unpack-failed", "this program's file is damaged", {
      hint: HINTS.installAgain,
    });
  }
  return payload;
}

/** The id that root's runner gives itself up for reads them, inside a folder that only root can enter. */
function modeOf(part: Part): number {
  return part.executable ? 0o555 : 0o444;
}

function writePart(part: Part, folder: string, program: ProgramFile, payload: Uint8Array): void {
  const path = join(folder, part.name);
  const slash = part.name.lastIndexOf("/");
  if (slash > 0) {
    const inner = join(folder, part.name.slice(0, slash));
    Deno.mkdirSync(inner, { recursive: true });
    if (Deno.build.os !== "windows") Deno.chmodSync(inner, 0o755); // whatever the umask is
  }
  const hash = createHash("sha256");
  {
    using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    const write = (bytes: Uint8Array) => {
      hash.update(bytes);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    };
    for (const { from, offset, sizeBytes } of part.pieces) {
      if (from === "payload") write(payload.subarray(offset, offset + sizeBytes));
      else for (const chunk of programBytes(program, offset, sizeBytes)) write(chunk);
    }
    file.syncDataSync();
  }
  if (hash.digest("hex") !== part.sha256) {
    throw new SecLlamaError("unpack-failed", `this program's file is damaged: ${part.name}`, {
      hint: HINTS.installAgain,
    });
  }
  if (Deno.build.os !== "windows") Deno.chmodSync(path, modeOf(part));
}

/** Removes what other versions, and killed starts, left; the lock is held. A folder that a process uses stays. */
function removeOthers(base: string, own: string): void {
  for (const { name } of [...Deno.readDirSync(base)]) {
    const path = join(base, name);
    try {
      if (name.startsWith(".new-") || (name.startsWith(".doctor-") && isOld(path))) {
        Deno.removeSync(path, { recursive: true });
      }
      if (!FOLDER_ID.test(name) || name === own) continue;
      using inUse = Deno.openSync(join(path, "in-use"), { read: true });
      if (inUse.tryLockSync(true)) Deno.removeSync(path, { recursive: true });
    } catch (error) {
      // Without its lock file it was not made by us as it is; it harms nobody, and is not ours to judge.
      if (!(error instanceof Deno.errors.NotFound)) continue;
    }
  }
}

/** Left by a doctor that was killed: one that works is done in seconds. */
function isOld(path: string): boolean {
  return Date.now() - (Deno.lstatSync(path).mtime?.getTime() ?? 0) > 3_600_000;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What changes when a file is written to or replaced; ctime cannot be set back without being root. */
function signature(path: string): string | null {
  const s = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return s === undefined
    ? null
    : [s.dev, s.ino, s.size, s.mtimeNs, s.ctimeNs, s.uid, s.mode].join(" ");
}

function everyFile(folder: string, prefix = ""): string[] {
  return [...Deno.readDirSync(join(folder, prefix))].flatMap((entry) =>
    entry.isDirectory ? everyFile(folder, `${prefix}${entry.name}/`) : [prefix + entry.name]
  );
}
