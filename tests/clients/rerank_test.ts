/**
 * Rerankers over the whole sealed path, their runners in the strict sandbox: imported, shown, asked as Jina's, TEI's and
 * llama-server's clients ask. The models' weights are written by hand (`runner/engine/testing_reranker.ts`).
 */
import assert from "node:assert/strict";
import { makeReranker } from "../../runner/engine/testing_reranker.ts";
import { addModel } from "../support/ollama_folder.ts";
import { startServe } from "../support/serve.ts";

Deno.test("rerank: two families of rerankers, and a model that is none", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const models = `${folder}/models`;
  for (const family of ["qwen3", "bert"] as const) {
    makeReranker(family, `${folder}/${family}.gguf`);
    await addModel(models, `${family}:latest`, [
      ["model", await Deno.readFile(`${folder}/${family}.gguf`)],
    ]);
  }
  const served = await startServe({ env: { OLLAMA_MODELS: models } });
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(served.proxyUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const asked = { query: "cat mat", documents: ["sea dog sun", "mat cat sun", "sea cat sun"] };
  try {
    for (const model of ["qwen3", "bert"]) {
      await t.step(`${model}: the one with both words comes first`, async () => {
        const { body } = await post("/v1/rerank", { model, ...asked });
        assert.deepEqual(body.results.map(({ index }: { index: number }) => index), [1, 2, 0]);
        assert.ok(body.usage.prompt_tokens > 3 * 5);
        const texts = { model, query: asked.query, texts: asked.documents, top_n: 1 };
        assert.equal((await post("/v1/rerank", texts)).body[0].index, 1);
        const { capabilities } = (await post("/api/show", { model })).body;
        assert.deepEqual(capabilities, ["rerank"]);
      });
    }
    await t.step("what a reranker is not asked for, and who is no reranker", async () => {
      const input = { model: "qwen3", input: "cat" };
      assert.equal((await post("/v1/embeddings", input)).status, 400);
      assert.equal((await post("/api/generate", { model: "qwen3", prompt: "cat" })).status, 400);
      const other = await post("/v1/rerank", { model: "demo", ...asked });
      assert.equal(other.status, 400);
      assert.match(other.body.error.message, /"demo" does not support reranking/);
    });
    await t.step("tokens there and back, and the prompt of a conversation", async () => {
      const content = "Where are my keys?";
      const { tokens } = (await post("/tokenize", { model: "demo", content })).body;
      const back = await post("/detokenize", { model: "demo", tokens });
      assert.equal(back.body.content.trim(), content);
      const messages = [{ role: "user", content }];
      const { prompt } = (await post("/apply-template", { model: "demo", messages })).body;
      assert.ok(prompt.includes(content) && prompt.length > content.length);
      const counted = await post("/v1/chat/completions/input_tokens", { model: "demo", messages });
      const made = await post("/tokenize", { model: "demo", content: prompt, add_special: true });
      assert.equal(counted.body.input_tokens, made.body.tokens.length);
    });
  } finally {
    await served.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
