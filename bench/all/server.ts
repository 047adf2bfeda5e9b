/** Tokens, prompts and memory: the whole path and llama-server side by side, in turn, with the same file. */
import { makeRandomGguf, type TypeName } from "../../runner/engine/testing_gguf.ts";
import { type Load, type Side, startLlamaServer, startOurs } from "../server_sides.ts";
import { words } from "../words.ts";

/** Samples by the names of goals. */
export type Samples = Record<string, number[]>;

type Measure = (side: Side, round: number) => Promise<Readonly<Record<string, number>>>;

interface Comparison {
  readonly size: string;
  readonly type: TypeName;
  readonly slots: number;
  /** Tokens of one slot. */
  readonly context: number;
  readonly rounds: number;
  /** Whether the first round counts as well: of prompts so long that nothing is left to warm up. */
  readonly cold?: boolean;
  /** Figures of one side, by the goals that they count for; a goal's ratio is ours to llama-server's. */
  readonly measure: Measure;
  /** The goal that the memory of all processes counts for, read at the end. */
  readonly memory?: string;
}

const SHORT = words(40, 1);
const SHORTER = words(10, 1);
const LONG_513 = words(127, 2);
const LONG_2029 = words(506, 3);

function load(prompt: string, tokens: number): Load {
  return { prompt, tokens, cache: false };
}

/** Tokens a second of so many at once, their prompts included; of one alone, of those after the first. */
async function rate(
  side: Side,
  streams: number,
  { tokens, prompt }: { tokens: number; prompt: string },
): Promise<number> {
  if (streams === 1) {
    const { firstMs, lastMs, tokens: made } = await side.ask(load(prompt, tokens));
    return (made - 1) / (lastMs - firstMs);
  }
  const began = performance.now();
  const all = await Promise.all(
    Array.from({ length: streams }, () => side.ask(load(prompt, tokens))),
  );
  return all.reduce((sum, one) => sum + one.tokens, 0) / (performance.now() - began);
}

const rates =
  (name: string, streams: readonly number[], tokens: number, prompt?: string): Measure =>
  async (side) => {
    const found: Record<string, number> = {};
    for (const count of streams) {
      const load = { tokens, prompt: prompt ?? (count > 8 ? SHORTER : SHORT) };
      found[`${name} ${count}`] = await rate(side, count, load);
    }
    return found;
  };

const firsts = (prompts: Readonly<Record<string, string>>): Measure => async (side) => {
  const found: Record<string, number> = {};
  for (const [name, prompt] of Object.entries(prompts)) {
    found[name] = (await side.ask(load(prompt, 2))).firstMs;
  }
  return found;
};

/** The longest wait between two pieces of a reply while another's long prompt is read. */
async function gap(side: Side): Promise<number> {
  let began = () => {};
  const reading = new Promise<void>((resolve) => began = resolve);
  const reply = side.ask(load(SHORT, 160), () => began());
  await Promise.race([reading, reply]);
  const [{ gapMs }] = await Promise.all([reply, side.ask(load(LONG_2029, 1))]);
  return gapMs;
}

const together = (...measures: readonly Measure[]): Measure => async (side, round) =>
  Object.assign({}, ...await Array.fromAsync(measures, (measure) => measure(side, round)));

/** What is compared. @param rounds How often, at least; the slow ones less often. */
function comparisons(rounds: number): readonly Comparison[] {
  const few = Math.max(2, rounds - 2);
  return [
    {
      size: "15M",
      type: "q8_0",
      slots: 32,
      context: 512,
      rounds,
      measure: together(rates("15M q8_0", [1, 8, 32], 48), firsts({ "first short": SHORTER })),
    },
    {
      size: "15M",
      type: "q8_0",
      slots: 8,
      context: 2048,
      rounds: 1,
      measure: rates("memory", [8], 8),
      memory: "memory 15M",
    },
    {
      size: "15M",
      type: "q8_0",
      slots: 1,
      context: 16_384,
      rounds: Math.max(1, rounds - 4),
      cold: true,
      measure: firsts({ "whole 4005": words(1000, 4), "whole 13605": words(3400, 5) }),
    },
    {
      size: "135M",
      type: "q8_0",
      slots: 8,
      context: 2048,
      rounds: few,
      measure: together(
        rates("135M q8_0", [1, 8], 48),
        firsts({ "first 513": LONG_513, "first 2029": LONG_2029 }),
        async (side) => ({ gap: await gap(side) }),
      ),
      memory: "memory 135M",
    },
    {
      size: "135M",
      type: "q4_0",
      slots: 32,
      context: 512,
      rounds: few,
      measure: rates("135M q4_0", [1, 8, 32], 32),
    },
    {
      size: "1B",
      type: "q4_0",
      slots: 8,
      context: 2048,
      rounds: few,
      measure: rates("1B q4_0", [1, 4, 8], 24, SHORTER),
      memory: "memory 1B",
    },
  ];
}

/**
 * Compares all. @param peer Path of a llama-server.
 * @param only Parts of the names of models that are wanted; none: all.
 */
export async function measureServers(o: {
  readonly peer: string;
  readonly rounds: number;
  readonly threads: number;
  readonly only: readonly string[];
  /** Told what could not be compared; the others are. */
  onFailed(what: string, error: unknown): void;
}): Promise<Samples> {
  const samples: Samples = {};
  const dir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
  try {
    for (const one of comparisons(o.rounds)) {
      const name = `${one.size} ${one.type}`;
      if (o.only.length > 0 && !o.only.some((part) => name.includes(part))) continue;
      console.log(`${name}, ${one.slots} × ${one.context}`);
      const model = `${dir}/${one.size}-${one.type}.gguf`;
      if (!await Deno.stat(model).then(() => true, () => false)) {
        makeRandomGguf(one.size, one.type, model, { contextLength: 16_384 });
      }
      try {
        await compare(one, { ...o, model }, samples);
      } catch (error) {
        o.onFailed(`${name}, ${one.slots} × ${one.context}`, error);
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return samples;
}

async function compare(
  { slots, context, rounds, cold, measure, memory }: Comparison,
  { peer, threads, model }: { peer: string; threads: number; model: string },
  samples: Samples,
): Promise<void> {
  const options = { model, slots, context, threads };
  const add = (name: string, sample: number) => (samples[name] ??= []).push(sample);
  const ours = await startOurs(options);
  let theirs: Side | undefined;
  try {
    theirs = await startLlamaServer(peer, options);
    // The first round warms up; which side begins alternates.
    for (let round = cold ? 1 : 0; round <= rounds; round++) {
      const sides = round % 2 === 0 ? [ours, theirs] : [theirs, ours];
      const found = new Map<Side, Readonly<Record<string, number>>>();
      for (const side of sides) found.set(side, await measure(side, round));
      if (round === 0) continue;
      for (const [name, value] of Object.entries(found.get(ours)!)) {
        const ratio = value / found.get(theirs)![name]!;
        if (!Number.isFinite(ratio)) throw new Error(`${name}: a side made nothing`);
        if (!name.startsWith("memory")) add(name, ratio);
        console.log(`  ${name}: ${ratio.toFixed(2)}`);
      }
    }
    if (memory === undefined) return;
    const [a, b] = [await ours.memory(), await theirs.memory()];
    if (a && b) add(memory, a.all / b.all);
    if (a && b) console.log(`  ${memory}: ${(a.all / b.all).toFixed(2)}`);
  } finally {
    await ours.stop();
    await theirs?.stop();
  }
}
