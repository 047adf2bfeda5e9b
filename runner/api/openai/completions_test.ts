import assert from "node:assert/strict";
import { readEvents, testApi } from "../test_support.ts";

const PATH = "/v1/completions";

Deno.test(`${PATH}: whole, with the older logprobs`, async () => {
  const { post } = testApi();
  const body = await (await post(PATH, { model: "demo", prompt: "Hi", logprobs: 2 })).json();
  assert.equal(body.object, "text_completion");
  const [choice] = body.choices;
  assert.equal(choice.text, "Hello world");
  assert.equal(choice.finish_reason, "stop");
  assert.deepEqual(choice.logprobs.tokens, ["Hello", " world"]);
  assert.deepEqual(choice.logprobs.token_logprobs, [-0.5, -0.5]);
  assert.deepEqual(choice.logprobs.top_logprobs[0], { "Hello": -0.5, "Hello1": -1.5 });
  assert.deepEqual(choice.logprobs.text_offset, [0, 5]);
});

Deno.test(`${PATH}: a stream`, async () => {
  const { post } = testApi();
  const ask = {
    model: "demo",
    prompt: ["Hi"],
    stream: true,
    stream_options: { include_usage: true },
  };
  const events = await readEvents(await post(PATH, ask));
  assert.equal(events.at(-1)!.data, "[DONE]");
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.data));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "Hello world");
  assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
  assert.equal(chunks.at(-1).usage.completion_tokens, 2);
});

Deno.test(`${PATH}: tokens are taken as they are; a suffix is filled in`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "insert"] } });
  await post(PATH, { model: "demo", prompt: [1, 72, 105] });
  assert.deepEqual([...engine.requests.at(-1)!.prompt as Int32Array], [1, 72, 105]);
  await post(PATH, { model: "demo", prompt: "a", suffix: "b" });
  assert.equal(engine.promptText(engine.requests.at(-1)!), "<PRE>a<SUF>b<MID>");
});

for (
  const [change, param] of [
    [{ prompt: undefined }, "prompt"],
    [{ prompt: ["a", "b"] }, "prompt"],
    [{ prompt: [-1] }, "prompt"],
    [{ prompt: [1e9] }, "prompt"],
    [{ n: 4 }, "n"],
    [{ best_of: 1_000_000 }, "best_of"],
    [{ echo: true }, "echo"],
    [{ logprobs: 99 }, "logprobs"],
  ] as const
) {
  Deno.test(`${PATH}: ${JSON.stringify(change)} is 400 about ${param}`, async () => {
    const response = await testApi().post(PATH, { model: "demo", prompt: "Hi", ...change });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, param);
  });
}
