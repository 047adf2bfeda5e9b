/**
 * What Open Responses wants of an answer and of each event of `/v1/responses`, written down by hand from its schemas
 * (openresponses.org, OpenAPI 2.3.0), which its public compliance suite looks at; and the order of each item's events.
 */
import assert from "node:assert/strict";
import { z } from "zod";

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
export const response = z.object({
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
export const events = z.discriminatedUnion("type", [
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

/** @returns What the schema makes of it. @throws {AssertionError} If it is not of it: what is wrong, and where. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
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
export function inOrder(seen: readonly z.infer<typeof events>[]): void {
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
