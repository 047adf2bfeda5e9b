import assert from "node:assert/strict";
import { type ParsedCall, ToolCallParser } from "./tool_calls.ts";
import { inProportion } from "../../tests/support/patience.ts";

const TOOLS = ["weather", "add"];
const WEATHER: ParsedCall = { name: "weather", arguments: { city: "Oslo", days: 2 } };
const ADD: ParsedCall = { name: "add", arguments: { a: 1, b: [2, "}"] } };
const WEATHER_ARGS = '{"city": "Oslo", "days": 2}';

function run(pieces: readonly string[]) {
  const parser = new ToolCallParser(TOOLS);
  let text = "";
  const calls: ParsedCall[] = [];
  for (const found of [...pieces.map((piece) => parser.push(piece)), parser.end()]) {
    text += found.text;
    calls.push(...found.calls);
  }
  return { text, calls };
}

const CASES: [name: string, reply: string, text: string, calls: ParsedCall[]][] = [
  [
    "Hermes and Qwen",
    `<tool_call>\n{"name": "weather", "arguments": ${WEATHER_ARGS}}\n</tool_call>`,
    "",
    [WEATHER],
  ],
  [
    "two Hermes calls after text",
    `Let me see.\n<tool_call>{"name": "weather", "arguments": ${WEATHER_ARGS}}</tool_call>\n` +
    `<tool_call>{"name": "add", "arguments": {"a": 1, "b": [2, "}"]}}</tool_call>`,
    "Let me see.\n",
    [WEATHER, ADD],
  ],
  [
    "Hermes without the closing tag",
    `<tool_call>{"name": "weather", "arguments": ${WEATHER_ARGS}}`,
    "",
    [WEATHER],
  ],
  [
    "Qwen 3 Coder's markup",
    "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n2\n" +
    "</parameter>\n</function>\n</tool_call>",
    "",
    [WEATHER],
  ],
  ["Mistral's array", `[TOOL_CALLS][{"name": "weather", "arguments": ${WEATHER_ARGS}}]`, "", [
    WEATHER,
  ]],
  ["Mistral's newer form", `[TOOL_CALLS]weather[ARGS]${WEATHER_ARGS}`, "", [WEATHER]],
  ["Mistral without ARGS, twice", `[TOOL_CALLS]weather${WEATHER_ARGS}[TOOL_CALLS]weather{}`, "", [
    WEATHER,
    { name: "weather", arguments: {} },
  ]],
  ["Granite", `<|tool_call|>[{"name": "weather", "arguments": ${WEATHER_ARGS}}]`, "", [WEATHER]],
  ["Llama 3.1", `<|python_tag|>{"name": "weather", "parameters": ${WEATHER_ARGS}}`, "", [WEATHER]],
  [
    "Llama 3.1, two",
    `{"name": "weather", "parameters": ${WEATHER_ARGS}}; {"name": "weather"}`,
    "",
    [
      WEATHER,
      { name: "weather", arguments: {} },
    ],
  ],
  ["Llama 3.2", `<function=weather>${WEATHER_ARGS}</function>`, "", [WEATHER]],
  [
    "OpenAI's own shape",
    `{"type": "function", "function": {"name": "weather", "arguments": ` +
    `${JSON.stringify(WEATHER_ARGS)}}}`,
    "",
    [WEATHER],
  ],
  ["text after a call", `<tool_call>{"name": "add"}</tool_call>\nDone.`, "Done.", [
    { name: "add", arguments: {} },
  ]],
  ["plain text", "Nothing <to> see [here] {now}.", "Nothing <to> see [here] {now}.", []],
  [
    "JSON that is no call",
    '{"answer": 42, "name": "weather"}',
    '{"answer": 42, "name": "weather"}',
    [],
  ],
  [
    "a tool that is not there",
    '{"name": "rm", "arguments": {}}',
    '{"name": "rm", "arguments": {}}',
    [],
  ],
  [
    "a tagged tool that is not there",
    '<tool_call>{"name": "rm"}</tool_call>',
    '<tool_call>{"name": "rm"}</tool_call>',
    [],
  ],
  ["a tag without JSON", "<tool_call>oops</tool_call>", "<tool_call>oops</tool_call>", []],
  ["an unfinished call", '<tool_call>{"name": "wea', '<tool_call>{"name": "wea', []],
  ["an array that is no call", "[1, 2] is a list", "[1, 2] is a list", []],
  ["a prototype is no tool", '{"name": "constructor"}', '{"name": "constructor"}', []],
];

for (const [name, reply, text, calls] of CASES) {
  Deno.test(`tool calls: ${name}, however it is cut into tokens`, () => {
    assert.deepEqual(run([...reply]), { text, calls });
    for (let at = 0; at <= reply.length; at++) {
      assert.deepEqual(run([reply.slice(0, at), reply.slice(at)]), { text, calls });
    }
  });
}

Deno.test("tool calls: plain text is not held back", () => {
  const parser = new ToolCallParser(TOOLS);
  assert.equal(parser.push("Hello").text, "Hello");
  assert.equal(parser.push(" <").text, " ");
  assert.equal(parser.push("b>").text, "<b>");
});

Deno.test("tool calls: a long JSON reply takes time in proportion to its length", async () => {
  // What opens, and what it goes on with: nothing of it is text yet.
  const cases: [opening: string, piece: string][] = [
    ['{"name": "add", "arguments": {"a": "', "x".repeat(20)],
    ['[{"name": "add", "arguments": {"a": [', "[1], ".repeat(4)],
    ['<tool_call>{"name": "add", "arguments": {"a": "', "x".repeat(20)],
    ["<tool_call><function=add><parameter=a>", "</tool_cal".repeat(2)],
    ["<tool_call>", "no bracket here "],
    ["<function=add>", "nor is one here "],
    ["[TOOL_CALLS]add[ARGS]", "nothing of JSON "],
    ["", " \n".repeat(10)],
    ["{", " \n".repeat(10)],
    ['{"name": "add", "arguments": {}}', " ;".repeat(10)],
  ];
  for (const [opening, piece] of cases) {
    await inProportion(`${opening} … ${piece}`, () => {
      const parser = new ToolCallParser(TOOLS);
      let said = parser.push(opening).text;
      for (let index = 0; index < 30_000; index++) said += parser.push(piece).text;
      assert.equal(said, "", "it is held");
    });
  }
});

const CUT: [reply: string, text: string, calls: ParsedCall[]][] = [
  [`Now.\n<tool_call>{"name": "weather", "arguments": {"city": "Os`, "Now.\n", [
    { name: "weather", arguments: {}, partial: '{"city": "Os' },
  ]],
  [`<tool_call>{"name": "weather", "arguments": {"city": "Oslo", "days": 1`, "", [
    { name: "weather", arguments: { city: "Oslo" }, partial: '{"city": "Oslo", "days": 1' },
  ]],
  [`<tool_call>{"name": "weather"`, "", [{ name: "weather", arguments: {}, partial: "" }]],
  [`<tool_call>{"arguments": {"a": 1}, "name": "add"`, "", [{ name: "add", arguments: { a: 1 } }]],
  // Nothing is named yet.
  [`<tool_call>{"name": "wea`, "", []],
  [
    `[TOOL_CALLS][{"name": "weather", "arguments": ${WEATHER_ARGS}}, {"name": "add", "arguments": {"a": [1, 2`,
    "",
    [
      WEATHER,
      { name: "add", arguments: {}, partial: '{"a": [1, 2' },
    ],
  ],
  [`[TOOL_CALLS]weather[ARGS]{"city": "Oslo", "d`, "", [
    { name: "weather", arguments: { city: "Oslo" }, partial: '{"city": "Oslo", "d' },
  ]],
  [`<function=add>{"b": {"c": "}"}, "a`, "", [
    { name: "add", arguments: { b: { c: "}" } }, partial: '{"b": {"c": "}"}, "a' },
  ]],
  [
    '<tool_call>\n<function=weather>\n<parameter=days>\n2\n</parameter>\n<parameter=city>\nO"s',
    "",
    [
      { name: "weather", arguments: { days: 2 }, partial: '{"days":2,"city":"O\\"s' },
    ],
  ],
  [`{"name": "weather", "parameters": {"city"`, "", [
    { name: "weather", arguments: {}, partial: '{"city"' },
  ]],
  // Text that only looks like the beginning of one.
  [`{"name": "nobody", "parameters": {`, `{"name": "nobody", "parameters": {`, []],
];

Deno.test("tool calls: one that the reply's end cuts off stays a call, in pieces of any size", () => {
  for (const [reply, text, calls] of CUT) {
    for (const size of [1, 3, 1000]) {
      const parser = new ToolCallParser(TOOLS);
      const found = { text: "", calls: [] as ParsedCall[] };
      for (let at = 0; at < reply.length; at += size) {
        const { text, calls } = parser.push(reply.slice(at, at + size));
        found.text += text;
        found.calls.push(...calls);
      }
      const last = parser.end(true);
      assert.deepEqual({ text: found.text + last.text, calls: [...found.calls, ...last.calls] }, {
        text,
        calls,
      }, reply);
    }
    // A reply that ended by itself has no such call; of markup what is there is taken.
    if (reply.includes("<parameter=") || calls.some(({ partial }) => partial === undefined)) {
      continue;
    }
    const whole = new ToolCallParser(TOOLS);
    const before = whole.push(reply);
    const { calls: none } = whole.end();
    assert.deepEqual([...before.calls, ...none], []);
  }
});
