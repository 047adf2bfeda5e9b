/** A runner's private root, as its mount table shows it to the gateway. */
import { type Linux, SystemCallError } from "../../linux/libc.ts";
import type { LayerReport } from "../types.ts";
import { isDirectory } from "./executables.ts";
import type { Bind } from "./launch_spec.ts";
import type { LinuxPlan } from "./plan.ts";
import type { ReportLayer } from "./plan_layers.ts";
import { plural } from "../../plural.ts";

/** Its mount table: a read-only tmpfs at `/`, the planned binds in it, and nothing that could be written or raise rights. */
export function rootReport(
  system: Linux,
  pid: number,
  plan: LinuxPlan,
  report: ReportLayer,
): LayerReport {
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
      [`/ is ${type}`, ...problems, plural(mounts.length, "mount")].join(", ") +
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

/** Options that the mount of a bind must show; see private_root.ts. */
function bindOptions(bind: Bind, system: Linux): string[] {
  const common = ["ro", "nosuid"];
  if (bind.kind === "device") return [...common, "noexec"];
  const data = bind.kind === "data" ||
    (bind.kind === "content" && !isDirectory(system, bind.from));
  return [...common, "nodev", ...(data ? ["noexec"] : [])];
}
