import assert from "node:assert/strict";
import { SecLlamaError } from "../../../src/errors.ts";
import { readEvents, testApi } from "../testing.ts";

const PATH = "/v1/messages";
const HELLO = { model: "demo", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] };
const TOOL = { name: "weather", input_schema: { type: "object" } };

Deno.test(`${PATH}: a whole message`, async () => {
  const { post, engine } = testApi();
  const body = await (await post(PATH, { ...HELLO, system: "S", top_k: 3 })).json();
  assert.match(body.id, /^msg_/);
  assert.deepEqual({ ...body, id: "", usage: undefined }, {
    id: "",
    type: "message",
    role: "assistant",
    model: "demo",
    content: [{ type: "text", text: "Hello world" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    stop_details: null,
    usage: undefined,
  });
  assert.equal(body.usage.output_tokens, 2);
  assert.equal(engine.requests.at(-1)!.maxTokens, 9);
  assert.equal(engine.requests.at(-1)!.sampling.topK, 3);
  assert.equal(engine.chats.at(-1)!.messages[0]!.content, "S");
});

Deno.test(`${PATH}: reasons to stop`, async () => {
  const reason = async (script: Parameters<typeof testApi>[0]) => {
    const { stop_reason, stop_sequence } = await (await testApi(script).post(PATH, HELLO)).json();
    return [stop_reason, stop_sequence];
  };
  assert.deepEqual(await reason({ reason: "length" }), ["max_tokens", null]);
  assert.deepEqual(await reason({ stopSequence: "END" }), ["stop_sequence", "END"]);
});

Deno.test(`${PATH}: the events of a stream, in order`, async () => {
  const { post } = testApi();
  const response = await post(PATH, { ...HELLO, stream: true });
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  const events = await readEvents(response);
  assert.deepEqual(events.map((event) => event.event), [
    "message_start",
    "ping",
    "content_block_start",
    "content_block_delta",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const data = events.map((event) => JSON.parse(event.data));
  assert.deepEqual(data.map((one) => one.type), events.map((event) => event.event));
  assert.equal(data[0].message.usage.input_tokens, 31);
  assert.deepEqual(data[3].delta, { type: "text_delta", text: "Hello" });
  assert.equal(data[6].delta.stop_reason, "end_turn");
  assert.equal(data[6].usage.output_tokens, 2);
});

Deno.test(`${PATH}: thought, text and tool use are blocks of their own`, async () => {
  const script = {
    pieces: ["<think>", "Hm", "</think>", "Wait. ", '<tool_call>{"name": "weather"}</tool_call>'],
    info: { capabilities: ["completion", "tools", "thinking"] },
  };
  const ask = { ...HELLO, tools: [TOOL], thinking: { type: "enabled", budget_tokens: 1024 } };
  const whole = await (await testApi(script).post(PATH, ask)).json();
  assert.deepEqual(whole.content.map((block: { type: string }) => block.type), [
    "thinking",
    "text",
    "tool_use",
  ]);
  assert.match(whole.content[2].id, /^toolu_/);
  assert.equal(whole.stop_reason, "tool_use");
  const events = await readEvents(await testApi(script).post(PATH, { ...ask, stream: true }));
  const data = events.map((event) => JSON.parse(event.data));
  const blocks = data.filter((one) => one.type.startsWith("content_block"));
  assert.deepEqual(blocks.map((one) => [one.type.slice(14), one.index]), [
    ["start", 0],
    ["delta", 0],
    ["delta", 0],
    ["stop", 0],
    ["start", 1],
    ["delta", 1],
    ["stop", 1],
    ["start", 2],
    ["delta", 2],
    ["stop", 2],
  ]);
  assert.equal(blocks[2].delta.type, "signature_delta");
  assert.match(blocks[2].delta.signature, /^sig_/);
  assert.match(whole.content[0].signature, /^sig_/);
  assert.deepEqual(blocks[8].delta, { type: "input_json_delta", partial_json: "{}" });
});

Deno.test(`${PATH}: no thought unless asked for; a model that cannot is not asked`, async () => {
  const thinker = testApi({ info: { capabilities: ["completion", "thinking"] } });
  await thinker.post(PATH, HELLO);
  assert.equal(thinker.engine.chats.at(-1)!.think, false);
  const plain = testApi();
  const ask = { ...HELLO, thinking: { type: "enabled", budget_tokens: 1024 } };
  assert.equal((await plain.post(PATH, ask)).status, 200);
  assert.equal(plain.engine.chats.at(-1)!.think, undefined);
});

Deno.test(`${PATH}: blocks of the history become messages`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  await post(PATH, {
    ...HELLO,
    tools: [TOOL],
    system: [{ type: "text", text: "S", cache_control: { type: "ephemeral" } }],
    messages: [
      { role: "user", content: [{ type: "text", text: "Q" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "T", signature: "x" },
          { type: "text", text: "A" },
          { type: "tool_use", id: "t", name: "weather", input: { x: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "rain" }] },
          { type: "text", text: "And?" },
        ],
      },
    ],
  });
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "system", content: "S" },
    { role: "user", content: "Q" },
    {
      role: "assistant",
      content: "A",
      thinking: "T",
      toolCalls: [{ id: "t", name: "weather", arguments: { x: 1 } }],
    },
    { role: "tool", content: "rain", toolCallId: "t", toolName: "weather" },
    { role: "user", content: "And?" },
  ]);
});

Deno.test(`${PATH}: what Anthropic's own servers ran stays a call and its result`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const { status } = await post(PATH, {
    ...HELLO,
    messages: [
      {
        role: "user",
        content: [
          {
            type: "search_result",
            title: "T",
            source: "https://x.test",
            content: [{ type: "text", text: "found" }],
          },
          { type: "text", text: "Q" },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I look." },
          { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } },
          {
            type: "web_search_tool_result",
            tool_use_id: "s",
            content: [{ type: "web_search_result", title: "W", encrypted_content: "e" }],
          },
          { type: "mcp_tool_use", id: "m", name: "ask", server_name: "x", input: {} },
          { type: "mcp_tool_use", id: "n", name: "ask", server_name: "x", input: {} },
          {
            type: "mcp_tool_result",
            tool_use_id: "m",
            content: [{ type: "text", text: "said" }],
          },
          { type: "mcp_tool_result", tool_use_id: "n", content: "as well" },
          { type: "text", text: "It is so." },
        ],
      },
      { role: "user", content: "And?" },
    ],
  });
  assert.equal(status, 200);
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "user", content: "T\nhttps://x.test\nfound\nQ" },
    {
      role: "assistant",
      content: "I look.",
      toolCalls: [{ id: "s", name: "web_search", arguments: { query: "q" } }],
    },
    {
      role: "tool",
      content: '[{"type":"web_search_result","title":"W"}]',
      toolCallId: "s",
      toolName: "web_search",
    },
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "m", name: "ask", arguments: {} }, { id: "n", name: "ask", arguments: {} }],
    },
    { role: "tool", content: "said", toolCallId: "m", toolName: "ask" },
    { role: "tool", content: "as well", toolCallId: "n", toolName: "ask" },
    { role: "assistant", content: "It is so." },
    { role: "user", content: "And?" },
  ]);
});

Deno.test(`${PATH}: tool_choice any and a tool force a call, none hides the tools`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  for (const tool_choice of [{ type: "any" }, { type: "tool", name: "weather" }]) {
    await post(PATH, { ...HELLO, tools: [TOOL], tool_choice });
    assert.match(engine.requests.at(-1)!.grammar!, /weather/);
  }
  await post(PATH, { ...HELLO, tools: [TOOL], tool_choice: { type: "none" } });
  assert.equal(engine.chats.at(-1)!.tools, undefined);
});

Deno.test(`${PATH}: structured output`, async () => {
  const { post, engine } = testApi();
  const format = { type: "json_schema", schema: { type: "object", properties: { age: {} } } };
  await post(PATH, { ...HELLO, output_config: { format } });
  assert.match(engine.requests.at(-1)!.grammar!, /age/);
});

Deno.test(`${PATH}/count_tokens counts the rendered prompt`, async () => {
  const { post } = testApi();
  const { max_tokens: _, ...ask } = HELLO;
  const body = await (await post(`${PATH}/count_tokens`, ask)).json();
  assert.deepEqual(body, { input_tokens: 31 });
  const long = { ...ask, messages: [{ role: "user", content: "x".repeat(5000) }] };
  const counted = await (await post(`${PATH}/count_tokens`, long)).json();
  assert.deepEqual(counted, { input_tokens: 5029 });
});

Deno.test(`${PATH}: errors as Anthropic writes them`, async () => {
  const cases: [Record<string, unknown>, number, string][] = [
    [{ max_tokens: undefined }, 400, "invalid_request_error"],
    [{ max_tokens: -1 }, 400, "invalid_request_error"],
    [{ messages: [] }, 400, "invalid_request_error"],
    [{ messages: [{ role: "user", content: [{ type: "image" }] }] }, 400, "invalid_request_error"],
    [{ messages: [{ role: "user", content: [{ type: "odd" }] }] }, 400, "invalid_request_error"],
    [{ messages: [{ role: "tool", content: "x" }] }, 400, "invalid_request_error"],
    [{ tools: [{ type: "web_search_20250305", name: "w" }] }, 400, "invalid_request_error"],
    [{ tools: [TOOL] }, 400, "invalid_request_error"],
    [{ model: "claude" }, 404, "not_found_error"],
  ];
  for (const [change, status, type] of cases) {
    const response = await testApi().post(PATH, { ...HELLO, ...change });
    assert.equal(response.status, status);
    const body = await response.json();
    assert.equal(body.type, "error");
    assert.equal(body.error.type, type);
  }
  const busy = new SecLlamaError("busy", "full");
  const response = await testApi({ pieces: [], failure: busy }).post(PATH, HELLO);
  assert.equal((await response.json()).error.type, "overloaded_error");
});

Deno.test(`${PATH}: every answer has a request-id of its own`, async () => {
  const ids = new Set<string>();
  const bodies = [HELLO, { ...HELLO, stream: true }, { ...HELLO, messages: [] }];
  for (const path of [PATH, `${PATH}/count_tokens`]) {
    for (const body of bodies) {
      const response = await testApi().post(path, body);
      await response.body?.cancel();
      assert.match(response.headers.get("request-id")!, /^req_[0-9a-f]{24}$/, path);
      ids.add(response.headers.get("request-id")!);
    }
  }
  assert.equal(ids.size, 6);
  // OpenAI's clients read another header, Ollama's none.
  for (const [path, header] of [["/v1/chat/completions", "x-request-id"], ["/api/chat", null]]) {
    for (const body of [{ ...HELLO, stream: false }, { ...HELLO, stream: true }, {}]) {
      const response = await testApi().post(path!, body);
      await response.body?.cancel();
      const named = [...response.headers.keys()].filter((name) => name.endsWith("request-id"));
      assert.deepEqual(named, header === null ? [] : [header], path!);
    }
  }
});

Deno.test(`${PATH}: a failure in the middle is an error event`, async () => {
  const { post } = testApi({ failure: new Error("secret detail") });
  const response = await post(PATH, { ...HELLO, stream: true });
  const events = await readEvents(response);
  assert.equal(events.at(-1)!.event, "error");
  assert.equal(JSON.parse(events.at(-1)!.data).request_id, response.headers.get("request-id"));
  assert.match(events.at(-1)!.data, /an internal error occurred/);
});
