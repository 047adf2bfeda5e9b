/**
 * An engine of somebody else's beside the runner: the steps that make its process, out of the launcher, and those that this process
 * goes through. The runner's own are in launch_steps.ts.
 */
import { alloc, AT_FDCWD, O } from "../../linux/libc.ts";
import { Memory, type Step } from "../../linux/syscall_table.ts";
import { Descriptors } from "./descriptors.ts";
import type { CompanionSpec, LaunchSpec } from "./launch_spec.ts";
import {
  DEFAULT_NOFILE,
  dieWithParent,
  execute,
  installFilter,
  landlock,
  LAUNCHER_FD,
  type LaunchHost,
  openProgram,
  setLimits,
} from "./process_steps.ts";

/** Where the runner finds what its engine prints, which ends when the engine does. */
export const ENGINE_OUTPUT_FD = 4;
/** Descriptors of the companion's part of a launch. Its program's is the number that its own limit makes free. */
const COMPANION = { nothing: 3, output: ENGINE_OUTPUT_FD, outputIn: 5 } as const;

/** As `programDescriptor` of launch_steps.ts, for the engine. */
export function companionProgram({ limits }: CompanionSpec): number {
  return limits["nofile"] ?? DEFAULT_NOFILE;
}

const SIGCHLD = 17;

const IN_THE_CHILD = "in the engine's process";
const forget = (fd: number): Step => ({ what: "close", call: "close", args: [fd] });
const inTheChild: Step = { what: IN_THE_CHILD, call: "getpid", args: [], wanted: "any" };

/**
 * Makes the engine's process. Not before the gateway says so: it may still be moving this process into a cgroup, where only what
 * is started afterwards would be too. The runner keeps the reading end of a pipe that the engine alone holds the other end of.
 */
export function startCompanion(
  spec: LaunchSpec,
  companion: CompanionSpec,
  host: LaunchHost,
  fds: Descriptors,
): Step[] {
  const child = new Memory("the child", alloc(4));
  const at = companionProgram(companion);
  return [
    {
      what: "wait for the gateway",
      call: "read",
      args: [0, new Memory("a byte", alloc(8)), 1],
      wanted: 1,
    },
    ...openProgram(spec, companion.exec, at, host.nofile, fds),
    // What was opened for the steps above is closed: the numbers from here on are fixed.
    {
      what: "close all but the programs",
      call: "close_range",
      args: [LAUNCHER_FD, Math.min(at, spec.limits["nofile"] ?? DEFAULT_NOFILE) - 1, 0],
    },
    {
      what: "open /dev/null",
      call: "openat",
      args: [AT_FDCWD, "/dev/null", O.readWrite | O.closeOnExec, 0],
      wanted: COMPANION.nothing,
    },
    {
      what: "a pipe for what the engine prints",
      call: "pipe2",
      args: [new Memory("both ends", alloc(8)), 0],
    },
    {
      what: "make the engine's process",
      call: "clone",
      args: [SIGCHLD, null],
      store: { into: child, at: 0 },
    },
    { what: "is it the engine's process", memory: child, ifZero: inTheChild },
    forget(at),
    forget(COMPANION.nothing),
    forget(COMPANION.outputIn),
  ];
}

/** The other way on: what the engine's process does, of which the runner's does nothing. */
export function becomeCompanion(
  spec: LaunchSpec,
  companion: CompanionSpec,
  host: LaunchHost,
): Step[] {
  const { nothing, output, outputIn } = COMPANION;
  const at = companionProgram(companion);
  const standard = (fd: number, to: number): Step => ({
    what: IN_THE_CHILD,
    call: "dup3",
    args: [fd, to, 0],
    wanted: to,
  });
  return [
    inTheChild,
    // Nothing of the gateway's: neither what it says to the runner nor where the runner answers.
    standard(nothing, 0),
    standard(outputIn, 1),
    standard(outputIn, 2),
    forget(nothing),
    forget(output),
    forget(outputIn),
    forget(spec.limits["nofile"] ?? DEFAULT_NOFILE),
    dieWithParent(),
    ...(companion.exec.folder === undefined ? [] : [{
      what: "enter its folder",
      call: "chdir",
      args: [companion.exec.folder],
    }]),
    ...(companion.landlock === null
      ? []
      : landlock(spec, companion.landlock, host, new Descriptors())),
    ...setLimits({ nofile: DEFAULT_NOFILE, ...companion.limits }),
    ...installFilter(spec, host.arch, { whose: companion.kind, program: at }),
    execute(at, spec, companion.exec),
  ];
}
