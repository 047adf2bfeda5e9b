import assert from "node:assert/strict";
import { readDefaults as read } from "./defaults.ts";
import type { LayerKind } from "./manifest.ts";
import type { ModelStore, ResolvedModel } from "./store.ts";

type Texts = Partial<Record<LayerKind, string>>;

/** The defaults of a model whose layers hold these texts. */
async function readDefaults(texts: Texts) {
  const store = {
    layerTexts: (_: unknown, kind: LayerKind) =>
      Promise.resolve(texts[kind] === undefined ? [] : [texts[kind]]),
  } as unknown as ModelStore;
  const { adapters, ...rest } = await read(
    store,
    { manifest: { layers: [] } } as unknown as ResolvedModel,
  );
  assert.deepEqual(adapters, []);
  return rest;
}

Deno.test("defaults: the layers that Ollama writes become the runner's defaults", async () => {
  assert.deepEqual(await readDefaults({}), {});
  assert.deepEqual(
    await readDefaults({
      template: "{{ .Prompt }}",
      system: "Be kind.",
      params: '{"stop":["<|end|>"],"temperature":0.5,"num_ctx":4096,"use_mmap":true}',
      messages: '[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]',
    }),
    {
      template: "{{ .Prompt }}",
      system: "Be kind.",
      messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }],
      options: { stop: ["<|end|>"], temperature: 0.5, num_ctx: 4096, use_mmap: true },
    },
  );
  assert.deepEqual(await readDefaults({ prompt: "old", params: '{"stop":"x"}' }), {
    template: "old",
    options: { stop: ["x"] },
  });
});

Deno.test("defaults: layers of the wrong shape are refused", async () => {
  for (
    const texts of <Texts[]> [
      { params: "[1]" },
      { params: "{" },
      { params: '{"stop":[1]}' },
      { params: '{"temperature":{"a":1}}' },
      { params: '{"__proto__":{"a":1}}' },
      { params: '{"Bad Name":1}' },
      { messages: "{}" },
      { messages: '[{"role":"tool","content":"x"}]' },
      { messages: '[{"role":"user"}]' },
      { messages: "[null]" },
    ]
  ) {
    await assert.rejects(readDefaults(texts), { code: "model-corrupt" }, texts.params);
  }
});
