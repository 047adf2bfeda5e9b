/** Names this program for another start of it, and starts it again in its own place. */
import {
  addressOf,
  alloc,
  AT_FDCWD,
  cstr,
  cstrArray,
  type Linux,
  linux,
  SystemCallError,
} from "../linux/libc.ts";

const BY_LINK = "/proc/self/exe";

/** Device and inode, or "" if it is not there. */
function identity(system: Linux, path: string): string {
  const statx = alloc(256); // stx_ino u64 @32, stx_dev_major u32 @136, stx_dev_minor u32 @140
  const STATX_INO = 0x100;
  if (system.call("statx", AT_FDCWD, cstr(path), 0, STATX_INO, statx) < 0) return "";
  const view = new DataView(statx.buffer);
  return `${view.getUint32(136, true)}:${view.getUint32(140, true)}:${view.getBigUint64(32, true)}`;
}

/**
 * The path to start a compiled program again by: its own, as process lists then show its name; where by now another file has
 * that name, or none, the kernel's link to the file that runs. Linux only.
 */
export function ownPath(): string {
  const path = Deno.execPath();
  const system = linux();
  return identity(system, path) === identity(system, BY_LINK) ? path : BY_LINK;
}

/**
 * Replaces this process by a new start of its program. Descriptors other than those that close at exec stay open.
 * @throws {SystemCallError} If the kernel refuses; else it does not return.
 */
export function startAgain(args: readonly string[], env: Readonly<Record<string, string>>): never {
  const path = ownPath();
  const argv = cstrArray([path, ...args]);
  const variables = cstrArray(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  const result = linux().call(
    "execve",
    cstr(path),
    addressOf(argv.pointers),
    addressOf(variables.pointers),
  );
  void argv.keep.length;
  void variables.keep.length;
  throw new SystemCallError(`start ${path} again`, -result);
}
