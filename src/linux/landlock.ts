/**
 * Landlock rulesets (landlock(7), Documentation/userspace-api/landlock.rst): the rights an ABI knows, and the steps that apply a list
 * of paths. A ruleset binds the thread that applies it and what that thread starts; hence before exec.
 */
import { Memory, type Step } from "./syscall_table.ts";
import { alloc, AT_FDCWD, type Linux, O } from "./libc.ts";

const FS = {
  execute: 1n << 0n,
  writeFile: 1n << 1n,
  readFile: 1n << 2n,
  readDir: 1n << 3n,
  removeDir: 1n << 4n,
  removeFile: 1n << 5n,
  makeDir: 1n << 7n,
  makeFile: 1n << 8n,
  makeSocket: 1n << 9n,
  ioctlDev: 1n << 15n,
  truncate: 1n << 14n,
};
/** Rights that mean something for a file; the kernel refuses any other in a rule on a file. */
const FILE_RIGHTS = FS.execute | FS.writeFile | FS.readFile | FS.truncate | FS.ioctlDev;

/**
 * r read · x execute · w write; on a device, w includes ioctl. socket: a folder for sockets · scratch: one for sockets, files and
 * folders.
 */
export type Access = "r" | "rx" | "rw" | "socket" | "scratch";

interface PathRule {
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
  if (access === "socket" || access === "scratch") rights |= FS.makeSocket | FS.removeFile;
  if (access === "scratch") {
    rights |= FS.writeFile | FS.truncate | FS.makeFile | FS.makeDir | FS.removeDir;
  }
  if (!directory) rights &= FILE_RIGHTS;
  return rights & handledFsRights(abi);
}

/** The kernel's Landlock ABI, from 1; where there is none, a negative error number. */
export function landlockAbi(linux: Linux): number {
  return linux.call("landlock_create_ruleset", null, 0, 1);
}

/**
 * The steps that restrict a process, and all it starts, to `rules`; every other path, and from ABI 4 on every TCP port, is refused.
 * NO_NEW_PRIVS must be set. `open` gives the number that the next open will have; all close on exec. A file that has become a
 * folder since gets the rights of a file only, and a folder that has become a file stops the launch.
 */
export function landlockSteps(
  abi: number,
  rules: readonly PathRule[],
  o: { open: () => number; isDirectory: (path: string) => boolean },
): Step[] {
  const attribute = rulesetAttribute(abi);
  const ruleset = o.open();
  return [
    {
      what: "landlock ruleset",
      call: "landlock_create_ruleset",
      args: [new Memory(`all rights of ABI ${abi}`, attribute), attribute.length, 0],
      wanted: ruleset,
    },
    ...rules.flatMap((rule): Step[] => {
      const what = `landlock rule ${rule.path}`;
      const fd = o.open();
      const rights = ruleRights(rule.access, abi, o.isDirectory(rule.path));
      const args = [AT_FDCWD, rule.path, O.path | O.closeOnExec, 0];
      return [
        { what, call: "openat", args, wanted: fd },
        {
          what,
          call: "landlock_add_rule",
          args: [ruleset, LANDLOCK_RULE_PATH_BENEATH, pathBeneath(rights, fd), 0],
        },
      ];
    }),
    { what: "landlock", call: "landlock_restrict_self", args: [ruleset, 0] },
  ];
}

const LANDLOCK_RULE_PATH_BENEATH = 1;

/** `struct landlock_path_beneath_attr`, packed: allowed_access u64, parent_fd s32. */
function pathBeneath(rights: bigint, fd: number): Memory {
  const bytes = alloc(12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, rights, true);
  view.setInt32(8, fd, true);
  return new Memory(`{0x${rights.toString(16)}, ${fd}}`, bytes);
}
