/**
 * What the sandbox costs: from spawn to a runner that answers, and per token, with no sandbox, with Landlock and seccomp only,
 * with namespaces as well, and with all layers. Rounds alternate and the ratios are of medians. Run:
 * `deno run -A bench/sandbox_bench.ts [rounds]`
 */
import { probeCapabilities } from "../src/sandbox/linux/capabilities.ts";
import { makeLinuxPlan, type PlanOverrides } from "../src/sandbox/linux/plan.ts";
import { spawnPlanned } from "../src/sandbox/linux/spawn.ts";
import { runnerTarget } from "../src/supervisor/isolation.ts";
import { makeStage } from "../tests/sandbox/stage.ts";

const ROUNDS = Number(Deno.args[0] ?? 15);

const KINDS: readonly (readonly [name: string, without: PlanOverrides["without"] | null])[] = [
  ["no sandbox", null],
  ["Landlock and seccomp", ["namespaces"]],
  ["namespaces too", ["private root"]],
  ["all layers", []],
];

interface Sample {
  /** From spawn to the first line of a runner that loads no model. */
  readonly spawnMs: number;
  /** From spawn to the end of the first inference, the model included. */
  readonly firstTokensMs: number;
}

const stage = await makeStage({});
const caps = await probeCapabilities();
const target = runnerTarget({ ...stage, runner: stage.attacker }, stage.model);
const plans = KINDS.map(([, without]) =>
  makeLinuxPlan(target, caps, { sandbox: without !== null, strict: false }, {
    without: without ?? [],
  })
);

async function untilReady(plan: typeof plans[number], model: boolean): Promise<number> {
  const field = { targets: {}, victimPid: 1, canary: "-", folder: "/", leakedFd: 77 };
  const order = JSON.stringify({
    field,
    attacks: [],
    lockdown: plan.launch !== null,
    linger: false,
    model: model
      ? { libDir: plan.pathMap(stage.libDir), modelPath: plan.pathMap(stage.model) }
      : null,
  });
  const started = performance.now();
  const child = spawnPlanned(plan, { stderr: "inherit" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(order + "\n"));
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const ms = performance.now() - started;
  if (done) throw new Error("the runner ended before it was ready");
  while (!(await reader.read()).done); // to its end
  await writer.close().catch(() => {});
  await child.status;
  return ms;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const samples: Sample[][] = KINDS.map(() => []);
try {
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, plan] of plans.entries()) {
      const sample = {
        spawnMs: await untilReady(plan, false),
        firstTokensMs: await untilReady(plan, true),
      };
      if (round > 0) samples[i]!.push(sample); // the first fills the caches
    }
  }
} finally {
  await stage.remove();
}

const base = samples[0]!;
console.log(`spawn of a runner, ${ROUNDS} rounds, medians; ratio and difference to no sandbox`);
for (const [i, [name]] of KINDS.entries()) {
  const cells = (["spawnMs", "firstTokensMs"] as const).map((key) => {
    const value = median(samples[i]!.map((s) => s[key]));
    const differences = samples[i]!.map((s, round) => s[key] - base[round]![key]);
    const ratio = value / median(base.map((s) => s[key]));
    const added = median(differences);
    return `${value.toFixed(1)} ms (×${ratio.toFixed(2)}, +${added.toFixed(1)})`;
  });
  console.log(`  ${name.padEnd(24)} ready ${cells[0]!.padEnd(28)} first tokens ${cells[1]}`);
}
