/** A second model that guesses changes when tokens come, and never which. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { createThreadpool } from "./context.ts";
import { openDrafter } from "./drafter.ts";
import { openLibrary } from "./library.ts";
import { loadModel } from "./model.ts";
import { collect, GREEDY, libraryFolder, request, WARM, withEngine } from "./testing.ts";
import { makeRandomGguf } from "./testing_gguf.ts";
import type { EngineOptions, GenerateRequest } from "./types.ts";

/** Guesses so many each time, and counts. */
class Always {
  guessed = 0;
  drawn = 0;
  steps = 0;
  constructor(readonly most = 15) {}
  record({ tokens, drawn }: { tokens: number; drawn: number }) {
    if (tokens === 1) return;
    this.steps++;
    this.guessed += tokens - 1;
    this.drawn += drawn - 1;
  }
  choose(_: number, most: number) {
    return Math.min(most, 1 + this.steps % this.most);
  }
  mayRead() {
    return true;
  }
}

const NEVER = { record() {}, choose: () => 0 };
const FEW = new Map([300, 301, 302].map((token) => [token, 40]));

/** Two models of one vocabulary that say different things, and one of another vocabulary. */
async function withModels(
  test: (models: { main: string; other: string; foreign: string }) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "secllama-draft-" });
  try {
    const made = (size: string) => {
      const path = join(folder, `${size.replace(" ", "-")}.gguf`);
      makeRandomGguf(size, "q8_0", path);
      return path;
    };
    await test({ main: made("tiny"), other: made("one layer"), foreign: made("15M") });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** What all requests come to. */
async function outputs(
  options: Partial<EngineOptions> & { modelPath: string },
  requests: readonly GenerateRequest[],
): Promise<unknown[]> {
  const out: unknown[] = [];
  await withEngine({ guessCosts: NEVER, slots: 2, ...options }, async (engine) => {
    for (const each of requests) {
      const { text, tokens, done } = await collect(engine, each);
      const { promptMs: _, evalMs: __, ...rest } = done;
      out.push({ text, rest, tokens: tokens.map(({ id, logprob }) => [id, logprob?.id]) });
    }
  });
  return out;
}

function drawn(random: () => number): GenerateRequest {
  const below = (count: number) => Math.floor(random() * count);
  const one = <T>(of: readonly T[]) => of[below(of.length)]!;
  const words = [" the", " cat", " sat", "ab", ",", "\n", " é", "7"];
  const text = Array.from({ length: 1 + below(150) }, () => one(words)).join("");
  const sampling = below(2) === 0 ? GREEDY : {
    ...WARM,
    seed: below(1000),
    temperature: one([0.3, 0.8, 1.5]),
    topK: one([0, 1, 3, 40]),
    repeatPenalty: one([1, 1.3]),
  };
  return request(text, {
    maxTokens: one([1, 2, 5, 17, 60]),
    sampling,
    stop: one([[], [], ["a", "sat c"]]),
    ...(below(3) === 0 ? { logprobs: below(4) } : {}),
    ...(below(2) === 0 ? { logitBias: FEW } : {}),
    ...(below(5) === 0 ? { grammar: 'root ::= ("a" | "b" | " the")+' } : {}),
  });
}

const DRAWN = Deno.env.get("SECLLAMA_FULL") === "1" ? 300 : 15;

Deno.test(`draft: ${DRAWN} requests drawn at random say the same with a draft model as without (seed: ${SEED})`, () =>
  withModels(async ({ main, other }) => {
    const random = seeded(SEED);
    const requests = Array.from({ length: DRAWN }, () => drawn(random));
    const plain = await outputs({ modelPath: main }, requests);
    for (const path of [main, other]) {
      const costs = new Always();
      const found = await outputs(
        { modelPath: main, draft: { path }, draftCosts: costs },
        requests,
      );
      for (const [at, one] of plain.entries()) {
        assert.deepEqual(found[at], one, `request ${at}: ${JSON.stringify(requests[at])}`);
      }
      assert.ok(costs.guessed > DRAWN, `${costs.guessed} guessed`);
      if (path === other) {
        assert.ok(costs.drawn < costs.guessed / 2, "control: it is another model");
      }
    }
  }));

Deno.test("draft: the same model guesses each greedy token, and a step gives many", () =>
  withModels(async ({ main }) => {
    const costs = new Always();
    const text = await outputs(
      { modelPath: main, draft: { path: main }, draftCosts: costs },
      [request("Once upon a time", { maxTokens: 200 })],
    );
    assert.deepEqual(
      text,
      await outputs({ modelPath: main }, [
        request("Once upon a time", { maxTokens: 200 }),
      ]),
    );
    assert.ok(costs.drawn > 0.95 * costs.guessed, `${costs.drawn} of ${costs.guessed}`);
    assert.ok(costs.steps < 60, `${costs.steps} steps`);
  }));

Deno.test("draft: a long prompt, a full context and others beside it change nothing", () =>
  withModels(async ({ main }) => {
    const long = "the cat sat on the mat and the dog ".repeat(6);
    const options = { modelPath: main, contextLength: 256, slots: 3 };
    const requests = [
      request(long, { maxTokens: 30 }),
      request(long, { maxTokens: -1 }),
      request(`${long} more`, { maxTokens: 30 }),
      request("another", { maxTokens: 100 }),
    ];
    const costs = new Always();
    const draft = { draft: { path: main }, draftCosts: costs };
    const plain = await outputs(options, requests);
    assert.deepEqual(await outputs({ ...options, ...draft }, requests), plain);
    assert.ok(costs.guessed > 50, `${costs.guessed} guessed`);
    await withEngine({ ...options, guessCosts: NEVER, ...draft }, async (engine) => {
      const leave = new AbortController();
      const gone = collect(engine, request("The end", { maxTokens: 200 }), leave.signal);
      const all = requests.map((each, client) => collect(engine, { ...each, client: `${client}` }));
      leave.abort();
      await assert.rejects(gone, { code: "cancelled" });
      for (const [at, one] of all.entries()) {
        const { text } = await one;
        assert.equal(text, (plain[at] as { text: string }).text, `request ${at}`);
      }
    });
  }));

Deno.test("draft: one that cannot guess for the model is refused, and the model goes without", () =>
  withModels(async ({ main, foreign }) => {
    for (const path of [foreign, `${main}.gone`]) {
      const told: unknown[] = [];
      const draft = { path, onRefused: (error: unknown) => void told.push(error) };
      await withEngine({ modelPath: main, draft }, async (engine) => {
        assert.equal(told.length, 1);
        assert.equal(engine.info.drafts, undefined);
        assert.equal((await collect(engine, request("a", { maxTokens: 3 }))).tokens.length, 3);
      });
      await assert.rejects(withEngine({ modelPath: main, draft: { path } }, async () => {}));
    }
    await withEngine({ modelPath: main, draft: { path: main } }, (engine) => {
      assert.equal(engine.info.drafts, true);
      return Promise.resolve();
    });
  }));

Deno.test("draft: what it read of a client's text helps no other client", () =>
  withModels(async ({ main }) => {
    const library = openLibrary(libraryFolder(), { verify: true });
    const { vocabulary } = loadModel(library, main, { gpuLayers: 0 });
    const threadpool = createThreadpool(library, 1);
    const drafter = openDrafter({
      library,
      path: main,
      vocabulary,
      threadpool,
      threads: 1,
      contextLength: 256,
    });
    const text = Array.from({ length: 100 }, (_, at) => 300 + at);
    drafter.turnTo("one");
    const unread = drafter.behindMs(text);
    assert.equal((await drafter.guess(text, 4)).length, 4);
    assert.ok(drafter.behindMs(text) < unread / 20, "control: it was read");
    drafter.turnTo("one");
    assert.ok(drafter.behindMs(text) < unread / 20);
    drafter.turnTo("another");
    assert.equal(drafter.behindMs(text), unread);
    assert.equal((await drafter.guess(text, 4)).length, 4);
    drafter.free();
  }));
