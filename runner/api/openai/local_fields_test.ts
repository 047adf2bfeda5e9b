/** The fields that llama-server and vLLM added to OpenAI's paths. */
import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";
import type { CollectedReply } from "../request.ts";
import { best } from "./choices.ts";

const CHAT = "/v1/chat/completions";
const COMPLETIONS = "/v1/completions";
const PATHS = [CHAT, COMPLETIONS];
const ask = (path: string) => ({
  model: "demo",
  ...(path === CHAT ? { messages: [{ role: "user", content: "Hi" }] } : { prompt: "Hi" }),
});

for (const path of PATHS) {
  Deno.test(`${path}: sampling fields of local servers`, async () => {
    const { post, engine } = testApi();
    const fields = { top_k: 7, min_p: 0.25, typical_p: 0.5, repeat_penalty: 1.5, repeat_last_n: 3 };
    assert.equal((await post(path, { ...ask(path), ...fields })).status, 200);
    const { sampling } = engine.requests[0]!;
    const { topK, minP, typicalP, repeatPenalty, repeatLastN } = sampling;
    assert.deepEqual([topK, minP, typicalP, repeatPenalty, repeatLastN], Object.values(fields));
    await post(path, { ...ask(path), repetition_penalty: 1.25, top_k: -1 });
    assert.equal(engine.requests[1]!.sampling.repeatPenalty, 1.25);
    assert.equal(engine.requests[1]!.sampling.topK, 0);
  });

  Deno.test(`${path}: logit_bias as OpenAI and as llama-server write it`, async () => {
    const { post, engine } = testApi();
    await post(path, { ...ask(path), logit_bias: { "5": -100, "72": 1.5 } });
    assert.deepEqual([...engine.requests[0]!.logitBias!], [[5, -100], [72, 1.5]]);
    await post(path, { ...ask(path), logit_bias: [[5, false], [72, 1.5]] });
    assert.deepEqual([...engine.requests[1]!.logitBias!], [[5, -Infinity], [72, 1.5]]);
    await post(path, { ...ask(path), logit_bias: {} });
    assert.equal(engine.requests[2]!.logitBias, undefined);
  });

  Deno.test(`${path}: timings in the answer and in the last chunk`, async () => {
    const { post } = testApi();
    const names = ["cache_n", "prompt", "predicted"].flatMap((name) =>
      name === "cache_n"
        ? [name]
        : ["n", "ms", "per_token_ms", "per_second"].map((unit) => `${name}_${unit}`)
    );
    const body = await (await post(path, ask(path))).json();
    assert.deepEqual(Object.keys(body.timings), names);
    assert.equal(body.timings.predicted_n, body.usage.completion_tokens);
    assert.equal(body.timings.prompt_n + body.timings.cache_n, body.usage.prompt_tokens);
    for (const include_usage of [true, false]) {
      const stream = { ...ask(path), n: 2, stream: true, stream_options: { include_usage } };
      const chunks = (await readEvents(await post(path, stream))).slice(0, -1)
        .map(({ data }) => JSON.parse(data));
      const timed = chunks.filter((chunk) => "timings" in chunk);
      assert.deepEqual(timed, [chunks.at(-1)]);
      assert.equal(timed[0].timings.predicted_n, 4);
    }
  });

  Deno.test(`${path}: grammar is a part of the reply's`, async () => {
    const { post, engine } = testApi();
    const grammar = 'root ::= "yes" | other\nother ::= "no"';
    assert.equal((await post(path, { ...ask(path), grammar })).status, 200);
    assert.match(engine.requests[0]!.grammar!, /"yes" \| \S*other/);
    assert.equal((await post(path, { ...ask(path), grammar: "" })).status, 200);
    assert.equal(engine.requests[1]!.grammar, undefined);
  });

  Deno.test(`${path}: json_schema is a grammar`, async () => {
    const { post, engine } = testApi();
    const schema = { json_schema: { type: "object", properties: { a: { type: "null" } } } };
    assert.equal((await post(path, { ...ask(path), ...schema })).status, 200);
    assert.match(engine.requests[0]!.grammar!, /null/);
    const both = { ...ask(path), ...schema, response_format: { type: "json_object" } };
    assert.equal((await (await post(path, both)).json()).error.param, "json_schema");
    const bad = { ...ask(path), json_schema: { $ref: "#/nowhere" } };
    assert.equal((await (await post(path, bad)).json()).error.param, "json_schema");
  });

  Deno.test(`${path}: best_of makes more than it answers`, async () => {
    const { post, engine } = testApi();
    const { choices, usage } = await (await post(path, { ...ask(path), n: 2, best_of: 3, seed: 1 }))
      .json();
    assert.equal(engine.requests.length, 3);
    assert.deepEqual(choices.map((one: { index: number }) => one.index), [0, 1]);
    assert.ok(choices.every((one: { logprobs: unknown }) => one.logprobs === null));
    assert.equal(usage.completion_tokens, 6);
    const streamed = await post(path, { ...ask(path), best_of: 3, stream: true });
    assert.equal((await streamed.json()).error.param, "best_of");
  });

  for (
    const [change, param] of [
      [{ top_k: 1.5 }, "top_k"],
      [{ top_k: "1" }, "top_k"],
      [{ top_k: -2 }, "top_k"],
      [{ min_p: 2 }, "min_p"],
      [{ typical_p: -1 }, "typical_p"],
      [{ repeat_penalty: 0 }, "repeat_penalty"],
      [{ repetition_penalty: -1 }, "repetition_penalty"],
      [{ repeat_last_n: 1e12 }, "repeat_last_n"],
      [{ logit_bias: 1 }, "logit_bias"],
      [{ logit_bias: { a: 1 } }, "logit_bias"],
      [{ logit_bias: { "-1": 1 } }, "logit_bias"],
      [{ logit_bias: { "999999999": 1 } }, "logit_bias"],
      [{ logit_bias: { "99999999999999999999": 1 } }, "logit_bias"],
      [{ logit_bias: { "5": 101 } }, "logit_bias"],
      [{ logit_bias: { "5": "1" } }, "logit_bias"],
      [{ logit_bias: [[5]] }, "logit_bias"],
      [{ logit_bias: [5] }, "logit_bias"],
      [{ logit_bias: [["a", 1]] }, "logit_bias"],
      [{ logit_bias: [[5, true]] }, "logit_bias"],
      [{ logit_bias: Array(2000).fill([5, 1]) }, "logit_bias"],
      [{ n: 3, best_of: 2 }, "best_of"],
      [{ grammar: 'root ::= root "a" | "b"' }, "grammar"],
      [{ grammar: "not a grammar" }, "grammar"],
      [{ grammar: 'root ::= "a"', json_schema: {} }, "grammar"],
      [{ grammar: 'root ::= "a"{100000}' }, "grammar"],
      [{ grammar: 1 }, "grammar"],
      [{ json_schema: "x" }, "json_schema"],
    ] as const
  ) {
    const said = JSON.stringify(change).slice(0, 60);
    Deno.test(`${path}: ${said} is 400 about ${param}`, async () => {
      const { post, engine } = testApi();
      const response = await post(path, { ...ask(path), ...change });
      assert.equal(response.status, 400);
      assert.equal((await response.json()).error.param, param);
      assert.equal(engine.requests.length, 0);
    });
  }
}

Deno.test(`${CHAT}: chat_template_kwargs says whether to think, and tells the template the rest`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "thinking"] } });
  for (const kwargs of [{ enable_thinking: false }, { thinking: false }]) {
    await post(CHAT, { ...ask(CHAT), chat_template_kwargs: kwargs });
    assert.equal(engine.chats.at(-1)!.think, false);
  }
  const values = { documents: [{ text: "d" }], style: "short", enable_thinking: true };
  assert.equal(
    (await post(CHAT, { ...ask(CHAT), chat_template_kwargs: values })).status,
    200,
  );
  assert.deepEqual(engine.chats.at(-1)!.values, values);
  for (
    const [kwargs, param] of [
      [{ messages: [] }, "chat_template_kwargs.messages"],
      [{ bos_token: "x" }, "chat_template_kwargs.bos_token"],
      [{ "a-b": 1 }, "chat_template_kwargs"],
      [{ a: "x".repeat(20_000) }, "chat_template_kwargs"],
      [
        Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`a${at}`, 1])),
        "chat_template_kwargs",
      ],
      [{ enable_thinking: "yes" }, "chat_template_kwargs.enable_thinking"],
      [[], "chat_template_kwargs"],
    ] as const
  ) {
    const response = await post(CHAT, { ...ask(CHAT), chat_template_kwargs: kwargs });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, param);
  }
  const plain = testApi();
  const asked = { ...ask(CHAT), chat_template_kwargs: { enable_thinking: true } };
  assert.equal((await plain.post(CHAT, asked)).status, 200);
});

Deno.test("the best replies are those whose tokens were the most probable on average", () => {
  const reply = (text: string, ...logprobs: number[]) =>
    ({ text, logprobs: logprobs.map((logprob) => ({ logprob })) }) as unknown as CollectedReply;
  const replies = [
    reply("long", -1, -1, -1),
    reply("worst", -9),
    reply("best", -0.1, -0.3),
    reply("c", -3),
    reply("a", -1),
    reply("b", -2),
  ];
  const texts = best(replies, 2, 3).map(({ text }) => text);
  assert.deepEqual(texts, ["best", "long", "a", "b"]);
});
