/**
 * Each documented field of each dialect with every kind of wrong value: a 4xx in the dialect's shape that names the field, never
 * an internal error. What is right of a kind may be served or refused, but is refused with a name, too.
 */
import assert from "node:assert/strict";
import { testApi } from "./testing.ts";

type Kind = "text" | "flag" | "number" | "whole" | "list" | "object";
type Row = readonly [kinds: readonly Kind[], range?: readonly [least: number, most: number]];

const text: Row = [["text"]];
const flag: Row = [["flag"]];
const list: Row = [["list"]];
const object: Row = [["object"]];
const number = (least: number, most: number): Row => [["number"], [least, most]];
const whole = (least: number, most = 2 ** 31 - 1): Row => [["whole"], [least, most]];

const messages = [{ role: "user", content: "Hi" }];
const LOCAL = {
  top_k: whole(-1),
  min_p: number(0, 1),
  typical_p: number(0, 1),
  repeat_penalty: number(1e-9, 100),
  repeat_last_n: whole(-1),
  logit_bias: [["list", "object"]] as Row,
  json_schema: object,
};
const OPENAI = {
  model: text,
  stream: flag,
  temperature: number(0, 2),
  top_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
};

interface Dialect {
  readonly path: string;
  readonly base: Record<string, unknown>;
  readonly fields: Readonly<Record<string, Row>>;
}

const DIALECTS: readonly Dialect[] = [
  {
    path: "/v1/chat/completions",
    base: { messages },
    fields: {
      ...OPENAI,
      ...LOCAL,
      messages: list,
      tools: list,
      tool_choice: [["text", "object"]],
      n: whole(1, 128),
      stream_options: object,
      max_tokens: whole(-1),
      max_completion_tokens: whole(-1),
      seed: [["whole", "number"], [-(2 ** 63), 2 ** 64]],
      stop: [["text", "list"]],
      logprobs: flag,
      top_logprobs: whole(0, 20),
      response_format: object,
      reasoning_effort: text,
      reasoning: object,
      parallel_tool_calls: flag,
      chat_template_kwargs: object,
    },
  },
  {
    path: "/v1/completions",
    base: { prompt: "Hi" },
    fields: {
      ...OPENAI,
      ...LOCAL,
      prompt: [["text", "list"]],
      suffix: text,
      n: whole(1, 128),
      best_of: whole(1, 128),
      echo: flag,
      max_tokens: whole(-1),
      logprobs: [["whole"], [0, 20]],
      stop: [["text", "list"]],
      stream_options: object,
    },
  },
  {
    path: "/v1/embeddings",
    base: { input: "Hi" },
    fields: {
      model: text,
      input: [["text", "list"]],
      encoding_format: text,
      dimensions: whole(1, 1_000_000),
    },
  },
  {
    path: "/v1/responses",
    base: { input: "Hi" },
    fields: {
      ...OPENAI,
      input: [["text", "list"]],
      instructions: text,
      tools: list,
      tool_choice: [["text", "object"]],
      max_output_tokens: whole(-1),
      max_tool_calls: whole(1),
      text: object,
      reasoning: object,
      include: list,
      truncation: text,
      top_logprobs: whole(0, 20),
      previous_response_id: text,
      parallel_tool_calls: flag,
      store: flag,
      metadata: object,
    },
  },
  {
    path: "/v1/messages",
    base: { messages, max_tokens: 9 },
    fields: {
      model: text,
      messages: list,
      max_tokens: whole(1),
      system: [["text", "list"]],
      temperature: number(0, 1),
      top_p: number(0, 1),
      top_k: whole(0),
      stop_sequences: list,
      stream: flag,
      tools: list,
      tool_choice: object,
      thinking: object,
      output_config: object,
    },
  },
  {
    path: "/api/chat",
    base: { messages, stream: false },
    fields: {
      model: text,
      messages: list,
      tools: list,
      stream: flag,
      think: [["flag", "text"]],
      format: [["text", "object"]],
      options: object,
      keep_alive: [["text", "number", "whole"]],
      logprobs: flag,
      top_logprobs: whole(0, 20),
      truncate: flag,
      shift: flag,
    },
  },
  {
    path: "/api/generate",
    base: { prompt: "Hi", stream: false },
    fields: {
      model: text,
      prompt: text,
      suffix: text,
      system: text,
      template: text,
      context: list,
      raw: flag,
      stream: flag,
      think: [["flag", "text"]],
      format: [["text", "object"]],
      options: object,
      keep_alive: [["text", "number", "whole"]],
      images: list,
    },
  },
  {
    path: "/api/embed",
    base: { input: "Hi" },
    fields: {
      model: text,
      input: [["text", "list"]],
      truncate: flag,
      dimensions: whole(0, 1_000_000),
      options: object,
      keep_alive: [["text", "number", "whole"]],
    },
  },
];

const OPTIONS: Readonly<Record<string, Row>> = {
  temperature: number(0, 100),
  top_p: number(0, 1),
  min_p: number(0, 1),
  repeat_penalty: number(1e-9, 100),
  top_k: whole(-1),
  num_predict: whole(-2),
  num_ctx: whole(1),
  num_keep: whole(-1),
  stop: list,
  num_thread: whole(0),
  use_mmap: flag,
};

const deep = (depth: number): unknown => depth === 0 ? "x" : [{ a: deep(depth - 1) }];

/** As JSON text: some have no value in JavaScript. */
const VALUES: readonly string[] = [
  "null",
  "true",
  '""',
  '"x"',
  JSON.stringify("x".repeat(100_000)),
  '"NaN"',
  '"-Infinity"',
  '"1"',
  "0",
  "-1",
  "-2147483649",
  "0.5",
  "1e308",
  "-1e308",
  "1e999",
  "9007199254740993",
  "[]",
  "[null]",
  "[[[]]]",
  "[1e999]",
  "{}",
  '{"__proto__":{"x":1}}',
  '{"a":{"b":[{"c":null}]}}',
  JSON.stringify(deep(40)),
];

const TWICE = ["true", "-1", "[]"];

function kindsOf(value: unknown): Kind[] {
  if (typeof value === "string") return ["text"];
  if (typeof value === "boolean") return ["flag"];
  if (typeof value === "number") return Number.isInteger(value) ? ["whole", "number"] : ["number"];
  return Array.isArray(value) ? ["list"] : ["object"];
}

function mustBeRefused([kinds, range]: Row, value: unknown): boolean {
  if (value === null) return false;
  if (!kindsOf(value).some((kind) => kinds.includes(kind))) return true;
  if (typeof value !== "number") return false;
  // A number that no JSON reader has in full is none.
  return range === undefined ? !Number.isFinite(value) : value < range[0] || value > range[1];
}

const CAPABILITIES = ["completion", "tools", "thinking", "embedding", "insert"];

async function ask(path: string, body: string) {
  const { post, engine } = testApi({ info: { capabilities: CAPABILITIES } });
  const response = await post(path, body);
  return { status: response.status, text: await response.text(), engine };
}

/** What the answer says is wrong, in the dialect's own shape. */
function named(path: string, answer: string): { message: string; param?: string | null } {
  const body = JSON.parse(answer);
  if (path.startsWith("/api/")) {
    assert.equal(typeof body.error, "string", answer);
    return { message: body.error };
  }
  if (path.startsWith("/v1/messages")) {
    assert.equal(body.type, "error", answer);
    assert.equal(typeof body.error.type, "string");
  }
  assert.equal(typeof body.error.message, "string", answer);
  return body.error;
}

async function check(path: string, o: { field: string; row: Row; json: string; body: string }) {
  const value: unknown = JSON.parse(o.json);
  const { status, text } = await ask(path, o.body);
  const what = `${path} ${o.field}: ${o.json.slice(0, 60)} → ${status} ${text.slice(0, 200)}`;
  assert.ok(status === 200 || (status >= 400 && status < 500), what);
  if (mustBeRefused(o.row, value)) assert.ok(status >= 400, what);
  if (status === 200) return;
  const { message, param } = named(path, text);
  // A text that is long is no wrong value: what is said is about the prompt.
  if (JSON.parse(text).code === "context-too-long") return;
  const last = o.field.split(".").at(-1)!;
  // A model of another name is said by it.
  const isNamed = message.includes(last) || (o.field === "model" && status === 404);
  assert.ok(isNamed, what);
  if (param !== undefined && param !== null) assert.ok(param.includes(last), what);
}

for (const { path, base, fields } of DIALECTS) {
  for (const [field, row] of Object.entries(fields)) {
    Deno.test(`${path}: ${field} with every kind of value`, async () => {
      const { [field]: _, ...others } = { model: "demo", ...base } as Record<string, unknown>;
      const rest = JSON.stringify(others).slice(1, -1);
      for (const json of VALUES) {
        const member = `${JSON.stringify(field)}:${json}`;
        const body = `{${[rest, member].filter((one) => one !== "").join(",")}}`;
        await check(path, { field, row, json, body });
        // Of two members of one name the last counts.
        if (!TWICE.includes(json)) continue;
        const twice = `{${[rest, `${JSON.stringify(field)}:null`, member].join(",")}}`;
        await check(path, { field, row, json, body: twice });
      }
      for (const none of ["NaN", "Infinity", "undefined", "01", "'x'", "[1,]"]) {
        const { status } = await ask(path, `{${rest},${JSON.stringify(field)}:${none}}`);
        assert.equal(status, 400, `${field}: ${none}`);
      }
    });
  }
}

for (const [field, row] of Object.entries(OPTIONS)) {
  Deno.test(`options.${field} with every kind of value`, async () => {
    for (const path of ["/api/chat", "/api/generate", "/api/embed"]) {
      const base = DIALECTS.find((one) => one.path === path)!.base;
      const rest = JSON.stringify({ model: "demo", ...base }).slice(1, -1);
      for (const json of VALUES) {
        // The fraction of a whole number is dropped, as Ollama does.
        const lenient: Row = row[0][0] === "whole" ? [["whole", "number"], row[1]!] : row;
        await check(path, {
          field: `options.${field}`,
          row: lenient,
          json,
          body: `{${rest},"options":{${JSON.stringify(field)}:${json}}}`,
        });
      }
    }
  });
}
