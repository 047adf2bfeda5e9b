/** A runner's filters of system calls: how many there are, and what they say where they can be read back. */
import type { Linux } from "../../linux/libc.ts";
import type { LayerReport } from "../types.ts";
import { checkFilters, type FilterCheck } from "./filter_check.ts";
import type { LinuxPlan } from "./plan.ts";
import type { ReportLayer } from "./plan_layers.ts";
import { readStatus, type Status } from "./thread_status.ts";
import { plural } from "../../plural.ts";

/** The filters of a runner. */
interface Filters {
  /** How many each thread has beside the gateway's own; NaN: the kernel does not show it (before 5.9). */
  readonly added: readonly number[];
  /** The gateway's own. */
  readonly inherited: number;
  /** What was read of them. */
  readonly check: FilterCheck | undefined;
}

/** Reads the filters of the process with these threads. */
export function readFilters(
  system: Linux,
  pid: number,
  plan: LinuxPlan,
  threads: readonly Status[],
): Filters {
  // A process inherits its parent's filters: under a service manager the gateway may have a score of its own.
  const inherited = Number(readStatus(system, "/proc/self/status").get("Seccomp_filters") ?? NaN);
  const added = threads.map((status) => Number(status.get("Seccomp_filters") ?? NaN) - inherited);
  // A process with filters of its own is shown nobody's.
  const check = Math.min(...added) >= 2 && inherited === 0
    ? checkFilters(system, pid, plan)
    : undefined;
  return { added, inherited, check };
}

/** Marks what is in force as far as can be seen, and for the rest by the runner's own report. */
export function onItsWord(seen: LayerReport): LayerReport {
  return seen.state === "enforced" ? { ...seen, word: "runner" } : seen;
}

/** A filter of the launcher's, on top of those that the gateway has itself. Kernels before 5.9 do not show how many there are. */
export function seccompReport(
  threads: readonly Status[],
  { added, check }: Filters,
  report: ReportLayer,
): LayerReport {
  const good =
    threads.filter((status, i) => status.get("Seccomp") === "2" && !(added[i]! < 1)).length;
  const seen = [...new Set(threads.map((status) => status.get("Seccomp") ?? "absent"))].join(", ");
  return report(
    "seccomp",
    good === threads.length && check?.first !== false,
    `${good} of ${plural(threads.length, "thread")}: Seccomp ${seen}` +
      (check?.first === undefined
        ? "; what it says is the launcher's word"
        : readBack(check.first, check)),
  );
}

/** A second filter, on top of the launcher's. What it says is read back where that can be; else it is the runner's word. */
export function stage2Report(
  { added, inherited, check }: Filters,
  report: ReportLayer,
): LayerReport {
  const beside = inherited > 0 ? ` beside the gateway's ${inherited}` : "";
  const word = "; what the second says is the runner's word";
  const why = check === undefined || check.second !== undefined ? "" : ` (${check.observed})`;
  const seen = report(
    "stage 2",
    added.some(Number.isNaN) ? undefined : Math.min(...added) >= 2 && check?.second !== false,
    `${plural(Math.min(...added), "filter")} on every thread${beside}` +
      (check?.second === undefined ? word + why : readBack(check.second, check)),
  );
  return check?.second === undefined ? onItsWord(seen) : seen;
}

function readBack(asPlanned: boolean, check: FilterCheck): string {
  return `; ${check.observed}: ${asPlanned ? "as planned" : "another than was planned"}`;
}
