/** A cache of q8_0: half the memory, and a model that says nearly the same. */
import assert from "node:assert/strict";
import { collect, GREEDY, modelTest, PROMPTS, request, withEngine } from "./testing.ts";
import { makeRandomGguf } from "./testing_gguf.ts";

modelTest(
  "cache type: q8_0 gives nearly the same likelihoods, and goes on from what it holds",
  async (modelPath) => {
    const run = async (cacheType: "f16" | "q8_0") => {
      const out: number[] = [];
      await withEngine({ modelPath, cacheType, slots: 2 }, async (engine) => {
        for (const prompt of PROMPTS) {
          const ask = request(prompt, { maxTokens: 1, logprobs: 1 });
          const { tokens } = await collect(engine, ask);
          out.push(tokens[0]!.logprob!.logprob);
          const again = await collect(engine, ask);
          assert.ok(again.done.cachedTokens > 0);
          assert.equal(again.text, tokens[0]!.text);
        }
        const long = request(PROMPTS[0]!, { maxTokens: 100, sampling: GREEDY });
        assert.equal((await collect(engine, long)).done.evalTokens > 0, true);
      });
      return out;
    };
    const [exact, kept] = [await run("f16"), await run("q8_0")];
    for (const [at, logprob] of exact.entries()) {
      assert.ok(Math.abs(logprob - kept[at]!) < 0.2, `${logprob} and ${kept[at]}`);
    }
    assert.notDeepEqual(kept, exact, "it is another cache");
  },
  { notStories: "its heads of 8 do not fill a block" },
);

Deno.test("cache type: a model whose heads do not fill the blocks keeps f16, and works", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("15M", "q8_0", `${dir}/odd.gguf`); // heads of 48
    await withEngine({ modelPath: `${dir}/odd.gguf`, cacheType: "q8_0" }, async (engine) => {
      assert.equal((await collect(engine, request("Once", { maxTokens: 3 }))).tokens.length, 3);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
