/** Slots that share one pool of cells: whatever has to wait or to make room, each request is answered as if it were alone. */
import assert from "node:assert/strict";
import { makeRandomGguf } from "./testing_gguf.ts";
import { collect, modelTest, request, type Token, withEngine } from "./testing.ts";

const PROMPTS = ["Once", "A dog went out", "The king and", "Rain fell on"].map((start) =>
  `${start} ${"and then ".repeat(8)}`
);

Deno.test("pool: more than it holds waits, and comes out the same", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  // Not quantized: what waited again is read as a prompt, and quantized activations round otherwise in a larger batch.
  const modelPath = `${dir}/tiny.gguf`;
  makeRandomGguf("tiny", "f32", modelPath);
  // Without an end, so that each is as long as it may be.
  const more = { maxTokens: 420, logprobs: 0, grammar: "root ::= [a-z ] root" };
  const asked = PROMPTS.map((prompt) => request(prompt, more));
  const alone: Token[][] = [];
  try {
    await withEngine({ modelPath, slots: 1, contextLength: 768 }, async (engine) => {
      for (const one of asked) {
        const { tokens, done } = await collect(engine, one);
        assert.ok(done.promptTokens + 256 < 768 / 2, "two of them fit at their start");
        assert.ok(done.promptTokens + done.evalTokens > 768 / 2, "and do not at their end");
        alone.push(tokens);
      }
    });
    const options = { modelPath, slots: 4, contextLength: 768, cacheCells: 768 };
    await withEngine(options, async (engine) => {
      const together = await Promise.all(
        asked.map((one, index) => collect(engine, { ...one, client: `c${index}` })),
      );
      for (const [index, { tokens }] of together.entries()) assertSame(tokens, alone[index]!);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** The same tokens, to a draw between two that are as probable as each other. */
function assertSame(tokens: readonly Token[], alone: readonly Token[]): void {
  const at = tokens.findIndex(({ id }, index) => id !== alone[index]?.id);
  if (at < 0) return assert.equal(tokens.length, alone.length);
  const [one, other] = [tokens[at]!, alone[at]!].map(({ logprob }) => logprob!.logprob);
  assert.ok(Math.abs(one! - other!) < 1e-3, `token ${at} differs`);
}

modelTest(
  "pool: one sequence may have all of it, and what was kept makes room",
  async (modelPath) => {
    const options = { modelPath, slots: 4, contextLength: 512, cacheCells: 512 };
    await withEngine(options, async (engine) => {
      const fill = request("A long one of a dog and a cat by the sea", {
        maxTokens: -1,
        stop: [],
        client: "a",
      });
      for (const client of ["a", "b", "c"]) {
        const { done } = await collect(engine, { ...fill, client });
        if (done.reason === "length") assert.ok(done.promptTokens + done.evalTokens >= 512);
      }
      const again = await collect(engine, { ...fill, client: "c", maxTokens: 1 });
      assert.ok(again.done.cachedTokens > 0, "the last one's cells are still there");
      const gone = await collect(engine, { ...fill, client: "a", maxTokens: 1 });
      assert.equal(gone.done.cachedTokens, 0, "the first one's made room");
    });
  },
);

modelTest(
  "pool: a request that left while it waited again leaves nothing behind",
  async (modelPath) => {
    const options = { modelPath, slots: 2, contextLength: 256, cacheCells: 256 };
    await withEngine(options, async (engine) => {
      const one = (client: string) => request(PROMPTS[0]!, { client, maxTokens: 150 });
      const leaves = new AbortController();
      const first = collect(engine, one("a"));
      const second = collect(engine, one("b"), leaves.signal);
      second.catch(() => {});
      await first;
      leaves.abort();
      await second.catch(({ code }) => assert.equal(code, "cancelled"));
      assert.equal(
        (await collect(engine, one("c"))).done.promptTokens,
        (await first).done.promptTokens,
      );
      assert.equal(engine.slotsBusy(), 0);
    });
  },
);
