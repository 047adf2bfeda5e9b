/** Replies that go on past the context: against prompts that never had what was dropped. */
import assert from "node:assert/strict";
import { cellsToDrop } from "./context_shift.ts";
import { collect, GREEDY, modelTest, request, withEngine } from "./testing.ts";
import { makeRandomGguf } from "./testing_gguf.ts";
import type { Engine } from "./types.ts";

const SHIFT = { keep: 4, window: 48 };

Deno.test("context shift: as many cells go as in Ollama, and one at least", () => {
  for (let window = 2; window < 40; window++) {
    for (let keep = -1; keep <= window + 2; keep++) {
      const { from, to } = cellsToDrop(window, { keep, window });
      const kept = Math.max(0, Math.min(keep, window - 1));
      assert.deepEqual({ from, to }, { from: kept, to: kept + Math.max(1, (window - kept) >> 1) });
      assert.ok(to <= window);
    }
  }
});

/** The cells that a reply had before each of its tokens was drawn. */
function cellsOf(prompt: readonly number[], reply: readonly number[], misplaced = 0): number[][] {
  const cells = [...prompt];
  return reply.map((token) => {
    const before = [...cells];
    if (cells.length === SHIFT.window) {
      const { from, to } = cellsToDrop(cells.length, SHIFT);
      cells.splice(from + misplaced, to - from);
    }
    cells.push(token);
    return before;
  });
}

/** How probable the model holds each token behind these cells, read afresh. */
async function afresh(engine: Engine, cells: number[][], reply: readonly number[]) {
  const found: number[] = [];
  for (const [at, before] of cells.entries()) {
    const only = new Map(Array.from({ length: engine.info.vocabularySize }, (_, id) => [
      id,
      id === reply[at] ? 0 : -Infinity,
    ]));
    const { tokens } = await collect(engine, {
      prompt: Int32Array.from(before),
      client: `afresh ${at}`,
      maxTokens: 1,
      stop: [],
      sampling: GREEDY,
      logitBias: only,
      logprobs: 0,
    });
    found.push(tokens[0]!.logprob!.logprob);
  }
  return found;
}

Deno.test("context shift: with one layer, what is left is as if it had been read without what went", async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("one layer", "f16", `${folder}/model.gguf`);
    // One pool that all share: moving the cells of one leaves the others' where they are.
    const o = { modelPath: `${folder}/model.gguf`, contextLength: 256, cacheCells: 512, slots: 3 };
    await withEngine(o, async (engine) => {
      const check = async (text: string, bias: [number, number] = [2, -Infinity]) => {
        const prompt = engine.tokenizePrompt([{ text, special: false }]);
        const { tokens, done } = await collect(engine, {
          ...request("", { client: text, maxTokens: 80, shift: SHIFT, logprobs: 0 }),
          prompt,
          // One that ended it would end the test.
          logitBias: new Map([[2, -Infinity], bias]),
        });
        assert.deepEqual([done.reason, tokens.length], ["length", 80]);
        const reply = tokens.map(({ id }) => id);
        const said = tokens.map(({ logprob }) => logprob!.logprob);
        return async (misplaced: number) => {
          const wanted = await afresh(engine, cellsOf([...prompt], reply, misplaced), reply);
          return Math.max(...wanted.map((value, at) => Math.abs(value - said[at]!)));
        };
      };
      const texts = ["once upon a time", "the sea", "a dog"];
      const asked = await Promise.all(texts.map((text) => check(text)));
      // Alone, and of one token again and again: what is guessed ahead.
      asked.push(await check("one day", [300, 100]));
      for (const off of asked) {
        const most = await off(0);
        assert.ok(most < 0.1, `off by ${most}`);
      }
      assert.ok(await asked[0]!(1) > 0.5, "other cells give another reply");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

modelTest(
  "context shift: without it a reply ends where the context does",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 256, slots: 1 }, async (engine) => {
      const logitBias = new Map([[2, -Infinity]]);
      const { done } = await collect(engine, request("the sea", { maxTokens: -1, logitBias }));
      assert.equal(done.promptTokens + done.evalTokens, 256 + 1);
    }),
);

modelTest(
  "context shift: what was moved is no prefix of a later prompt",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 256, slots: 1 }, async (engine) => {
      const prompt = engine.tokenizePrompt([{ text: "one day a dog and a cat", special: false }]);
      const of = { ...request(""), prompt, logitBias: new Map([[2, -Infinity]]) };
      const { tokens } = await collect(engine, { ...of, maxTokens: 54, shift: SHIFT });
      const cells = cellsOf([...prompt], tokens.map(({ id }) => id)).at(-1)!;
      assert.ok(cells.length > 20 && cells.length < SHIFT.window);
      const again = await collect(engine, {
        ...of,
        prompt: Int32Array.from(cells),
        maxTokens: 1,
      });
      assert.ok(again.done.cachedTokens <= SHIFT.keep, `${again.done.cachedTokens} were there`);
      const once = await collect(engine, { ...of, prompt: Int32Array.from(cells), maxTokens: 1 });
      assert.equal(once.done.cachedTokens, cells.length - 1);
    }),
);
