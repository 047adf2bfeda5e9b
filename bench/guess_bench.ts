/**
 * What guessing ahead gives, and what it costs where there is nothing to guess: tokens a second with it, divided by those without,
 * each pair in one run and in turn.
 *
 *   deno run -A bench/guess_bench.ts [SIZE] [TYPE] [--threads N] [--tokens N] [--rounds N] [--cpu] [--draft SIZE]
 *   --cpu: by processor time, on a machine that others use; with one thread it says the same.
 *   --draft: instead, a draft model of that size, with as many tokens, one that is always right and one that never is.
 *
 * The model is one of random weights whose next token is the next of the vocabulary (makeRandomGguf's `counts`), so that what it
 * says is known: an edit of the prompt, in which every so many-th word is another, or what no part of the prompt foretells.
 */
import { parseArgs } from "node:util";
import { cpuUsage } from "node:process";
import { loadEngine } from "../runner/engine/mod.ts";
import { collect, libraryFolder, request } from "../runner/engine/testing.ts";
import { makeRandomGguf, type TypeName } from "../runner/engine/testing_gguf.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
    tokens: { type: "string", default: "256" },
    rounds: { type: "string", default: "5" },
    cpu: { type: "boolean", default: false },
    draft: { type: "string" },
  },
});
const [size = "135M", type = "q8_0"] = positionals;
const tokens = Number(values.tokens);
const FIRST = 400;
/** Tokens that are none of the reply's. */
const OTHER = 380;

/** The prompt that precedes the reply `FIRST + 1, FIRST + 2, …`: what it is an edit of, or nothing like it. */
const PROMPTS: Readonly<Record<string, (at: number) => number>> = {
  "a copy": (at) => FIRST + at,
  "an edit, each 40th word": (at) => at % 40 === 20 ? OTHER : FIRST + at,
  "an edit, each 10th word": (at) => at % 10 === 5 ? OTHER : FIRST + at,
  "another text": (at) => 50 + (at * 7919) % 300,
  // Each three words of the reply stand in it, with others behind them.
  "what misleads": (at) => at % 4 === 3 ? OTHER : FIRST + Math.floor(at / 4) * 3 + at % 4,
};

const dir = await Deno.makeTempDir({ prefix: "secllama-bench-" });
try {
  const modelPath = `${dir}/model.gguf`;
  makeRandomGguf(size, type as TypeName, modelPath, { counts: true });
  const options = {
    libDir: libraryFolder(),
    modelPath,
    contextLength: 1024,
    slots: 1,
    threads: Number(values.threads),
  };
  const NONE = { guessCosts: { record() {}, choose: () => 0 } };
  const plain = await loadEngine({ ...options, ...NONE });
  const rate = async (engine: typeof plain, at: (at: number) => number) => {
    const prompt = Int32Array.from([
      ...Array.from({ length: tokens + 20 }, (_, i) => at(i)),
      FIRST,
    ]);
    // The prompt alone, which stays in the cache: what is measured is the reply.
    await collect(engine, request("", { prompt, maxTokens: 0 }));
    const before = cpuUsage();
    const { done } = await collect(engine, request("", { prompt, maxTokens: tokens }));
    const { user, system } = cpuUsage(before);
    return done.evalTokens / (values.cpu ? (user + system) / 1000 : done.evalMs);
  };
  console.log(
    `${size} ${type}, ${values.threads} threads, ${tokens} tokens, ${values.rounds} pairs`,
  );
  const compare = async (
    name: string,
    engine: typeof plain,
    at: (at: number) => number,
  ): Promise<void> => {
    const ratios: number[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const first = round % 2 === 0;
      const a = first ? await rate(engine, at) : 0;
      const without = await rate(plain, at);
      ratios.push((first ? a : await rate(engine, at)) / without);
    }
    ratios.sort((a, b) => a - b);
    const [least, middle, most] = [ratios[0]!, ratios[ratios.length >> 1]!, ratios.at(-1)!];
    console.log(
      `${name.padEnd(26)} ${middle.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`,
    );
  };
  if (values.draft === undefined) {
    const guesses = await loadEngine(options);
    for (const [name, at] of Object.entries(PROMPTS)) await compare(name, guesses, at);
    guesses.close();
  } else {
    for (const counts of [true, false]) {
      const path = `${dir}/draft.gguf`;
      makeRandomGguf(values.draft, type as TypeName, path, { counts });
      const drafts = await loadEngine({ ...options, ...NONE, draft: { path } });
      const name = `a draft model of ${values.draft}, ${counts ? "right" : "wrong"}`;
      await compare(name, drafts, PROMPTS["another text"]!);
      drafts.close();
    }
  }
  plain.close();
} finally {
  await Deno.remove(dir, { recursive: true });
}
