/** What holds an engine that runs beside a runner, read from outside: it and all that it has started, every thread. */
import { type Linux, SystemCallError } from "../../linux/libc.ts";
import { NS_FILE } from "./capabilities.ts";
import { readOptional } from "./cgroup_files.ts";
import { checkCompanion } from "./filter_check.ts";
import { readGroups } from "./cgroup_life.ts";
import type { LinuxPlan } from "./plan.ts";
import { plural } from "../../plural.ts";

interface Reading {
  /** undefined: it could not be read. */
  readonly holds: boolean | undefined;
  readonly observed: string;
}

const MOST_PROCESSES = 512;

/** The processes that descend from `pid`, itself left out; undefined: they are more than are read. */
function descendants(system: Linux, pid: number): number[] | undefined {
  const found: number[] = [];
  const waiting = [pid];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    for (const tid of listThreads(system, one)) {
      const text = readOptional(system, `/proc/${one}/task/${tid}/children`) ?? "";
      const children = text.trim().split(/\s+/).filter((word) => word !== "").map(Number);
      found.push(...children);
      waiting.push(...children);
      if (found.length > MOST_PROCESSES) return undefined;
    }
  }
  return found;
}

/** Whether it has ended, also if nobody has asked for its status yet: then it has no namespaces and no root to read. */
function hasEnded(system: Linux, pid: number): boolean {
  const status = readOptional(system, `/proc/${pid}/status`);
  return status === null || /^State:\s*[ZX]/m.test(status);
}

/** What is read of each process that still runs. @throws {SystemCallError} If one that runs cannot be read. */
function readEach<T>(system: Linux, pids: readonly number[], read: (pid: number) => T): T[] {
  return pids.flatMap((pid) => {
    try {
      return [read(pid)];
    } catch (error) {
      if (error instanceof SystemCallError && hasEnded(system, pid)) return [];
      throw error;
    }
  });
}

function listThreads(system: Linux, pid: number): string[] {
  try {
    return system.readDirectory(`/proc/${pid}/task`);
  } catch (error) {
    if (error instanceof SystemCallError) return [];
    throw error;
  }
}

/** Every layer of the engine's, in two: that it is where the runner is, and that it is held there. */
export function measureCompanion(
  system: Linux,
  runner: number,
  plan: LinuxPlan,
): { inside: Reading; confined: Reading } {
  const processes = descendants(system, runner);
  if (processes === undefined) {
    const many = {
      holds: undefined,
      observed: `more than ${MOST_PROCESSES} processes: not all are read`,
    };
    return { inside: many, confined: many };
  }
  if (processes.every((pid) => hasEnded(system, pid))) {
    const gone = { holds: undefined, observed: "the engine is not there" };
    return { inside: gone, confined: gone };
  }
  try {
    return {
      inside: insideReading(system, runner, processes, plan),
      confined: confinedReading(system, processes, plan),
    };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const unread = { holds: undefined, observed: error.message };
    return { inside: unread, confined: unread };
  }
}

function insideReading(
  system: Linux,
  runner: number,
  processes: readonly number[],
  plan: LinuxPlan,
): Reading {
  const where = (pid: number) =>
    Object.values(NS_FILE).map((file) => system.readLink(`/proc/${pid}/ns/${file}`)).join(" ");
  const its = where(runner);
  const root = system.readText(`/proc/${runner}/mountinfo`);
  const group = plan.launch?.cgroup;
  const readings = readEach(system, processes, (pid) => {
    const reading = {
      outside: where(pid) !== its,
      other: system.readText(`/proc/${pid}/mountinfo`) !== root,
      ungrouped: group ? readGroups(system, pid, group).holds !== true : false,
    };
    // What is read of one that ends meanwhile says nothing of where it was.
    if (Object.values(reading).some(Boolean) && hasEnded(system, pid)) return undefined;
    return reading;
  }).filter((reading) => reading !== undefined);
  const count = (name: "outside" | "other" | "ungrouped") =>
    readings.filter((reading) => reading[name]).length;
  const problems = [
    ...(count("outside") > 0 ? [`${count("outside")} in other namespaces`] : []),
    ...(count("other") > 0 ? [`${count("other")} with another root`] : []),
    ...(count("ungrouped") > 0 ? [`${count("ungrouped")} outside the runner's groups`] : []),
  ];
  return {
    holds: readings.length === 0 ? undefined : problems.length === 0,
    observed: [
      plural(readings.length, "process", "processes"),
      ...(problems.length > 0 ? problems : ["where the runner is"]),
    ].join(", "),
  };
}

function readBack(system: Linux, pid: number, plan: LinuxPlan): boolean | undefined {
  try {
    return checkCompanion(system, pid, plan);
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

function confinedReading(
  system: Linux,
  processes: readonly number[],
  plan: LinuxPlan,
): Reading {
  const user = plan.launch?.user ?? null;
  const filters = (status: string) => Number(/^Seccomp_filters:\s*(\d+)$/m.exec(status)?.[1]);
  // A process inherits its parent's: those of a service manager's are not the engine's own.
  const inherited = filters(system.readText("/proc/self/status"));
  let threads = 0;
  const problems = new Set<string>();
  for (const pid of processes) {
    for (const tid of listThreads(system, pid)) {
      const text = readOptional(system, `/proc/${pid}/task/${tid}/status`);
      if (text === null) continue; // it ended in between
      threads++;
      const value = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
      if (value("NoNewPrivs") !== "1") problems.add("NoNewPrivs is not set");
      if (value("Seccomp") !== "2" || filters(text) - inherited < 1) problems.add("no filter");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
        if (!/^0+$/.test(value(set))) problems.add(`${set} ${value(set)}`);
      }
      const ids = [...value("Uid").split(/\s+/), ...value("Gid").split(/\s+/)];
      const good = user === null
        ? value("Uid").split(/\s+/).every((id) => id !== "0")
        : ids.every((id) => id === String(user));
      if (!good) problems.add(`ids ${ids.join(" ")}`);
    }
  }
  // A process with filters of its own is shown nobody's; whoever is not root neither.
  const asPlanned = inherited === 0 ? readBack(system, processes[0]!, plan) : undefined;
  if (asPlanned === false) problems.add("another filter than was planned");
  return {
    holds: threads === 0 ? undefined : problems.size === 0,
    observed: [
      plural(threads, "thread"),
      ...(problems.size > 0 ? problems : [
        `one filter of their own${asPlanned ? ", read back by ptrace: as planned" : ""}`,
        "no capability, not root; Landlock rests on the launcher",
      ]),
    ].join(", "),
  };
}
