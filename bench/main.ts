/**
 * `deno task bench`: what protection costs, as ratios and medians of one run. Pairs are measured in turn (A, B, A, B, …), since
 * machines drift. Nothing here is a test: it judges nothing.
 *
 *     [LLAMA_SERVER=…] deno task bench [MODEL.gguf]      default: the demo model, and one of random weights for speed
 */
import { join } from "node:path";
import { Installation } from "../src/app/installation.ts";
import { loadConfig } from "../src/config/config.ts";
import { openKeySource } from "../src/keys/mod.ts";
import { silentLogger } from "../src/log.ts";
import { ModelStore } from "../src/models/store.ts";
import { type Exchange, Pipe } from "../src/pipe/pipe.ts";
import { chooseGpu } from "../src/supervisor/gpu.ts";
import { openSandbox } from "../src/supervisor/isolation.ts";
import { Supervisor } from "../src/supervisor/supervisor.ts";
import { median } from "./median.ts";
import { benchServer, DEFAULT_THREADS } from "./server_bench.ts";
import { benchBinary } from "./binary_bench.ts";
import { benchKeys } from "./keys_bench.ts";
import { benchWire } from "./wire_bench.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const MODEL = Deno.args[0] ?? join(ROOT, "models/demo.gguf");
const ROUNDS = 7;

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
  const files = await new Installation({ env: Deno.env.toObject(), onNote: () => {} })
    .runnerFiles();
  const spawn = async (sandbox: boolean) => {
    const supervisor = new Supervisor({
      config,
      models,
      keys,
      gpu: chooseGpu("off", { sandbox, found: [], backends: [] }),
      sandbox: await openSandbox({ files, mode: sandbox ? "strict" : "off" }),
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

console.log(
  `${Deno.build.target}, ${navigator.hardwareConcurrency} cores, deno ${Deno.version.deno}\n`,
);
await benchWire();
await pipeFrames();
await benchKeys();
console.log();
await benchBinary();
await spawning();
await benchServer({
  models: [Deno.args[0] ?? "15M"],
  type: "q8_0",
  threads: [DEFAULT_THREADS],
  rounds: 5,
  tokens: 64,
  peer: Deno.env.get("LLAMA_SERVER"),
});
Deno.exit(0);
