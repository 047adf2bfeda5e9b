/**
 * Starts the attacker from a process that has seccomp filters of its own, as a service manager gives them, and prints what the
 * gateway measures with stage 2 and without. A program of its own: such a filter stays for good.
 */
import { OP, RET } from "../../src/linux/bpf.ts";
import { linux } from "../../src/linux/libc.ts";
import { installFilter } from "../../src/linux/seccomp.ts";
import { ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { AttackRun } from "../../src/escape/run/attack_run.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findRunnerPid, measureRunner } from "../../src/sandbox/linux/measure.ts";
import { planWithout, startSabotaged } from "../../src/sandbox/linux/testing.ts";
import type { LayerReport } from "../../src/sandbox/types.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import type { Stage } from "./matrix_run.ts";

export interface InheritedOrder {
  readonly stage: Stage;
  /** Filters that allow everything, before the runner starts. */
  readonly own: number;
}

/** The layers, by whether the runner takes its second step. */
export interface InheritedAnswer {
  readonly locked: readonly LayerReport[];
  readonly unlocked: readonly LayerReport[];
}

const { stage, own } = JSON.parse(Deno.args[0]!) as InheritedOrder;
linux().must("no new privileges", "prctl", 38, 1, 0, 0, 0);
for (let i = 0; i < own; i++) {
  installFilter(linux(), [{ code: OP.ret, jt: 0, jf: 0, k: RET.allow }]);
}
const caps = await probeCapabilities();
const target = {
  ...runnerTarget({ ...stage, runner: stage.attacker }, stage.model),
  ...ATTACKER_MEMORY,
};
const plan = planWithout(target, caps, { mode: "strict", without: [] });
const parent = Deno.makeTempDirSync({ prefix: "secllama-inherited-" });
Deno.chmodSync(parent, 0o755);
const attackRun = await AttackRun.open(parent);

async function layersWith(lockdown: boolean): Promise<readonly LayerReport[]> {
  let layers: readonly LayerReport[] = [];
  const run = await attackRun.run((options) => startSabotaged(plan, {}, options), {
    attacks: [],
    model: null,
    lockdown,
    watch: (child) => {
      layers = measureRunner(findRunnerPid(child, plan.forks) ?? child, plan);
    },
  });
  if (layers.length === 0) throw new Error(`nothing was measured: ${run.stderr}`);
  return layers;
}

try {
  const answer: InheritedAnswer = {
    locked: await layersWith(true),
    unlocked: await layersWith(false),
  };
  console.log(JSON.stringify(answer));
} finally {
  await attackRun.close();
  Deno.removeSync(parent, { recursive: true });
}
