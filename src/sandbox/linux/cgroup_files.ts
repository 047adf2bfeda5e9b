/** The file operations of the cgroup file system, past Deno's permissions. */
import { alloc, AT_FDCWD, cstr, type Linux, O, SystemCallError } from "../../linux/libc.ts";

const AT_REMOVEDIR = 0x200;
const ENOENT = 2;
const EEXIST = 17;

/** A file's text, or null if it cannot be read. */
export function readOptional(system: Linux, path: string): string | null {
  try {
    return system.readText(path);
  } catch (error) {
    if (error instanceof SystemCallError) return null;
    throw error;
  }
}

/** The names in a folder; none if it cannot be read. */
export function listOptional(system: Linux, path: string): string[] {
  try {
    return system.readDirectory(path);
  } catch (error) {
    if (error instanceof SystemCallError) return [];
    throw error;
  }
}

/** @throws {SystemCallError} If it cannot be made; one that is there already is removed first, which works if it is empty. */
export function makeFolder(system: Linux, path: string): void {
  const make = () => system.call("mkdirat", AT_FDCWD, cstr(path), 0o755);
  let result = make();
  if (result === -EEXIST && removeFolder(system, path)) result = make();
  if (result < 0) throw new SystemCallError(`make ${path}`, -result);
}

/** Whether it is gone; a group goes once nothing runs in it. */
export function removeFolder(system: Linux, path: string): boolean {
  const result = system.call("unlinkat", AT_FDCWD, cstr(path), AT_REMOVEDIR);
  return result === 0 || result === -ENOENT;
}

/** @throws {SystemCallError} If it cannot be written, unless it is optional. */
export function writeFile(system: Linux, path: string, text: string, optional: boolean): void {
  const fd = system.call("openat", AT_FDCWD, cstr(path), O.writeOnly | O.closeOnExec, 0);
  const data = cstr(text);
  const result = fd < 0 ? fd : system.call("write", fd, data, text.length);
  if (fd >= 0) system.call("close", fd);
  if (result < 0 && !optional) throw new SystemCallError(`write ${path}`, -result);
}

/** As `writeFile`, on another thread. @throws {SystemCallError} If it cannot be written. */
export async function writeAside(system: Linux, path: string, text: string): Promise<void> {
  const fd = system.must(
    `open ${path}`,
    "openat",
    AT_FDCWD,
    cstr(path),
    O.writeOnly | O.closeOnExec,
    0,
  );
  try {
    const data = cstr(text).subarray(0, text.length);
    if (await system.writeAside(fd, data) === text.length) return;
    system.must(`write ${path}`, "write", fd, data, text.length); // once more, to learn why
  } finally {
    system.call("close", fd);
  }
}

/** Time since a folder was made or changed; 0 if that cannot be told. */
export function ageMs(system: Linux, path: string): number {
  const STATX_MTIME = 0x40;
  const stat = alloc(256);
  if (system.call("statx", AT_FDCWD, cstr(path), 0, STATX_MTIME, stat) < 0) return 0;
  const seconds = new DataView(stat.buffer).getBigInt64(112, true); // stx_mtime.tv_sec
  return Math.max(0, Date.now() - Number(seconds) * 1000);
}
