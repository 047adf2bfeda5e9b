/**
 * Executables of system calls, made for one start: a few kilobytes each in sealed memory files (memfd_create(2)), which no one can
 * change and no name on disk leads to.
 */
import { executable, type Step } from "../../linux/syscall_table.ts";
import {
  addressOf,
  alloc,
  AT_FDCWD,
  cstr,
  type Linux,
  linux,
  SystemCallError,
} from "../../linux/libc.ts";
import { startSteps } from "./launch_steps.ts";
import type { LaunchHost } from "./process_steps.ts";

const MFD = { allowSealing: 2, exec: 0x10 } as const;
const F_ADD_SEALS = 1033;
/** Seal, shrink, grow, write. */
const ALL_SEALS = 0xF;
const EINVAL = 22;

/** A sealed executable in memory; children inherit the descriptor. @throws {SystemCallError} */
export function makeExecutable(system: Linux, steps: readonly Step[]): number {
  const bytes = executable(steps, system.arch);
  const name = cstr("secllama");
  // Linux 6.3 wants to be told that it will be executed; earlier ones do not know the flag.
  let fd = system.call("memfd_create", name, MFD.allowSealing | MFD.exec);
  if (fd === -EINVAL) fd = system.call("memfd_create", name, MFD.allowSealing);
  if (fd < 0) throw new SystemCallError("make an executable", -fd);
  try {
    for (let at = 0; at < bytes.length;) {
      const left = bytes.subarray(at);
      at += system.must("write an executable", "write", fd, addressOf(left), left.length);
    }
    system.must("seal an executable", "fcntl", fd, F_ADD_SEALS, ALL_SEALS);
    return fd;
  } catch (error) {
    system.call("close", fd);
    throw error;
  }
}

/**
 * Whether a process can go into these groups: one does, and ends.
 * @throws {Error} If none could be started, or it was killed: then nothing is known.
 */
export async function canEnter(groups: readonly string[]): Promise<boolean> {
  const system = linux();
  const steps = startSteps({ launcherFd: 2, groups, argv: ["/proc/self/exe"], env: {} });
  const last: Step = { what: "end", call: "exit_group", args: [0] };
  const starter = makeExecutable(system, [...steps.slice(0, -1), last]);
  try {
    const { success, signal } = await new Deno.Command(`/proc/self/fd/${starter}`, {
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (signal !== null) throw new Error(`the probe was ended by ${signal}`);
    return success;
  } finally {
    system.call("close", starter);
  }
}

/** This machine, as the launcher's steps need to know it. */
export function launchHost(system: Linux): LaunchHost {
  const RLIMIT_NOFILE = 7;
  const limit = alloc(16);
  system.must("read limit nofile", "prlimit64", 0, RLIMIT_NOFILE, null, limit);
  const view = new DataView(limit.buffer);
  return {
    arch: system.arch,
    lastCapability: Number(system.readText("/proc/sys/kernel/cap_last_cap")),
    nofile: { soft: view.getBigUint64(0, true), hard: view.getBigUint64(8, true) },
    isDirectory: (path) => isDirectory(system, path),
  };
}

/** Follows links. A path that is not there is none; the launcher then stops at it. */
export function isDirectory(system: Linux, path: string): boolean {
  const stat = alloc(256);
  const STATX_TYPE = 1;
  if (system.call("statx", AT_FDCWD, cstr(path), 0, STATX_TYPE, stat) < 0) return false;
  return (new DataView(stat.buffer).getUint16(28, true) & 0o170000) === 0o040000; // stx_mode
}
