/**
 * Runs the whole attack list in several configurations, as the user that runs this, and prints one JSON document. A program of its own, so
 * that a test can start it as root and as an ordinary user alike.
 */
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { CHANNEL_ATTACKS } from "../../src/escape/channels/list.ts";
import { ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { judge, type Judgement } from "../../src/escape/run/judge.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findRunnerPid, judgeRunner, measureRunner } from "../../src/sandbox/linux/measure.ts";
import { startRunner } from "../../src/sandbox/linux/spawn.ts";
import { runnerUser } from "../../src/sandbox/linux/users.ts";
import { linux } from "../../src/linux/libc.ts";
import type { LinuxPlan } from "../../src/sandbox/linux/plan.ts";
import { startOrdinary } from "../../src/escape/run/ordinary.ts";
import { makeMeetingFile, tryChannels } from "../../src/escape/run/channel_run.ts";
import { type LeftOut, planWithout } from "../../src/sandbox/linux/testing.ts";
import {
  AttackRun,
  type AttackRunResult,
  type StartAttacker,
} from "../../src/escape/run/attack_run.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import type { StartOptions } from "../../src/sandbox/spawn.ts";
import type { LayerReport, RunnerTarget } from "../../src/sandbox/types.ts";

/** Host paths; all of them readable by the user who runs this. */
export interface Stage {
  readonly deno: string;
  readonly attacker: string;
  readonly libDir: string;
  readonly model: string;
}

export interface Configuration {
  readonly name: string;
  /** null: no sandbox at all. */
  readonly without: readonly LeftOut[] | null;
  readonly lockdown: boolean;
  /** Only these attacks, of the channels all if one is named; default all. */
  readonly only?: readonly string[];
}

export type { Verdict } from "../../src/escape/run/judge.ts";
/** One field of the matrix. */
export type Cell = Judgement;

export interface ConfigurationResult {
  readonly name: string;
  readonly cells: { readonly [attack: string]: Cell };
  readonly layers: readonly LayerReport[];
  readonly stage2: readonly { layer: string; enforced: boolean; observed: string }[];
  /** Names of files that the host saw changed. */
  readonly changed: readonly string[];
  readonly hits: { readonly [target: string]: number };
  readonly inference: { readonly before: string; readonly after: string };
  readonly level: string;
  /** What is to hold. */
  readonly planned: LinuxPlan["layers"];
  /** What the gateway would hold against this process. */
  readonly shortcomings: readonly string[];
}

export interface MatrixResult {
  readonly uid: number;
  readonly configurations: readonly ConfigurationResult[];
}

/** The runner's own target, with the attacker in the runner's place, and one file more, as an adapter would be. */
function target(stage: Stage, meeting: string): RunnerTarget {
  const files = { ...stage, runner: stage.attacker };
  return { ...runnerTarget(files, stage.model, { adapterPaths: [meeting] }), ...ATTACKER_MEMORY };
}

/** Without a sandbox, and with this process's environment: the canary is to leak. */
function startOutside(
  stage: Stage,
  { cwd }: StartOptions,
): Deno.ChildProcess {
  return new Deno.Command(stage.deno, {
    args: ["run", "-A", "--no-lock", stage.attacker],
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Every channel, from the runner's place and back. */
async function channelCells(
  stage: Stage,
  o: { start: StartAttacker; plan: LinuxPlan | null; meeting: string; lockdown: boolean },
): Promise<Map<string, Cell>> {
  const { start, plan, meeting, lockdown } = o;
  return await tryChannels({
    lockdown,
    file: { host: meeting, inside: plan === null ? meeting : plan.pathMap(meeting) },
    async runner(options) {
      const child = await start(options);
      return { child, pid: () => findRunnerPid(child.pid, plan?.forks === true) ?? child.pid };
    },
    ordinary(uid, options) {
      const argv = [stage.deno, "run", "-A", "--no-lock", stage.attacker];
      const child = startOrdinary({ argv, env: { DENO_DIR: "/dev/null/deno" } }, uid, options);
      return Promise.resolve({ child, pid: () => child.pid });
    },
    otherUsers: Deno.uid() === 0,
  });
}

export async function runMatrix(
  stage: Stage,
  configurations: readonly Configuration[],
): Promise<MatrixResult> {
  const caps = await probeCapabilities();
  const parent = Deno.makeTempDirSync({ prefix: "secllama-matrix-" });
  Deno.chmodSync(parent, 0o755);
  const attackRun = await AttackRun.open(parent);
  const meeting = `${parent}/meeting.bin`;
  makeMeetingFile(meeting);
  const results: ConfigurationResult[] = [];
  try {
    for (const configuration of configurations) {
      results.push(await runConfiguration(stage, caps, { attackRun, meeting }, configuration));
    }
  } finally {
    await attackRun.close();
    Deno.removeSync(parent, { recursive: true });
  }
  return { uid: caps.uid, configurations: results };
}

async function runConfiguration(
  stage: Stage,
  caps: Awaited<ReturnType<typeof probeCapabilities>>,
  { attackRun, meeting }: { attackRun: AttackRun; meeting: string },
  configuration: Configuration,
): Promise<ConfigurationResult> {
  const { without, lockdown } = configuration;
  const outside = without === null;
  const newPlan = () =>
    planWithout(target(stage, meeting), caps, {
      mode: "best-effort",
      without: without ?? [],
      ...(caps.uid === 0 ? { user: runnerUser(linux()) } : {}),
    });
  const plan = newPlan();
  // Outside there is no permission of Deno's either: what is shown is that the attack itself works.
  const start: StartAttacker = outside
    ? (options) => Promise.resolve(startOutside(stage, options))
    : (options) => startRunner(plan, options);
  const model = outside ? null : {
    libDir: plan.pathMap(stage.libDir),
    modelPath: plan.pathMap(stage.model),
  };
  const chosen = ATTACKS.filter((a) => configuration.only?.includes(a.name) ?? true);
  const cells: { [attack: string]: Cell } = {};
  const hits: { [target: string]: number } = {};
  const changed = new Set<string>();
  let layers: LayerReport[] = [];
  const take = (run: AttackRunResult, attacks: readonly string[]) => {
    for (const name of attacks) cells[name] = judge(name, run);
    for (const [name, count] of Object.entries(run.hits)) hits[name] = (hits[name] ?? 0) + count!;
    for (const name of run.changed) changed.add(name);
  };
  // Where an attack can work it changes the ground for the next: each gets its own process and its own files.
  const alone = outside ? chosen : chosen.filter((a) => a.ends);
  const together = outside ? [] : chosen.filter((a) => !a.ends).map((a) => a.name);
  let inference = { before: "", after: "" };
  let stage2: AttackRunResult["lockdown"] = [];
  if (!outside) {
    const run = await attackRun.run(start, {
      attacks: together,
      model,
      lockdown,
      watch: (child) => {
        const pid = findRunnerPid(child, plan.forks);
        layers = pid === undefined ? [] : measureRunner(pid, plan);
      },
    });
    if (run.before === "") {
      throw new Error(
        `${configuration.name}: no inference: ${run.stderr} ${run.signal ?? run.code}`,
      );
    }
    inference = { before: run.before, after: run.after };
    stage2 = run.lockdown;
    take(run, together);
  }
  for (const { name } of alone) {
    take(await attackRun.run(start, { attacks: [name], model: null, lockdown }), [name]);
  }
  if (CHANNEL_ATTACKS.some((name) => configuration.only?.includes(name) ?? true)) {
    const channels = await channelCells(stage, {
      // A plan each, as each runner has.
      start: outside ? start : (options) => startRunner(newPlan(), options),
      plan: outside ? null : plan,
      meeting,
      lockdown,
    });
    for (const [name, cell] of channels) cells[name] = cell;
  }
  return {
    name: configuration.name,
    cells,
    layers,
    stage2,
    changed: [...changed],
    hits,
    inference,
    level: outside ? "none" : plan.level,
    planned: outside ? [] : plan.layers,
    shortcomings: outside ? [] : judgeRunner(plan, layers, stage2),
  };
}

if (import.meta.main) {
  const [stage, configurations] = JSON.parse(Deno.args[0]!);
  console.log(JSON.stringify(await runMatrix(stage, configurations)));
}
