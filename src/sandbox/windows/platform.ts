/**
 * Windows behind the interface of platform.ts, judged as strictly as Linux. Firewall rules are there, and read back, before the
 * first runner of their plan starts; rules, profiles and access are taken back when the gateway ends. Never run on Windows.
 */
import { openWindowsApi, type WindowsApi } from "../../windows/api.ts";
import { plannedOf, problemsOf } from "../judge.ts";
import type { Platform } from "../platform.ts";
import { spawnCommand } from "../spawn.ts";
import type { Program } from "../types.ts";
import { containersWork, removeContainer } from "./app_container.ts";
import { addFirewallRules, removeFirewallRules, type Run, runProgram } from "./firewall.ts";
import { isElevated } from "./launch.ts";
import { findChild, measureWindows, physicalMemory, windowsFolder } from "./measure.ts";
import { makeWindowsPlan, type WindowsPlan } from "./plan.ts";
import { WINDOWS_POLICY } from "./policy.ts";

/** Layers that the runner reports of itself, as src/windows/job_report.ts does. */
const OWN_LAYERS = ["limits", "dies with the gateway"];

/** Probes this Windows. `launcher`: src/sandbox/windows/launch_main.ts as a program. */
export function openWindows(launcher: Program): Platform {
  return windowsPlatform({ launcher, api: openWindowsApi(), run: runProgram });
}

/** The platform on top of an API; `run` runs the firewall's programs. */
export function windowsPlatform(
  { launcher, api, run }: { launcher: Program; api: WindowsApi; run: Run },
): Platform {
  const { namePrefix, ...profile } = WINDOWS_POLICY.appContainer;
  const instance = String(Deno.pid);
  const appContainer = containersWork(api, {
    name: `${namePrefix}.Probe-${instance}`,
    ...profile,
  });
  const elevated = isElevated(api);
  const systemRoot = windowsFolder(api);
  const inForce = new PlansInForce(api, run);
  return {
    os: "windows",
    facts: `Windows, AppContainer ${appContainer ? "yes" : "no"}, elevated ${
      elevated ? "yes" : "no"
    }`,
    memoryBytes: physicalMemory(api),
    gpus: [],
    plan(target, mode) {
      const plan = makeWindowsPlan(
        { ...target, launcher },
        { appContainer, elevated, systemRoot, instance },
        mode,
      );
      return {
        plan,
        stage2More: null,
        async start(options) {
          await inForce.add(plan);
          return spawnCommand(plan, options);
        },
        findRunner: (childPid) => plan.forks ? findChild(api, childPid) : childPid,
        measure: (pid) => measureWindows(api, pid, { plan, rules: inForce.hasRulesOf(plan) }),
        judge: (layers, own) => problemsOf(layers, own, plannedOf(plan, OWN_LAYERS)),
      };
    },
    close: () => inForce.removeAll(),
  };
}

/** The plans that runners were started by, and what each changed on this machine. */
class PlansInForce {
  readonly #api: WindowsApi;
  readonly #run: Run;
  readonly #plans = new Map<string, WindowsPlan>();

  constructor(api: WindowsApi, run: Run) {
    this.#api = api;
    this.#run = run;
  }

  /** Puts the plan's firewall rules in force, once. @throws {SecLlamaError} `sandbox-failed` if they do not take effect. */
  async add(plan: WindowsPlan): Promise<void> {
    const name = plan.launch?.appContainer?.name ?? plan.firewall?.rule;
    if (name === undefined || this.#plans.has(name)) return;
    if (plan.firewall) await addFirewallRules(plan.firewall, this.#run);
    this.#plans.set(name, plan);
  }

  hasRulesOf(plan: WindowsPlan): boolean {
    const rule = plan.firewall?.rule;
    return rule !== undefined && [...this.#plans.values()].some((p) => p.firewall?.rule === rule);
  }

  /** @returns What could not be taken back, one line each. */
  async removeAll(): Promise<string[]> {
    const plans = [...this.#plans.values()];
    this.#plans.clear();
    const left: string[] = [];
    for (const { launch, firewall } of plans) {
      if (launch?.appContainer) left.push(...removeContainer(this.#api, launch.appContainer));
      if (firewall === null) continue;
      await removeFirewallRules(firewall, this.#run).catch(() => left.push(firewall.rule));
    }
    return left;
  }
}
