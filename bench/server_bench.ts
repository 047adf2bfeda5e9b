/**
 * Our whole path (proxy → sealed → gateway → sandbox → engine) against llama-server: same file, threads, slots, context,
 * prompts and greedy choice, in turn (A, B, A, B, …), as ratios with the goal beside each. The peer is built from the pinned package
 * with --peer-from-package (once, minutes), or is the one that LLAMA_SERVER names; without either it is our engine called bare.
 *
 *     deno run -A bench/server_bench.ts MODEL… [--peer-from-package] [--type q8_0] [--threads 1,2] [--rounds 5] [--tokens 64]
 *
 * A MODEL is a file, or 15M, 135M or 1B: one of that size with random weights is then made.
 */
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { makeRandomGguf, SHAPES, type TypeName } from "../runner/engine/testing_gguf.ts";
import { buildServer, defaultEngineFolder } from "../scripts/engine/build.ts";
import { median } from "./median.ts";
import { words } from "./words.ts";
import { bytesPerToken, readBandwidth } from "./memory_bandwidth.ts";
import { type Load, type Side, startBare, startLlamaServer, startOurs } from "./server_sides.ts";

export interface ServerBenchOptions {
  /** Paths, or names of sizes. */
  readonly models: readonly string[];
  /** Of the models that are made. */
  readonly type: TypeName;
  readonly threads: readonly number[];
  readonly rounds: number;
  readonly tokens: number;
  /** Path of a llama-server; absent: the peer is the engine called bare. */
  readonly peer?: string | undefined;
}

const STREAMS = 8;
const CONTEXT = 2048;

const PROMPT = words(40, 1);
const LONG = words(200, 2);

interface Measured {
  /** Tokens a second after the first. */
  single: number;
  firstMs: number;
  /** Tokens a second of all eight together, prompts included. */
  eight: number;
  /** First token of a long prompt, and of the same again with another end. */
  longMs: number;
  repeatedMs: number;
  promptTokens: number;
  longTokens: number;
}

async function measure(side: Side, round: number, tokens: number): Promise<Measured> {
  const load = (more: Partial<Load>): Load => ({ prompt: PROMPT, tokens, cache: false, ...more });
  const single = await side.ask(load({}));
  const began = performance.now();
  const all = await Promise.all(Array.from({ length: STREAMS }, () => side.ask(load({}))));
  const eightMs = performance.now() - began;
  const total = all.reduce((sum, one) => sum + one.tokens, 0);
  if (single.tokens !== tokens) console.log(`  note: ${side.name} made ${single.tokens} tokens`);
  const long = `round ${round} ${LONG}`;
  const whole = await side.ask(load({ prompt: long, tokens: 4, cache: true }));
  const again = await side.ask(load({ prompt: `${long} tail`, tokens: 4, cache: true }));
  return {
    single: (single.tokens - 1) / (single.lastMs - single.firstMs) * 1000,
    firstMs: single.firstMs,
    eight: total / eightMs * 1000,
    longMs: whole.firstMs,
    repeatedMs: again.firstMs,
    promptTokens: single.promptTokens,
    longTokens: whole.promptTokens,
  };
}

function row(
  name: string,
  a: string,
  b: string,
  ratio: string,
  range: string,
  goal: string,
): void {
  const figures = `${a.padStart(10)}${b.padStart(14)}${ratio.padStart(8)}${range.padStart(18)}`;
  console.log(`  ${name.padEnd(46)}${figures}   ${goal}`);
}

/** The processor's own name, and how many of them there are. */
export async function processor(): Promise<string> {
  const info = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  const name = /^model name\s*: (.*)$/m.exec(info)?.[1] ?? Deno.build.arch;
  const amx = /\bamx_int8\b/.test(info) ? ", AMX" : /\bavx512f\b/.test(info) ? ", AVX-512" : "";
  return `${name}${amx}, ${navigator.hardwareConcurrency} processors`;
}

async function compare(
  model: string,
  threads: number,
  { rounds, tokens, peer: program }: Pick<ServerBenchOptions, "rounds" | "tokens" | "peer">,
): Promise<void> {
  const options = { model, slots: STREAMS, context: CONTEXT, threads };
  const ours = await startOurs(options);
  let peer: Side | undefined;
  try {
    peer = program ? await startLlamaServer(program, options) : await startBare(options);
    console.log(`\n${basename(model)}, ${threads} thread${threads > 1 ? "s" : ""}`);
    row("medians; ratios pair by pair", ours.name, peer.name, "ratio", "lowest – highest", "goal");
    // The same prompts to both; the first round warms up.
    const pairs: [Measured, Measured][] = [];
    for (let round = 0; round <= rounds; round++) {
      const pair: [Measured, Measured] = [
        await measure(ours, round, tokens),
        await measure(peer, round, tokens),
      ];
      if (round > 0) pairs.push(pair);
    }
    const compared = (
      name: string,
      pick: (m: Measured) => number,
      digits: number,
      goal: string,
    ) => {
      const [a, b] = [median(pairs.map((p) => pick(p[0]))), median(pairs.map((p) => pick(p[1])))];
      const ratios = pairs.map(([x, y]) => pick(x) / pick(y));
      const range = `${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)}`;
      row(name, a.toFixed(digits), b.toFixed(digits), median(ratios).toFixed(2), range, goal);
      return a;
    };
    const last = pairs.at(-1)!;
    const [short, long] = [last[0].promptTokens, last[0].longTokens];
    if (long !== last[1].longTokens) console.log("  note: the sides count the prompt differently");
    const single = compared("one stream, tokens/s", (m) => m.single, 1, "≥ 1.00");
    compared("eight streams, tokens/s together", (m) => m.eight, 1, "≥ 1.00");
    compared(`first token of a prompt of ${short}, ms`, (m) => m.firstMs, 1, "≤ 1.05");
    compared(`first token of a prompt of ${long}, ms`, (m) => m.longMs, 1, "≤ 1.05");
    compared("  … its prefix repeated, ms", (m) => m.repeatedMs, 1, "");
    const repeated = pairs.map(([a]) => a.repeatedMs / a.longMs);
    const peers = pairs.map(([, b]) => b.repeatedMs / b.longMs);
    row(
      "  … ÷ the first time",
      median(repeated).toFixed(2),
      median(peers).toFixed(2),
      "",
      "",
      "≤ 0.30",
    );
    const [a, b] = [await ours.memory(), await peer.memory()];
    if (a && b) {
      const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
      row(
        "memory of the runner, MiB",
        mb(a.model),
        mb(b.model),
        ratioOf(a.model, b.model),
        "",
        "≤ 1.10",
      );
      row(
        "memory with gateway and proxy, MiB",
        mb(a.all),
        mb(b.all),
        ratioOf(a.all, b.all),
        "",
        "",
      );
    }
    const bandwidth = await readBandwidth(threads);
    const bound = bandwidth / await bytesPerToken(model);
    console.log(
      `  memory reads at ${(bandwidth / 1e9).toFixed(1)} GB/s on ${threads}: at most ${
        bound.toFixed(0)
      } tokens/s for one stream; reached ${(100 * single / bound).toFixed(0)}%`,
    );
  } finally {
    await ours.stop();
    await peer?.stop();
  }
}

function ratioOf(a: number, b: number): string {
  return (a / b).toFixed(2);
}

/** Prints one table for each model and number of threads. */
export async function benchServer(o: ServerBenchOptions): Promise<void> {
  console.log(
    `the whole path against ${o.peer ? "llama-server" : "the engine bare"}: ` +
      `${STREAMS} slots of ${CONTEXT} tokens, ${o.rounds} pairs, ${o.tokens} tokens each, ` +
      `load ${Deno.loadavg()[0]?.toFixed(1)} before; ${await processor()}`,
  );
  const dir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  try {
    for (const name of o.models) {
      let path = name;
      if (Object.hasOwn(SHAPES, name)) {
        path = join(dir, `${name}-${o.type}.gguf`);
        makeRandomGguf(name, o.type, path);
      }
      for (const threads of o.threads) await compare(path, threads, o);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What `serve` takes by default. */
export const DEFAULT_THREADS = Math.max(1, navigator.hardwareConcurrency - 1);

/** The peer of the pinned package, built if it is not there. @throws {Error} If it cannot be. */
export async function peerFromPackage(): Promise<string> {
  const folder = new URL(`../${defaultEngineFolder()}`, import.meta.url).pathname;
  const program = `${folder}/llama-server`;
  if (!await Deno.stat(program).then(() => true, () => false)) await buildServer(folder);
  return program;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      type: { type: "string", default: "q8_0" },
      threads: { type: "string", default: String(DEFAULT_THREADS) },
      rounds: { type: "string", default: "5" },
      tokens: { type: "string", default: "64" },
      "peer-from-package": { type: "boolean", default: false },
    },
  });
  if (positionals.length === 0 || !["q8_0", "q4_0", "f16"].includes(values.type)) {
    console.error(
      "usage: server_bench.ts MODEL.gguf|15M|135M|1B… [--peer-from-package] [--type q8_0|q4_0|f16] " +
        "[--threads 1,2] [--rounds N] [--tokens N]",
    );
    Deno.exit(2);
  }
  await benchServer({
    models: positionals,
    type: values.type as TypeName,
    threads: values.threads.split(",").map(Number),
    rounds: Number(values.rounds),
    tokens: Number(values.tokens),
    peer: values["peer-from-package"] ? await peerFromPackage() : Deno.env.get("LLAMA_SERVER"),
  });
  Deno.exit(0);
}
