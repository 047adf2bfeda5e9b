/**
 * Bodies of every kind that a client may send, by generation: which field is large, of what it is made, how large, and in which
 * dialect are drawn. Not part of the product.
 */
import { Draw, type Random } from "./testing_draw.ts";
import { LARGE_SCHEMAS } from "./testing_large_schemas.ts";

/** A request: where to, its body, and what was drawn, for a failure to name. */
interface Drawn {
  readonly name: string;
  readonly path: string;
  readonly body: string;
}

const SHORT = [{ role: "user", content: "hi" }];

const GRAMMARS: Readonly<Record<string, (d: Draw) => string>> = {
  rules: (d) =>
    `root ::= r0\n${d.list((at) => `r${at} ::= "a" | "b" r${at + 1}`, 24).join("\n")}\nr${
      Math.max(1, Math.floor(d.size / 24))
    } ::= "c"`,
  "unknown rules": (d) => `root ::= ${d.list((at) => `r${at}`, 6).join(" | ")}`,
  alternatives: (d) => `root ::= ${d.list((at) => `"w${at}"`, 9).join(" | ")}`,
  "a long text": (d) => `root ::= ${JSON.stringify(d.text())}`,
  classes: (d) => `root ::= ${d.list((at) => `[a-z0-9_${at % 10}]`, 12).join(" ")}`,
  "a long class": (d) => `root ::= [${d.text().replace(/[\]\\\n"]/g, "x")}]`,
  brackets: (d) => `root ::= ${"(".repeat(d.size / 2)}"a"${")".repeat(d.size / 2)}`,
  repetitions: (d) => `root ::= ${d.list((at) => `"a"{${at},${at * 3}}`, 12).join(" ")}`,
  comments: (d) => `# ${d.text().replaceAll("\n", "\n#")}\nroot ::= "a"`,
  "left recursion": (d) =>
    `root ::= r0\n${d.list((at) => `r${at} ::= r${at} "a" | "b"`, 24).join("\n")}`,
  nonsense: (d) => d.text(),
};

const TEMPLATES: readonly ((d: Draw) => string)[] = [
  (d) => d.text(),
  (d) => "{{ .Prompt }}".repeat(Math.ceil(d.size / 13)),
  (d) =>
    "{{ range .Messages }}".repeat(Math.ceil(d.size / 40)) +
    "{{ end }}".repeat(Math.ceil(d.size / 40)),
  (d) =>
    `{{ define "a" }}${d.text()}{{ end }}${'{{ template "a" . }}'.repeat(Math.ceil(d.size / 20))}`,
  (d) => `{{ printf "%0${d.size}d" 1 }}{{ slice .Prompt 0 1 }}{{ json .Messages }}`,
  (d) => `{{ if ${"(and true ".repeat(d.size / 12)}true${")".repeat(d.size / 12)} }}x{{ end }}`,
  (d) => d.list((at) => `{{ $v${at} := "${at}" }}`, 20).join("") + "{{ .Prompt }}",
  (d) => `{{/* ${d.text()} */}}{{ "${"\\n".repeat(d.size / 2)}" }}`,
];

const message = (d: Draw, at: number, text: string) =>
  d.pick<unknown>([
    { role: "user", content: text },
    { role: "assistant", content: text },
    { role: "system", content: text },
    { role: "assistant", content: "", thinking: text },
    {
      role: "assistant",
      content: "",
      tool_calls: [{
        id: `c${at}`,
        type: "function",
        function: { name: "f", arguments: { a: text } },
      }],
    },
    { role: "tool", tool_call_id: `c${at - 1}`, content: text },
  ]);

const tool = (name: string, parameters: unknown) => ({
  type: "function",
  function: { name, parameters, strict: true },
});

const MODEL = { model: "demo", stream: false };
const OLLAMA = { ...MODEL, options: { num_predict: 1 } };

type Made = readonly [path: string, body: unknown];

const KINDS: Readonly<Record<string, (d: Draw) => readonly [what: string, ...Made]>> = {
  schema: (d) => {
    const what = d.pick(Object.keys(LARGE_SCHEMAS));
    const schema = LARGE_SCHEMAS[what]!(d);
    const named = { name: "s", schema, strict: true };
    return [
      what,
      ...d.pick<Made>([
        ["/api/chat", { ...OLLAMA, messages: SHORT, format: schema }],
        ["/api/generate", { ...OLLAMA, prompt: "hi", format: schema }],
        ["/v1/chat/completions", {
          ...MODEL,
          max_tokens: 1,
          messages: SHORT,
          response_format: { type: "json_schema", json_schema: named },
        }],
        ["/v1/responses", {
          ...MODEL,
          input: "hi",
          text: { format: { type: "json_schema", ...named } },
        }],
        ["/v1/messages", {
          ...MODEL,
          max_tokens: 1,
          messages: SHORT,
          output_config: { format: { type: "json_schema", schema } },
        }],
        ["/v1/completions", { ...MODEL, max_tokens: 1, prompt: "hi", json_schema: schema }],
        ["/v1/chat/completions", {
          ...MODEL,
          max_tokens: 1,
          messages: SHORT,
          tool_choice: "required",
          tools: [tool("f", schema)],
        }],
        ["/v1/messages", {
          ...MODEL,
          max_tokens: 1,
          messages: SHORT,
          tool_choice: { type: "any" },
          tools: [{ name: "f", input_schema: schema }],
        }],
      ]),
    ];
  },
  grammar: (d) => {
    const what = d.pick(Object.keys(GRAMMARS));
    const grammar = GRAMMARS[what]!(d);
    return [what, d.pick(["/v1/completions", "/v1/chat/completions"]), {
      ...MODEL,
      max_tokens: 1,
      prompt: "hi",
      messages: SHORT,
      grammar,
    }];
  },
  template: (d) => {
    const at = d.below(TEMPLATES.length);
    return [`${at}`, "/api/generate", { ...OLLAMA, prompt: "hi", template: TEMPLATES[at]!(d) }];
  },
  messages: (d) => {
    const each = 1 + d.below(2000);
    const messages = d.list((at) => message(d, at, d.text(each)), each + 60, 3000);
    return ["messages", d.pick(["/api/chat", "/v1/chat/completions", "/apply-template"]), {
      ...OLLAMA,
      max_tokens: 1,
      messages,
    }];
  },
  blocks: (d) => {
    const each = 1 + d.below(500);
    const part = (at: number) =>
      d.pick<unknown>([
        { type: "text", text: d.text(each) },
        { type: "tool_use", id: `c${at}`, name: "f", input: { a: d.text(each) } },
        { type: "tool_result", tool_use_id: `c${d.below(at + 1)}`, content: d.text(each) },
        { type: "thinking", thinking: d.text(each), signature: "x" },
      ]);
    const content = d.list(part, each + 40);
    return ["blocks", d.pick(["/v1/messages", "/v1/messages/count_tokens"]), {
      ...MODEL,
      max_tokens: 1,
      messages: [
        { role: "user", content: "x" },
        { role: d.pick(["assistant", "user"]), content },
        ...SHORT,
      ],
    }];
  },
  items: (d) => {
    const each = 1 + d.below(500);
    const input = d.list((at) =>
      d.pick<unknown>([
        { type: "message", role: "user", content: d.text(each) },
        { type: "function_call", call_id: `c${at}`, name: "f", arguments: d.text(each) },
        { type: "function_call_output", call_id: `c${d.below(at + 1)}`, output: d.text(each) },
        {
          type: "reasoning",
          id: `r${at}`,
          summary: [{ type: "summary_text", text: d.text(each) }],
        },
      ]), each + 40);
    return ["items", d.pick(["/v1/responses", "/v1/responses/input_tokens"]), { ...MODEL, input }];
  },
  tools: (d) => {
    const what = d.pick(Object.keys(LARGE_SCHEMAS));
    const each = new Draw(() => d.below(1e6) / 1e6, 3000);
    const tools = d.list((at) => tool(`f${at}`, LARGE_SCHEMAS[what]!(each)), 3000, 200);
    return [`tools: ${what}`, d.pick(["/api/chat", "/v1/chat/completions"]), {
      ...OLLAMA,
      max_tokens: 1,
      messages: SHORT,
      tools,
      ...(d.below(2) === 0 ? { tool_choice: "required" } : {}),
    }];
  },
  stops: (d) => {
    const stop = d.list((at) => `${at}${d.text(d.below(5000))}`, 4000, 100);
    return [
      "stops",
      ...d.pick<Made>([
        ["/api/chat", { ...MODEL, messages: SHORT, options: { num_predict: 1, stop } }],
        ["/v1/completions", { ...MODEL, max_tokens: 1, prompt: "hi", stop }],
        ["/v1/messages", { ...MODEL, max_tokens: 1, messages: SHORT, stop_sequences: stop }],
      ]),
    ];
  },
  bias: (d) => [
    "bias",
    "/v1/chat/completions",
    {
      ...MODEL,
      max_tokens: 1,
      messages: SHORT,
      logit_bias: d.below(2) === 0
        ? d.record((at) => at % 7 - 3, 8, String)
        : d.list((at) => [d.below(2) === 0 ? at : `w${at}`, 1], 9),
    },
  ],
  embeddings: (d) => {
    const each = 1 + d.below(1000);
    const input = d.pick<unknown>([
      d.text(),
      d.list(() => d.text(each), each, 3000),
      d.list((at) => at % 300, 4),
      d.list(() => [1, 2, 3], 6),
    ]);
    return [
      "embeddings",
      ...d.pick<Made>([
        ["/v1/embeddings", { model: "demo", input }],
        ["/api/embed", { model: "demo", input }],
        ["/api/embeddings", { model: "demo", prompt: d.text() }],
        ["/v1/rerank", { model: "demo", query: d.text(100), documents: input }],
      ]),
    ];
  },
  prompt: (d) => [
    "one text",
    ...d.pick<Made>([
      ["/api/generate", {
        ...OLLAMA,
        prompt: d.text(),
        suffix: d.pick([undefined, d.text()]),
        raw: d.below(2) === 0,
      }],
      ["/v1/completions", { ...MODEL, max_tokens: 1, prompt: d.text() }],
      ["/v1/responses", { ...MODEL, input: d.text(), instructions: d.text() }],
      ["/tokenize", { content: d.text(), with_pieces: true }],
      ["/detokenize", { tokens: d.list((at) => at % 500, 4) }],
      ["/api/generate", { ...OLLAMA, prompt: "x", context: d.list((at) => at % 500, 4) }],
    ]),
  ],
  unknown: (d) => ["an unknown field", "/api/chat", {
    ...OLLAMA,
    messages: SHORT,
    x: d.pick<unknown>([
      d.text(),
      d.record((at) => [at], 12),
      d.list((at) => at / 3, 10),
      d.nested((inner) => [inner], 1, 2),
      d.record(() => 1, 9, (at) => `${at}${d.text(9)}`),
    ]),
    keep_alive: "5m",
  }],
};

/** What was drawn by a random generator. @param most Of the units that the large part has. */
export function drawBody(random: Random, most: number): Drawn {
  const d = new Draw(random, most);
  const kind = d.pick(Object.keys(KINDS));
  const [what, path, body] = KINDS[kind]!(d);
  const name = `${kind}: ${what}, ${d.size} units, ${path}`;
  return { name, path, body: JSON.stringify(body) };
}
