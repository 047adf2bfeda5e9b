/** What a Linux plan says of itself: each layer by its name, whether it is there, and what it does or why it is not. */
import type { SeccompPolicy } from "../../linux/seccomp.ts";
import type { LayerReport, PlannedLayer } from "../types.ts";
import { type Capabilities, namespacesFor } from "./capabilities.ts";
import { limitFiles } from "./cgroup.ts";
import type { CgroupPlan } from "./cgroup_life.ts";
import type { LaunchSpec } from "./launch_spec.ts";
import { BASE_POLICY, type Namespace } from "./policy.ts";
import { plural } from "../../plural.ts";

export type LinuxLayerName =
  | "user namespace"
  | "network namespace"
  | "pid namespace"
  | "mount namespace"
  | "ipc namespace"
  | "uts namespace"
  | "cgroup namespace"
  | "private root"
  | "unprivileged user"
  | "no capabilities"
  | "no new privileges"
  | "landlock"
  | "seccomp"
  | "stage 2"
  | "limits"
  | "cgroup"
  | "engine in the sandbox"
  | "engine confined"
  | "dies with the gateway";

/** Makes the report of a layer that was measured. `holds` undefined: it could not be read. */
export type ReportLayer = (
  layer: LinuxLayerName,
  holds: boolean | undefined,
  observed: string,
) => LayerReport;

const NAMESPACE_DETAIL: Record<Namespace, string> = {
  user: "ids of its own, no rights outside",
  net: "no interface, not even loopback",
  ipc: "no System V or POSIX queue of the host",
  uts: "a host name of its own",
  cgroup: "no view of the host's groups",
  pid: "sees no other process; ends with its first",
  mount: "mounts of its own",
};

function groupDetail(plan: CgroupPlan | null, caps: Capabilities): string {
  const limits = (plan?.places ?? []).flatMap((place) =>
    limitFiles(place, plan!.limits).filter((f) => !f.optional).map((f) => `${f.file} ${f.value}`)
  );
  return [...limits, ...(caps.cgroup.reason === "" ? [] : [caps.cgroup.reason])].join(", ");
}

function allowed(policy: SeccompPolicy): number {
  return new Set([...Object.keys(policy.calls), ...policy.conditional.map((r) => r.call)]).size;
}

/** The layers of what is to be launched. @param namespaces Whether they can be made here. */
export function describeLayers(
  spec: LaunchSpec,
  caps: Capabilities,
  namespaces: boolean,
): PlannedLayer<LinuxLayerName>[] {
  const entered = new Set(namespacesFor(caps.uid));
  const missing = caps.namespaces.reason;
  const layer = (
    name: LinuxLayerName,
    planned: boolean,
    on: string,
    off: string,
  ): PlannedLayer<LinuxLayerName> => ({
    layer: name,
    planned,
    detail: planned ? on : off,
  });
  return [
    ...BASE_POLICY.namespaces.map((name) =>
      layer(
        `${name === "net" ? "network" : name} namespace`,
        namespaces && entered.has(name),
        NAMESPACE_DETAIL[name],
        entered.has(name) ? missing : "root gives up its id instead",
      )
    ),
    layer(
      "private root",
      spec.root !== null,
      `${spec.root?.binds.length} read-only paths, nothing else exists`,
      namespaces ? "unshare cannot keep the rights that it needs" : missing,
    ),
    layer(
      "unprivileged user",
      true,
      spec.user === null ? `already runs as ${caps.uid}` : `root becomes ${spec.user}`,
      "",
    ),
    layer("no capabilities", true, "all sets empty", ""),
    layer("no new privileges", true, "set before exec", ""),
    layer(
      "landlock",
      spec.landlock !== null,
      `ABI ${caps.landlockAbi}, ${plural(spec.landlock?.rules.length ?? 0, "path")}`,
      "the kernel has none",
    ),
    layer(
      "seccomp",
      spec.seccomp !== null,
      `allowlist of ${allowed(BASE_POLICY.seccomp)} calls`,
      "the kernel has none",
    ),
    layer(
      "stage 2",
      spec.seccomp !== null,
      `after load: allowlist of ${allowed(BASE_POLICY.stage2)} calls; no file, exec, PROT_EXEC`,
      "the kernel has no filters",
    ),
    layer(
      "limits",
      Object.keys(spec.limits).length > 0,
      Object.entries(spec.limits).map(([name, value]) => `${name} ${value}`).join(", "),
      "none",
    ),
    layer(
      "cgroup",
      spec.cgroup !== null,
      groupDetail(spec.cgroup, caps),
      `unavailable (${caps.cgroup.reason})`,
    ),
    ...(spec.companion === null ? [] : [
      layer("engine in the sandbox", true, "the runner's namespaces, root, user and groups", ""),
      layer(
        "engine confined",
        true,
        `its own Landlock rules and allowlist (${spec.companion.kind}); no second filter`,
        "",
      ),
    ]),
    layer("dies with the gateway", true, "parent-death signal", ""),
  ];
}
