/**
 * What the sandbox costs: from spawn to a runner that is ready, to its first token, and per token; with no sandbox, with namespaces
 * alone, with all layers but the cgroup, and with all. Each round makes all four in an order that rotates; what is added is the median of the
 * differences within a round. Run: `deno run -A bench/sandbox_bench.ts [rounds]`
 */
import { probeCapabilities } from "../src/sandbox/linux/capabilities.ts";
import { startRunner } from "../src/sandbox/linux/spawn.ts";
import { type LeftOut, planWithout } from "../src/sandbox/linux/testing.ts";
import { runnerTarget } from "../src/supervisor/runner_target.ts";
import { makeRandomGguf } from "../runner/engine/testing_gguf.ts";
import { ATTACKER_MEMORY } from "../src/escape/run/all_attacks.ts";
import { makeStage } from "../tests/sandbox/stage.ts";
import { median } from "./median.ts";

const ROUNDS = Number(Deno.args[0] ?? 15);
const TOKENS = 200;

const KINDS: readonly (readonly [name: string, without: readonly LeftOut[] | null])[] = [
  ["no sandbox", null],
  ["namespaces", ["private root", "landlock", "seccomp", "limits", "cgroup"]],
  ["all but the cgroup", ["cgroup"]],
  ["all layers", []],
];

interface Sample {
  /** From spawn to the first line of a runner that loads no model. */
  readonly ready: number;
  /** From spawn to the first token, the model's load included. */
  readonly first: number;
  /** Of a stream of tokens, each a line of its own. */
  readonly token: number;
}

const stage = await makeStage({});
// Random weights: a model that does not end its answer early, of 15 M parameters.
await Deno.remove(stage.model);
makeRandomGguf("15M", "q8_0", stage.model);
const caps = await probeCapabilities();
const target = {
  ...runnerTarget({ ...stage, runner: stage.attacker }, stage.model),
  ...ATTACKER_MEMORY,
};
const plans = KINDS.map(([, without]) =>
  planWithout(target, caps, {
    mode: without === null ? "off" : "best-effort",
    without: without ?? [],
  })
);

/** Milliseconds from the spawn to the first line, to the first token and to the last one. */
async function run(
  plan: typeof plans[number],
  model: boolean,
): Promise<{ ready: number; first: number; last: number }> {
  const field = {
    targets: {},
    victimPid: 1,
    canary: "-",
    folder: "/",
    leakedFd: 77,
    hostname: "-",
  };
  const order = JSON.stringify({
    field,
    attacks: [],
    lockdown: plan.launch?.seccomp !== undefined && plan.launch?.seccomp !== null,
    linger: false,
    stream: TOKENS,
    model: model
      ? { libDir: plan.pathMap(stage.libDir), modelPath: plan.pathMap(stage.model) }
      : null,
  });
  const started = performance.now();
  const child = await startRunner(plan, { stderr: "inherit" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(order + "\n"));
  const times = { ready: 0, first: 0, last: 0 };
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const now = performance.now() - started;
    text += chunk;
    if (times.ready === 0) times.ready = now;
    if (times.first === 0 && text.includes('"token"')) times.first = now;
    times.last = now;
  }
  await writer.close().catch(() => {});
  await child.status;
  const tokens = text.split('"token"').length - 1;
  if (model && tokens !== TOKENS) throw new Error(`${tokens} tokens, wanted ${TOKENS}`);
  if (!text.includes('"done"')) throw new Error("the runner ended before it was done");
  return times;
}

const samples: Sample[][] = KINDS.map(() => []);
try {
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; i < plans.length; i++) {
      const kind = (i + round) % plans.length;
      const { ready } = await run(plans[kind]!, false);
      const { first, last } = await run(plans[kind]!, true);
      const sample = { ready, first, token: (last - first) / (TOKENS - 1) };
      if (round > 0) samples[kind]!.push(sample); // the first fills the caches
    }
  }
} finally {
  await stage.remove();
}

const base = samples[0]!;
console.log(
  `a runner's start and tokens, ${ROUNDS} rounds: median, ratio to no sandbox, median of the differences within a round`,
);
for (const [i, [name]] of KINDS.entries()) {
  const cell = (key: keyof Sample, unit: string, scale: number) => {
    const value = median(samples[i]!.map((s) => s[key]));
    const ratio = value / median(base.map((s) => s[key]));
    const added = median(samples[i]!.map((s, round) => s[key] - base[round]![key]));
    const sign = added < 0 ? "−" : "+";
    return `${(value * scale).toFixed(1)} ${unit} (×${ratio.toFixed(2)}, ${sign}${
      Math.abs(added * scale).toFixed(1)
    })`;
  };
  console.log(
    `  ${name.padEnd(18)} ready ${cell("ready", "ms", 1).padEnd(26)} first token ${
      cell("first", "ms", 1).padEnd(27)
    } per token ${cell("token", "µs", 1000)}`,
  );
}
