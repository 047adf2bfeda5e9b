/**
 * The chain that a start is made of: starter, `unshare`, launcher, runner. The tables of starter and launcher are given: what the
 * product gives is in spawn.ts, what tests leave out of them in testing.ts. The chain inherits the launcher's descriptor, and the
 * launcher closes it first.
 */
import { SecLlamaError } from "../../errors.ts";
import type { Step } from "../../linux/syscall_table.ts";
import { type Linux, linux, SystemCallError } from "../../linux/libc.ts";
import { commandOptions, type StartOptions } from "../spawn.ts";
import type { PlannedCommand } from "../types.ts";
import { readOptional } from "./cgroup_files.ts";
import { closeGroups, mayMove, moveInto, openGroups } from "./cgroup_life.ts";
import { launchHost, makeExecutable } from "./executables.ts";
import { groupHint, memoryFileHint } from "./hints.ts";
import type { LaunchSpec } from "./launch_spec.ts";
import type { launchSteps, startSteps } from "./launch_steps.ts";

/** A command whose argv is a starter and, from its second word on, the rest of the chain. */
interface ChainCommand extends PlannedCommand {
  /** What the launcher does. */
  readonly launch: LaunchSpec;
}

export interface ChainTables {
  readonly launcher: (...args: Parameters<typeof launchSteps>) => readonly Step[];
  readonly starter: (...args: Parameters<typeof startSteps>) => readonly Step[];
  /** Of the groups that were made for it, those that it goes into. */
  readonly entered: (groups: readonly string[]) => readonly string[];
}

/**
 * Starts it. Its cgroups, if it is to have some, are made before and removed after its end. It is in them once the promise
 * resolves: nobody can write to its standard input before, so a runner has no model by then. That it is there is measured before
 * it gets keys.
 * @throws {SecLlamaError} `sandbox-failed` if starter, launcher or cgroups cannot be made, or it cannot be moved into these.
 * @throws If the program cannot be started.
 */
export async function startChain(
  command: ChainCommand,
  tables: ChainTables,
  options: StartOptions = {},
): Promise<Deno.ChildProcess> {
  const system = linux();
  const { cgroup, user } = command.launch;
  const groups = orFailed(() => cgroup ? openGroups(system, cgroup) : [], groupHint);
  const entered = tables.entered(groups);
  const moved = cgroup !== null && mayMove(system, cgroup, user !== null);
  let child: Deno.ChildProcess;
  try {
    child = withExecutables(
      system,
      { command, tables, groups: moved ? [] : entered },
      // Has forked and executed when it returns, so that no other child gets the descriptors.
      (starter) => new Deno.Command(starter, commandOptions(command, options)).spawn(),
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
    if (command.launch.companion !== null) await letGo(child);
    return child;
  } catch (cause) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await child.status;
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${cause.message}`, {
      hint: groupHint(cause.message),
      cause,
    });
  }
}

/** The launcher of two programs waits for a byte, so that the second one starts in the groups too. */
async function letGo(child: Deno.ChildProcess): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    // One that has ended already says why by itself.
    await writer.write(Uint8Array.of(0)).catch(() => {});
  } finally {
    writer.releaseLock();
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
  { command, tables, groups }: {
    command: ChainCommand;
    tables: ChainTables;
    groups: readonly string[];
  },
  start: (starter: string) => T,
): T {
  const open: number[] = [];
  const make = (steps: readonly Step[]): number => {
    const fd = orFailed(() => makeExecutable(system, steps), memoryFileHint);
    open.push(fd);
    return fd;
  };
  try {
    const launcherFd = make(tables.launcher(command.launch, launchHost(system)));
    const argv = command.argv.slice(1);
    const starter = make(tables.starter({ launcherFd, groups, argv, env: command.env }));
    return start(`/proc/self/fd/${starter}`);
  } finally {
    for (const fd of open) system.call("close", fd);
  }
}

function orFailed<T>(act: () => T, hint: (message: string) => string): T {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new SecLlamaError("sandbox-failed", `failed to apply sandbox: ${cause.message}`, {
      hint: hint(cause.message),
      cause,
    });
  }
}
