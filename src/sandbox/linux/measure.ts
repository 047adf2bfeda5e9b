/**
 * The gateway's own reading of a running runner, from /proc of the host: what the kernel says of every thread, not what the
 * runner says of itself. Read by native calls: Deno refuses /proc/PID without all permissions.
 */
import { type Linux, linux, SystemCallError } from "../../linux/libc.ts";
import { problemsOf } from "../judge.ts";
import type { LayerReport, LayerState, OwnReport } from "../types.ts";
import { NS_FILE } from "./capabilities.ts";
import { readGroups } from "./cgroup_life.ts";
import type { LinuxPlan } from "./plan.ts";
import type { LinuxLayerName, ReportLayer } from "./plan_layers.ts";
import { BASE_POLICY, type Namespace } from "./policy.ts";
import { measureCompanion } from "./measure_companion.ts";
import { onItsWord, readFilters, seccompReport, stage2Report } from "./measure_filters.ts";
import { rootReport } from "./measure_root.ts";
import { readStatus, type Status } from "./thread_status.ts";
import { plural } from "../../plural.ts";

/**
 * The host's pid of the runner: where `unshare` forks, the only child of the process that was spawned; else that process. The
 * launcher has the same pid before it becomes the runner. Undefined: it is not there (yet, or any more).
 */
export function findRunnerPid(childPid: number, forks: boolean): number | undefined {
  if (!forks) return childPid;
  try {
    const children = linux().readText(`/proc/${childPid}/task/${childPid}/children`).trim();
    const pids = children.split(/\s+/).filter((pid) => pid !== "").map(Number);
    return pids.length === 1 ? pids[0] : undefined;
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

/**
 * Every layer of `plan` as it is on process `pid` now. A process that is gone gives "unreadable" throughout.
 * Filters above one show that stage 2 stands on top of the launcher's.
 */
export function measureRunner(pid: number, plan: LinuxPlan): LayerReport[] {
  const system = linux();
  const planned = new Map(plan.layers.map((layer) => [layer.layer, layer.planned]));
  let threads: Status[];
  try {
    threads = system.readDirectory(`/proc/${pid}/task`)
      .flatMap((tid) => {
        try {
          return [readStatus(system, `/proc/${pid}/task/${tid}/status`)];
        } catch {
          return []; // it ended in between
        }
      });
    if (threads.length === 0) throw new SystemCallError("read threads", 3);
  } catch (error) {
    const reason = error instanceof SystemCallError ? error.message : "not read";
    return plan.layers.map(({ layer }) => ({ layer, state: "unreadable", observed: reason }));
  }
  const report: ReportLayer = (layer, holds, observed) => {
    const state: LayerState = !planned.get(layer)
      ? "not planned"
      : holds === undefined
      ? "unreadable"
      : holds
      ? "enforced"
      : "missing";
    return { layer, state, observed };
  };
  const every = (layer: LinuxLayerName, name: string, wanted: (value: string) => boolean) => {
    const values = threads.map((status) => status.get(name) ?? "absent");
    const good = values.filter(wanted).length;
    const seen = [...new Set(values)].join(", ");
    return report(
      layer,
      good === threads.length,
      `${good} of ${plural(threads.length, "thread")}: ${name} ${seen}`,
    );
  };
  const filters = readFilters(system, pid, plan, threads);
  return [
    ...BASE_POLICY.namespaces.map((name) => namespaceReport(system, pid, name, report)),
    rootReport(system, pid, plan, report),
    userReport(threads, plan, report),
    capabilityReport(threads, plan, report),
    every("no new privileges", "NoNewPrivs", (value) => value === "1"),
    onItsWord(landlockReport(system, pid, plan, report)),
    seccompReport(threads, filters, report),
    stage2Report(filters, report),
    limitsReport(system, pid, plan, report),
    groupReport(system, pid, plan, report),
    ...(plan.launch?.companion ? companionReports(system, pid, plan) : []),
    report(
      "dies with the gateway",
      isGuarded(system, pid, plan),
      plan.forks ? "unshare --kill-child, and PR_SET_PDEATHSIG" : "PR_SET_PDEATHSIG",
    ),
  ];
}

function companionReports(system: Linux, pid: number, plan: LinuxPlan): LayerReport[] {
  const { inside, confined } = measureCompanion(system, pid, plan);
  const state = (holds: boolean | undefined): LayerState =>
    holds === undefined ? "unreadable" : holds ? "enforced" : "missing";
  return [
    { layer: "engine in the sandbox", state: state(inside.holds), observed: inside.observed },
    { layer: "engine confined", state: state(confined.holds), observed: confined.observed },
  ];
}

function namespaceReport(
  system: Linux,
  pid: number,
  name: Namespace,
  report: ReportLayer,
): LayerReport {
  const layer: LinuxLayerName = `${name === "net" ? "network" : name} namespace`;
  const file = NS_FILE[name];
  const own = system.readLink(`/proc/self/ns/${file}`);
  try {
    const its = system.readLink(`/proc/${pid}/ns/${file}`);
    return report(layer, its !== own, `${its}, the gateway's is ${own}`);
  } catch (error) {
    if (error instanceof SystemCallError) return report(layer, undefined, error.message);
    throw error;
  }
}

/** Real, effective, saved and file-system ids of user and group: those planned, or at least not root's; then no further groups. */
function userReport(threads: readonly Status[], plan: LinuxPlan, report: ReportLayer): LayerReport {
  const user = plan.launch?.user ?? null;
  const holds = (status: Status) => {
    const ids = (name: string) => status.get(name)?.split(/\s+/) ?? ["absent"];
    if (user === null) return ids("Uid").every((id) => id !== "0");
    return [...ids("Uid"), ...ids("Gid")].every((id) => id === String(user)) &&
      status.get("Groups") === "";
  };
  const good = threads.filter(holds).length;
  const ids = ["Uid", "Gid"].map((name) => {
    const values = new Set(threads.map((status) => status.get(name)?.replaceAll("\t", " ")));
    return `${name} ${[...values].join(", ")}`;
  });
  return report(
    "unprivileged user",
    good === threads.length,
    `${good} of ${plural(threads.length, "thread")}: ${ids.join(", ")}`,
  );
}

function capabilityReport(
  threads: readonly Status[],
  plan: LinuxPlan,
  report: ReportLayer,
): LayerReport {
  const sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
  // The launcher can empty the bounding set where it begins with rights: as root, or in a user namespace that kept them.
  if (plan.launch?.user !== null || plan.launch?.root !== null) sets.push("CapBnd");
  const held = threads.filter((status) =>
    sets.some((name) => !/^0+$/.test(status.get(name) ?? "x"))
  );
  return report(
    "no capabilities",
    held.length === 0,
    `${threads.length - held.length} of ${plural(threads.length, "thread")} without any`,
  );
}

/**
 * The kernel shows no process's Landlock domain from outside, so this rests on the launcher, which cannot reach exec without
 * it, and on its own trace: the process that runs is no longer the launcher.
 */
function landlockReport(
  system: Linux,
  pid: number,
  plan: LinuxPlan,
  report: ReportLayer,
): LayerReport {
  try {
    const [name] = system.readText(`/proc/${pid}/cmdline`).split("\0");
    const launched = name === plan.launch?.exec.argv[0];
    return report(
      "landlock",
      launched,
      launched
        ? "applied before exec; that it holds is the runner's word, as the kernel shows it to nobody"
        : "not yet applied",
    );
  } catch (error) {
    if (error instanceof SystemCallError) return report("landlock", undefined, error.message);
    throw error;
  }
}

const LIMIT_LABEL: { readonly [name: string]: string } = {
  core: "Max core file size",
  fsize: "Max file size",
  nofile: "Max open files",
  nproc: "Max processes",
  data: "Max data size",
  memlock: "Max locked memory",
  msgqueue: "Max msgqueue size",
  sigpending: "Max pending signals",
};

function limitsReport(
  system: Linux,
  pid: number,
  plan: LinuxPlan,
  report: ReportLayer,
): LayerReport {
  try {
    const text = system.readText(`/proc/${pid}/limits`);
    const wrong = Object.entries(plan.launch?.limits ?? {}).filter(([name, value]) => {
      const line = text.split("\n").find((l) => l.startsWith(LIMIT_LABEL[name] ?? "?"));
      const [soft, hard] = line?.slice(26).trim().split(/\s+/) ?? [];
      return Number(soft) !== value || Number(hard) !== value;
    });
    const names = Object.keys(plan.launch?.limits ?? {});
    return report(
      "limits",
      wrong.length === 0,
      wrong.length === 0 ? names.join(", ") : `not as planned: ${wrong.map(([n]) => n).join(", ")}`,
    );
  } catch (error) {
    if (error instanceof SystemCallError) return report("limits", undefined, error.message);
    throw error;
  }
}

function groupReport(
  system: Linux,
  pid: number,
  plan: LinuxPlan,
  report: ReportLayer,
): LayerReport {
  if (!plan.launch?.cgroup) {
    return report("cgroup", false, plan.layers.find((l) => l.layer === "cgroup")?.detail ?? "");
  }
  const { holds, observed } = readGroups(system, pid, plan.launch.cgroup);
  return report("cgroup", holds, observed);
}

/** Whether its parent is the process that this one spawned, and that one runs `unshare`; or is this process itself. */
function isGuarded(system: Linux, pid: number, plan: LinuxPlan): boolean | undefined {
  try {
    const parent = readStatus(system, `/proc/${pid}/status`).get("PPid");
    if (!plan.forks) return Number(parent) === Deno.pid;
    const command = system.readText(`/proc/${parent}/cmdline`).split("\0");
    return command[0]?.endsWith("/unshare") === true && command.includes("--kill-child");
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

/** What runner/lockdown.ts reports besides the plan's layers. */
const OWN_LAYERS = ["not dumpable", "no core dump", "no new privileges"];

/**
 * What speaks against a running process, one line each; empty: every planned layer is in force. A planned layer that could
 * not be read counts against it. Landlock rests on the runner's own report: the kernel does not show it to others.
 */
export function judgeRunner(
  plan: LinuxPlan,
  layers: readonly LayerReport[],
  own: readonly OwnReport[],
): string[] {
  return problemsOf(
    layers,
    own,
    plan.launch === null ? [] : [
      ...OWN_LAYERS,
      ...(plan.launch.seccomp === null ? [] : ["stage 2"]),
      ...(plan.launch.landlock === null ? [] : ["landlock"]),
    ],
  );
}
