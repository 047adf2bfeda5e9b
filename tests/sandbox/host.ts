/**
 * A gateway in small: starts the attacker by a plan, prints a line of JSON, and stays until it is killed. With `stub`, the path
 * of another `unshare` than the one that was probed.
 */
import { type Capabilities, probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findRunnerPid } from "../../src/sandbox/linux/measure.ts";
import { makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { ProbeListeners } from "../../src/escape/linux_listeners.ts";
import { capabilitiesWithout, startSabotaged } from "../../src/sandbox/linux/testing.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import type { Stage } from "./matrix_run.ts";

export interface HostOrder {
  readonly stage: Stage;
  readonly withoutNamespaces: boolean;
  readonly stub: string | null;
  /** A step that is left out. */
  readonly sabotage?: { readonly table: "starter" | "launcher"; readonly what: string };
}

export type HostAnswer =
  | { readonly runner: number; readonly child: number }
  | { readonly code: number; readonly stderr: string };

const order = JSON.parse(Deno.args[0]!) as HostOrder;
const { stage } = order;
const probed = capabilitiesWithout(
  await probeCapabilities(),
  order.withoutNamespaces ? ["namespaces"] : [],
);
const caps: Capabilities = order.stub === null ? probed : { ...probed, unshare: order.stub };
const target = runnerTarget({ ...stage, runner: stage.attacker }, stage.model);
const plan = makeLinuxPlan(target, caps, "strict");
const listeners = ProbeListeners.open();
const { sabotage } = order;
const child = await startSabotaged(plan, {
  alter: (steps, table) =>
    steps.filter((s) => table !== sabotage?.table || s.what !== sabotage.what),
});
const writer = child.stdin.getWriter();
const field = {
  targets: listeners.targets,
  victimPid: Deno.pid,
  canary: "-",
  folder: "/tmp",
  leakedFd: 77,
  hostname: "-",
};
const text = JSON.stringify({ field, attacks: [], model: null, lockdown: true, linger: "deaf" });
writer.write(new TextEncoder().encode(text + "\n")).catch(() => {});
const stderr = new Response(child.stderr).text();
const reader = child.stdout.getReader();
const { done } = await reader.read();
let answer: HostAnswer;
if (done) answer = { code: (await child.status).code, stderr: await stderr };
else answer = { runner: findRunnerPid(child.pid, plan.forks) ?? -1, child: child.pid };
listeners.close();
console.log(JSON.stringify(answer));
if (!done) await new Promise(() => setTimeout(() => {}, 600_000));
