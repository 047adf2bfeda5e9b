/** What models get wrong in calls again and again, and what is meant all the same. */
import assert from "node:assert/strict";
import { readerFor } from "./formats.ts";
import { FUNCTION_TAGS } from "./markup_calls.ts";
import { TOOLS as FAMILY_TOOLS } from "./testing_calls.ts";
import { WRITERS } from "./testing_writers.ts";
import type { Tool } from "./tools.ts";

const TOOLS = [
  {
    name: "find",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        "two words": { type: "string" },
        count: { type: "integer" },
        half: { type: "number" },
        force: { type: "boolean" },
      },
    },
  },
];

interface Reply {
  readonly template?: string | undefined;
  readonly tail?: string | undefined;
  readonly thought?: boolean;
  readonly tools?: readonly Tool[];
}

function read(pieces: readonly string[], o: Reply = {}) {
  const { reader } = readerFor({
    template: o.template,
    promptTail: o.tail ?? "assistant\n",
    thought: o.thought ?? o.template !== undefined,
    tools: o.tools ?? TOOLS,
  });
  const said = [...pieces.map((piece) => reader.push(piece)), reader.end(false)];
  const join = (key: "text" | "thinking") => said.map((one) => one[key]).join("");
  return {
    text: join("text"),
    thinking: join("thinking"),
    calls: said.flatMap(({ calls }) => calls.map((call) => call.arguments)),
  };
}

/** However it comes. */
function everyWay(reply: string, o?: Reply) {
  const whole = read([reply], o);
  assert.deepEqual(read(reply.split(""), o), whole, reply);
  for (let at = 1; at < reply.length; at++) {
    assert.deepEqual(read([reply.slice(0, at), reply.slice(at)], o), whole, reply);
  }
  return whole;
}

const JSON_CALL = '{"name":"find","arguments":{"city":"Oslo"}}';
const OSLO = { city: "Oslo" };
const { open, close, parameter, parameterClose } = FUNCTION_TAGS;
const markup = (inside: string) => `<tool_call>${open[0]}find>${inside}${close}</tool_call>`;
const member = (name: string, value: string) => `${parameter[0]}${name}>${value}${parameterClose}`;
const gemma = (inside: string) => `<|tool_call>call:find{${inside}}<tool_call|>`;
const glm = (inside: string) => `<tool_call>find\n${inside}</tool_call>`;
const QUOTE = '<|"|>';

const CALLS: readonly (readonly [reply: string, found: Record<string, unknown>, text?: string])[] =
  [
    // A bracket or a closing too many.
    [`<tool_call>${JSON_CALL}}</tool_call>`, OSLO],
    [`<tool_call>${JSON_CALL}\n}\n</tool_call>\n</tool_call>`, OSLO],
    [`<tool_call>${JSON_CALL}</tool_call></tool_call> Done.`, OSLO, "Done."],
    [`[TOOL_CALLS] [${JSON_CALL}][/TOOL_CALLS]`, OSLO],
    [`[TOOL_CALLS]find[ARGS]{"city":"Oslo"}}`, OSLO],
    [`[${JSON_CALL}]]`, OSLO],
    [`[${JSON_CALL}`, OSLO],
    [gemma(`city:${QUOTE}Oslo${QUOTE}`) + "<tool_call|>Done.", OSLO, "Done."],
    [gemma(`city:${QUOTE}Oslo${QUOTE}`) + "<|tool_response>", OSLO],
    [`[{"type":"function","function":{"name":"find","arguments":"{\\"city\\":\\"Oslo\\"}"}}`, OSLO],
    [`<tool_call>${JSON_CALL}\n</tool_ca`, OSLO],
    [`<tool_call>${JSON_CALL}</tool_call><`, OSLO, "<"],
    // A name with spaces, in quotes.
    [markup(member("two words", "a b")), { "two words": "a b" }],
    [markup(member('"city"', "Oslo")), OSLO],
    // Of no type that it is written as.
    [markup(member("count", "007")), { count: 7 }],
    [markup(member("half", "-00.5")), { half: -0.5 }],
    [markup(member("force", "TRUE")), { force: true }],
    [markup(member("city", "007")), { city: "007" }],
    // A value without its tags.
    [`<tool_call>${open[0]}find>${parameter[0]}city>Oslo\n${close}\n</tool_call>`, OSLO],
    [glm("<arg_key>city</arg_key>\n<arg_value>Oslo"), OSLO],
    [
      glm("<arg_key>city</arg_key>\nOslo</arg_value><arg_key>count</arg_key>3</arg_value>"),
      { city: "Oslo", count: 3 },
    ],
    ["<tool_call>find\n<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_", OSLO],
    [`<tool_call>${open[0]}find>${member("city", "Oslo")}</funct`, OSLO],
    [
      glm("<arg_key>city</arg_key><arg_value>a </tool_call> b</arg_value>"),
      { city: "a </tool_call> b" },
    ],
    // Gemma's texts in other quotes, or without their end.
    [gemma('city:"Oslo, count: 3",count:1'), { city: "Oslo, count: 3", count: 1 }],
    [gemma('city:"an \\"O\\"\\n"'), { city: 'an "O"\n' }],
    [gemma(`city:'a\\s, b'${QUOTE},count:1`), { city: "a\\s, b", count: 1 }],
    [gemma("city:'tis,count:1"), { city: "'tis", count: 1 }],
    [gemma(`city:${QUOTE}Oslo`), OSLO],
    [gemma(`city:${QUOTE}a {b}`), { city: "a {b}" }],
    [gemma(`city:${QUOTE}a}<tool_call|> b${QUOTE}`), { city: "a}<tool_call|> b" }],
  ];

Deno.test("replies: a call with a usual mistake is the call that was meant, however it is cut into pieces", () => {
  for (const [reply, found, text = ""] of CALLS) {
    assert.deepEqual(everyWay(reply), { text, thinking: "", calls: [found] }, reply);
  }
});

Deno.test("replies: a thought's tag that the prompt ended with, or that lacks its word, is no text", () => {
  const think = { template: "<think></think>", tail: "<think>\n" };
  const said = { text: "b", thinking: "a", calls: [] };
  for (const reply of ["a</think>b", "<think>a</think>b", "<think>\na\n</think>\nb"]) {
    assert.deepEqual(everyWay(reply, think), said, reply);
  }
  const channel = { template: "<|channel>thought\n<channel|>" };
  for (const reply of ["<|channel>thought\na<channel|>b", "<|channel>a<channel|>b"]) {
    assert.deepEqual(everyWay(reply, channel), said, reply);
  }
  const two = "<|channel>thought\na<channel|><|channel>c<channel|>b";
  assert.deepEqual(everyWay(two, channel), { ...said, thinking: "ac" });
});

Deno.test("replies: a template in Ollama's language has tags of its own around a thought", () => {
  const template =
    "{{ range .Messages }}{{ .Role }}: {{ if .Thinking }}<mind>{{ .Thinking }}</mind>" +
    "{{ end }}{{ .Content }}{{ end }}";
  const said = { text: "b", thinking: "a", calls: [] };
  assert.deepEqual(everyWay("<mind>a</mind>b", { template }), said);
  const without = template.replace("<mind>", "").replace("</mind>", "");
  assert.equal(read(["<mind>a</mind>b"], { template: without }).thinking, "");
});

Deno.test("replies: a bracket or a closing too many, or too few, is nobody's text, in each family", () => {
  for (const { family, write, template, promptTail } of WRITERS) {
    // These have a channel for each part of a reply.
    if (family === "gpt-oss" || family === "functionary") continue;
    const o = { template, tail: promptTail, thought: false, tools: FAMILY_TOOLS };
    const reply = write([{ name: "add", arguments: { a: 1.5, b: ["x", { c: "y" }] } }]);
    const found = { text: "", thinking: "", calls: [{ a: 1.5, b: ["x", { c: "y" }] }] };
    const last = /(<[^<>]*>|\])\s*$/.exec(reply)?.[1] ?? "";
    const tries = ["", "}", "]", last, `${last}\n${last}`, `}${last}`].map((more) => reply + more);
    for (let missing = 1; missing < last.length - 1; missing++) {
      tries.push(reply.slice(0, -missing));
    }
    for (const text of tries) {
      for (const pieces of [[text], text.split("")]) {
        assert.deepEqual(read(pieces, o), found, `${family}: ${text}`);
      }
    }
    assert.equal(read([`${reply} Done.`], o).text.trim(), "Done.", family);
  }
});
