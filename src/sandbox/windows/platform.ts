/**
 * Windows behind the interface of platform.ts, judged as strictly as Linux. Firewall rules are there, and read back, before the
 * first runner of their plan starts; rules, profiles and access are taken back when the gateway ends. Never run on Windows.
 */
import { openWindowsApi, type WindowsApi } from "../../windows/api.ts";
import { openLoopbackListeners } from "../../escape/loopback_listeners.ts";
import { shortcomingsOf } from "../own_report.ts";
import type { Platform } from "../platform.ts";
import type { Program } from "../types.ts";
import { containersWork, removeContainer } from "./app_container.ts";
import { addFirewallRules, removeFirewallRules, type Run, runProgram } from "./firewall.ts";
import { isElevated } from "./launch.ts";
import { findChild, measureWindows, physicalMemory, windowsFolder } from "./measure.ts";
import { makeWindowsPlan, type WindowsPlan } from "./plan.ts";
import { WINDOWS_POLICY } from "./policy.ts";

/** Layers that the runner reports of itself, as src/windows/job_report.ts does. */
const OWN_LAYERS = ["limits", "dies with the gateway"];

/** Probes this Windows, or the fake one of a test. `launcher`: src/sandbox/windows/launch_main.ts as a program. */
export function openWindows(
  options: { launcher: Program; api?: WindowsApi; run?: Run },
): Platform {
  const api = options.api ?? openWindowsApi();
  const run = options.run ?? runProgram;
  const { namePrefix, ...profile } = WINDOWS_POLICY.appContainer;
  const instance = String(Deno.pid);
  const appContainer = containersWork(api, {
    name: `${namePrefix}.Probe-${instance}`,
    ...profile,
  });
  const elevated = isElevated(api);
  const systemRoot = windowsFolder(api);
  const used = new Map<string, WindowsPlan>();
  return {
    os: "windows",
    facts: `Windows, AppContainer ${appContainer ? "yes" : "no"}, elevated ${
      elevated ? "yes" : "no"
    }`,
    memoryBytes: physicalMemory(api),
    gpus: [],
    plan: (target, mode) =>
      makeWindowsPlan(
        { ...target, launcher: options.launcher },
        { appContainer, elevated, systemRoot, instance },
        mode,
      ),
    command: ({ argv, env }) => ({ argv, env }),
    async before(plan) {
      const { launch, firewall } = plan as WindowsPlan;
      const name = launch?.appContainer?.name ?? firewall?.rule;
      if (name === undefined || used.has(name)) return;
      if (firewall) await addFirewallRules(firewall, run);
      used.set(name, plan as WindowsPlan);
    },
    findRunner: (childPid, plan) => plan.forks ? findChild(api, childPid) : childPid,
    measure(pid, plan) {
      const rules = [...used.values()].some((p) => p.firewall?.rule === ruleOf(plan));
      return measureWindows(api, pid, { plan: plan as WindowsPlan, rules });
    },
    shortcomings: (plan, layers, own) => shortcomingsOf(plan, layers, own, OWN_LAYERS),
    openListeners: () => openLoopbackListeners(),
    async close() {
      const plans = [...used.values()];
      used.clear();
      const left: string[] = [];
      for (const { launch, firewall } of plans) {
        if (launch?.appContainer) left.push(...removeContainer(api, launch.appContainer));
        if (firewall === null) continue;
        await removeFirewallRules(firewall, run).catch(() => left.push(firewall.rule));
      }
      return left;
    },
  };
}

function ruleOf(plan: unknown): string {
  return (plan as WindowsPlan).firewall?.rule ?? "";
}
