import assert from "node:assert/strict";
import { readEvents, testApi } from "../testing.ts";

const PATH = "/v1/responses";
const TOOL = { type: "function", name: "weather", parameters: { type: "object" }, strict: true };

const types = (events: { event: string | undefined }[]) =>
  events.map(({ event }) => event!.replace(/^response\./, ""));

Deno.test(`${PATH}: what is only repeated in each event is bounded`, async () => {
  const ask = { model: "demo", input: "Hi", metadata: { a: "b".repeat(3_000_000) } };
  const response = await testApi().post(PATH, ask);
  assert.equal(response.status, 400);
  assert.equal((await response.json()).error.param, "metadata");
  const some = { ...ask, metadata: { a: "b".repeat(1_000_000) } };
  const body = await (await testApi().post(PATH, some)).json();
  assert.equal(body.metadata.a.length, 1_000_000);
});

Deno.test(`${PATH}: a whole response echoes the request and holds the message`, async () => {
  const { post, engine } = testApi();
  const ask = { model: "demo", input: "Hi", instructions: "S", metadata: { a: "b" } };
  const body = await (await post(PATH, ask)).json();
  assert.equal(body.object, "response");
  assert.equal(body.status, "completed");
  assert.equal(body.instructions, "S");
  assert.deepEqual(body.metadata, { a: "b" });
  assert.deepEqual(body.output[0].content, [
    { type: "output_text", text: "Hello world", annotations: [], logprobs: [] },
  ]);
  assert.equal(body.usage.output_tokens, 2);
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "system", content: "S" },
    { role: "user", content: "Hi" },
  ]);
});

Deno.test(`${PATH}: the events of a message, in order and numbered`, async () => {
  const { post } = testApi({ reason: "length" });
  const events = await readEvents(await post(PATH, { model: "demo", input: "Hi", stream: true }));
  assert.deepEqual(types(events), [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "incomplete",
  ]);
  const data = events.map((event) => JSON.parse(event.data));
  assert.deepEqual(data.map((one) => one.sequence_number), data.map((_, index) => index));
  assert.deepEqual(data.map((one) => one.type), events.map((event) => event.event));
  const { response } = data.at(-1);
  assert.deepEqual(response.incomplete_details, { reason: "max_output_tokens" });
  assert.equal(response.output[0].content[0].text, "Hello world");
  assert.equal(new Set(data.filter((one) => one.item_id).map((one) => one.item_id)).size, 1);
});

Deno.test(`${PATH}: a thought, text and a call are items of their own`, async () => {
  const { post } = testApi({
    pieces: ["<think>", "Hm", "</think>", "Wait. ", '<tool_call>{"name": "weather"}</tool_call>'],
    info: { capabilities: ["completion", "tools", "thinking"] },
  });
  const ask = { model: "demo", input: "Hi", tools: [TOOL], stream: true };
  const events = await readEvents(await post(PATH, ask));
  assert.deepEqual(types(events), [
    "created",
    "in_progress",
    "output_item.added",
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
    "output_item.done",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
    "completed",
  ]);
  const { response } = JSON.parse(events.at(-1)!.data);
  assert.deepEqual(response.output.map((item: { type: string }) => item.type), [
    "reasoning",
    "message",
    "function_call",
  ]);
  assert.equal(response.output[2].arguments, "{}");
  const added = events.map((event) => JSON.parse(event.data))
    .filter((one) => one.type === "response.output_item.added");
  assert.deepEqual(added.map((one) => one.output_index), [0, 1, 2]);
});

Deno.test(`${PATH}: items of the history become messages again`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  await post(PATH, {
    model: "demo",
    tools: [TOOL],
    input: [
      { role: "developer", content: "D" },
      { type: "message", role: "user", content: [{ type: "input_text", text: "Q" }] },
      { type: "reasoning", id: "r", summary: [{ type: "summary_text", text: "T" }] },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "A" }] },
      { type: "function_call", call_id: "c", name: "weather", arguments: '{"x":1}' },
      { type: "function_call_output", call_id: "c", output: "rain" },
    ],
  });
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "system", content: "D" },
    { role: "user", content: "Q" },
    {
      role: "assistant",
      content: "A",
      thinking: "T",
      toolCalls: [{ id: "c", name: "weather", arguments: { x: 1 } }],
    },
    { role: "tool", content: "rain", toolCallId: "c", toolName: "weather" },
  ]);
});

Deno.test(`${PATH}: what OpenAI's own servers ran does not lock a conversation`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const { status } = await post(PATH, {
    model: "demo",
    input: [
      { role: "user", content: "Q" },
      { type: "web_search_call", id: "w", status: "completed", action: { type: "search" } },
      { type: "mcp_list_tools", id: "l", server_label: "s", tools: [] },
      { type: "mcp_call", id: "m", server_label: "s", name: "ask", arguments: "{}", output: "O" },
      { type: "code_interpreter_call", id: "i", code: "1+1", outputs: null },
      { role: "assistant", content: "A" },
      { role: "user", content: "R" },
    ],
  });
  assert.equal(status, 200);
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "user", content: "Q" },
    { role: "assistant", content: "", toolCalls: [{ id: "m", name: "ask", arguments: {} }] },
    { role: "tool", content: "O", toolCallId: "m", toolName: "ask" },
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "i", name: "code_interpreter", arguments: { code: "1+1" } }],
    },
    { role: "tool", content: "[]", toolCallId: "i", toolName: "code_interpreter" },
    { role: "assistant", content: "A" },
    { role: "user", content: "R" },
  ]);
  // What was sent before the last of them cannot be taken back: a text stands for it.
  for (const type of ["web_search_call", "mcp_call", "code_interpreter_call"]) {
    const item = { type, id: "x", name: "ask", arguments: "{}" };
    const content = [{ type: "input_image", image_url: "data:image/png;base64,AAAA" }];
    const sent = { role: "user", content };
    const input = [sent, item, { role: "user", content: "R" }];
    assert.equal((await post(PATH, { model: "demo", input })).status, 200, type);
    assert.equal((await post(PATH, { model: "demo", input: [item, sent] })).status, 400, type);
  }
  const unknown = { model: "demo", input: [{ type: "weird_call", id: "x" }] };
  assert.equal((await post(PATH, unknown)).status, 400);
});

Deno.test(`${PATH}: calls of tools that OpenAI defines and a client ran are calls and their results`, async () => {
  const { post, engine } = testApi({ info: { capabilities: ["completion", "tools"] } });
  const input = [
    { role: "user", content: "Q" },
    { type: "local_shell_call", call_id: "l", action: { type: "exec", command: ["ls"] } },
    { type: "local_shell_call_output", id: "l", output: "a.txt" },
    { type: "shell_call", call_id: "s", action: { commands: ["ls"] } },
    { type: "shell_call_output", call_id: "s", output: [{ stdout: "a.txt", stderr: "" }] },
    { type: "apply_patch_call", call_id: "p", operation: { type: "delete_file", path: "a.txt" } },
    { type: "apply_patch_call_output", call_id: "p", status: "completed" },
  ];
  assert.equal((await post(PATH, { model: "demo", input })).status, 200);
  const call = (id: string, name: string, values: Record<string, unknown>) => ({
    role: "assistant",
    content: "",
    toolCalls: [{ id, name, arguments: values }],
  });
  const result = (toolCallId: string, toolName: string, content: string) => ({
    role: "tool",
    content,
    toolCallId,
    toolName,
  });
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "user", content: "Q" },
    call("l", "local_shell", { type: "exec", command: ["ls"] }),
    result("l", "local_shell", "a.txt"),
    call("s", "shell", { commands: ["ls"] }),
    result("s", "shell", '[{"stdout":"a.txt","stderr":""}]'),
    call("p", "apply_patch", { type: "delete_file", path: "a.txt" }),
    result("p", "apply_patch", "completed"),
  ]);
  const wrong = [{ type: "shell_call", call_id: "s", action: "ls" }];
  const { status, body } = await post(PATH, { model: "demo", input: wrong }).then(async (r) => ({
    status: r.status,
    body: await r.json(),
  }));
  assert.deepEqual([status, body.error.param], [400, "input[0].action"]);
});

Deno.test(`${PATH}: items may be referred to by id, unless store is false`, async () => {
  const { post, engine } = testApi();
  const id = async (store: boolean) => {
    const body = { model: "demo", input: "Hi", store };
    return (await (await post(PATH, body)).json()).output[0].id as string;
  };
  const refer = (id: string) =>
    post(PATH, {
      model: "demo",
      input: [{ type: "item_reference", id }, { role: "user", content: "B" }],
    });
  assert.equal((await refer(await id(true))).status, 200);
  assert.deepEqual(engine.chats.at(-1)!.messages, [
    { role: "assistant", content: "Hello world" },
    { role: "user", content: "B" },
  ]);
  assert.equal((await refer(await id(false))).status, 400);
});

Deno.test(`${PATH}: a failure in the middle ends with response.failed`, async () => {
  const { post } = testApi({ failure: new Error("secret detail") });
  const events = await readEvents(await post(PATH, { model: "demo", input: "Hi", stream: true }));
  const last = JSON.parse(events.at(-1)!.data);
  assert.equal(last.type, "response.failed");
  assert.equal(last.response.error.message, "an internal error occurred");
  const early = await testApi({ info: { capabilities: [] } })
    .post(PATH, { model: "demo", input: "Hi", tools: [TOOL], stream: true });
  assert.equal(early.status, 400);
});

for (
  const [change, param] of [
    [{ input: undefined }, "input"],
    [{ input: [] }, "input"],
    [{ input: [{ type: "item_reference", id: "x" }] }, "input[0].id"],
    [{ input: [{ type: "computer_call", id: "x" }] }, "input[0].type"],
    [{ input: [{ role: "user", content: [{ type: "input_image" }] }] }, "input[0].content[0]"],
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
    [{ background: true }, "background"],
    [{ tools: [{ type: "hologram" }] }, "tools[0].type"],
    [{ max_output_tokens: -2 }, "max_output_tokens"],
    [{ text: { format: { type: "json_schema", name: "x" } } }, "text.format.schema"],
  ] as const
) {
  Deno.test(`${PATH}: ${JSON.stringify(change)} is 400 about ${param}`, async () => {
    const response = await testApi().post(PATH, { model: "demo", input: "Hi", ...change });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.param, param);
  });
}

Deno.test(`${PATH}: previous_response_id goes on with the conversation, its instructions left behind`, async () => {
  const { api, engine } = testApi();
  const ask = async (client: string, body: Record<string, unknown>) => {
    const request = new Request(`http://x${PATH}`, {
      method: "POST",
      body: JSON.stringify({ model: "demo", ...body }),
    });
    const response = await api.fetch(request, { client });
    return { status: response.status, body: await response.json() };
  };
  const first = await ask("alice", { input: "A", instructions: "Be brief." });
  const id = first.body.id;
  const second = await ask("alice", { input: "B", previous_response_id: id });
  assert.equal(second.body.previous_response_id, id);
  const told = () =>
    engine.chats.at(-1)!.messages.map(({ role, content }) => `${role}: ${content}`);
  assert.deepEqual(told(), ["user: A", "assistant: Hello world", "user: B"]);
  await ask("alice", { input: "C", previous_response_id: second.body.id });
  assert.equal(told().length, 5);
  // Another client's, one that was not to be stored, one that never was.
  assert.equal((await ask("bob", { input: "B", previous_response_id: id })).status, 400);
  const unstored = await ask("alice", { input: "A", store: false });
  const gone = await ask("alice", { input: "B", previous_response_id: unstored.body.id });
  assert.equal(gone.status, 400);
  assert.match(gone.body.error.message, /send the whole conversation as input/);
});

Deno.test(`${PATH}/input_tokens: what the request's prompt costs`, async () => {
  const { post } = testApi();
  const ask = { model: "demo", input: "Hi", instructions: "Be brief." };
  const counted = await (await post(`${PATH}/input_tokens`, ask)).json();
  assert.deepEqual(counted, {
    object: "response.input_tokens",
    input_tokens: (await (await post(PATH, ask)).json()).usage.input_tokens,
  });
});
