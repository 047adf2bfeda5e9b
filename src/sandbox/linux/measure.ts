/**
 * The gateway's own reading of a running runner, from /proc of the host: what the kernel says of every thread, not what the
 * runner says of itself. Read by native calls: Deno refuses /proc/PID without all permissions.
 */
import { type Linux, linux, SystemCallError } from "../../linux/libc.ts";
import { problemsOf } from "../judge.ts";
import type { LayerReport, LayerState, OwnReport } from "../types.ts";
import { NS_FILE } from "./capabilities.ts";
import { checkFilters, type FilterCheck } from "./filter_check.ts";
import { readGroups } from "./cgroup_life.ts";
import type { Bind } from "./launch_spec.ts";
import type { LinuxPlan } from "./plan.ts";
import type { LinuxLayerName } from "./plan_layers.ts";
import { isDirectory } from "./executables.ts";
import { BASE_POLICY, type Namespace } from "./policy.ts";
import { measureCompanion } from "./measure_companion.ts";

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

type Status = ReadonlyMap<string, string>;

function readStatus(system: Linux, path: string): Status {
  return new Map(
    system.readText(path).split("\n").map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
  );
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
  const report = (
    layer: LinuxLayerName,
    holds: boolean | undefined,
    observed: string,
  ): LayerReport => {
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
      `${good} of ${threads.length} threads: ${name} ${seen}`,
    );
  };
  // A process inherits its parent's filters: under a service manager the gateway may have a score of its own.
  const inherited = Number(readStatus(system, "/proc/self/status").get("Seccomp_filters") ?? NaN);
  const filters = threads.map((status) => Number(status.get("Seccomp_filters") ?? NaN) - inherited);
  // A process with filters of its own is shown nobody's.
  const check = Math.min(...filters) >= 2 && inherited === 0
    ? checkFilters(system, pid, plan)
    : undefined;
  return [
    ...BASE_POLICY.namespaces.map((name) => namespaceReport(system, pid, name, report)),
    rootReport(system, pid, plan, report),
    userReport(threads, plan, report),
    capabilityReport(threads, plan, report),
    every("no new privileges", "NoNewPrivs", (value) => value === "1"),
    onItsWord(landlockReport(system, pid, plan, report)),
    seccompReport(threads, { filters, check }, report),
    stage2Report({ filters, inherited, check }, report),
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

/** Marks what is in force as far as can be seen, and for the rest by the runner's own report. */
function onItsWord(seen: LayerReport): LayerReport {
  return seen.state === "enforced" ? { ...seen, word: "runner" } : seen;
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

type Report = (layer: LinuxLayerName, holds: boolean | undefined, observed: string) => LayerReport;

function namespaceReport(
  system: Linux,
  pid: number,
  name: Namespace,
  report: Report,
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

/** Its mount table: a read-only tmpfs at `/`, the planned binds in it, and nothing that could be written or raise rights. */
function rootReport(system: Linux, pid: number, plan: LinuxPlan, report: Report): LayerReport {
  try {
    const mounts = system.readText(`/proc/${pid}/mountinfo`).trim().split("\n").map((line) => {
      const fields = line.split(" ");
      return {
        at: fields[4]!.replaceAll(
          /\\([0-7]{3})/g,
          (_, code) => String.fromCharCode(parseInt(code, 8)),
        ),
        options: fields[5]!.split(","),
        type: fields[fields.indexOf("-") + 1]!,
      };
    });
    const roots = mounts.filter(({ at }) => at === "/");
    // The one folder in memory that an engine has its socket in.
    const own = plan.launch?.root?.writable?.at;
    const writable = mounts.filter(({ options, at, type }) =>
      !options.includes("ro") && !(at === own && type === "tmpfs" && options.includes("nosuid"))
    ).map(({ at }) => at);
    const binds = plan.launch?.root?.binds ?? [];
    const wrong = binds.filter((bind) => {
      const options = mounts.find(({ at }) => at === bind.to)?.options;
      return !bindOptions(bind, system).every((option) => options?.includes(option));
    }).map(({ to }) => to);
    const type = roots.map((root) => root.type).join(", ");
    const problems = [
      ...(writable.length > 0 ? [`writable: ${writable.slice(0, 3).join(", ")}`] : []),
      ...(wrong.length > 0 ? [`not mounted as planned: ${wrong.slice(0, 3).join(", ")}`] : []),
    ];
    return report(
      "private root",
      type === "tmpfs" && problems.length === 0,
      [`/ is ${type}`, ...problems, `${mounts.length} mounts`].join(", ") +
        (writable.length > 0
          ? ""
          : own === undefined
          ? ", all read-only"
          : `, all but ${own} read-only`),
    );
  } catch (error) {
    if (error instanceof SystemCallError) return report("private root", undefined, error.message);
    throw error;
  }
}

/** Real, effective, saved and file-system ids of user and group: those planned, or at least not root's; then no further groups. */
function userReport(threads: readonly Status[], plan: LinuxPlan, report: Report): LayerReport {
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
    `${good} of ${threads.length} threads: ${ids.join(", ")}`,
  );
}

/** A filter of the launcher's, on top of those that the gateway has itself. Kernels before 5.9 do not show how many there are. */
function seccompReport(
  threads: readonly Status[],
  { filters: added, check }: Filters,
  report: Report,
): LayerReport {
  const good =
    threads.filter((status, i) => status.get("Seccomp") === "2" && !(added[i]! < 1)).length;
  const seen = [...new Set(threads.map((status) => status.get("Seccomp") ?? "absent"))].join(", ");
  return report(
    "seccomp",
    good === threads.length && check?.first !== false,
    `${good} of ${threads.length} threads: Seccomp ${seen}` +
      (check?.first === undefined
        ? "; what it says is the launcher's word"
        : readBack(check.first, check)),
  );
}

/** Filters beside the gateway's own, by thread, and what was read of them. */
interface Filters {
  readonly filters: readonly number[];
  readonly check: FilterCheck | undefined;
}

/** A second filter, on top of the launcher's. What it says is read back where that can be; else it is the runner's word. */
function stage2Report(
  { filters, inherited, check }: Filters & { readonly inherited: number },
  report: Report,
): LayerReport {
  const beside = inherited > 0 ? ` beside the gateway's ${inherited}` : "";
  const word = "; what the second says is the runner's word";
  const why = check === undefined || check.second !== undefined ? "" : ` (${check.observed})`;
  const seen = report(
    "stage 2",
    filters.some(Number.isNaN) ? undefined : Math.min(...filters) >= 2 && check?.second !== false,
    `${Math.min(...filters)} filters on every thread${beside}` +
      (check?.second === undefined ? word + why : readBack(check.second, check)),
  );
  return check?.second === undefined ? onItsWord(seen) : seen;
}

function readBack(asPlanned: boolean, check: FilterCheck): string {
  return `; ${check.observed}: ${asPlanned ? "as planned" : "another than was planned"}`;
}

function capabilityReport(
  threads: readonly Status[],
  plan: LinuxPlan,
  report: Report,
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
    `${threads.length - held.length} of ${threads.length} threads hold none`,
  );
}

/**
 * The kernel shows no process's Landlock domain from outside, so this rests on the launcher, which cannot reach exec without
 * it, and on its own trace: the process that runs is no longer the launcher.
 */
function landlockReport(system: Linux, pid: number, plan: LinuxPlan, report: Report): LayerReport {
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

function limitsReport(system: Linux, pid: number, plan: LinuxPlan, report: Report): LayerReport {
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

function groupReport(system: Linux, pid: number, plan: LinuxPlan, report: Report): LayerReport {
  if (!plan.launch?.cgroup) {
    return report("cgroup", false, plan.layers.find((l) => l.layer === "cgroup")?.detail ?? "");
  }
  const { holds, observed } = readGroups(system, pid, plan.launch.cgroup);
  return report("cgroup", holds, observed);
}

/** Options that the mount of a bind must show; see private_root.ts. */
function bindOptions(bind: Bind, system: Linux): string[] {
  const common = ["ro", "nosuid"];
  if (bind.kind === "device") return [...common, "noexec"];
  const data = bind.kind === "data" ||
    (bind.kind === "content" && !isDirectory(system, bind.from));
  return [...common, "nodev", ...(data ? ["noexec"] : [])];
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
