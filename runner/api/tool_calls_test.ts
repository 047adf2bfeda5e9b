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
