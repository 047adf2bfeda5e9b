/** Several choices, and which tools and how many calls a request allows. */
import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";

const PATH = "/v1/chat/completions";
const HELLO = { model: "demo", messages: [{ role: "user", content: "Hi" }] };

Deno.test(`${PATH}: n choices, one after the other, with seeds of their own`, async () => {
  const { post, engine } = testApi();
  const whole = await (await post(PATH, { ...HELLO, n: 3, seed: 5 })).json();
  assert.deepEqual(whole.choices.map((one: { index: number }) => one.index), [0, 1, 2]);
  assert.ok(
    whole.choices.every((one: { message: { content: string } }) =>
      one.message.content === "Hello world"
    ),
  );
  assert.deepEqual(engine.requests.map((request) => request.sampling.seed), [5, 6, 7]);
  const single = await (await post(PATH, HELLO)).json();
  assert.equal(whole.usage.completion_tokens, 3 * single.usage.completion_tokens);
  assert.equal(whole.usage.prompt_tokens, single.usage.prompt_tokens);

  const stream = { ...HELLO, n: 2, stream: true, stream_options: { include_usage: true } };
  const chunks = (await readEvents(await post(PATH, stream)))
    .slice(0, -1).map((event) => JSON.parse(event.data));
  const ends = chunks.filter((chunk) => chunk.choices[0]?.finish_reason);
  assert.deepEqual(ends.map((chunk) => chunk.choices[0].index), [0, 1]);
  const roles = chunks.filter((chunk) => chunk.choices[0]?.delta.role);
  assert.deepEqual(roles.map((chunk) => chunk.choices[0].index), [0, 1]);
  assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
  assert.equal(chunks.at(-1).usage.completion_tokens, 2 * single.usage.completion_tokens);
});

Deno.test(`${PATH}: a client that leaves after the first choice gets no second one`, async () => {
  const { post, engine } = testApi({ endless: true });
  const reader = (await post(PATH, { ...HELLO, n: 5, stream: true })).body!.getReader();
  // The role, which comes before anything is generated, and what is.
  for (let chunk = 0; chunk < 2; chunk++) await reader.read();
  await reader.cancel();
  while (engine.running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(engine.requests.length, 1);
});

const TWO_CALLS = {
  pieces: [
    '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
    '<tool_call>{"name": "f", "arguments": {"a": 2}}</tool_call>',
  ],
  info: { capabilities: ["completion", "tools"] },
};
const TOOL_F = { type: "function", function: { name: "f", parameters: {} } };

Deno.test(`${PATH}: parallel_tool_calls false passes one call on`, async () => {
  const { post } = testApi(TWO_CALLS);
  for (const [parallel_tool_calls, count] of [[undefined, 2], [true, 2], [false, 1]] as const) {
    const body = { ...HELLO, tools: [TOOL_F], parallel_tool_calls };
    const { choices } = await (await post(PATH, body)).json();
    assert.equal(choices[0].message.tool_calls.length, count);
    assert.equal(choices[0].finish_reason, "tool_calls");
  }
});

Deno.test(`${PATH}: tool_choice of allowed tools shows the model those only`, async () => {
  const { post, engine } = testApi(TWO_CALLS);
  const other = { type: "function", function: { name: "g", parameters: {} } };
  const allowed_tools = { mode: "auto", tools: [{ type: "function", function: { name: "g" } }] };
  const tool_choice = { type: "allowed_tools", allowed_tools };
  await post(PATH, { ...HELLO, tools: [TOOL_F, other], tool_choice });
  assert.deepEqual(engine.chats.at(-1)!.tools!.map((tool) => tool.name), ["g"]);
});

Deno.test(`${PATH}: temperature is the Modelfile's where the request has none, else 1`, async () => {
  for (const [options, expected] of [[undefined, 1], [{ temperature: 0.2 }, 0.2]] as const) {
    const { post, engine } = testApi({}, options === undefined ? {} : { defaults: { options } });
    await post(PATH, { ...HELLO, max_tokens: -1 });
    assert.equal(engine.requests[0]!.sampling.temperature, expected);
    assert.equal(engine.requests[0]!.maxTokens, -1);
    await post(PATH, { ...HELLO, temperature: 0.5 });
    assert.equal(engine.requests[1]!.sampling.temperature, 0.5);
  }
});
