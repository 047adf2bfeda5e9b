import assert from "node:assert/strict";
import { coded, collect, modelTest, request, withEngine } from "./testing.ts";

modelTest(
  "engine: embeddings have length 1 and tell texts apart",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const { signal } = new AbortController();
      const embed = (text: string) =>
        engine.embed(engine.tokenize(text, { special: false }), { client: "a", signal });
      // Between two requests that generate: their cache must not notice.
      const before = await collect(engine, request("Once upon a time"));
      const [a, b, c] = await Promise.all([
        embed("a red ball"),
        embed("a red ball"),
        embed("the sea"),
      ]);
      assert.equal(a.length, engine.info.embeddingLength);
      const dot = (x: Float32Array, y: Float32Array) =>
        x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
      assert.ok(Math.abs(dot(a, a) - 1) < 1e-5);
      assert.ok(Math.abs(dot(a, b) - 1) < 1e-5);
      assert.ok(dot(a, c) < 0.999);
      assert.equal(
        (await collect(engine, request("Once upon a time", { client: "x" }))).text,
        before.text,
      );
      await assert.rejects(
        engine.embed(new Int32Array(0), { client: "a", signal }),
        coded("bad-request"),
      );
      await assert.rejects(
        engine.embed(new Int32Array(600).fill(5), { client: "a", signal }),
        coded("bad-request"),
      );
      await assert.rejects(
        engine.embed(Int32Array.of(-1), { client: "a", signal }),
        coded("bad-request"),
      );
      const aborted = AbortSignal.abort();
      await assert.rejects(
        engine.embed(Int32Array.of(5), { client: "a", signal: aborted }),
        coded("cancelled"),
      );
    }),
);
