/**
 * Tokens a second of the engine's loop alone: no sealing, no pipe, no HTTP, no sandbox.
 *
 *   deno run --allow-ffi --allow-read bench/engine_bench.ts MODEL.gguf [--threads N] [--streams 1,4,8]
 *       [--tokens N] [--prompt N] [--rounds N] [--context N]
 *
 * Rounds alternate between the numbers of streams, and the median counts; the model is warmed up by loading.
 */
import { parseArgs } from "node:util";
import { loadEngine } from "../runner/engine/mod.ts";
import { collect, GREEDY, libraryFolder, request } from "../runner/engine/testing.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
    streams: { type: "string", default: "1,4,8" },
    tokens: { type: "string", default: "64" },
    prompt: { type: "string", default: "128" },
    rounds: { type: "string", default: "5" },
    context: { type: "string", default: "1024" },
  },
});
const modelPath = positionals[0];
if (modelPath === undefined) {
  console.error("usage: engine_bench.ts MODEL.gguf [--threads N] [--streams 1,4,8]");
  Deno.exit(2);
}
const threads = Number(values.threads);
const streams = values.streams.split(",").map(Number);
const tokens = Number(values.tokens);
const promptTokens = Number(values.prompt);

const started = performance.now();
const engine = await loadEngine({
  libDir: libraryFolder(),
  modelPath,
  contextLength: Number(values.context),
  slots: Math.max(...streams),
  threads,
});
const { info } = engine;
console.log(
  `${info.name ?? info.architecture} ${info.quantization}, ${threads} threads, ` +
    `loaded in ${(performance.now() - started).toFixed(0)} ms`,
);

/** A prompt of its own for each run, so that no prefix is reused. */
let serial = 0;
function prompt(): Int32Array {
  serial++;
  const low = Math.min(300, info.vocabularySize >> 1);
  return Int32Array.from(
    { length: promptTokens },
    (_, at) => low + (serial * 7919 + at * 104729) % (info.vocabularySize - low),
  );
}

interface Rates {
  generation: number;
  prompt: number;
  firstTokenMs: number;
}

async function round(count: number): Promise<Rates> {
  const began = performance.now();
  const results = await Promise.all(
    Array.from({ length: count }, (_, stream) =>
      collect(
        engine,
        request("", {
          prompt: prompt(),
          client: `c${serial}-${stream}`,
          maxTokens: tokens,
          sampling: GREEDY,
        }),
      )),
  );
  const total = results.reduce((sum, { done }) => sum + done.evalTokens, 0);
  const longestPrompt = Math.max(...results.map(({ done }) => done.promptMs));
  // Generation overlaps with others' prompts: what counts is the time after the last prompt.
  const generating = performance.now() - began - longestPrompt;
  return {
    generation: (total - count) / generating * 1000,
    prompt: count * promptTokens / longestPrompt * 1000,
    firstTokenMs: results[0]?.done.promptMs ?? 0,
  };
}

const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;
const all = new Map(streams.map((count) => [count, [] as Rates[]]));
for (let at = 0; at < Number(values.rounds); at++) {
  for (const count of streams) all.get(count)?.push(await round(count));
}
console.log("streams  generation t/s  prompt t/s  first token ms");
for (const [count, rates] of all) {
  const show = (pick: (rate: Rates) => number, width: number, digits: number) =>
    median(rates.map(pick)).toFixed(digits).padStart(width);
  console.log(
    String(count).padStart(7) + show((r) => r.generation, 16, 1) + show((r) => r.prompt, 12, 0) +
      show((r) => r.firstTokenMs, 16, 1),
  );
}
engine.close();
