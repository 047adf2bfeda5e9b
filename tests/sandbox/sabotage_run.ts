/**
 * Starts the attacker with one step of the launch left out at a time, and prints what noticed it. A program of its own, so that a test
 * can start it as root and as an ordinary user alike.
 */
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { ATTACKER_MEMORY } from "../../src/escape/run/all_attacks.ts";
import { judge } from "../../src/escape/run/judge.ts";
import type { Step } from "../../src/linux/syscall_table.ts";
import { linux, SystemCallError } from "../../src/linux/libc.ts";
import { probeCapabilities } from "../../src/sandbox/linux/capabilities.ts";
import { findRunnerPid, judgeRunner, measureRunner } from "../../src/sandbox/linux/measure.ts";
import type { LinuxPlan } from "../../src/sandbox/linux/plan.ts";
import {
  type LeftOut,
  planWithout,
  type Sabotage as LinuxSabotage,
  startSabotaged,
} from "../../src/sandbox/linux/testing.ts";
import { AttackRun } from "../../src/escape/run/attack_run.ts";
import type { StartOptions } from "../../src/sandbox/spawn.ts";
import { runnerTarget } from "../../src/supervisor/runner_target.ts";
import type { Stage } from "./matrix_run.ts";

/** What is left out: a step of a table, a word of the argv, or nothing. */
export interface Sabotage {
  readonly table: "starter" | "launcher" | "group" | "argv" | "nothing";
  /** The step by its `what`, or the word. */
  readonly what: string;
  /** Of several steps with this text the n-th. */
  readonly index: number;
  /** Leaves out these words of the argv as well: what a check looks for must be there to be found. */
  readonly alsoWords?: readonly string[];
}

export interface SabotageOrder {
  readonly stage: Stage;
  readonly without: readonly LeftOut[];
  /** null: only list what can be left out. */
  readonly sabotages: readonly Sabotage[] | null;
}

/** refused: no runner started. measured: the gateway saw it. attack: one got out. Several may be true. */
export interface Noticed {
  readonly sabotage: Sabotage;
  readonly refused: string;
  readonly measured: readonly string[];
  readonly attacks: readonly string[];
}

const TOGETHER = ATTACKS.filter((a) => !a.ends).map((a) => a.name);

/** Without what differs from run to run. */
export function stable(what: string): string {
  return what.replace(/secllama-\d+-\d+-\d+/, "GROUP");
}

function alteration({ table, what, index }: Sabotage) {
  return (steps: readonly Step[], name: "starter" | "launcher"): readonly Step[] => {
    let seen = -1;
    return name !== table
      ? steps
      : steps.filter((step) => stable(step.what) !== what || ++seen !== index);
  };
}

function entering(folder: string): string {
  return stable(`enter ${folder}`);
}

function withoutWords(plan: LinuxPlan, words: readonly string[]): LinuxPlan {
  const argv = plan.argv.filter((word) => !words.includes(word));
  return { ...plan, argv };
}

/** "/" where it cannot be read: an ordinary user may not follow the link of a process in another user namespace. */
function workingFolder(pid: number): string {
  try {
    return linux().readLink(`/proc/${pid}/cwd`);
  } catch (error) {
    if (error instanceof SystemCallError) return "/";
    throw error;
  }
}

/** A start, and, if nothing has noticed it, another one with the attacks, which take much longer. */
async function startAndAttack(
  attackRun: AttackRun,
  plan: LinuxPlan,
  sabotage: Sabotage,
): Promise<Noticed> {
  const noticed = await attackOnce(attackRun, plan, sabotage, []);
  if (noticed.refused !== "" || noticed.measured.length > 0) return noticed;
  return await attackOnce(attackRun, plan, sabotage, TOGETHER);
}

async function attackOnce(
  attackRun: AttackRun,
  plan: LinuxPlan,
  sabotage: Sabotage,
  attacks: readonly string[],
): Promise<Noticed> {
  const words = [
    ...(sabotage.table === "argv" ? [sabotage.what] : []),
    ...(sabotage.alsoWords ?? []),
  ];
  const altered = withoutWords(plan, words);
  const start = (options: StartOptions) =>
    startSabotaged(altered, {
      alter: alteration(sabotage),
      skipGroup: (folder) => sabotage.table === "group" && entering(folder) === sabotage.what,
    }, options);
  let layers: ReturnType<typeof measureRunner> = [];
  let session = "";
  let folder = "/";
  const run = await attackRun.run(start, {
    attacks,
    model: null,
    lockdown: true,
    watch: (child) => {
      const pid = findRunnerPid(child, plan.forks) ?? child;
      layers = measureRunner(pid, plan);
      const stat = linux().readText(`/proc/${pid}/stat`);
      session = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]!;
      if (session === String(pid)) session = "";
      folder = workingFolder(pid);
    },
  });
  if (!run.started) {
    const refused = run.stderr.trim().split("\n").at(-1)! || `ended with ${run.signal ?? run.code}`;
    return { sabotage, refused, measured: [], attacks: [] };
  }
  return {
    sabotage,
    refused: "",
    measured: [
      ...judgeRunner(plan, layers, run.lockdown),
      ...(session === "" ? [] : [`session: the gateway's, ${session}`]),
      ...(folder === "/" ? [] : [`working folder: ${folder}`]),
    ],
    attacks: attacks.filter((name) => judge(name, run).verdict === "out"),
  };
}

/** Every step and every word, once. The last step is the one that becomes the next program, without which there is no table. */
async function list(attackRun: AttackRun, plan: LinuxPlan): Promise<Sabotage[]> {
  const bounding = BigInt(
    `0x${/^CapBnd:\s*(\w+)/m.exec(linux().readText("/proc/self/status"))![1]}`,
  );
  const own = new Set(
    Array.from({ length: 64 }, (_, i) => i).filter((i) => bounding >> BigInt(i) & 1n),
  );
  const found: Sabotage[] = [{ table: "nothing", what: "", index: 0 }];
  const sabotage: LinuxSabotage = {
    alter(steps, table) {
      const seen = new Map<string, number>();
      for (const step of steps.slice(0, -1)) {
        const what = stable(step.what);
        const index = seen.get(what) ?? 0;
        seen.set(what, index + 1);
        if (what === "drop the bounding set" && !own.has(index)) continue; // nothing to drop
        found.push({ table, what, index });
      }
      return steps;
    },
    skipGroup(folder) {
      found.push({ table: "group", what: entering(folder), index: 0 });
      return false;
    },
  };
  await attackRun.run((options) => startSabotaged(plan, sabotage, options), {
    attacks: [],
    model: null,
    lockdown: true,
  });
  const words = plan.argv.filter((word) => word.startsWith("--") && word !== "--");
  return [...found, ...words.map((what): Sabotage => ({ table: "argv", what, index: 0 }))];
}

if (import.meta.main) {
  const { stage, without, sabotages } = JSON.parse(Deno.args[0]!) as SabotageOrder;
  Deno.umask(0o077); // an operator's own
  if (Deno.uid() === 0) { // and groups
    const groups = new Uint32Array([4, 24]);
    linux().must("setgroups", "setgroups", groups.length, new Uint8Array(groups.buffer));
  }
  const caps = await probeCapabilities();
  const files = { ...stage, runner: stage.attacker };
  const target = { ...runnerTarget(files, stage.model), ...ATTACKER_MEMORY };
  const plan = planWithout(target, caps, { mode: "strict", without });
  const parent = Deno.makeTempDirSync({ prefix: "secllama-sabotage-" });
  Deno.chmodSync(parent, 0o755);
  const attackRun = await AttackRun.open(parent);
  try {
    const results: Noticed[] = [];
    if (sabotages === null) console.log(JSON.stringify(await list(attackRun, plan)));
    else {
      for (const sabotage of sabotages) {
        results.push(await startAndAttack(attackRun, plan, sabotage));
      }
      console.log(JSON.stringify(results));
    }
  } finally {
    await attackRun.close();
    Deno.removeSync(parent, { recursive: true });
  }
}
