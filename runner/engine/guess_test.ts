/** Tokens that are guessed ahead change when tokens come, and never which. */
import assert from "node:assert/strict";
import { seeded } from "../../tests/support/seeds.ts";
import { MeasuredGuessCosts } from "./guess_costs.ts";
import { Guesser } from "./guesser.ts";
import { collect, GREEDY, modelTest, PROMPTS, request, WARM, withEngine } from "./testing.ts";
import type { GenerateRequest } from "./types.ts";

/** Guesses whatever can be guessed, and counts. */
class Always {
  guessed = 0;
  steps = 0;
  record({ tokens }: { tokens: number }) {
    this.steps++;
    this.guessed += tokens - 1;
  }
  choose(_: number, most: number) {
    return Math.min(most, 1 + this.steps % 15);
  }
}

/** Words that all replies of a case are made of: they repeat, and differ. */
const FEW = new Map([300, 301, 302].map((token) => [token, 40]));
const NEVER = { record() {}, choose: () => 0 };

modelTest(
  "guess: tokens, logprobs and endings are those of one token a step",
  async (modelPath) => {
    const words = "the cat sat on the mat and the dog sat on the cat and ";
    const cases: Partial<GenerateRequest>[] = [
      {},
      { maxTokens: 100 },
      { maxTokens: 2 },
      { maxTokens: -1 },
      { sampling: { ...GREEDY, repeatPenalty: 1.1 } },
      { sampling: { ...WARM, seed: 3, topK: 5, repeatPenalty: 1 }, maxTokens: 100 },
      { sampling: { ...WARM, seed: 4, temperature: 0.6 } },
      { sampling: { ...WARM, seed: 5, topK: 2, repeatPenalty: 1 }, logprobs: 2 },
      { sampling: { ...WARM, seed: 7, repeatPenalty: 1 }, logitBias: FEW, maxTokens: 100 },
      { sampling: { ...WARM, seed: 8, repeatPenalty: 1.2 }, logitBias: FEW, logprobs: 3 },
      { grammar: 'root ::= ("a" | "b" | " the")+', maxTokens: 60 },
      { grammar: 'root ::= ("ab")+', sampling: { ...WARM, seed: 6 }, maxTokens: 60 },
    ];
    const run = async (guessCosts: Always | typeof NEVER) => {
      const out: unknown[] = [];
      await withEngine({ modelPath, guessCosts, slots: 2, contextLength: 256 }, async (engine) => {
        for (const prompt of [PROMPTS[0]!, words.repeat(3)]) {
          for (const change of cases) {
            const { text, tokens, done } = await collect(engine, request(prompt, change));
            const { promptMs: _, evalMs: __, ...rest } = done;
            out.push({ text, rest, ids: tokens.map(({ id }) => id) });
            // Its cells are what the next prompt is told to go on from.
            const next = Int32Array.from(rest.context).subarray(0, 200);
            const more = await collect(engine, { ...request(""), prompt: next, maxTokens: 8 });
            out.push(more.text);
          }
        }
      });
      return out;
    };
    const always = new Always();
    const guessed = await run(always);
    assert.ok(always.guessed > 100, `${always.guessed} guessed`);
    const plain = await run(NEVER);
    for (const [at, one] of plain.entries()) assert.deepEqual(guessed[at], one, `case ${at}`);
  },
);

/** A text that repeats itself, as edits and code do, and what is asked of it, drawn at random. */
function drawn(
  random: () => number,
): Partial<GenerateRequest> & { readonly prompt: GenerateRequest["prompt"] } {
  const below = (count: number) => Math.floor(random() * count);
  const one = <T>(of: readonly T[]) => of[below(of.length)]!;
  const words = Array.from(
    { length: 3 + below(6) },
    () => one([" the", " cat", " sat", "ab", ",", "\n", " é", "7"]),
  );
  const text = Array.from(
    { length: 10 + below(60) },
    (_, at) => below(12) === 0 ? one(words) : words[at % words.length]!,
  ).join("");
  const sampling = below(3) === 0 ? GREEDY : {
    ...WARM,
    seed: below(1000),
    temperature: one([0.3, 0.8, 1.5]),
    topK: one([0, 1, 3, 40]),
    topP: one([0.5, 0.95, 1]),
    minP: one([0, 0.1]),
    repeatPenalty: one([1, 1, 1.3]),
    repeatLastN: one([0, 8, 64]),
    presencePenalty: one([0, 0.5]),
  };
  return {
    prompt: [{ text, special: false }],
    maxTokens: one([0, 1, 2, 5, 17, 40]),
    sampling,
    stop: one([[], [], [" the"], ["a", "sat c"], ["zz"]]),
    ...(below(3) === 0 ? { logprobs: below(4) } : {}),
    ...(below(2) === 0 ? { logitBias: FEW } : {}),
    ...(below(4) === 0
      ? { grammar: one(['root ::= ("a" | "b" | " the")+', 'root ::= ("ab" | [0-9] "," )*']) }
      : {}),
  };
}

const DRAWN = Deno.env.get("SECLLAMA_FULL") === "1" ? 300 : 15;

modelTest(
  `guess: ${DRAWN} requests that were drawn at random say the same with guesses as without`,
  async (modelPath) => {
    const random = seeded(20261130);
    const requests = Array.from({ length: DRAWN }, () => ({ ...request(""), ...drawn(random) }));
    const run = async (guessCosts: Always | typeof NEVER) => {
      const out: unknown[] = [];
      await withEngine({ modelPath, guessCosts, slots: 1 }, async (engine) => {
        for (const each of requests) {
          const { text, tokens, done } = await collect(engine, each);
          const { promptMs: _, evalMs: __, ...rest } = done;
          out.push({
            text,
            rest,
            tokens: tokens.map(({ id, logprob, top }) => ({
              id,
              logprob: logprob?.id,
              top: top?.map((one) => one.id),
            })),
          });
        }
      });
      return out;
    };
    const always = new Always();
    const guessed = await run(always);
    assert.ok(always.guessed > DRAWN, `${always.guessed} guessed`);
    const plain = await run(NEVER);
    for (const [at, one] of plain.entries()) {
      assert.deepEqual(guessed[at], one, `request ${at}: ${JSON.stringify(requests[at])}`);
    }
  },
);

modelTest(
  "guess: who leaves, and who comes while tokens are guessed, gets what is theirs",
  async (modelPath) => {
    await withEngine({ modelPath, guessCosts: new Always() }, async (engine) => {
      const alone = await collect(engine, request("Once upon a time", { maxTokens: 150 }));
      const leave = new AbortController();
      const events = engine.generate(request("The end The end", { maxTokens: 400 }), leave.signal);
      let seen = 0;
      await assert.rejects(async () => {
        for await (const _ of events) if (++seen === 40) leave.abort();
      }, { code: "cancelled" });
      const all = await Promise.all(
        [0, 1, 2].map((client) =>
          collect(engine, request("Once upon a time", { maxTokens: 150, client: `${client}` }))
        ),
      );
      for (const one of all) assert.equal(one.text, alone.text);
    });
  },
);

Deno.test("guess: what stood before is found, and found again behind a changed word", () => {
  const text = [...Array(50).keys()];
  const guesser = new Guesser(Int32Array.from([...text, 100, 3, 4, 5]));
  assert.deepEqual(guesser.guess(4), [6, 7, 8, 9]);
  for (const token of [6, 7, 8]) guesser.push(token);
  assert.ok(guesser.chance > 0.8);
  guesser.push(77); // in place of 9
  assert.deepEqual(guesser.guess(4), []);
  guesser.push(10);
  assert.deepEqual(guesser.guess(3), [11, 12, 13]);
  assert.deepEqual(new Guesser(Int32Array.from([1, 2, 3, -5, -5, 9, 1, 2, 3])).guess(4), []);
  assert.deepEqual(new Guesser(Int32Array.from([1, 2])).guess(4), []);
});

Deno.test("guess: as many as pay by what was measured", () => {
  const costs = new MeasuredGuessCosts();
  assert.equal(costs.choose(0.9, 15), 0, "nothing is known yet");
  for (let step = 0; step < 9; step++) costs.record({ tokens: 1, drawn: 1, ms: 10 });
  assert.equal(costs.choose(0.1, 15), 0);
  assert.equal(costs.choose(0.95, 0), 0);
  assert.ok(costs.choose(0.95, 15) > 0);
  for (const size of [2, 4, 8, 16]) costs.record({ tokens: size, drawn: size, ms: 11 });
  assert.equal(costs.choose(0.95, 15), 15);
  assert.ok(costs.choose(0.5, 15) >= 3);
  assert.equal(costs.choose(0.95, 5), 3, "a size that fits");
  for (let step = 0; step < 9; step++) {
    for (const size of [2, 4, 8, 16]) costs.record({ tokens: size, drawn: size, ms: 10 * size });
  }
  assert.equal(costs.choose(0.99, 15), 0, "where a token is no cheaper in company, none");
});

Deno.test("guess: what disappoints rests, each time longer", () => {
  const costs = new MeasuredGuessCosts();
  const plain = (steps: number) => {
    for (let step = 0; step < steps; step++) costs.record({ tokens: 1, drawn: 1, ms: 10 });
  };
  plain(7);
  let guesses = 0;
  for (let step = 0; step < 2000; step++) {
    const tokens = 1 + costs.choose(0.9, 15);
    // Likely as it seemed, each was wrong.
    if (tokens > 1) guesses++;
    costs.record({ tokens, drawn: 1, ms: tokens > 1 ? 15 : 10 });
  }
  assert.ok(guesses >= 2 && guesses < 40, `${guesses}`);
});
