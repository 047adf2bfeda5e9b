import assert from "node:assert/strict";
import { SecLlamaError } from "../../../src/errors.ts";
import { readLines, testApi } from "../testing.ts";

const HELLO = { model: "demo", messages: [{ role: "user", content: "Hi" }] };
const FINAL_METRICS = [
  "total_duration",
  "load_duration",
  "prompt_eval_count",
  "prompt_eval_duration",
  "eval_count",
  "eval_duration",
];

Deno.test("/api/chat streams by default: a line and a chunk a token, Ollama's fields in its order", async () => {
  const { post } = testApi();
  const response = await post("/api/chat", HELLO);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const { lines, chunks } = await readLines(response);
  assert.equal(chunks, 3);
  for (const line of lines.slice(0, 2)) {
    assert.deepEqual(Object.keys(line), ["model", "created_at", "message", "done"]);
    assert.equal(line.done, false);
    assert.match(String(line.created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  }
  assert.deepEqual(lines.map((line) => line.message), [
    { role: "assistant", content: "Hello" },
    { role: "assistant", content: " world" },
    { role: "assistant", content: "" },
  ]);
  const last = lines[2]!;
  assert.deepEqual(Object.keys(last), [
    "model",
    "created_at",
    "message",
    "done",
    "done_reason",
    ...FINAL_METRICS,
  ]);
  assert.equal(last.model, "demo");
  assert.equal(last.done_reason, "stop");
});

Deno.test("/api/chat without a stream is one object of the same fields", async () => {
  const { post } = testApi({ reason: "length" });
  const response = await post("/api/chat", { ...HELLO, stream: false });
  assert.match(response.headers.get("content-type")!, /^application\/json/);
  const body = await response.json();
  assert.deepEqual(body.message, { role: "assistant", content: "Hello world" });
  assert.equal(body.done_reason, "length");
  assert.ok(FINAL_METRICS.every((name) => Number.isInteger(body[name])));
});

Deno.test("/api/chat: counts are the engine's, and durations nanoseconds that add up", async () => {
  const { post } = testApi();
  const started = performance.now();
  const body = await (await post("/api/chat", { ...HELLO, stream: false })).json();
  const wall = (performance.now() - started) * 1e6;
  // BOS, "<|user|>", "Hi", "<|end|>", "<|assistant|>" of the fake, whose tokens are characters.
  assert.equal(body.prompt_eval_count, 1 + 8 + 2 + 7 + 13);
  assert.equal(body.eval_count, 2);
  assert.equal(body.prompt_eval_duration, 1_500_000);
  assert.equal(body.eval_duration, 2_250_000);
  assert.ok(body.total_duration <= wall);
  assert.ok(body.load_duration <= body.total_duration);
});

Deno.test("/api/chat: what a request waited for the model counts as loading, and in the total", async () => {
  const { api } = testApi();
  const request = new Request("http://x/api/chat", {
    method: "POST",
    body: JSON.stringify({ ...HELLO, stream: false }),
  });
  const body = await (await api.fetch(request, { client: "a", waitedMs: 100 })).json();
  assert.equal(body.load_duration, 100e6);
  assert.ok(body.total_duration >= 100e6);
});

Deno.test("/api/chat: the whole history reaches the template", async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const tool = { name: "f", description: "d", parameters: { type: "object", properties: {} } };
  await post("/api/chat", {
    model: "demo:latest",
    stream: false,
    tools: [{ type: "function", function: tool }],
    messages: [
      { role: "System", content: "S", images: [] },
      {
        role: "assistant",
        content: "",
        thinking: "T",
        tool_calls: [{ function: { name: "f", arguments: { a: [1] } } }],
      },
      { role: "tool", content: "R", tool_name: "f", tool_call_id: "1" },
    ],
  });
  assert.deepEqual(engine.chats.at(-1), {
    messages: [
      { role: "system", content: "S" },
      {
        role: "assistant",
        content: "",
        thinking: "T",
        toolCalls: [{ name: "f", arguments: { a: [1] } }],
      },
      { role: "tool", content: "R", toolName: "f", toolCallId: "1" },
    ],
    tools: [tool],
  });
});

Deno.test("/api/chat: no message loads the model, or with keep_alive 0 unloads it", async () => {
  const { post, keepAlives, engine } = testApi();
  const loaded = await (await post("/api/chat", { model: "demo", messages: [] })).json();
  assert.equal(loaded.done_reason, "load");
  assert.deepEqual(loaded.message, { role: "assistant", content: "" });
  const gone = await (await post("/api/chat", { model: "demo", keep_alive: 0 })).json();
  assert.equal(gone.done_reason, "unload");
  assert.deepEqual(keepAlives, [0]);
  assert.equal(engine.requests.length, 0);
});

Deno.test("/api/chat: keep_alive is announced at once, an unload when the reply is over", async () => {
  const { post, keepAlives } = testApi();
  const response = await post("/api/chat", { ...HELLO, keep_alive: "5m" });
  assert.deepEqual(keepAlives, [300_000]);
  await response.text();
  const unload = await post("/api/chat", { ...HELLO, keep_alive: 0 });
  assert.deepEqual(keepAlives, [300_000]);
  await unload.text();
  assert.deepEqual(keepAlives, [300_000, 0]);
  await (await post("/api/chat", { ...HELLO, keep_alive: -1, stream: false })).text();
  assert.deepEqual(keepAlives, [300_000, 0, "forever"]);
});

Deno.test("/api/chat: cancelling the body ends the generation", async () => {
  const { post, engine } = testApi({ endless: true });
  const reader = (await post("/api/chat", HELLO)).body!.getReader();
  await reader.read();
  assert.equal(engine.running, 1);
  await reader.cancel();
  assert.equal(engine.running, 0);
  assert.equal(engine.cancelled, 1);
});

Deno.test("/api/chat: aborting the request ends the generation, streaming or not", async () => {
  for (const stream of [true, false]) {
    const { post, engine } = testApi({ endless: true });
    const controller = new AbortController();
    const pending = post("/api/chat", { ...HELLO, stream }, controller.signal)
      .then((response) => response.text());
    while (engine.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort();
    await pending;
    assert.equal(engine.running, 0);
  }
});

Deno.test("/api/chat: an error before output is a status, one in the middle a last line", async () => {
  const failure = new SecLlamaError("busy", "the queue is full");
  const early = await testApi({ pieces: [], failure }).post("/api/chat", HELLO);
  assert.equal(early.status, 503);
  assert.ok(early.headers.has("retry-after"));
  assert.deepEqual(await early.json(), {
    error: "server busy, please try again.  maximum pending requests exceeded",
    code: "busy",
    hint: "the queue is full",
  });
  const late = await testApi({ failure: new Error("secret detail") }).post("/api/chat", HELLO);
  assert.equal(late.status, 200);
  const { lines } = await readLines(late);
  assert.deepEqual(lines.at(-1), { error: "an internal error occurred", code: "internal" });
  const whole = await testApi({ failure: new Error("secret detail") })
    .post("/api/chat", { ...HELLO, stream: false });
  assert.equal(whole.status, 500);
});

const THINKER = {
  pieces: ["<think>", "Hm", ".", "</think>", "\n\n", "Yes"],
  info: { capabilities: ["completion", "thinking"] },
};

Deno.test("/api/chat: a thought is split off; with think false it is left out", async () => {
  const { post, engine } = testApi(THINKER);
  const split = await (await post("/api/chat", { ...HELLO, stream: false })).json();
  assert.deepEqual(split.message, { role: "assistant", content: "Yes", thinking: "Hm." });
  assert.equal(engine.chats.at(-1)!.think, true);
  const without = { ...HELLO, stream: false, think: false };
  const { message } = await (await post("/api/chat", without)).json();
  // It thought all the same; that is not shown.
  assert.deepEqual(message, { role: "assistant", content: "Yes" });
  assert.equal(engine.chats.at(-1)!.think, false);
  const { lines } = await readLines(await post("/api/chat", { ...HELLO, think: "low" }));
  assert.deepEqual(lines.map((line) => line.message), [
    { role: "assistant", content: "", thinking: "Hm" },
    { role: "assistant", content: "", thinking: "." },
    { role: "assistant", content: "Yes" },
    { role: "assistant", content: "" },
  ]);
});

const TOOLS = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];
const CALLER = {
  pieces: [
    "Let me see. ",
    "<tool_call>",
    '{"name": "weather",',
    ' "arguments": {"city": "Oslo"}}',
    "</tool_call>",
  ],
  controlTokens: ["<tool_call>", "</tool_call>"],
  info: { capabilities: ["completion", "tools"] },
};

Deno.test("/api/chat: a tool call comes as one, with an id", async () => {
  for (const silent of [[], ["<tool_call>"]]) {
    const { post } = testApi({ ...CALLER, silent });
    const { lines } = await readLines(await post("/api/chat", { ...HELLO, tools: TOOLS }));
    const message = lines.at(-2)!.message as { content: string; tool_calls: { id: string }[] };
    assert.match(message.tool_calls[0]!.id, /^call_[0-9a-f]{24}$/);
    assert.deepEqual({ ...message.tool_calls[0], id: "" }, {
      id: "",
      function: { index: 0, name: "weather", arguments: { city: "Oslo" } },
    });
    assert.equal(
      lines.map((line) => (line.message as { content: string }).content).join(""),
      "Let me see. ",
    );
  }
});

Deno.test("/api/chat: without tools a tool call is text; empty tools are none", async () => {
  const { post, engine } = testApi(CALLER);
  const body = await (await post("/api/chat", { ...HELLO, tools: [], stream: false })).json();
  assert.match(body.message.content, /<tool_call>/);
  assert.equal(engine.chats.at(-1)!.tools, undefined);
});

Deno.test("/api/chat: tools for a model without them are 400 in Ollama's words", async () => {
  const response = await testApi().post("/api/chat", { ...HELLO, tools: TOOLS });
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), {
    error: '"demo" does not support tools',
    code: "bad-request",
  });
});

Deno.test("/api/chat: format becomes a grammar; a thought may come before it", async () => {
  const { post, engine } = testApi();
  await post("/api/chat", { ...HELLO, format: "json", stream: false });
  assert.match(engine.requests.at(-1)!.grammar!, /^root ::= /m);
  const schema = { type: "object", properties: { age: { type: "integer" } }, required: ["age"] };
  await post("/api/chat", { ...HELLO, format: schema, stream: false });
  assert.match(engine.requests.at(-1)!.grammar!, /age/);
  for (const none of ["", null]) {
    await post("/api/chat", { ...HELLO, format: none, stream: false });
    assert.equal(engine.requests.at(-1)!.grammar, undefined);
  }
  const thinker = testApi(THINKER);
  await thinker.post("/api/chat", { ...HELLO, format: schema, stream: false });
  assert.match(thinker.engine.requests.at(-1)!.grammar!, /^root ::= .*think/m);
});

Deno.test("/api/chat: logprobs come with their tokens", async () => {
  const { post, engine } = testApi();
  const ask = { ...HELLO, logprobs: true, top_logprobs: 2 };
  const { lines } = await readLines(await post("/api/chat", ask));
  assert.equal(engine.requests.at(-1)!.logprobs, 2);
  const [first] = lines[0]!.logprobs as Record<string, unknown>[];
  assert.deepEqual(Object.keys(first!), ["token", "logprob", "bytes", "top_logprobs"]);
  assert.equal(first!.token, "Hello");
  assert.equal((first!.top_logprobs as unknown[]).length, 2);
  const whole = await (await post("/api/chat", { ...ask, stream: false })).json();
  assert.equal(whole.logprobs.length, 2);
});

Deno.test("/api/chat: _debug_render_only answers the prompt as text, and nothing is generated", async () => {
  const { post, engine } = testApi();
  const body = await (await post("/api/chat", { ...HELLO, _debug_render_only: true })).json();
  const { created_at, ...rest } = body;
  assert.ok(created_at);
  assert.deepEqual(rest, {
    model: "demo",
    message: { role: "", content: "" },
    done: false,
    _debug_info: { rendered_template: "<|user|>Hi<|end|><|assistant|>" },
  });
  assert.equal(engine.requests.length, 0);
  const wrong = await post("/api/chat", { ...HELLO, _debug_render_only: "yes" });
  assert.equal(wrong.status, 400);
});
