import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

type Body = Record<string, unknown>;

function ranker(script: Body = {}) {
  const { post } = testApi({ info: { capabilities: ["rerank"], ...script } });
  return async (body: Body) => {
    const response = await post("/v1/rerank", { model: "demo", ...body });
    return [response.status, await response.json()] as const;
  };
}

Deno.test("/v1/rerank: the best first, in Jina's form and in TEI's", async () => {
  const ask = ranker();
  // The fake takes the longer for the better.
  const documents = ["bb", "dddd", { text: "ccc" }, "dddd"];
  assert.deepEqual(await ask({ query: "q", documents }), [200, {
    model: "demo",
    object: "list",
    usage: { prompt_tokens: 4 * 2 + 13, total_tokens: 21 },
    results: [1, 3, 2, 0].map((index) => ({
      index,
      relevance_score: 2 + [2, 4, 3, 4][index]!,
    })),
  }]);
  const [, cut] = await ask({ query: "q", documents, top_n: 2, return_documents: true });
  assert.deepEqual(cut.results, [
    { index: 1, relevance_score: 6, document: { text: "dddd" } },
    { index: 3, relevance_score: 6, document: { text: "dddd" } },
  ]);
  const [, tei] = await ask({ query: "q", texts: ["b", "aa"], return_text: true, top_n: 99 });
  assert.deepEqual(tei, [{ index: 1, score: 4, text: "aa" }, { index: 0, score: 3, text: "b" }]);
});

Deno.test("/v1/rerank: what is wrong is said, by name", async () => {
  const ask = ranker({ embedLength: 10 });
  for (
    const [body, param] of [
      [{ documents: ["a"] }, "query"],
      [{ query: "q" }, "documents"],
      [{ query: "q", documents: [] }, "documents"],
      [{ query: "q", documents: 123 }, "documents"],
      [{ query: "q", documents: [1] }, "documents[0]"],
      [{ query: "q", texts: ["a", null] }, "texts[1]"],
      [{ query: "q", documents: ["a"], top_n: 0 }, "top_n"],
    ] as const
  ) {
    const [status, { error }] = await ask(body);
    assert.deepEqual([status, error.param], [400, param]);
  }
  const [status, { error }] = await ask({ query: "q", documents: ["a", "a".repeat(50)] });
  assert.deepEqual([status, error.code], [400, "context_length_exceeded"]);
});

Deno.test("/v1/rerank: what it cost is told, also when it was not answered", async () => {
  const { api } = testApi({ info: { capabilities: ["rerank"], embedLength: 10 } });
  const cost = async (documents: readonly string[]) => {
    let prompt = 0;
    const request = new Request("http://runner/v1/rerank", {
      method: "POST",
      body: JSON.stringify({ model: "demo", query: "q", documents }),
    });
    const used = (tokens: { prompt: number }) => prompt += tokens.prompt;
    const { status } = await api.fetch(request, { client: "test", used });
    return [status, prompt];
  };
  assert.deepEqual(await cost(["bb", "dddd"]), [200, 2 * 2 + 6]);
  assert.deepEqual(await cost(["bb", "a".repeat(50)]), [400, 4]);
  assert.deepEqual(await cost(["a".repeat(50)]), [400, 0]);
});

Deno.test("/v1/rerank: a model that cannot is named", async () => {
  const ask = ranker({ capabilities: ["completion"] });
  const [status, { error }] = await ask({ query: "q", documents: ["a"] });
  assert.equal(status, 400);
  assert.match(error.message, /"demo" does not support reranking/);
});
