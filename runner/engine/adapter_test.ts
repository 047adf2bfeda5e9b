/** LoRA adapters over a random model. */
import assert from "node:assert/strict";
import { HANG_MS } from "../../tests/support/patience.ts";
import { loadEngine } from "./mod.ts";
import { makeAdapter, makeRandomGguf } from "./testing_gguf.ts";
import { collect, libraryFolder, request, withEngine } from "./testing.ts";

async function withFiles(use: (dir: string, modelPath: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("tiny", "q8_0", `${dir}/model.gguf`);
    await use(dir, `${dir}/model.gguf`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("adapter: it changes what the model says and embeds, one of no strength does not", () =>
  withFiles(async (dir, modelPath) => {
    makeAdapter("tiny", 0, `${dir}/nothing.gguf`);
    makeAdapter("tiny", 1, `${dir}/strong.gguf`);
    const run = async (adapterPaths: string[]) => {
      let tokens: readonly number[] = [];
      let vector = new Float32Array();
      await withEngine({ modelPath, adapterPaths }, async (engine) => {
        tokens = (await collect(engine, request("Once upon a time"))).done.context;
        const text = engine.tokenize("Once upon a time", { special: false });
        vector = new Float32Array(
          await engine.embed(text, {
            client: "a",
            signal: AbortSignal.timeout(HANG_MS),
          }),
        );
      });
      return { tokens, vector };
    };
    const plain = await run([]);
    const nothing = await run([`${dir}/nothing.gguf`]);
    assert.deepEqual(nothing.tokens, plain.tokens);
    assert.ok(nothing.vector.every((value, at) => Math.abs(value - plain.vector[at]!) < 1e-4));
    const strong = await run([`${dir}/nothing.gguf`, `${dir}/strong.gguf`]);
    assert.notDeepEqual(strong.tokens, plain.tokens);
    assert.ok(strong.vector.some((value, at) => Math.abs(value - plain.vector[at]!) > 1e-2));
  }));

Deno.test("adapter: one of another model, a model and a file of nothing are refused with a reason", () =>
  withFiles(async (dir, modelPath) => {
    makeAdapter("15M", 1, `${dir}/other.gguf`);
    await Deno.writeTextFile(`${dir}/text.gguf`, "not an adapter");
    for (const path of [`${dir}/other.gguf`, `${dir}/text.gguf`, modelPath, `${dir}/none.gguf`]) {
      await assert.rejects(
        loadEngine({
          libDir: libraryFolder(),
          modelPath,
          adapterPaths: [path],
          contextLength: 256,
          slots: 1,
          threads: 1,
        }),
        { code: "model-failed", message: /^the adapter could not be loaded/ },
      );
    }
  }));
