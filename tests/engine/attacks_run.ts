/**
 * Makes attacks from both places that a sandbox with an engine has: the runner's beside it, and the engine's. A program of its own, so
 * that a test can start it as root and as an ordinary user alike; prints one JSON document.
 */
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { AttackRun } from "../../src/escape/run/attack_run.ts";
import { ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { judge, type Judgement } from "../../src/escape/run/judge.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findEngine } from "../../src/sandbox/linux/engine_files.ts";
import { findRunnerPid, judgeRunner, measureRunner } from "../../src/sandbox/linux/measure.ts";
import { makeLinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { stage2More } from "../../src/sandbox/linux/policy.ts";
import { startRunner } from "../../src/sandbox/linux/spawn.ts";
import { inEnginesPlace } from "../../src/sandbox/linux/testing.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import type { EngineKind } from "../../src/api/engine_kinds.ts";
import type { Stage } from "../sandbox/matrix_run.ts";

export interface AttacksOrder {
  readonly stage: Stage;
  readonly kind: EngineKind;
  readonly attacks: readonly string[];
  /** Also from the runner's place. */
  readonly runner: boolean;
}

/** Of one place. */
export interface PlaceResult {
  readonly place: "runner" | "engine";
  readonly cells: { readonly [attack: string]: Judgement };
  readonly hits: { readonly [target: string]: number };
  readonly changed: readonly string[];
  /** What the gateway would hold against the runner with its engine. */
  readonly shortcomings: readonly string[];
  /** What the model wrote. */
  readonly before: string;
  readonly after: string;
}

export async function attackPlaces(
  { stage, kind, attacks, runner }: AttacksOrder,
): Promise<PlaceResult[]> {
  const caps = await probeCapabilities();
  // Does nothing, for long: what is attacked is what holds it.
  const idle = findEngine(kind, "/usr/bin/sleep");
  const target = {
    ...runnerTarget({ ...stage, runner: stage.attacker }, stage.model),
    ...ATTACKER_MEMORY,
    companion: {
      kind,
      executable: idle.executable,
      args: ["86400"],
      readOnly: idle.files,
      shared: [stage.model],
    },
  };
  const beside = makeLinuxPlan(target, caps, "strict");
  const parent = Deno.makeTempDirSync({ prefix: "secllama-matrix-" });
  Deno.chmodSync(parent, 0o755);
  const attackRun = await AttackRun.open(parent);
  const chosen = ATTACKS.filter(({ name }) => attacks.includes(name));
  const together = chosen.filter(({ ends }) => !ends).map(({ name }) => name);
  const results: PlaceResult[] = [];
  try {
    for (const place of runner ? ["runner", "engine"] as const : ["engine"] as const) {
      const plan = place === "runner" ? beside : inEnginesPlace(beside);
      const more = place === "runner" ? stage2More("none", true)! : undefined;
      const cells: { [attack: string]: Judgement } = {};
      let shortcomings: readonly string[] = [];
      const options = { lockdown: place === "runner", ...(more ? { more } : {}) };
      const start = (o: { cwd?: string }) => startRunner(plan, o);
      const run = await attackRun.run(start, {
        ...options,
        attacks: together,
        model: { libDir: plan.pathMap(stage.libDir), modelPath: plan.pathMap(stage.model) },
        watch: (child) => {
          const pid = findRunnerPid(child, plan.forks);
          if (place === "engine" || pid === undefined) return;
          shortcomings = judgeRunner(plan, measureRunner(pid, plan), []);
        },
      });
      if (!run.started) throw new Error(`${place}: not started: ${run.stderr}`);
      for (const name of together) cells[name] = judge(name, run);
      const hits: { [target: string]: number } = { ...run.hits } as { [target: string]: number };
      const changed = new Set(run.changed);
      for (const { name } of chosen.filter(({ ends }) => ends)) {
        const alone = await attackRun.run(start, { ...options, attacks: [name], model: null });
        cells[name] = judge(name, alone);
        for (const [one, count] of Object.entries(alone.hits)) {
          hits[one] = (hits[one] ?? 0) + count!;
        }
        for (const file of alone.changed) changed.add(file);
      }
      const { before, after } = run;
      results.push({ place, cells, hits, changed: [...changed], shortcomings, before, after });
    }
  } finally {
    await attackRun.close();
    Deno.removeSync(parent, { recursive: true });
  }
  return results;
}

if (import.meta.main) console.log(JSON.stringify(await attackPlaces(JSON.parse(Deno.args[0]!))));
