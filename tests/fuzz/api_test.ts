/** Any JSON in any field: a reply or a refusal, never an internal error. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { testApi } from "../../runner/api/testing.ts";
import { SEED } from "../support/seeds.ts";

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "/api/chat": ["messages", "tools", "format", "options", "keep_alive", "think", "logprobs"],
  "/api/generate": ["prompt", "suffix", "system", "template", "context", "raw", "images", "format"],
  "/api/embed": ["input", "truncate", "dimensions", "options", "keep_alive"],
  "/v1/chat/completions": ["messages", "tools", "tool_choice", "response_format", "stop", "n"],
  "/v1/completions": ["prompt", "suffix", "logprobs", "stop", "stream_options", "echo"],
  "/v1/embeddings": ["input", "encoding_format", "dimensions"],
  "/v1/rerank": ["query", "documents", "texts", "top_n", "return_documents"],
  "/tokenize": ["content", "add_special", "parse_special", "with_pieces"],
  "/detokenize": ["tokens"],
  "/apply-template": ["messages", "tools", "add_generation_prompt", "continue_final_message"],
  "/v1/responses": ["input", "instructions", "tools", "text", "reasoning", "include", "metadata"],
  "/v1/messages": ["messages", "system", "tools", "tool_choice", "thinking", "output_config"],
};

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: two thirds of the cases; set SECLLAMA_FULL=1");

/** Keys that mean something somewhere, so that nested objects get past the first check. */
const KEYS = fc.constantFrom(
  "role",
  "content",
  "type",
  "text",
  "function",
  "name",
  "arguments",
  "parameters",
  "schema",
  "format",
  "json_schema",
  "tool_calls",
  "input",
  "source",
  "id",
  "call_id",
  "output",
  "properties",
  "items",
  "$ref",
  "__proto__",
);
const LEAF = fc.oneof(
  fc.constantFrom("user", "assistant", "tool", "text", "function", "object", "message", "", "#"),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("\ud800", "{{ .Prompt }}", "{{ range . }}", "<think>", "<tool_call>{"),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { value: VALUE } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    LEAF,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(KEYS, tie("value"), { maxKeys: 5 }),
  ),
}));

for (const [path, names] of Object.entries(NAMES)) {
  Deno.test(`${path}: no JSON makes an internal error`, async () => {
    const { post } = testApi({
      pieces: ["<think>", "a", "</think>", '{"name": "f"}'],
      info: { capabilities: ["completion", "tools", "thinking", "insert"] },
    });
    const fields = fc.dictionary(fc.constantFrom(...names), VALUE, { minKeys: 1, maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(fields, fc.boolean(), async (change, stream) => {
        const body = {
          model: "demo",
          messages: [{ role: "user", content: "x" }],
          max_tokens: 5,
          prompt: "x",
          input: "x",
          stream,
          ...change,
        };
        const response = await post(path, body);
        const text = await response.text();
        assert.ok([200, 400].includes(response.status), `${response.status} ${text}`);
        assert.ok(!text.includes("internal error"), text);
      }),
      { seed: SEED, numRuns: FULL ? 300 : 100 },
    );
  });
}
