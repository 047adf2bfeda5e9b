/**
 * The folder that parts are unpacked to: `$XDG_CACHE_HOME/secllama`, private to its owner. What lies in it is executed, so
 * neither it nor a folder above may be another user's to change.
 */
import { dirname, join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { HINTS, ioReason } from "../hints.ts";
import { overflowUid } from "../linux/overflow_uid.ts";
import { alloc, cstr, linux } from "../linux/libc.ts";

type Env = { readonly [name: string]: string | undefined };

const ELSEWHERE =
  "set XDG_CACHE_HOME to a folder of your own, on a disk that may hold programs, and try again";
const FREE = `free some space, or ${ELSEWHERE}`;

/**
 * `$XDG_CACHE_HOME/secllama`, else `~/.cache/secllama` (macOS `~/Library/Caches/SecLlama`, Windows
 * `%LOCALAPPDATA%\SecLlama\cache`).
 * @throws {SecLlamaError} `unpack-failed` if no variable names it.
 */
export function cacheDirectory(env: Env, os: typeof Deno.build.os = Deno.build.os): string {
  if (os === "windows") {
    const local = env["LOCALAPPDATA"];
    if (local) return join(local, "SecLlama", "cache");
  } else {
    // The XDG specification: a relative path is invalid and is to be ignored.
    const xdg = env["XDG_CACHE_HOME"];
    if (xdg?.startsWith("/")) return join(xdg, "secllama");
    const home = env["HOME"];
    if (home?.startsWith("/")) {
      return os === "darwin"
        ? join(home, "Library", "Caches", "SecLlama")
        : join(home, ".cache", "secllama");
    }
  }
  const why = env["HOME"] ? "is not a full path" : "is not set";
  throw new SecLlamaError("unpack-failed", `no folder to unpack to: HOME ${why}`, {
    hint: ELSEWHERE,
  });
}

/**
 * Makes the folder, or judges the one that is there, and those above it. `home` is the user's own folder.
 * @returns Its real path.
 * @throws {SecLlamaError} `unpack-failed` if it cannot be made or may hold no programs; `unpack-refused` if another user
 * could change what is in it.
 */
export function openCacheDirectory(path: string, uid: number | null, home?: string): string {
  let real: string;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    if (Deno.lstatSync(path).isSymlink) throw refused(path, "is a symbolic link", `rm ${path}`);
    real = Deno.realPathSync(path);
  } catch (cause) {
    throw cause instanceof SecLlamaError ? cause : ioError(path, cause);
  }
  if (uid !== null) {
    mustBePrivate(real, uid);
    const unknown = home === undefined ? undefined : unknownRoot();
    for (let at = dirname(real);; at = dirname(at)) {
      mustBeTrusted(at, uid, unknown !== undefined && isAbove(at, home!) ? unknown : 0);
      if (at === dirname(at)) break;
    }
  }
  if (Deno.build.os === "linux" && isNoExec(real)) {
    throw new SecLlamaError(
      "unpack-failed",
      `no program may be started from ${real}: its file system is mounted noexec`,
      { hint: ELSEWHERE },
    );
  }
  return real;
}

/** @throws {SecLlamaError} `unpack-refused` unless the folder is this user's and no other may write to it. */
export function mustBePrivate(path: string, uid: number): void {
  const info = Deno.lstatSync(path);
  if (!info.isDirectory) throw refused(path, "is no folder", `rm ${path}`);
  if (info.uid !== uid) throw refused(path, "belongs to another user");
  if ((info.mode ?? 0) & 0o022) {
    throw refused(path, "may be written to by others", `chmod 700 ${path}`);
  }
}

/**
 * The uid that root's files seem to have where this process is in a user namespace without a root, as in the service of a
 * user's systemd. Other users' seem to have it too, so it counts above the home folder only: who owns a folder there could
 * change everything of this user's anyway.
 */
function unknownRoot(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const overflow = overflowUid();
  return overflow !== undefined && Deno.lstatSync("/").uid === overflow ? overflow : undefined;
}

/** Whether `home` is in `folder`. */
function isAbove(folder: string, home: string): boolean {
  try {
    return `${Deno.realPathSync(home)}/`.startsWith(folder === "/" ? "/" : `${folder}/`);
  } catch {
    return false;
  }
}

/** Whoever may write to a folder may put another one in the place of the one below. */
function mustBeTrusted(path: string, uid: number, root: number): void {
  const info = Deno.lstatSync(path);
  const mode = info.mode ?? 0;
  const sticky = (mode & 0o1000) !== 0;
  if (info.uid !== 0 && info.uid !== root && info.uid !== uid) {
    throw refused(path, "belongs to another user");
  }
  // A group of the user's own, by the convention of user-private groups, is the user.
  const groupIsUser = info.gid === uid && info.uid === uid;
  if (!sticky && ((mode & 0o002) || ((mode & 0o020) && !groupIsUser && info.gid !== 0))) {
    throw refused(path, "may be written to by others", `chmod go-w ${path}`);
  }
}

function refused(path: string, why: string, command?: string): SecLlamaError {
  return new SecLlamaError(
    "unpack-refused",
    `programs are not unpacked to nor started from here: ${path} ${why}`,
    { hint: command ? `run: ${command}, or ${ELSEWHERE}` : ELSEWHERE },
  );
}

/** An error of the file system while unpacking, as one that a person can act on. */
export function ioError(path: string, cause: unknown): SecLlamaError {
  const code = (cause as { code?: string } | undefined)?.code;
  const full = code === "ENOSPC" || code === "EDQUOT";
  const hint = full ? FREE : code === "EMFILE" || code === "ENFILE" ? HINTS.openFiles : ELSEWHERE;
  const why = full ? "the disk is full" : ioReason(cause);
  return new SecLlamaError("unpack-failed", `cannot unpack to ${path}: ${why}`, { hint, cause });
}

/** struct statfs of the 64-bit architectures: f_bsize u64 @8, f_bavail u64 @32, f_flags u64 @80. */
function statfs(path: string): DataView | null {
  const buffer = alloc(120);
  return linux().call("statfs", cstr(path), buffer) < 0 ? null : new DataView(buffer.buffer);
}

function isNoExec(path: string): boolean {
  const ST_NOEXEC = 8n;
  const view = statfs(path);
  return view !== null && (view.getBigUint64(80, true) & ST_NOEXEC) !== 0n;
}

/** @throws {SecLlamaError} `unpack-failed` if the disk has not that much room. */
export function mustHaveRoom(path: string, sizeBytes: number): void {
  const view = Deno.build.os === "linux" ? statfs(path) : null;
  if (view === null) return;
  const free = view.getBigUint64(8, true) * view.getBigUint64(32, true);
  if (free >= BigInt(sizeBytes)) return;
  const mb = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new SecLlamaError(
    "unpack-failed",
    `cannot unpack to ${path}: the disk is full (${mb(sizeBytes)} needed, ${
      mb(Number(free))
    } free)`,
    { hint: FREE },
  );
}
