/**
 * Every answer and every event of `/v1/responses` has the fields that Open Responses wants, of the types that it wants: what the
 * public compliance suite looks at, written down here by hand from its schemas (openresponses.org, OpenAPI 2.3.0). Its cases
 * (text, system, tool, picture, history, each streamed and not) are sent. That a model sees what was sent is in tests/clients.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { readEvents, testApi } from "../../runner/api/testing.ts";

const PATH = "/v1/responses";
/** One red pixel, as a PNG. */
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const text = z.string();
const int = z.number().int();
const orNull = <T extends z.ZodType>(type: T) => z.union([type, z.null()]);
const type = <T extends string>(name: T) => z.literal(name);

const outputText = z.object({
  type: type("output_text"),
  text,
  annotations: z.array(z.unknown()),
  logprobs: z.array(z.object({
    token: text,
    logprob: z.number(),
    bytes: z.array(int),
    top_logprobs: z.array(z.object({ token: text, logprob: z.number(), bytes: z.array(int) })),
  })),
});
const status = z.enum(["in_progress", "completed", "incomplete"]);
const summary = z.object({ type: type("summary_text"), text });
const item = z.union([
  z.object({
    type: type("message"),
    id: text,
    status,
    role: type("assistant"),
    content: z.array(outputText),
  }),
  z.object({
    type: type("function_call"),
    id: text,
    call_id: text,
    name: text,
    arguments: text,
    status,
  }),
  z.object({ type: type("reasoning"), id: text, summary: z.array(summary) }),
]);
const format = z.union([
  z.object({ type: type("text") }),
  z.object({ type: type("json_object") }),
  z.object({
    type: type("json_schema"),
    name: text,
    description: orNull(text),
    schema: orNull(z.unknown()),
    strict: z.boolean(),
  }),
]);
const functionTool = z.object({
  type: type("function"),
  name: text,
  description: orNull(text),
  parameters: orNull(z.record(text, z.unknown())),
  strict: orNull(z.boolean()),
});
const toolChoice = z.union([
  z.enum(["none", "auto", "required"]),
  z.object({ type: type("function"), name: text }),
  z.object({ type: type("allowed_tools"), tools: z.array(z.unknown()), mode: text }),
]);
const response = z.object({
  id: text,
  object: type("response"),
  created_at: int,
  completed_at: orNull(int),
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  incomplete_details: orNull(z.object({ reason: text })),
  model: text,
  previous_response_id: orNull(text),
  instructions: orNull(text),
  output: z.array(item),
  error: orNull(z.object({ code: text, message: text })),
  tools: z.array(functionTool),
  tool_choice: toolChoice,
  truncation: z.enum(["auto", "disabled"]),
  parallel_tool_calls: z.boolean(),
  text: z.object({ format }),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: int,
  temperature: z.number(),
  reasoning: orNull(z.object({ effort: orNull(text), summary: orNull(text) })),
  usage: orNull(z.object({
    input_tokens: int,
    output_tokens: int,
    total_tokens: int,
    input_tokens_details: z.object({ cached_tokens: int }),
    output_tokens_details: z.object({ reasoning_tokens: int }),
  })),
  max_output_tokens: orNull(int),
  max_tool_calls: orNull(int),
  store: z.boolean(),
  background: z.boolean(),
  service_tier: text,
  metadata: z.record(text, z.unknown()),
  safety_identifier: orNull(text),
  prompt_cache_key: orNull(text),
});

const event = <const T extends string, S extends z.ZodRawShape>(name: T, fields: S) =>
  z.object({ type: type(`response.${name}`), sequence_number: int, ...fields });
const ofItem = { item_id: text, output_index: int };
const ofContent = { ...ofItem, content_index: int };
const ofSummary = { ...ofItem, summary_index: int };
const { logprobs } = outputText.shape;
const events = z.discriminatedUnion("type", [
  event("created", { response }),
  event("in_progress", { response }),
  event("completed", { response }),
  event("incomplete", { response }),
  event("failed", { response }),
  event("output_item.added", { output_index: int, item }),
  event("output_item.done", { output_index: int, item }),
  event("content_part.added", { ...ofContent, part: outputText }),
  event("content_part.done", { ...ofContent, part: outputText }),
  event("output_text.delta", { ...ofContent, delta: text, logprobs }),
  event("output_text.done", { ...ofContent, text, logprobs }),
  event("function_call_arguments.delta", { ...ofItem, delta: text }),
  event("function_call_arguments.done", { ...ofItem, arguments: text }),
  event("reasoning_summary_part.added", { ...ofSummary, part: summary }),
  event("reasoning_summary_part.done", { ...ofSummary, part: summary }),
  event("reasoning_summary_text.delta", { ...ofSummary, delta: text }),
  event("reasoning_summary_text.done", { ...ofSummary, text }),
]);

const user = (content: string) => ({ type: "message", role: "user", content });
const weather = {
  type: "function",
  name: "get_weather",
  description: "Get the current weather for a location",
  parameters: { type: "object", properties: { location: { type: "string" } } },
};
const CALL = '<tool_call>{"name": "get_weather", "arguments": {"location": "X"}}</tool_call>';
const everything = { capabilities: ["completion", "tools", "thinking"] };

interface Case {
  readonly name: string;
  readonly ask: Readonly<Record<string, unknown>>;
  readonly script?: Parameters<typeof testApi>[0];
  readonly output?: readonly string[];
  readonly status?: string;
}

const CASES: readonly Case[] = [
  { name: "a text", ask: { input: [user("Say hello in exactly 3 words.")] } },
  { name: "a text as input", ask: { input: "Hi" } },
  {
    name: "a system message",
    ask: { input: [{ type: "message", role: "system", content: "S" }, user("Say hello.")] },
  },
  {
    name: "several turns",
    ask: { input: [user("A"), { type: "message", role: "assistant", content: "B" }, user("C")] },
  },
  {
    name: "a picture",
    ask: {
      input: [{
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "What is in it?" },
          { type: "input_image", image_url: `data:image/png;base64,${PIXEL}` },
        ],
      }],
    },
    script: { info: { capabilities: ["completion", "vision"] } },
  },
  {
    name: "a call of a tool",
    ask: { input: [user("What's the weather?")], tools: [weather] },
    script: { pieces: [CALL], info: everything },
    output: ["function_call"],
  },
  {
    name: "a thought, a text, a call",
    ask: { input: "Hi", tools: [{ type: "function", name: "get_weather" }] },
    script: { pieces: ["<think>", "Hm", "</think>", "Wait. ", CALL], info: everything },
    output: ["reasoning", "message", "function_call"],
  },
  {
    name: "a reply that is cut off",
    ask: { input: "Hi", max_output_tokens: 2 },
    script: { reason: "length" },
    status: "incomplete",
  },
  {
    name: "every field that is echoed",
    ask: {
      input: "Hi",
      instructions: "I",
      tools: [{ ...weather, strict: true }],
      tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ name: "get_weather" }] },
      text: { format: { type: "json_schema", name: "n", schema: { type: "object" } } },
      reasoning: { effort: "low" },
      metadata: { a: "b" },
      max_tool_calls: 3,
      safety_identifier: "s",
      prompt_cache_key: "p",
      truncation: "auto",
      top_logprobs: 1,
      include: ["message.output_text.logprobs"],
    },
    script: { pieces: ["{", "}"], info: everything },
  },
];

function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  assert.ok(result.success, `${what}: ${result.error && z.prettifyError(result.error)}`);
  return result.data;
}

/** What comes between an item's first and last event. */
const WITHIN: Readonly<Record<string, RegExp>> = {
  message: /^(content_part.added (output_text.delta )*output_text.done content_part.done )+$/,
  function_call: /^(function_call_arguments.delta )+function_call_arguments.done $/,
  reasoning: new RegExp(
    "^(reasoning_summary_part.added (reasoning_summary_text.delta )+" +
      "reasoning_summary_text.done reasoning_summary_part.done )+$",
  ),
};

/** Each item's events are its own, in their order, and its pieces joined are what it ends as. */
function inOrder(seen: readonly z.infer<typeof events>[]): void {
  let within = "", joined = "", id = "";
  for (const one of seen) {
    const name = one.type.slice("response.".length);
    if (one.type === "response.output_item.added") [within, joined, id] = ["", "", one.item.id];
    else if (one.type === "response.output_item.done") {
      assert.match(within, WITHIN[one.item.type]!, one.item.type);
      assert.equal(one.item.id, id);
    } else if ("item_id" in one) {
      within += `${name} `;
      assert.equal(one.item_id, id, name);
      if ("delta" in one) joined += one.delta;
      if ("text" in one) assert.equal(one.text, joined, name);
      if ("arguments" in one) assert.equal(one.arguments, joined, name);
    }
  }
}

for (const { name, ask, script, output = ["message"], status = "completed" } of CASES) {
  Deno.test(`open responses: ${name}, whole and streamed`, async () => {
    const whole = await testApi(script).post(PATH, { model: "demo", ...ask });
    assert.equal(whole.status, 200);
    const body = check(response, await whole.json(), name);
    assert.equal(body.status, status);
    assert.deepEqual(body.output.map((one) => one.type), output);
    for (const field of ["max_tool_calls", "safety_identifier", "prompt_cache_key"] as const) {
      assert.equal(body[field], ask[field] ?? null);
    }
    assert.equal(body.truncation, ask["truncation"] ?? "disabled");

    const streamed = await testApi(script).post(PATH, { model: "demo", ...ask, stream: true });
    const seen = (await readEvents(streamed)).map(({ event, data }) => {
      const parsed = check(events, JSON.parse(data), `${name}, ${event}`);
      assert.equal(parsed.type, event);
      return parsed;
    });
    assert.deepEqual(seen.map((one) => one.sequence_number), seen.map((_, index) => index));
    const types = seen.map((one) => one.type);
    assert.deepEqual(types.slice(0, 2), ["response.created", "response.in_progress"]);
    assert.equal(types.at(-1), `response.${status}`);
    // Each item is added, and done before the next one is.
    const items = types.filter((one) => one.startsWith("response.output_item."));
    assert.deepEqual(
      items,
      output.flatMap(() => ["response.output_item.added", "response.output_item.done"]),
    );
    inOrder(seen);
    const last = seen.at(-1)!;
    assert.ok("response" in last);
    assert.deepEqual(last.response.output.map((one) => one.type), output);
    assert.deepEqual(Object.keys(last.response).sort(), Object.keys(body).sort());
  });
}

Deno.test("open responses: a failure in the middle is a response too", async () => {
  const { post } = testApi({ failure: new Error("x") });
  const seen = await readEvents(await post(PATH, { model: "demo", input: "Hi", stream: true }));
  const last = check(events, JSON.parse(seen.at(-1)!.data), "the last event");
  assert.equal(last.type, "response.failed");
});

Deno.test("open responses: an answer that lacks any of the fields is seen", async () => {
  const body = await (await testApi().post(PATH, { model: "demo", input: "Hi" })).json();
  for (const field of Object.keys(response.shape)) {
    const { [field]: _, ...without } = body;
    assert.ok(!response.safeParse(without).success, field);
  }
});
