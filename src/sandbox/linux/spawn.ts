/**
 * Starts a planned command. Starter and launcher are executables made for this one start: a few kilobytes each in sealed memory
 * files (memfd_create(2)), which no one can change and no name on disk leads to. The chain inherits the launcher's descriptor, and
 * the launcher closes it first.
 */
import { SecLlamaError } from "../../errors.ts";
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
import type { LaunchSpec } from "./launch_spec.ts";
import { readOptional } from "./cgroup_files.ts";
import { closeGroups, mayMove, moveInto, openGroups } from "./cgroup_life.ts";
import { type LaunchHost, launchSteps, startSteps } from "./launch_steps.ts";

export interface PlannedCommand {
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string };
  /** What the launcher does, whose chain `argv` is from its second word on; null or absent: there is none. */
  readonly launch?: LaunchSpec | null;
}

export interface SpawnOptions {
  readonly cwd?: string;
  /** Hands on this process's environment as well. */
  readonly inheritEnv?: boolean;
  readonly stderr?: "piped" | "inherit";
  /** For tests that show what a step is worth: changes the tables before they are made. */
  readonly alter?: (steps: readonly Step[], table: "starter" | "launcher") => readonly Step[];
  /** For the same tests: leaves it out of this group. */
  readonly skipGroup?: (folder: string) => boolean;
}

/**
 * Spawns it with pipes for its standard streams and nothing of this process's environment. Its cgroups, if it is to have some, are
 * made before and removed after its end.
 *
 * It is started before this returns, and is in its groups once the promise resolves: nobody can write to its standard input
 * before, so a runner has no model by then. That it is there is measured before it gets keys.
 * @throws {SecLlamaError} `sandbox-failed` if starter, launcher or cgroups cannot be made, or it cannot be moved into these.
 * @throws If the program cannot be started.
 */
export async function spawnPlanned(
  command: PlannedCommand,
  o: SpawnOptions = {},
): Promise<Deno.ChildProcess> {
  const options: Deno.CommandOptions = {
    env: { ...command.env },
    clearEnv: o.inheritEnv !== true,
    ...(o.cwd === undefined ? {} : { cwd: o.cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr: o.stderr ?? "piped",
  };
  if (!command.launch) {
    const [program, ...args] = command.argv;
    return new Deno.Command(program!, { ...options, args }).spawn();
  }
  const system = linux();
  const groups = orFailed(() =>
    command.launch!.cgroup ? openGroups(system, command.launch!.cgroup) : []
  );
  const entered = groups.filter((folder) => o.skipGroup?.(folder) !== true);
  const { cgroup, user } = command.launch;
  const moved = cgroup !== undefined && cgroup !== null && mayMove(system, cgroup, user !== null);
  let child: Deno.ChildProcess;
  try {
    child = withExecutables(
      system,
      command,
      moved ? [] : entered,
      o.alter ?? ((steps) => steps),
      (starter) =>
        // Has forked and executed when it returns, so that no other child gets the descriptors.
        new Deno.Command(starter, options).spawn(),
    );
  } catch (error) {
    void closeGroups(groups);
    throw error;
  }
  const moving = moved
    ? moveInto(system, entered, child.pid, () => childOf(system, child.pid))
    : Promise.resolve();
  // One that ends at once is moved into groups that are still there, so that its own words are what is reported.
  Promise.allSettled([moving, child.status]).then(() => closeGroups(groups));
  try {
    await moving;
    return child;
  } catch (cause) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await child.status;
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${cause.message}`, {
      hint: "to see what this machine can enforce, run: secllama doctor",
      cause,
    });
  }
}

/** The only child of a process; undefined: it has none. */
export function childOf(system: Linux, pid: number): number | undefined {
  const text = readOptional(system, `/proc/${pid}/task/${pid}/children`)?.trim() ?? "";
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Calls `start` with the starter's path. What it starts inherits starter and launcher. */
function withExecutables<T>(
  system: Linux,
  command: PlannedCommand,
  groups: readonly string[],
  alter: NonNullable<SpawnOptions["alter"]>,
  start: (starter: string) => T,
): T {
  const open: number[] = [];
  const make = (steps: readonly Step[]): number => {
    const fd = orFailed(() => memoryFile(system, executable(steps, system.arch)));
    open.push(fd);
    return fd;
  };
  try {
    const launcherFd = make(alter(launchSteps(command.launch!, launchHost(system)), "launcher"));
    const argv = command.argv.slice(1);
    const steps = startSteps({ launcherFd, groups, argv, env: command.env });
    const starter = make(alter(steps, "starter"));
    return start(`/proc/self/fd/${starter}`);
  } finally {
    for (const fd of open) system.call("close", fd);
  }
}

/** Whether a process can go into these groups: one does, and ends. */
export async function canEnter(groups: readonly string[]): Promise<boolean> {
  const system = linux();
  const steps = startSteps({ launcherFd: 2, groups, argv: ["/proc/self/exe"], env: {} });
  const last: Step = { what: "end", call: "exit_group", args: [0] };
  const starter = memoryFile(system, executable([...steps.slice(0, -1), last], system.arch));
  try {
    const { success } = await new Deno.Command(`/proc/self/fd/${starter}`, {
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } finally {
    system.call("close", starter);
  }
}

function orFailed<T>(act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${cause.message}`, {
      hint: "starter and launcher run from memory: vm.memfd_noexec must not be 2",
      cause,
    });
  }
}

const MFD = { allowSealing: 2, exec: 0x10 } as const;
const F_ADD_SEALS = 1033;
/** Seal, shrink, grow, write. */
const ALL_SEALS = 0xF;
const EINVAL = 22;

/** A sealed executable in memory; children inherit the descriptor. */
function memoryFile(system: Linux, bytes: Uint8Array): number {
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

function launchHost(system: Linux): LaunchHost {
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
