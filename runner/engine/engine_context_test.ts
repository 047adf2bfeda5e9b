import assert from "node:assert/strict";
import { coded, collect, modelTest, request, WARM, withEngine } from "./testing.ts";

modelTest(
  "engine: a full context ends the text with length",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 64, slots: 1 }, async (engine) => {
      // Without an end token in reach: a grammar that permits none.
      const { done } = await collect(
        engine,
        request("Once", { maxTokens: -1, grammar: `root ::= [^\\x00]+ "\\x00"`, sampling: WARM }),
      );
      assert.equal(done.reason, "length");
      assert.equal(done.context.length, 65);
    }),
);

modelTest(
  "engine: a prompt as long as the context is refused",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 64 }, async (engine) => {
      const prompt = new Int32Array(64).fill(5);
      await assert.rejects(
        collect(engine, request("", { prompt })),
        coded("context-too-long", /64/),
      );
      const fits = await collect(engine, request("", { prompt: prompt.subarray(1) }));
      assert.equal(fits.done.promptTokens, 63);
      await assert.rejects(
        collect(engine, request("", { prompt: Int32Array.of(1, 1 << 30) })),
        coded("bad-request", /not a token/),
      );
      await assert.rejects(
        collect(engine, request("", { prompt: [], bos: false })),
        coded("bad-request", /empty/),
      );
    }),
);

modelTest(
  "engine: a prefix is reused for the same client, never for another",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const prompt = "Once upon a time there was a little girl named Lily and a big dog. ";
      const first = await collect(engine, request(prompt, { client: "a" }));
      assert.equal(first.done.cachedTokens, 0);
      const other = await collect(engine, request(prompt, { client: "b" }));
      assert.equal(other.done.cachedTokens, 0);
      assert.equal(other.text, first.text);
      // The same client again: all but the last token, which must be evaluated to have an output.
      const again = await collect(engine, request(prompt, { client: "a" }));
      assert.equal(again.done.cachedTokens, again.done.promptTokens - 1);
      // A token alone is rounded differently than in a batch: the texts may part, but not at once.
      assert.equal(again.tokens[0]?.id, first.tokens[0]?.id);
      // Both slots now hold tokens of a and b; a third client gets one of them, emptied.
      const third = await collect(engine, request(prompt, { client: "c" }));
      assert.equal(third.done.cachedTokens, 0);
      assert.equal(third.text, first.text);
    }),
);

modelTest(
  "engine: a second turn reuses the first turn's reply",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const first = await collect(engine, request("Once upon a time there was", { maxTokens: 12 }));
      const next = Int32Array.from([...first.done.context, first.done.context.at(-1) ?? 0]);
      const second = await collect(engine, request("", { prompt: next }));
      // Every token of the first turn was decoded but the last one, which only ended it.
      assert.equal(second.done.cachedTokens, first.done.context.length - 1);
    }),
);
