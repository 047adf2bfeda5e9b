/** `param` and `code` of a wrong field, as OpenAI's API has them: each kind of fault in each field that can have it. */
import assert from "node:assert/strict";
import { testApi } from "../testing.ts";

const BODIES: { readonly [path: string]: Record<string, unknown> } = {
  "/v1/chat/completions": { model: "demo", messages: [{ role: "user", content: "x" }] },
  "/v1/completions": { model: "demo", prompt: "x" },
  "/v1/responses": { model: "demo", input: "x" },
  "/v1/embeddings": { model: "demo", input: "x" },
};
const GENERATING = Object.keys(BODIES).filter((path) => !path.endsWith("embeddings"));

type Fault = readonly [path: string, change: Record<string, unknown>, param: string, code: string];

function* faults(): Generator<Fault> {
  for (const path of Object.keys(BODIES)) {
    yield [path, { model: undefined }, "model", "missing_required_parameter"];
    yield [path, { model: 7 }, "model", "invalid_type"];
  }
  const numbers = { temperature: [0, 2], top_p: [0, 1] } as const;
  for (const path of GENERATING) {
    for (const [name, [min, max]] of Object.entries(numbers)) {
      yield [path, { [name]: min - 0.5 }, name, "decimal_below_min_value"];
      yield [path, { [name]: max + 0.5 }, name, "decimal_above_max_value"];
      yield [path, { [name]: "1" }, name, "invalid_type"];
    }
    yield [path, { stream: "yes" }, "stream", "invalid_type"];
  }
  const whole: readonly [string, string, number, number][] = [
    ["/v1/chat/completions", "n", 1, 128],
    ["/v1/chat/completions", "max_tokens", 1, 2 ** 31 - 1],
    ["/v1/chat/completions", "max_completion_tokens", 1, 2 ** 31 - 1],
    ["/v1/completions", "max_tokens", 1, 2 ** 31 - 1],
    ["/v1/responses", "max_output_tokens", 1, 2 ** 31 - 1],
    ["/v1/embeddings", "dimensions", 1, 1_000_000],
  ];
  for (const [path, name, min, max] of whole) {
    yield [path, { [name]: min - 1 }, name, "integer_below_min_value"];
    yield [path, { [name]: max + 1 }, name, "integer_above_max_value"];
    yield [path, { [name]: min + 0.5 }, name, "invalid_type"];
  }
  const chat = "/v1/chat/completions";
  yield [chat, { messages: undefined }, "messages", "missing_required_parameter"];
  yield [chat, { messages: [] }, "messages", "empty_array"];
  yield [chat, { messages: "x" }, "messages", "invalid_type"];
  yield [chat, { messages: ["x"] }, "messages[0]", "invalid_type"];
  yield [chat, { messages: [{ content: "x" }] }, "messages[0].role", "missing_required_parameter"];
  const nameless = { type: "function", function: { name: "" } };
  yield [chat, { tools: [nameless] }, "tools[0].function.name", "empty_string"];
  yield [chat, { reasoning_effort: "odd" }, "reasoning_effort", "invalid_value"];
  yield [chat, { tool_choice: "odd" }, "tool_choice", "invalid_value"];
  yield [chat, { tool_choice: { type: "web_search" } }, "tool_choice", "invalid_value"];
  yield [chat, { logprobs: true, top_logprobs: 21 }, "top_logprobs", "integer_above_max_value"];
  yield [chat, { stop: Array(65).fill("x") }, "stop", "array_above_max_length"];
  yield [chat, { stop: ["x".repeat(5000)] }, "stop", "string_above_max_length"];
  const missing = "missing_required_parameter";
  const schema = { type: "json_schema" };
  const choice = (one: object) => ({ type: "allowed_tools", ...one });
  const chosen = "tool_choice.allowed_tools.tools[0]";
  for (const path of [chat, "/v1/completions"]) {
    const format = (value: object) => ({ response_format: { ...schema, ...value } });
    yield [path, format({}), "response_format.json_schema", missing];
    yield [path, format({ json_schema: {} }), "response_format.json_schema.schema", missing];
  }
  for (
    const [tool, param] of [
      [{ type: "function" }, `${chosen}.function`],
      [{ type: "function", function: {} }, `${chosen}.function.name`],
    ] as const
  ) yield [chat, { tool_choice: choice({ allowed_tools: { tools: [tool] } }) }, param, missing];
  yield ["/v1/responses", { text: { format: schema } }, "text.format.schema", missing];
  const flat = choice({ tools: [{ type: "function" }] });
  yield ["/v1/responses", { tool_choice: flat }, "tool_choice.tools[0].name", missing];
  yield ["/v1/responses", { input: undefined }, "input", "missing_required_parameter"];
  yield ["/v1/responses", { input: [] }, "input", "empty_array"];
  yield ["/v1/responses", { background: true }, "background", "unsupported_parameter"];
  yield ["/v1/embeddings", { input: "" }, "input", "empty_string"];
  yield ["/v1/embeddings", { input: [] }, "input", "empty_array"];
  yield ["/v1/embeddings", { input: {} }, "input", "invalid_type"];
}

Deno.test("openai: each fault of a field has the field as param, and OpenAI's code", async () => {
  const { post } = testApi();
  for (const [path, change, param, code] of faults()) {
    const response = await post(path, { ...BODIES[path], ...change });
    const text = await response.text();
    const at = `${path} ${JSON.stringify(change).slice(0, 80)}: ${text}`;
    assert.equal(response.status, 400, at);
    const { error, code: ours } = JSON.parse(text);
    assert.deepEqual([error.param, error.code, ours], [param, code, "bad-request"], at);
    assert.equal(error.type, "invalid_request_error", at);
  }
});

Deno.test("openai: what is wrong with no field has neither", async () => {
  for (const body of ["", "{", "[]"]) {
    const { error } = await (await testApi().post("/v1/chat/completions", body)).json();
    assert.equal(error.param, null, body);
  }
});

Deno.test("openai: what is wrong with the prompt has the API's own field of it as param", async () => {
  const { post } = testApi();
  const many = Array.from({ length: 5000 }, () => ({ role: "user", content: "x" }));
  const long = "word ".repeat(20_000);
  for (
    const [path, change, param] of [
      ["/v1/chat/completions", { messages: many }, "messages"],
      ["/v1/chat/completions", { messages: [{ role: "user", content: long }] }, "messages"],
      ["/v1/responses", { input: many }, "input"],
      ["/v1/responses", { input: long }, "input"],
      ["/v1/responses", { input: "x", instructions: long }, "input"],
    ] as const
  ) {
    const response = await post(path, { ...BODIES[path], ...change });
    const { error } = await response.json();
    const said = [response.status, error.code, error.param];
    assert.deepEqual(said, [400, "context_length_exceeded", param], path);
  }
});
