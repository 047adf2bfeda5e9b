/**
 * What leaves parts of the sandbox out, for tests and benches that show what each is worth: whole layers of a plan, or single steps
 * of a start. No file of the product may import it (tests/import_rule_test.ts).
 */
import type { Step } from "../../linux/syscall_table.ts";
import type { StartOptions } from "../spawn.ts";
import type { RunnerTarget, SandboxMode } from "../types.ts";
import type { Capabilities } from "./capabilities.ts";
import { startChain } from "./chain.ts";
import { type LinuxPlan, makeLinuxPlan } from "./plan.ts";
import { ALL_STEPS, startRunner } from "./spawn.ts";

export type LeftOut =
  | "namespaces"
  | "private root"
  | "landlock"
  | "seccomp"
  | "limits"
  | "cgroup";

/** The same machine, if it could not enforce these. */
export function capabilitiesWithout(
  caps: Capabilities,
  without: readonly LeftOut[],
): Capabilities {
  const off = new Set(without);
  const reason = "left out";
  const { namespaces, cgroup } = caps;
  return {
    ...caps,
    namespaces: off.has("namespaces")
      ? { usable: false, privateRoot: false, reason }
      : { ...namespaces, privateRoot: namespaces.privateRoot && !off.has("private root") },
    ...(off.has("landlock") ? { landlockAbi: 0, landlockReason: reason } : {}),
    seccomp: caps.seccomp && !off.has("seccomp"),
    cgroup: off.has("cgroup") ? { places: [], reason } : cgroup,
  };
}

/** The plan with these layers left out. */
export function planWithout(
  target: RunnerTarget,
  caps: Capabilities,
  o: { mode: SandboxMode; without: readonly LeftOut[]; user?: number },
): LinuxPlan {
  const plan = makeLinuxPlan(target, capabilitiesWithout(caps, o.without), o.mode, o.user);
  if (!o.without.includes("limits") || plan.launch === null) return plan;
  return {
    ...plan,
    layers: plan.layers.map((l) =>
      l.layer === "limits" ? { ...l, planned: false, detail: "left out" } : l
    ),
    launch: { ...plan.launch, limits: {} },
  };
}

/**
 * A plan with an engine, whose target is put in the engine's place: with that one's filter, limits and folder. What it reads stays its
 * own, and there is nobody beside it.
 */
export function inEnginesPlace(plan: LinuxPlan): LinuxPlan {
  const { launch } = plan;
  const companion = launch?.companion;
  if (!launch || !companion) throw new TypeError("the plan has no engine");
  const folder = companion.landlock?.rules.at(-1);
  return {
    ...plan,
    layers: plan.layers.map((layer) =>
      ["engine in the sandbox", "engine confined", "stage 2"].includes(layer.layer)
        ? { ...layer, planned: false, detail: "the engine's place" }
        : layer
    ),
    launch: {
      ...launch,
      filter: companion.kind,
      limits: companion.limits,
      landlock: launch.landlock && folder
        ? { ...launch.landlock, rules: [...launch.landlock.rules, folder] }
        : null,
      companion: null,
    },
  };
}

export interface Sabotage {
  /** Changes the tables before they are made. */
  readonly alter?: (steps: readonly Step[], table: "starter" | "launcher") => readonly Step[];
  /** Keeps it out of this group. */
  readonly skipGroup?: (folder: string) => boolean;
}

/** Starts a runner with steps left out. */
export async function startSabotaged(
  plan: LinuxPlan,
  { alter = (steps) => steps, skipGroup = () => false }: Sabotage,
  options: StartOptions = {},
): Promise<Deno.ChildProcess> {
  const { argv, env, launch } = plan;
  if (launch === null) return await startRunner(plan, options);
  return await startChain({ argv, env, launch }, {
    launcher: (...args) => alter(ALL_STEPS.launcher(...args), "launcher"),
    starter: (...args) => alter(ALL_STEPS.starter(...args), "starter"),
    entered: (groups) => groups.filter((folder) => !skipGroup(folder)),
  }, options);
}
