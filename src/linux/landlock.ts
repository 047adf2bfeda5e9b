/**
 * Landlock rulesets (landlock(7), Documentation/userspace-api/landlock.rst): the rights an ABI knows, and applying a list
 * of paths to the calling thread. A ruleset binds the thread that applies it and what that thread starts; hence before exec.
 */
import { addressOf, alloc, cstr, type Linux, O, SystemCallError } from "./libc.ts";

const FS = {
  execute: 1n << 0n,
  writeFile: 1n << 1n,
  readFile: 1n << 2n,
  readDir: 1n << 3n,
  ioctlDev: 1n << 15n,
  truncate: 1n << 14n,
};
/** Rights that mean something for a file; the kernel refuses any other in a rule on a file. */
const FILE_RIGHTS = FS.execute | FS.writeFile | FS.readFile | FS.truncate | FS.ioctlDev;

/** r read · x execute · w write; on a device, w includes ioctl. */
export type Access = "r" | "rx" | "rw";

export interface PathRule {
  readonly path: string;
  readonly access: Access;
}

/** Every file right that `abi` knows: all are handled, so what no rule grants is denied. */
export function handledFsRights(abi: number): bigint {
  // ABI 1: rights 0–12; 2: REFER (13); 3: TRUNCATE (14); 5: IOCTL_DEV (15).
  const bits = abi >= 5 ? 16n : abi >= 3 ? 15n : abi === 2 ? 14n : 13n;
  return (1n << bits) - 1n;
}

/** BIND_TCP and CONNECT_TCP from ABI 4 on. No rule grants them. */
export function handledNetRights(abi: number): bigint {
  return abi >= 4 ? 3n : 0n;
}

/** Abstract Unix sockets and signals outside the domain, from ABI 6 on. */
export function scopedRights(abi: number): bigint {
  return abi >= 6 ? 3n : 0n;
}

/** `struct landlock_ruleset_attr`: handled_access_fs, handled_access_net (ABI 4), scoped (ABI 6). */
export function rulesetAttribute(abi: number): Uint8Array<ArrayBuffer> {
  const out = alloc(abi >= 6 ? 24 : abi >= 4 ? 16 : 8);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, handledFsRights(abi), true);
  if (abi >= 4) view.setBigUint64(8, handledNetRights(abi), true);
  if (abi >= 6) view.setBigUint64(16, scopedRights(abi), true);
  return out;
}

/** The rights a rule asks for, cut to what the ABI knows and to what its target, a folder or not, can have. */
export function ruleRights(access: Access, abi: number, directory: boolean): bigint {
  let rights = FS.readFile | FS.readDir;
  if (access === "rx") rights |= FS.execute;
  if (access === "rw") rights |= FS.writeFile | FS.truncate | FS.ioctlDev;
  if (!directory) rights &= FILE_RIGHTS;
  return rights & handledFsRights(abi);
}

/** The kernel's Landlock ABI, 0 where there is none. */
export function landlockAbi(linux: Linux): number {
  const abi = linux.call("landlock_create_ruleset", null, 0, 1);
  return Math.max(0, abi);
}

/**
 * Restricts this thread, and all it starts, to `rules`; every other path, and from ABI 4 on every TCP port, is refused.
 * NO_NEW_PRIVS must be set.
 * @throws {SystemCallError} If a path does not exist or the kernel refuses a step; nothing is then applied.
 */
export function restrictSelf(
  linux: Linux,
  abi: number,
  rules: readonly PathRule[],
): void {
  const attribute = rulesetAttribute(abi);
  const ruleset = linux.must(
    "landlock ruleset",
    "landlock_create_ruleset",
    attribute,
    attribute.length,
    0,
  );
  try {
    for (const rule of rules) addRule(linux, ruleset, abi, rule);
    linux.must("landlock", "landlock_restrict_self", ruleset, 0);
  } finally {
    linux.call("close", ruleset);
  }
}

function addRule(linux: Linux, ruleset: number, abi: number, rule: PathRule): void {
  const what = `landlock rule ${rule.path}`;
  const fd = linux.must(what, "openat", -100, cstr(rule.path), O.path | O.closeOnExec, 0);
  try {
    const directory = isDirectory(linux, fd, what);
    const rights = alloc(12); // struct landlock_path_beneath_attr, packed: allowed_access u64, parent_fd s32
    const view = new DataView(rights.buffer);
    view.setBigUint64(0, ruleRights(rule.access, abi, directory), true);
    view.setInt32(8, fd, true);
    linux.must(what, "landlock_add_rule", ruleset, 1, addressOf(rights), 0);
    void rights.length;
  } finally {
    linux.call("close", fd);
  }
}

function isDirectory(linux: Linux, fd: number, what: string): boolean {
  const stat = alloc(256);
  const STATX_TYPE = 1;
  const result = linux.call("statx", fd, cstr(""), 0x1000, STATX_TYPE, stat);
  if (result < 0) throw new SystemCallError(what, -result);
  return (new DataView(stat.buffer).getUint16(28, true) & 0o170000) === 0o040000; // stx_mode
}
