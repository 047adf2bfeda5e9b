import assert from "node:assert/strict";
import { modelTest, request, withEngine } from "./testing.ts";
import type { PromptProgress } from "./types.ts";

modelTest(
  "engine: progress is told from what is cached to the whole prompt, and only where it is asked for",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 256, slots: 1, batchSize: 16 }, async (engine) => {
      const prompt = Int32Array.from({ length: 100 }, (_, at) => 300 + at);
      const ask = async (progress: { progress?: true }, tokens: Int32Array) => {
        const told: PromptProgress[] = [];
        let first = true;
        const of = { ...request("", { maxTokens: 2, ...progress }), prompt: tokens };
        for await (const event of engine.generate(of, new AbortController().signal)) {
          if (event.type !== "progress") first = false;
          else {
            assert.ok(first, "before the first token");
            told.push(event);
          }
        }
        return told.map(({ total, cached, processed }) => ({ total, cached, processed }));
      };
      const told = await ask({ progress: true }, prompt);
      assert.deepEqual(told[0], { total: 100, cached: 0, processed: 0 });
      assert.deepEqual(told.at(-1), { total: 100, cached: 0, processed: 100 });
      assert.ok(told.length > 5, `${told.length}`);
      const steps = told.map(({ processed }) => processed);
      assert.deepEqual(steps, [...new Set(steps)].sort((a, b) => a - b));
      const again = await ask({ progress: true }, prompt);
      assert.deepEqual(again, [
        { total: 100, cached: 99, processed: 99 },
        { total: 100, cached: 99, processed: 100 },
      ]);
      assert.deepEqual(await ask({}, prompt), []);
    }),
);
