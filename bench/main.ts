/**
 * `deno task bench`: what protection costs, as ratios and medians of one run. Pairs are measured in turn (A, B, A, B, …), since
 * machines drift. Nothing here is a test: it judges nothing.
 *
 *     deno task bench [MODEL.gguf]      default: the demo model
 */
import { join } from "node:path";
import { loadEngine } from "../runner/engine/mod.ts";
import { schemaGrammar } from "../runner/engine/json_schema.ts";
import type { GenerateRequest } from "../runner/engine/types.ts";
import { concat } from "../src/bytes.ts";
import { runnerFiles } from "../src/cli/roles.ts";
import { makeTui } from "../src/cli/tui.ts";
import { loadConfig } from "../src/config/config.ts";
import { openKeySource } from "../src/keys/mod.ts";
import { silentLogger } from "../src/log.ts";
import { ModelStore } from "../src/models/store.ts";
import { type Exchange, Pipe } from "../src/pipe/pipe.ts";
import { chooseGpu } from "../src/supervisor/gpu.ts";
import { openSandbox } from "../src/supervisor/isolation.ts";
import { Supervisor } from "../src/supervisor/supervisor.ts";
import { benchKeys } from "./keys_bench.ts";
import { startServe } from "../tests/support/serve.ts";
import { benchWire } from "./wire_bench.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const MODEL = Deno.args[0] ?? join(ROOT, "models/demo.gguf");
const TOKENS = 64;
/** What the model must write: it cannot end early, so that both sides make the same number of tokens. */
const FORMAT = { type: "array", items: { type: "integer" }, minItems: 400 };
const ROUNDS = 7;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function row(name: string, value: string): void {
  console.log(`  ${name.padEnd(64)}${value}`);
}

async function timed(rounds: number, work: () => Promise<unknown> | unknown): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return median(times);
}

async function pipeFrames(): Promise<void> {
  console.log("pipe, in one process (frames a second)");
  const up = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1 << 20 });
  const down = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1 << 20 });
  const [toRunner, toGateway] = [up.writable.getWriter(), down.writable.getWriter()];
  const count = 20_000;
  const frame = new Uint8Array(160);
  const runner = new Pipe({
    side: "runner",
    readable: up.readable,
    write: (bytes) => toGateway.write(bytes),
    onControl() {},
    async onExchange(exchange: Exchange) {
      await exchange.respond({ status: 200 });
      for (let i = 0; i < count; i++) await exchange.write(frame);
      await exchange.end();
    },
  });
  const gateway = new Pipe({
    side: "gateway",
    readable: down.readable,
    write: (bytes) => toRunner.write(bytes),
    onControl() {},
  });
  const running = [runner.run(), gateway.run()];
  const ms = await timed(3, async () => {
    const exchange = gateway.open({});
    await exchange.end();
    for await (const _ of exchange) { /* counted by the writer */ }
  });
  row("frames of 160 bytes", Math.round(count / ms * 1000).toLocaleString("en"));
  await Promise.all([toRunner.close(), toGateway.close()]);
  await Promise.all(running);
}

async function spawning(): Promise<void> {
  console.log("spawn of a runner to its first key (ms, medians)");
  const dataDir = await Deno.makeTempDir();
  const config = loadConfig({ env: {} });
  const keys = await openKeySource({ dataDir, env: {}, interactive: false, ephemeral: true });
  const models = await ModelStore.open(join(dataDir, "models"), { embeddedDemo: MODEL });
  const files = await runnerFiles({ env: Deno.env.toObject(), tui: makeTui({ noColor: true }) });
  const spawn = async (sandbox: boolean) => {
    const supervisor = new Supervisor({
      config,
      models,
      keys,
      gpu: chooseGpu("off", { sandbox, found: [], backends: [] }),
      sandbox: await openSandbox({ files, mode: { sandbox, strict: sandbox } }),
      logger: silentLogger,
      version: "bench",
    });
    const started = performance.now();
    await supervisor.acquire("demo");
    const ms = performance.now() - started;
    await supervisor.stop();
    return ms;
  };
  const [without, withAll]: number[][] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    without!.push(await spawn(false));
    withAll!.push(await spawn(true));
  }
  row("no sandbox", median(without!).toFixed(0));
  row("all layers", median(withAll!).toFixed(0));
  row("difference, pair by pair", median(withAll!.map((ms, i) => ms - without![i]!)).toFixed(0));
  await Deno.remove(dataDir, { recursive: true });
}

async function wholePath(): Promise<void> {
  console.log(
    `generation, greedy, ${TOKENS} tokens: the whole path against the engine in a bare process`,
  );
  const dataDir = await Deno.makeTempDir();
  await (await ModelStore.open(join(dataDir, "models"))).importGguf(MODEL, "bench");
  const served = await startServe({
    env: { SECLLAMA_DATA_DIR: dataDir },
    args: ["--ephemeral", "--parallel=4", "--model=bench"],
  });
  const { libDir } = await runnerFiles({
    env: Deno.env.toObject(),
    tui: makeTui({ noColor: true }),
  });
  const threads = Math.max(1, navigator.hardwareConcurrency - 1); // serve's own default
  const engine = await loadEngine({
    libDir,
    modelPath: MODEL,
    contextLength: 1024,
    slots: 4,
    threads,
  });
  const prompt = "Once upon a time there was a very small model that";
  const bare = async () => {
    const started = performance.now();
    let first = 0;
    let count = 0;
    const request: GenerateRequest = {
      prompt: [{ text: prompt, special: false }],
      client: `bench ${Math.random()}`,
      maxTokens: TOKENS,
      stop: [],
      grammar: schemaGrammar(FORMAT),
      sampling: {
        temperature: 0,
        topK: 40,
        topP: 0.9,
        minP: 0,
        repeatPenalty: 1.1,
        repeatLastN: 64,
        presencePenalty: 0,
        frequencyPenalty: 0,
      },
    };
    for await (const event of engine.generate(request, new AbortController().signal)) {
      if (event.type !== "token") continue;
      if (count++ === 0) first = performance.now() - started;
    }
    return { first, count, ms: performance.now() - started };
  };
  const whole = async () => {
    const started = performance.now();
    let first = 0;
    const response = await fetch(`${served.proxyUrl}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "bench",
        prompt,
        raw: true,
        format: FORMAT,
        options: { temperature: 0, num_predict: TOKENS },
      }),
    });
    const parts: Uint8Array[] = [];
    for await (const chunk of response.body!) {
      first ||= performance.now() - started;
      parts.push(chunk);
    }
    const last = JSON.parse(new TextDecoder().decode(concat(...parts)).trim().split("\n").at(-1)!);
    return { first, count: last.eval_count as number, ms: performance.now() - started };
  };
  try {
    await bare();
    await whole();
    const ratios: number[] = [];
    const firsts: number[] = [];
    const added: number[] = [];
    let counts = "";
    for (let i = 0; i < ROUNDS; i++) {
      const a = await bare();
      const b = await whole();
      ratios.push((b.count / b.ms) / (a.count / a.ms));
      firsts.push(b.first / a.first);
      added.push(b.first - a.first);
      counts = `${a.count} and ${b.count} tokens, bare ${
        Math.round(a.count / a.ms * 1000)
      } tokens/s`;
    }
    row("tokens a second, whole path ÷ bare engine", `${median(ratios).toFixed(2)}  (${counts})`);
    row("time to the first token, whole path ÷ bare engine", median(firsts).toFixed(2));
    row("time to the first token, added (ms)", median(added).toFixed(1));
  } finally {
    engine.close();
    await served.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
}

console.log(
  `${Deno.build.target}, ${navigator.hardwareConcurrency} cores, deno ${Deno.version.deno}\n`,
);
await benchWire();
await pipeFrames();
await benchKeys();
await spawning();
await wholePath();
Deno.exit(0);
