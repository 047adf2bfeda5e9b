/**
 * Requests of every dialect with values of every odd kind at any depth, by generation: an answer, or a 4xx in the dialect's shape
 * that quotes nothing; never an internal error. What each field must be: fields_fuzz_test.ts.
 */
import assert from "node:assert/strict";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { testApi } from "./testing.ts";
import { Draw } from "./testing_draw.ts";

const RUNS = Deno.env.get("SECLLAMA_FULL") === "1" ? 200 : 3;
const BODIES_PER_RUN = 100;
const SECRET = "SECRET-CONTENT";

const schema = {
  type: "object",
  properties: {
    a: { type: "string", enum: ["x", "y"], minLength: 1 },
    b: { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 },
    c: { anyOf: [{ type: "null" }, { const: 3 }] },
    d: { $ref: "#/$defs/q" },
    e: { type: "string", pattern: "a+" },
  },
  required: ["a"],
  additionalProperties: false,
  $defs: { q: { type: "number" } },
};
const fn = { name: "f", description: "{{ x }} {% y %}", parameters: schema, strict: true };
const tools = [{ type: "function", function: fn }];
const PNG = "iVBORw0KGgo=";
const url = `data:image/png;base64,${PNG}`;
const text = (text: string) => ({ type: "text", text });

/** Good requests with as much in them as the dialect has. */
const GOOD: readonly (readonly [path: string, body: object])[] = [
  ["/api/chat", {
    stream: false,
    messages: [
      { role: "user", content: "x", images: [PNG] },
      {
        role: "assistant",
        thinking: "t",
        tool_calls: [{ id: "1", function: { name: "f", arguments: { a: [1, { b: null }] } } }],
      },
      { role: "tool", content: "r", tool_name: "f", tool_call_id: "1" },
    ],
    tools,
    format: schema,
    options: {
      ...{ temperature: 1, top_k: 3, top_p: 0.5, min_p: 0.1, typical_p: 0.5, repeat_penalty: 1 },
      ...{ repeat_last_n: 3, presence_penalty: 1, seed: 3, num_predict: 4, num_ctx: 2048 },
      ...{ num_keep: 1, num_batch: 1, num_gpu: 1, num_thread: 1, use_mmap: true, stop: ["a"] },
    },
    think: true,
    keep_alive: "5m",
    logprobs: true,
    top_logprobs: 2,
  }],
  ["/api/generate", {
    stream: false,
    prompt: "x",
    system: "s",
    template: "{{ .System }}{{ .Prompt }}",
    context: [1, 2, 3],
    images: [PNG],
    format: schema,
    options: { num_predict: 1, stop: ["x"] },
  }],
  ["/api/embed", { input: ["a", "b"], truncate: true, dimensions: 2, options: { num_ctx: 3 } }],
  ["/v1/chat/completions", {
    messages: [
      { role: "developer", content: [text("s")] },
      {
        role: "user",
        content: [
          text("x"),
          { type: "image_url", image_url: { url, detail: "low" } },
          { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } },
        ],
      },
      {
        role: "assistant",
        tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
      },
      { role: "tool", tool_call_id: "c", content: [text("r")] },
    ],
    tools,
    tool_choice: { type: "function", function: { name: "f" } },
    response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } },
    stop: ["a"],
    n: 2,
    seed: 3,
    temperature: 1,
    logit_bias: { "5": 1 },
    stream_options: { include_usage: true },
    reasoning: { effort: "high" },
    chat_template_kwargs: { enable_thinking: true, x: [1] },
    metadata: { a: "b" },
  }],
  ["/v1/completions", {
    prompt: ["a", [1, 2]],
    suffix: "",
    best_of: 2,
    stop: "x",
    logit_bias: [[1, 2], [3, false]],
    json_schema: schema,
  }],
  ["/v1/completions", { prompt: [1, 2], grammar: 'root ::= "a" | [b-c]{2,3}', logprobs: 2 }],
  ["/v1/embeddings", { input: ["a", [1, 2]], dimensions: 3, encoding_format: "base64" }],
  ["/v1/rerank", { query: "q", documents: ["a", { text: "b" }], top_n: 1, return_documents: true }],
  ["/v1/responses", {
    input: [
      { role: "user", content: [{ type: "input_text", text: "x" }, { type: "input_file" }] },
      { type: "reasoning", id: "r", summary: [{ type: "summary_text", text: "t" }] },
      { type: "function_call", id: "i", call_id: "c", name: "f", arguments: "{}", namespace: "n" },
      { type: "function_call_output", call_id: "c", output: [{ type: "input_text", text: "o" }] },
      { type: "custom_tool_call", call_id: "d", name: "g", input: "z" },
      { type: "mcp_call", id: "m", name: "h", arguments: "{}", output: "o" },
      { type: "code_interpreter_call", id: "k", code: "1", outputs: [{ type: "logs", logs: "l" }] },
      { type: "local_shell_call", call_id: "s", action: { command: ["ls"] } },
    ],
    tools: [
      { type: "function", ...fn },
      { type: "custom", name: "g", format: { type: "grammar", definition: "x" } },
      { type: "namespace", name: "n", tools: [{ type: "function", name: "f2" }] },
    ],
    tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "f" }] },
    text: { format: { type: "json_schema", name: "n", schema } },
    include: ["message.output_text.logprobs"],
    metadata: { a: "b" },
  }],
  ["/v1/messages", {
    max_tokens: 5,
    system: [{ ...text("s"), cache_control: { type: "ephemeral" } }],
    messages: [
      {
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
          { type: "document", source: { type: "text", data: "d" } },
          { type: "search_result", title: "t", source: "s", content: [text("c")] },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "t", signature: "s" },
          { type: "tool_use", id: "u", name: "f", input: { a: 1 } },
          { type: "web_search_tool_result", tool_use_id: "v", content: [{ url: "u" }] },
        ],
      },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "u", content: [text("r")] }] },
    ],
    tools: [{ name: "f", input_schema: schema }, { type: "bash_20250124", name: "bash" }],
    tool_choice: { type: "tool", name: "f" },
    stop_sequences: ["a"],
    thinking: { type: "enabled", budget_tokens: 1024 },
    output_config: { format: { type: "json_schema", schema } },
  }],
  ["/tokenize", { content: "x", add_special: true, with_pieces: true }],
  ["/detokenize", { tokens: [1, 2] }],
];

const many = <T>(of: T) => Array<T>(3000).fill(of);

/** As JSON: some have no value in JavaScript. */
const ODD: readonly string[] = [
  ...["null", "true", "0", "-1", "0.5", "1e300", "-1e300", "1e999", "2147483648", "4294967296"],
  ...["9007199254740993", "-9223372036854775808", "18446744073709551616", "9".repeat(300)],
  ...['"\\ud800"', '{"__proto__":{"x":1}}', '{"__proto__":null}'],
  ...[
    ...["", SECRET, "hot", "NaN", "-1", "x".repeat(5000), "[".repeat(200), '{"a":', url, "f"],
    ...["{{ .X }}{% for %}<|im_end|>", "{{", "data:image/png;base64,####"],
    ...[[], [null], [[]], [SECRET], [1, 2], many(1), many("a"), many({}), [{ then: 1 }]],
    ...[{}, { [SECRET]: 1 }, { type: SECRET }, { type: "text", text: 1 }],
    { toString: 1, valueOf: 2, constructor: 3, length: 4, then: 5, hasOwnProperty: 6 },
    Object.fromEntries(many(0).map((_, at) => [`k${at}`, at])),
    new Draw(() => 0.5, 1000).nested((inner) => [{ a: inner }], "x", 1),
  ].map((value) => JSON.stringify(value)),
];

/** Stands for what is put in its place once the rest is written. */
const placeOf = (at: number) => `\ue000${at}\ue001`;

/** The value with some of what is in it replaced. @param odd What takes the places, in order. */
function changed(value: unknown, d: Draw, odd: string[]): unknown {
  if (d.below(30) === 0) return placeOf(odd.push(d.pick(ODD)) - 1);
  if (Array.isArray(value)) return value.map((one) => changed(one, d, odd));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      changed(one, d, odd),
    ]),
  );
}

for (const seed of seeds(RUNS)) {
  Deno.test(`odd values: at any depth, in every dialect, seed: ${seed}`, async () => {
    const d = new Draw(seeded(seed), 1000);
    let served = 0, refused = 0;
    for (let drawn = 0; drawn < BODIES_PER_RUN; drawn++) {
      const [path, good] = d.pick(GOOD);
      const odd: string[] = [];
      const members = Object.entries(good).map(([name, one]) => [name, changed(one, d, odd)]);
      const body = JSON.stringify({ model: "demo", ...Object.fromEntries(members) })
        .replace(/"\ue000(\d+)\ue001"/g, (_, at) => odd[at]!);
      const all = ["completion", "tools", "thinking", "embedding", "insert", "vision", "rerank"];
      const capabilities = d.below(3) === 0 ? ["completion"] : all;
      const response = await testApi({ info: { capabilities } }).post(path, body);
      const { status } = response;
      const answer = await response.text();
      const what = `${path} ${body.slice(0, 2000)} → ${status} ${answer.slice(0, 300)}`;
      assert.ok(status === 200 || (status >= 400 && status < 500), what);
      if (status === 200) served++;
      else {
        refused++;
        const { error } = JSON.parse(answer);
        assert.match(path.startsWith("/api/") ? error : error.message, /\w+ \w+/, what);
        // A tool is named, as a model is.
        assert.ok(!answer.replace(`tools: \\"${SECRET}\\"`, "").includes(SECRET), what);
      }
    }
    assert.ok(served > 0 && refused > 0, `${served} served, ${refused} refused`);
  });
}
