/**
 * Every answer and every event of `/v1/responses` has the fields that Open Responses wants, of the types that it wants, also where
 * its suite does not look: with thoughts, with calls, cut off, with every field that is echoed. The suite's own cases are asked of
 * real models in tests/clients/open_responses_test.ts.
 */
import assert from "node:assert/strict";
import { readEvents, testApi } from "../../runner/api/testing.ts";
import { check, events, inOrder, response } from "../support/open_responses.ts";

const PATH = "/v1/responses";
/** One red pixel, as a PNG. */
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
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
