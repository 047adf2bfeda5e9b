/** The launcher's single steps, each one restriction that cannot be undone. All act on the calling thread, which must be the
 * one that calls execve: the kernel keeps its credentials and ends the others. */
import {
  addressOf,
  alloc,
  AT_EMPTY_PATH,
  AT_FDCWD,
  cstr,
  cstrArray,
  type Linux,
  O,
  SystemCallError,
} from "../../linux/libc.ts";
import type { Limits } from "./policy.ts";

export const PR = {
  setPdeathsig: 1,
  setDumpable: 4,
  capbsetDrop: 24,
  setNoNewPrivs: 38,
  capAmbient: 47,
} as const;
const SIGKILL = 9;
const EINVAL = 22;
const EPERM = 1;

/** RLIMIT_* (asm-generic/resource.h). */
const LIMITS: { readonly [name: string]: number } = {
  fsize: 1,
  data: 2,
  core: 4,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  msgqueue: 12,
};

/** @throws {RangeError} If this process is in one of the namespaces that it was to leave. */
export function mustHaveLeft(linux: Linux, namespaces: { readonly [path: string]: string }): void {
  for (const [path, host] of Object.entries(namespaces)) {
    if (linux.readLink(path) === host) {
      throw new RangeError(`unshare did not isolate: still in the gateway's ${host}`);
    }
  }
}

/** All ids and groups become `uid`, which cannot be taken back once the capabilities are gone. */
export function dropUser(linux: Linux, uid: number): void {
  linux.must("setgroups", "setgroups", 0, null);
  linux.must(`setresgid ${uid}`, "setresgid", uid, uid, uid);
  linux.must(`setresuid ${uid}`, "setresuid", uid, uid, uid);
}

/** Empties the bounding set. Before `dropUser`: it needs a capability, and a change of uid takes those away. */
export function dropBoundingSet(linux: Linux): void {
  for (let capability = 0; capability < 64; capability++) {
    const result = linux.prctl(PR.capbsetDrop, capability);
    if (result === -EINVAL) break; // past the kernel's last
    // An ordinary user cannot; NO_NEW_PRIVS then makes the set useless.
    if (result === -EPERM) break;
    if (result < 0) throw new SystemCallError(`drop capability ${capability}`, -result);
  }
}

/** Empties the effective, permitted, inheritable and ambient sets. */
export function dropCapabilities(linux: Linux): void {
  const cleared = linux.prctl(PR.capAmbient, 4 /* PR_CAP_AMBIENT_CLEAR_ALL */);
  if (cleared < 0) throw new SystemCallError("clear ambient capabilities", -cleared);
  const header = alloc(8); // struct __user_cap_header_struct: version u32, pid s32
  new DataView(header.buffer).setUint32(0, 0x20080522, true);
  linux.must("capset", "capset", header, alloc(24));
}

/** The kernel kills this process when its parent dies. A change of uid clears it: after `dropUser`. */
export function dieWithParent(linux: Linux): void {
  const result = linux.prctl(PR.setPdeathsig, SIGKILL);
  if (result < 0) throw new SystemCallError("PR_SET_PDEATHSIG", -result);
}

/** A session of its own: no controlling terminal, and not the terminal's Ctrl-C. */
export function newSession(linux: Linux): void {
  const result = linux.call("setsid");
  if (result < 0 && result !== -EPERM) throw new SystemCallError("setsid", -result); // EPERM: it leads its group already
}

/** Every descriptor but 0, 1 and 2 closes at exec. */
export function closeAtExec(linux: Linux): void {
  const CLOSE_RANGE_CLOEXEC = 4;
  linux.must("close_range", "close_range", 3, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC);
}

export function noNewPrivileges(linux: Linux): void {
  const result = linux.prctl(PR.setNoNewPrivs, 1);
  if (result < 0) throw new SystemCallError("PR_SET_NO_NEW_PRIVS", -result);
}

/** Soft and hard limit alike. @throws {TypeError} If the policy names a limit that is not known. */
export function setLimits(linux: Linux, limits: Limits): void {
  for (const [name, value] of Object.entries(limits)) {
    const resource = LIMITS[name];
    if (resource === undefined) throw new TypeError(`the policy names an unknown limit ${name}`);
    const rlimit = alloc(16);
    const view = new DataView(rlimit.buffer);
    view.setBigUint64(0, BigInt(value), true);
    view.setBigUint64(8, BigInt(value), true);
    linux.must(`limit ${name}`, "prlimit64", 0, resource, rlimit, null);
  }
}

/**
 * Opens what will be executed, at a descriptor not below `above`. With RLIMIT_NOFILE then at `above`, no later
 * descriptor can have that number, and the filter lets execveat pass for that number only: nothing can be executed again.
 */
export function openProgram(linux: Linux, path: string, above: number): number {
  const what = `open ${path}`;
  const fd = linux.must(what, "openat", AT_FDCWD, cstr(path), O.path | O.closeOnExec, 0);
  raiseDescriptorLimit(linux, above + 1);
  const F_DUPFD_CLOEXEC = 1030;
  const high = linux.must(what, "fcntl", fd, F_DUPFD_CLOEXEC, above);
  linux.call("close", fd);
  return high;
}

function raiseDescriptorLimit(linux: Linux, wanted: number): void {
  const rlimit = alloc(16);
  linux.must("read limit nofile", "prlimit64", 0, LIMITS["nofile"]!, null, rlimit);
  const view = new DataView(rlimit.buffer);
  if (view.getBigUint64(0, true) > BigInt(wanted)) return;
  view.setBigUint64(0, BigInt(wanted) + 1n, true);
  if (view.getBigUint64(8, true) <= BigInt(wanted)) view.setBigUint64(8, BigInt(wanted) + 1n, true);
  linux.must("raise limit nofile", "prlimit64", 0, LIMITS["nofile"]!, rlimit, null);
}

/** Whether this process may read `path`, by the ids that it has now. @throws {SystemCallError} If not. */
export function mustRead(linux: Linux, path: string): void {
  linux.must(`read ${path} as uid ${linux.call("getuid")}`, "faccessat", AT_FDCWD, cstr(path), 4);
}

/** Becomes the program. Returns only by throwing. */
export function execute(
  linux: Linux,
  fd: number,
  program: {
    readonly path: string;
    readonly argv: readonly string[];
    readonly env: { readonly [name: string]: string };
  },
): never {
  const argv = cstrArray(program.argv);
  const env = cstrArray(Object.entries(program.env).map(([name, value]) => `${name}=${value}`));
  const result = linux.call(
    "execveat",
    fd,
    cstr(""),
    addressOf(argv.pointers),
    addressOf(env.pointers),
    AT_EMPTY_PATH,
  );
  void argv.keep.length;
  void env.keep.length;
  throw new SystemCallError(`execute ${program.path}`, -result);
}
