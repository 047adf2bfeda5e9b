import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const norm = (vector: number[]) => Math.hypot(...vector);

Deno.test("/api/embed: a vector for each input, with Ollama's fields", async () => {
  const { post } = testApi();
  const body = await (await post("/api/embed", { model: "demo", input: ["ab", "c"] })).json();
  assert.deepEqual(Object.keys(body), [
    "model",
    "embeddings",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
  ]);
  assert.equal(body.embeddings.length, 2);
  // BOS and the characters.
  assert.equal(body.prompt_eval_count, 3 + 2);
  assert.ok(body.embeddings.every((vector: number[]) => Math.abs(norm(vector) - 1) < 1e-6));
  const one = await (await post("/api/embed", { model: "demo", input: "c" })).json();
  assert.deepEqual(one.embeddings, [body.embeddings[1]]);
});

Deno.test("/api/embed: dimensions keeps the first ones, normalised", async () => {
  const { post } = testApi();
  const ask = { model: "demo", input: "ab", dimensions: 2 };
  const body = await (await post("/api/embed", ask)).json();
  assert.equal(body.embeddings[0].length, 2);
  assert.ok(Math.abs(norm(body.embeddings[0]) - 1) < 1e-6);
});

Deno.test("/api/embed: nothing to embed loads the model", async () => {
  for (const input of ["", [], undefined]) {
    const body = await (await testApi().post("/api/embed", { model: "demo", input })).json();
    assert.deepEqual(body, { model: "demo", embeddings: [] });
  }
});

Deno.test("/api/embed: a long input is cut, or 400 with truncate false", async () => {
  const { post } = testApi();
  for (const length of [5000, Deno.env.get("SECLLAMA_FULL") === "1" ? 10_000_000 : 500_000]) {
    const ask = { model: "demo", input: "x".repeat(length) };
    const cut = await (await post("/api/embed", ask)).json();
    assert.equal(cut.prompt_eval_count, 4096);
    const refused = await post("/api/embed", { ...ask, truncate: false });
    assert.equal(refused.status, 400);
    assert.deepEqual(await refused.json(), {
      error: "the input length exceeds the context length",
      code: "context-too-long",
      hint: `the prompt has ${length + 1} tokens, the context has room for 4096`,
    });
  }
});

Deno.test("/api/embed: other inputs are 400", async () => {
  for (const input of [1, [1], [["a"]], { a: 1 }, Array(3000).fill("a")]) {
    const response = await testApi().post("/api/embed", { model: "demo", input });
    assert.equal(response.status, 400);
    assert.match((await response.json()).error, /^input /);
  }
});

Deno.test("/api/embeddings: the older form, one vector", async () => {
  const { post } = testApi();
  const body = await (await post("/api/embeddings", { model: "demo", prompt: "ab" })).json();
  assert.deepEqual(Object.keys(body), ["embedding"]);
  assert.equal(body.embedding.length, 4);
  const empty = await (await post("/api/embeddings", { model: "demo" })).json();
  assert.deepEqual(empty, { embedding: [] });
});
