/** Whether a runner's filters are those that were planned, instruction for instruction, as the kernel gives them to root. */
import { encode } from "../../linux/bpf.ts";
import { type Linux, SystemCallError } from "../../linux/libc.ts";
import { joined, mappedFiles } from "../../linux/mapped_files.ts";
import { readFilters } from "../../linux/read_filters.ts";
import { compile } from "../../linux/seccomp.ts";
import { stage2Of } from "../../linux/stage2.ts";
import { companionProgram } from "./companion_steps.ts";
import { programDescriptor } from "./launch_steps.ts";
import type { LinuxPlan } from "./plan.ts";
import { BASE_POLICY, seccompFor, stage2More } from "./policy.ts";
import { plural } from "../../plural.ts";

/** What was read; `undefined` for the filters: they could not be, and `observed` says why. */
export interface FilterCheck {
  /** Whether the launcher's filter is the planned one on every thread. */
  readonly first: boolean | undefined;
  /** The same of the one that the runner adds. */
  readonly second: boolean | undefined;
  readonly observed: string;
}

/** A thread keeps its filters, and gives them to those that it makes: what was read once need not be read again. */
const seen = new WeakMap<LinuxPlan, Map<number, FilterCheck>>();

/**
 * Reads the first two filters of every thread. Further ones could only take more away.
 * @param pid A runner that has taken stage 2, started by a process without filters of its own.
 */
export function checkFilters(system: Linux, pid: number, plan: LinuxPlan): FilterCheck {
  const before = seen.get(plan)?.get(pid);
  if (before !== undefined) return before;
  const gpu = plan.launch?.seccomp;
  // A driver opens and maps files after stage 2 was made for those that were mapped.
  if (gpu !== "none") return unread("what was planned beside a GPU is not known to the byte");
  try {
    const check = compare(system, pid, plan);
    if (check.first && check.second) {
      seen.set(plan, (seen.get(plan) ?? new Map<number, FilterCheck>()).set(pid, check));
    }
    return check;
  } catch (error) {
    if (error instanceof SystemCallError) return unread(error.message);
    throw error;
  }
}

function unread(why: string): FilterCheck {
  return { first: undefined, second: undefined, observed: why };
}

function compare(system: Linux, pid: number, plan: LinuxPlan): FilterCheck {
  const self = pidInside(system, pid);
  const execFd = programDescriptor(plan.launch!);
  const { arch } = system;
  const { filter, companion } = plan.launch!;
  const first = encode(compile(seccompFor("none", filter), { arch, variables: { self, execFd } }));
  const more = stage2More("none", companion !== null) ?? undefined;
  const maps = system.readText(`/proc/${pid}/maps`);
  // Shared memory without a file looks like one, and may have come later.
  const later = maps.split("\n").filter((line) => !line.endsWith("/dev/zero (deleted)")).join("\n");
  const second = [maps, later].map((text) =>
    encode(compile(stage2Of(BASE_POLICY, more), { arch, files: joined(mappedFiles(text)) }))
  );
  let threads = 0;
  let [asFirst, asSecond] = [0, 0];
  for (const tid of system.readDirectory(`/proc/${pid}/task`)) {
    const filters = readFilters(system, Number(tid));
    if (filters === undefined) continue;
    threads++;
    if (isSame(filters[0], first)) asFirst++;
    if (second.some((wanted) => isSame(filters[1], wanted))) asSecond++;
  }
  if (threads === 0) return unread("it has ended");
  return {
    first: asFirst === threads,
    second: asSecond === threads,
    observed: `read back by ptrace from ${plural(threads, "thread")}`,
  };
}

/** As the process itself sees it. */
function pidInside(system: Linux, pid: number): number {
  return Number(/^NSpid:.*?(\d+)$/m.exec(system.readText(`/proc/${pid}/status`))?.[1] ?? pid);
}

/**
 * Whether the engine beside a runner has the planned filter, on every thread of its first process.
 * @returns undefined: it could not be read.
 */
export function checkCompanion(system: Linux, pid: number, plan: LinuxPlan): boolean | undefined {
  const { companion, seccomp: gpu } = plan.launch!;
  if (companion === null || gpu === null) return undefined;
  // One that may vfork(2) has threads that do not stop when they are asked to, and would stop for good later.
  if (companion.kind === "vllm") return undefined;
  const before = companions.get(plan)?.get(pid);
  if (before) return true;
  const { arch } = system;
  const variables = { self: pidInside(system, pid), execFd: companionProgram(companion) };
  const wanted = encode(compile(seccompFor(gpu, companion.kind), { arch, variables }));
  const filters = system.readDirectory(`/proc/${pid}/task`)
    .map((tid) => readFilters(system, Number(tid))).filter((one) => one !== undefined);
  if (filters.length === 0) return undefined;
  const good = filters.every(([first]) => isSame(first, wanted));
  if (good) {
    companions.set(plan, (companions.get(plan) ?? new Map<number, true>()).set(pid, true));
  }
  return good;
}

const companions = new WeakMap<LinuxPlan, Map<number, true>>();

function isSame(got: Uint8Array | undefined, wanted: Uint8Array): boolean {
  return got?.length === wanted.length && wanted.every((byte, at) => byte === got[at]);
}
