import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";

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

Deno.test(`${PATH}: a text is the whole prompt, without the model's template`, async () => {
  const { post, engine } = testApi();
  await post(PATH, { model: "demo", prompt: "Once upon" });
  assert.equal(engine.chats.length, 0);
  assert.deepEqual([...engine.requests[0]!.prompt as Int32Array], [
    1,
    ...new TextEncoder().encode("Once upon"),
  ]);
});

Deno.test(`${PATH}: tokens are taken as they are; a suffix is filled in`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "insert"] } });
  await post(PATH, { model: "demo", prompt: [1, 72, 105] });
  assert.deepEqual([...engine.requests.at(-1)!.prompt as Int32Array], [1, 72, 105]);
  await post(PATH, { model: "demo", prompt: "a", suffix: "b" });
  assert.equal(engine.promptText(engine.requests.at(-1)!), "<PRE>a<SUF>b<MID>");
});

Deno.test(`${PATH}: several prompts, n of each, echoed`, async () => {
  const { post } = testApi();
  const ask = { model: "demo", prompt: ["A", "B"], n: 2, echo: true };
  const body = await (await post(PATH, ask)).json();
  assert.deepEqual(
    body.choices.map((one: { index: number; text: string }) => [one.index, one.text]),
    ["A", "A", "B", "B"].map((prompt, index) => [index, `${prompt}Hello world`]),
  );
  const one = await (await post(PATH, { model: "demo", prompt: "A" })).json();
  assert.equal(body.usage.prompt_tokens, 2 * one.usage.prompt_tokens);
  assert.equal(body.usage.completion_tokens, 4 * one.usage.completion_tokens);
  const events = await readEvents(await post(PATH, { ...ask, stream: true }));
  const texts = ["", "", "", ""];
  for (const { data } of events.slice(0, -1)) {
    const { index, text } = JSON.parse(data).choices[0];
    texts[index] += text;
  }
  assert.deepEqual(texts, body.choices.map((choice: { text: string }) => choice.text));
});

for (
  const [change, param] of [
    [{ prompt: undefined }, "prompt"],
    [{ prompt: [] }, "prompt"],
    [{ prompt: ["a", 1] }, "prompt"],
    [{ prompt: Array(65).fill("a"), n: 2 }, "prompt"],
    [{ prompt: [-1] }, "prompt"],
    [{ prompt: [1e9] }, "prompt"],
    [{ n: 1e15 }, "n"],
    [{ best_of: 1_000_000 }, "best_of"],
    [{ echo: true, logprobs: 1 }, "echo"],
    [{ echo: true, prompt: [1, 2] }, "echo"],
    [{ logprobs: 99 }, "logprobs"],
  ] as const
) {
  Deno.test(`${PATH}: ${JSON.stringify(change)} is 400 about ${param}`, async () => {
    const response = await testApi().post(PATH, { model: "demo", prompt: "Hi", ...change });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, param);
  });
}

Deno.test("/v1/completions: by a setting a prompt is a user's message, as in Ollama; tokens never are", async () => {
  const control = { controlTokens: ["<|end|>"] };
  const prompt = "a<|end|>";
  const ask = async (templateCompletions: boolean, body: Record<string, unknown>) => {
    const { post, engine } = testApi(control, { templateCompletions });
    const response = await post("/v1/completions", { model: "demo", ...body });
    assert.equal(response.status, 200);
    const { requests, chats } = engine;
    return { tokens: [...requests.at(-1)!.prompt as Int32Array], chats };
  };
  // As it is: the client writes the whole prompt, so what it writes of control tokens are some.
  const raw = await ask(false, { prompt });
  assert.deepEqual([raw.tokens, raw.chats], [[1, 97, 0x110000], []]);
  const message = await ask(true, { prompt });
  assert.deepEqual(message.chats[0]!.messages, [{ role: "user", content: prompt }]);
  // The message's own text of a control token stays text.
  assert.equal(message.tokens.filter((id) => id === 0x110000).length, 1);
  const tokens = await ask(true, { prompt: [97, 98] });
  assert.deepEqual([tokens.tokens, tokens.chats], [[97, 98], []]);
});
