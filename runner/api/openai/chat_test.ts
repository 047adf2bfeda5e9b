import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";

const PATH = "/v1/chat/completions";
const HELLO = { model: "demo", messages: [{ role: "user", content: "Hi" }] };
const TOOL = { type: "function", function: { name: "weather", parameters: { type: "object" } } };

Deno.test(`${PATH}: json_object with a schema is that schema, as other local servers have it`, async () => {
  const { post, engine } = testApi();
  const schema = { type: "object", properties: { zebra: { type: "boolean" } } };
  for (const [format, kept] of [[{}, false], [{ schema }, true]] as const) {
    await post(PATH, { ...HELLO, response_format: { type: "json_object", ...format } });
    assert.equal(engine.requests.at(-1)!.grammar!.includes("zebra"), kept);
  }
});

Deno.test(`${PATH}: a whole reply`, async () => {
  const { post } = testApi();
  const before = Math.floor(Date.now() / 1000);
  const body = await (await post(PATH, HELLO)).json();
  assert.match(body.id, /^chatcmpl-/);
  assert.equal(body.object, "chat.completion");
  assert.ok(before <= body.created && body.created <= Date.now() / 1000);
  assert.deepEqual(body.choices, [{
    index: 0,
    message: { role: "assistant", content: "Hello world", refusal: null },
    logprobs: null,
    finish_reason: "stop",
  }]);
  assert.deepEqual(body.usage, {
    prompt_tokens: 31,
    completion_tokens: 2,
    total_tokens: 33,
    prompt_tokens_details: { cached_tokens: 2 },
    completion_tokens_details: { reasoning_tokens: 0 },
  });
});

Deno.test(`${PATH}: a stream of chunks, the role once, the reason by itself, [DONE]`, async () => {
  const { post } = testApi({ reason: "length" });
  const response = await post(PATH, {
    ...HELLO,
    stream: true,
    stream_options: { include_usage: true },
  });
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  const events = await readEvents(response);
  assert.equal(events.at(-1)!.data, "[DONE]");
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.data));
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.delta), [
    { role: "assistant", content: null },
    { content: "Hello" },
    { content: " world" },
    {},
    undefined,
  ]);
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.finish_reason), [
    null,
    null,
    null,
    "length",
    undefined,
  ]);
  assert.equal(chunks[0].usage, null);
  assert.equal(chunks[4].usage.total_tokens, 33);
});

Deno.test(`${PATH}: an empty reply still opens with the role`, async () => {
  const { post } = testApi({ pieces: [] });
  const [first] = await readEvents(await post(PATH, { ...HELLO, stream: true }));
  assert.deepEqual(JSON.parse(first!.data).choices[0].delta, { role: "assistant", content: null });
});

Deno.test(`${PATH}: fields reach the engine; temperature and top_p are 1 by default`, async () => {
  const { post, engine } = testApi();
  await post(PATH, HELLO);
  assert.equal(engine.requests.at(-1)!.sampling.temperature, 1);
  assert.equal(engine.requests.at(-1)!.sampling.topP, 1);
  assert.equal(engine.requests.at(-1)!.maxTokens, -1);
  await post(PATH, {
    ...HELLO,
    temperature: 0,
    top_p: 0.5,
    seed: 3,
    stop: "END",
    max_tokens: 9,
    max_completion_tokens: 5,
    presence_penalty: -2,
    frequency_penalty: 2,
    logit_bias: {},
    user: "u",
  });
  const { sampling, stop, maxTokens } = engine.requests.at(-1)!;
  assert.deepEqual([sampling.temperature, sampling.topP, sampling.seed], [0, 0.5, 3]);
  assert.deepEqual([sampling.presencePenalty, sampling.frequencyPenalty], [-2, 2]);
  assert.deepEqual(stop, ["END"]);
  assert.equal(maxTokens, 5);
});

Deno.test(`${PATH}: parts, developer, and the names of tool results`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  await post(PATH, {
    model: "demo",
    tools: [TOOL],
    messages: [
      { role: "developer", content: "D" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: "c1",
          type: "function",
          function: { name: "weather", arguments: '{"city":"Oslo"}' },
        }],
      },
      { role: "tool", tool_call_id: "c1", content: "rain" },
    ],
  });
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "system", content: "D" },
    { role: "user", content: "a\nb" },
    {
      role: "assistant",
      content: "",
      toolCalls: [{ name: "weather", arguments: { city: "Oslo" }, id: "c1" }],
    },
    { role: "tool", content: "rain", toolCallId: "c1", toolName: "weather" },
  ]);
});

const CALLER = {
  pieces: ["<tool_call>", '{"name": "weather", "arguments": {"city": "Oslo"}}', "</tool_call>"],
  info: { capabilities: ["completion", "tools"] },
};

Deno.test(`${PATH}: tool calls, whole and streamed`, async () => {
  const { post } = testApi(CALLER);
  const whole = await (await post(PATH, { ...HELLO, tools: [TOOL] })).json();
  const [choice] = whole.choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.content, null);
  const [call] = choice.message.tool_calls;
  assert.deepEqual(call.function, { name: "weather", arguments: '{"city":"Oslo"}' });
  const events = await readEvents(await post(PATH, { ...HELLO, tools: [TOOL], stream: true }));
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.data).choices[0]);
  const streamed = chunks[1].delta.tool_calls[0];
  assert.deepEqual({ ...streamed, id: "" }, { ...call, index: 0, id: "" });
  assert.equal(chunks.at(-1).finish_reason, "tool_calls");
});

Deno.test(`${PATH}: tool_choice none hides the tools, required and a name force a call`, async () => {
  const { post, engine } = testApi(CALLER);
  await post(PATH, { ...HELLO, tools: [TOOL], tool_choice: "none" });
  assert.equal(engine.chats.at(-1)!.tools, undefined);
  const named = { type: "function", function: { name: "weather" } };
  for (const tool_choice of ["required", named]) {
    await post(PATH, { ...HELLO, tools: [TOOL], tool_choice });
    assert.match(engine.requests.at(-1)!.grammar!, /weather/);
  }
  const other = { type: "function", function: { name: "other" } };
  for (const tool_choice of [other, "sometimes", 3]) {
    const response = await post(PATH, { ...HELLO, tools: [TOOL], tool_choice });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, "tool_choice");
  }
});

Deno.test(`${PATH}: a call can be forced on a model that knows no tools, not offered`, async () => {
  const call = '{"name": "weather","arguments": {"city": "Oslo"}}';
  const { post } = testApi({ pieces: [call] });
  const forced = await post(PATH, { ...HELLO, tools: [TOOL], tool_choice: "required" });
  const [choice] = (await forced.json()).choices;
  assert.equal(choice.message.tool_calls[0].function.arguments, '{"city":"Oslo"}');
  assert.equal((await post(PATH, { ...HELLO, tools: [TOOL] })).status, 400);
});

Deno.test(`${PATH}: tool_choice with a schema that refers to its $defs`, async () => {
  const { post, engine } = testApi(CALLER);
  const parameters = {
    type: "object",
    properties: { place: { $ref: "#/$defs/Place" } },
    $defs: { Place: { type: "string", enum: ["Oslo", "Rome"] } },
  };
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  const response = await post(PATH, { ...HELLO, tools, tool_choice: "required" });
  assert.equal(response.status, 200);
  assert.match(engine.requests.at(-1)!.grammar!, /Rome/);
});

Deno.test(`${PATH}: response_format becomes a grammar`, async () => {
  const { post, engine } = testApi();
  const schema = { type: "object", properties: { age: { type: "integer" } } };
  const json_schema = { name: "x", strict: true, schema };
  await post(PATH, { ...HELLO, response_format: { type: "json_schema", json_schema } });
  assert.match(engine.requests.at(-1)!.grammar!, /age/);
  await post(PATH, { ...HELLO, response_format: { type: "json_object" } });
  assert.match(engine.requests.at(-1)!.grammar!, /root/);
  await post(PATH, { ...HELLO, response_format: { type: "text" } });
  assert.equal(engine.requests.at(-1)!.grammar, undefined);
  const missing = await post(PATH, { ...HELLO, response_format: { type: "json_schema" } });
  assert.equal(missing.status, 400);
});

Deno.test(`${PATH}: a thought is "reasoning"; effort sets it`, async () => {
  const { post, engine } = testApi({
    pieces: ["<think>", "Hm", "</think>", "Yes"],
    info: { capabilities: ["completion", "thinking"] },
  });
  const body = await (await post(PATH, HELLO)).json();
  assert.equal(body.choices[0].message.reasoning, "Hm");
  assert.equal(body.usage.completion_tokens_details.reasoning_tokens, 3);
  await post(PATH, { ...HELLO, reasoning_effort: "minimal" });
  assert.equal(engine.chats.at(-1)!.think, "low");
  await post(PATH, { ...HELLO, reasoning_effort: "none" });
  assert.equal(engine.chats.at(-1)!.think, false);
});

Deno.test(`${PATH}: logprobs`, async () => {
  const { post } = testApi();
  const body = await (await post(PATH, { ...HELLO, logprobs: true, top_logprobs: 1 })).json();
  assert.deepEqual(body.choices[0].logprobs.content[0], {
    token: "Hello",
    logprob: -0.5,
    bytes: [72, 101, 108, 108, 111],
    top_logprobs: [{ token: "Hello", logprob: -0.5, bytes: [72, 101, 108, 108, 111] }],
  });
});

const BAD: [change: Record<string, unknown>, param: string][] = [
  [{ n: 0 }, "n"],
  [{ n: 129 }, "n"],
  [{ n: "2" }, "n"],
  [{ n: 1e9 }, "n"],
  [{ n: -1 }, "n"],
  [{ messages: [] }, "messages"],
  [{ messages: "Hi" }, "messages"],
  [{ messages: [{ role: "user" }] }, "messages[0].content"],
  [{ messages: [{ role: 1, content: "x" }] }, "messages[0].role"],
  [{ messages: [{ role: "user", content: { a: 1 } }] }, "messages[0].content"],
  [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages[0].content[0]"],
  [{ messages: [{ role: "user", content: [{ type: "audio" }] }] }, "messages[0].content[0].type"],
  [
    {
      messages: [{ role: "assistant", tool_calls: [{ function: { name: "a", arguments: "[]" } }] }],
    },
    "messages[0].tool_calls[0].function.arguments",
  ],
  [{ temperature: -1 }, "temperature"],
  [{ temperature: 3 }, "temperature"],
  [{ top_p: "1" }, "top_p"],
  [{ max_tokens: 0 }, "max_tokens"],
  [{ max_completion_tokens: -5 }, "max_completion_tokens"],
  [{ stop: 1 }, "stop"],
  [{ stream: "yes" }, "stream"],
  [{ tools: [{ type: "function" }] }, "tools[0].function"],
  [{ tools: [{ type: "web" }] }, "tools[0].type"],
  [{ reasoning_effort: "huge" }, "reasoning_effort"],
  [{ response_format: { type: "yaml" } }, "response_format.type"],
  [{ top_logprobs: 21, logprobs: true }, "top_logprobs"],
  [{ model: "" }, "model"],
];

for (const [change, param] of BAD) {
  Deno.test(`${PATH}: ${JSON.stringify(change).slice(0, 60)} is 400 about ${param}`, async () => {
    const response = await testApi().post(PATH, { ...HELLO, ...change });
    assert.equal(response.status, 400);
    const { error } = await response.json();
    assert.equal(error.type, "invalid_request_error");
    assert.equal(error.param, param);
  });
}

Deno.test(`${PATH}: another model is 404 as OpenAI writes it`, async () => {
  const response = await testApi().post(PATH, { ...HELLO, model: "gpt" });
  assert.equal(response.status, 404);
  const { error } = await response.json();
  assert.equal(error.code, "model_not_found");
  assert.match(error.message, /^model 'gpt' not found$/);
});

Deno.test(`${PATH}: an error in the middle is an event`, async () => {
  const { post } = testApi({ failure: new Error("secret detail") });
  const events = await readEvents(await post(PATH, { ...HELLO, stream: true }));
  const last = JSON.parse(events.at(-1)!.data);
  assert.equal(last.error.message, "an internal error occurred");
});

Deno.test(`${PATH}: a call that max_tokens cuts off stays a call, as far as it goes`, async () => {
  const pieces = ["<tool_call>", '{"name": "weather", "arguments": {"city": "Os'];
  const { post } = testApi({
    pieces,
    reason: "length",
    info: { capabilities: ["completion", "tools"] },
  });
  const tools = [{ type: "function", function: { name: "weather" } }];
  const reply = await (await post(PATH, { ...HELLO, tools })).json();
  assert.equal(reply.choices[0].finish_reason, "length");
  assert.equal(reply.choices[0].message.content, null);
  assert.equal(reply.choices[0].message.tool_calls[0].function.name, "weather");
  assert.equal(reply.choices[0].message.tool_calls[0].function.arguments, '{"city":"Os');
  const responses = await (await post("/v1/responses", {
    model: "demo",
    input: "x",
    tools: [{ type: "function", name: "weather" }],
  })).json();
  const item = responses.output.at(-1);
  assert.deepEqual([item.type, item.status, item.arguments], [
    "function_call",
    "incomplete",
    '{"city":"Os',
  ]);
  const message = await (await post("/v1/messages", {
    model: "demo",
    max_tokens: 5,
    messages: [{ role: "user", content: "x" }],
    tools: [{ name: "weather", input_schema: { type: "object" } }],
  })).json();
  assert.equal(message.stop_reason, "max_tokens");
  assert.deepEqual(message.content.at(-1).input, {});
});
