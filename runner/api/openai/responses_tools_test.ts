import assert from "node:assert/strict";
import { inProportion } from "../../../tests/support/patience.ts";
import { readEvents, testApi } from "../testing.ts";

const TOOLS = ["completion", "tools"];
const object = { type: "object", properties: {} };
const fn = (name: string) => ({ type: "function", name, parameters: object });

/** What Codex brings. */
const CODEX = [
  fn("exec_command"),
  { type: "namespace", name: "agents", description: "", tools: [fn("spawn"), fn("wait")] },
  { type: "namespace", name: "mcp__disk__", tools: [fn("read"), fn("exec_command")] },
  { type: "web_search", external_web_access: true },
  {
    type: "custom",
    name: "apply_patch",
    description: "Patches",
    format: { type: "grammar", syntax: "lark", definition: 'start: "x"' },
  },
];

function api(name: string, args: Record<string, unknown>) {
  const call = JSON.stringify({ name, arguments: args });
  return testApi({ pieces: ["<tool_call>", call, "</tool_call>"], info: { capabilities: TOOLS } });
}

const post = (
  tested: ReturnType<typeof api>,
  body: Record<string, unknown>,
) => tested.post("/v1/responses", { model: "demo", tools: CODEX, ...body });

Deno.test("responses: members of a namespace are functions of the prompt, and come back apart", async () => {
  const tested = api("mcp__disk__exec_command", { a: 1 });
  const response = await post(tested, { input: "go" });
  assert.equal(response.status, 200);
  const { output, tools } = await response.json();
  assert.deepEqual(tools.length, CODEX.length, "the request's own tools are echoed");
  const { id: _, call_id, ...item } = output[0];
  assert.deepEqual(item, {
    type: "function_call",
    status: "completed",
    name: "exec_command",
    namespace: "mcp__disk__",
    arguments: '{"a":1}',
  });
  assert.deepEqual(tested.engine.chats.at(-1)!.tools!.map(({ name }) => name), [
    "exec_command",
    "agents__spawn",
    "agents__wait",
    "mcp__disk__read",
    "mcp__disk__exec_command",
    "apply_patch",
  ]);
  const next = await post(tested, {
    input: [
      { role: "user", content: "go" },
      { ...output[0] },
      { type: "function_call_output", call_id, output: "done" },
    ],
  });
  assert.equal(next.status, 200);
  const { messages } = tested.engine.chats.at(-1)!;
  assert.equal(messages[1]!.toolCalls![0]!.name, "mcp__disk__exec_command");
  assert.equal(messages[2]!.toolName, "mcp__disk__exec_command");
});

Deno.test("responses: a custom tool is a function of one text, and its call a custom call", async () => {
  const tested = api("apply_patch", { input: "*** Begin\n" });
  const events = await readEvents(await post(tested, { input: "go", stream: true }));
  const datas = events.map(({ data }) => JSON.parse(data));
  const of = (type: string) => datas.filter((data) => data.type === type);
  assert.equal(
    of("response.custom_tool_call_input.delta").map(({ delta }) => delta).join(""),
    "*** Begin\n",
  );
  assert.equal(of("response.custom_tool_call_input.done")[0].input, "*** Begin\n");
  const [{ item }] = of("response.output_item.done");
  assert.deepEqual([item.type, item.name, item.input], [
    "custom_tool_call",
    "apply_patch",
    "*** Begin\n",
  ]);
  const shown = tested.engine.chats.at(-1)!.tools!.at(-1)!;
  assert.match(shown.description!, /^Patches\n\n.*lark grammar:\nstart: "x"$/s);
  const next = await post(tested, {
    input: [item, { type: "custom_tool_call_output", call_id: item.call_id, output: "ok" }],
  });
  assert.equal(next.status, 200);
  const { messages } = tested.engine.chats.at(-1)!;
  assert.deepEqual(messages[0]!.toolCalls![0]!.arguments, { input: "*** Begin\n" });
  assert.deepEqual([messages[1]!.role, messages[1]!.content], ["tool", "ok"]);
  const id = (await next.json()).id;
  assert.equal((await post(tested, { input: "and", previous_response_id: id })).status, 200);
});

Deno.test("responses: two tools of one name both have one, and a choice names the right one", async () => {
  const tested = api("a__b", {});
  const tools = [fn("a__b"), { type: "namespace", name: "a", tools: [fn("b")] }];
  await post(tested, { input: "go", tools });
  assert.deepEqual(tested.engine.chats.at(-1)!.tools!.map(({ name }) => name), ["a__b", "a__b_2"]);
  const chosen = { type: "function", name: "b", namespace: "a" };
  await post(tested, { input: "go", tools, tool_choice: chosen });
  assert.match(tested.engine.requests.at(-1)!.grammar!, /a__b_2/);
});

Deno.test("responses: what only a server could run is left out; what nobody knows is refused", async () => {
  const tested = api("f", {});
  for (const type of ["web_search", "code_interpreter", "file_search", "image_generation", "mcp"]) {
    const response = await post(tested, { input: "go", tools: [fn("f"), { type }] });
    assert.equal(response.status, 200, type);
    assert.equal(tested.engine.chats.at(-1)!.tools!.length, 1);
  }
  for (
    const tool of [
      { type: "hologram" },
      { type: "namespace", tools: [] },
      { type: "namespace", name: "n", tools: [{ type: "namespace", name: "m", tools: [] }] },
      { type: "custom" },
      { type: "function" },
    ]
  ) {
    const response = await post(tested, { input: "go", tools: [tool] });
    assert.equal(response.status, 400, JSON.stringify(tool));
    assert.match((await response.json()).error.message, /tools\[0\]/);
  }
});

Deno.test("responses: tools are counted with those of their namespaces, and refused in proportion", async () => {
  const tested = api("f", {});
  const namespace = (index: number) => ({
    type: "namespace",
    name: "n",
    description: String(index),
    tools: Array.from({ length: 512 }, () => fn("same")),
  });
  const ask = async (count: number) => {
    const tools = Array.from({ length: count }, (_, index) => namespace(index));
    const response = await post(tested, { input: "go", tools });
    return [response.status, (await response.json()).error?.code];
  };
  assert.deepEqual(await ask(2), [200, undefined]);
  assert.deepEqual(await ask(3), [400, "array_above_max_length"]);
  await inProportion("a thousand namespaces", () => ask(1000));
});
