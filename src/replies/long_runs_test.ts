/** Replies with long runs of one thing, behind each beginning of a call: whatever a model writes is read in proportion to its length. */
import { inProportion } from "../../tests/support/patience.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { readerFor } from "./formats.ts";
import { SYNTAXES } from "./syntaxes.ts";
import { TOOLS } from "./testing_calls.ts";
import type { Tool } from "./tools.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const DRAWS = FULL ? 3000 : 60;
const UNITS = 120_000;

const HARMONY = "<|channel|><|message|>";
const FUNCTIONARY = ">>>all";
const RUNS: readonly string[] = [
  ..."a \n\t\"'\\[]{}()<>0,=:._".split(""),
  ...[
    "\ud800",
    "\udc00",
    "é",
    "😀",
    '\\"',
    "\\'",
    "\\\\",
    "''",
    '""',
    "a=",
    "a,",
    ", ",
    "<|",
    "</",
  ],
  ...["{}", "[]", "'a',", '"a":', '" a', "</x>", ">>>", "functools", "[add(", '{"name":"add"}'],
];
const CALL = '<tool_call>{"name":"add","arguments":{}}</tool_call>';
const INVOKE = '<minimax:tool_call><invoke name="add">';
const TAGGED: readonly string[] = [
  ...["", "{", "[", '{"name":"add","arguments":', '{"name":"add","arguments":{"a":"', CALL],
  ...[
    "[add(",
    "[add(a=",
    "[add(a='",
    '[add(a="',
    "[TOOL_CALLS]add[ARGS]",
    "[TOOL_CALLS]add[CALL_ID]",
  ],
  ...["", '"', "'", '["'].map((one) => `<tool_call>add<arg_key>a</arg_key><arg_value>${one}`),
  ...['{"name":"add","arguments":{"a":', '{"name":"add","arguments":"\\"', '{"x":"', "add<arg_key>"]
    .map((one) => `<tool_call>${one}`),
  ...["<function=add>", "<function=add><parameter=a>", "<function=add><parameter="],
  ...["", '<parameter name="', '<parameter name="a">'].map((one) => INVOKE + one),
  ...["", "a", 'a="'].map((one) => `<|python_tag|>add.call(${one}`),
  ...["", "a:", 'a:<|"|>', 'a:"', "a:["].map((one) => `<|tool_call>call:add{${one}`),
  ...["", "functions.add:0<|tool_call_argument_begin|>"]
    .map((one) => `<|tool_calls_section_begin|><|tool_call_begin|>${one}`),
  ...["<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", "<think>", "<think>a"],
  ...SYNTAXES.map(({ open }) => open),
  // What is read for nothing first, and then once more in one piece.
  ...["<|python_start|>add(a='", "<|tool_call>call:add{a:"].map((one) => `<tool_call>{"x":"${one}`),
];
const BEGINNINGS: readonly (readonly [text: string, template?: string])[] = [
  ...TAGGED.map((text) => [text] as const),
  ...[
    "",
    "analysis",
    "commentary to=functions.add<|message|>",
    "commentary to=",
    "final<|message|>",
  ]
    .map((text) => [`<|channel|>${text}`, HARMONY] as const),
  ...["", "all\n", "add\n", "python\n"].map((text) => [text, FUNCTIONARY] as const),
];
const ENDS = [
  "",
  ")",
  '"}',
  "'x",
  "x</arg_value></tool_call>",
  "</parameter></function></tool_call>",
];
const WAYS = ["one piece", "pieces", "cut"] as const;

interface Reply {
  readonly text: string;
  readonly way: (typeof WAYS)[number];
  readonly template?: string | undefined;
  readonly tools?: readonly Tool[];
}

function read({ text, way, template, tools = TOOLS }: Reply): void {
  const { reader } = readerFor({ template, promptTail: ">>>", thought: true, tools });
  for (const piece of way === "pieces" ? text.match(/[^]{1,3}/g)! : [text]) reader.push(piece);
  reader.end(way === "cut");
}

const run = (unit: string, units = UNITS) => unit.repeat(Math.ceil(units / unit.length));

// Each cost the square of its length.
for (
  const [what, reply] of Object.entries<Reply>({
    "letters in a built-in call": { text: `<|python_tag|>add.call(${run("a")})`, way: "one piece" },
    "quotes in a text": { text: `[add(a='${run('"')}`, way: "one piece" },
    "escaped quotes in arguments that are a text": {
      text: `<tool_call>{"name":"add","arguments":"\\"${run('\\\\\\"', 400_000)}"}</tool_call>`,
      way: "one piece",
    },
    "noughts that are no number": {
      text: `<tool_call>add<arg_key>a</arg_key><arg_value>${run("0")}x</arg_value></tool_call>`,
      way: "pieces",
    },
    "backslashes in what is read once more": {
      text: `<tool_call>{"x":"<|python_start|>add(a='${run("\\", 1_200_000)}"}`,
      way: "one piece",
    },
    "values in what is read once more": {
      text: `<tool_call>{"x":"<|tool_call>call:add{a:[${run("1,", 1_000_000)}"}`,
      way: "one piece",
    },
    "openings in what is read once more": {
      text: `<tool_call>{"x":"${run("functools", 900_000)}"}`,
      way: "one piece",
    },
    "a header that never ends": {
      text: `<|channel|>commentary to=${run("😀", 400_000)}`,
      way: "pieces",
      template: HARMONY,
    },
    "a call's body that is none": {
      text: `<|channel|>commentary to=functions.add<|message|>${run("a", 400_000)}`,
      way: "pieces",
      template: HARMONY,
    },
    "white space in front of a reply": { text: run(" ", 800_000), way: "pieces" },
    "white space within a thought": { text: `<think>a${run("\n", 800_000)}`, way: "pieces" },
    "white space in front of harmony's": {
      text: run("\n", 800_000),
      way: "pieces",
      template: HARMONY,
    },
    "more calls at once than a stack holds": {
      text: `<tool_call>[${run('{"name":"add"},', 15 * 140_000)}{"name":"add"}]</tool_call>`,
      way: "one piece",
    },
    "a name of four million units": {
      text: `<tool_call>{"name":"add","arguments":"{\\"${run("a", 4_500_000)}\\":`,
      way: "cut",
    },
    "names of ten thousands of tools": {
      text: "<tool_call>name_" + run("\n<function=name_", 60_000),
      way: "pieces",
      tools: Array.from({ length: 50_000 }, (_, at) => ({ name: `name_${at}` })),
    },
    "functionary's beginnings, with ten thousands of tools": {
      text: run(">>>name_", 60_000),
      way: "pieces",
      template: FUNCTIONARY,
      tools: Array.from({ length: 50_000 }, (_, at) => ({ name: `name_${at}` })),
    },
  })
) {
  Deno.test(`long runs: ${what}`, () => inProportion(what, () => read(reply)));
}

for (const seed of seeds(DRAWS)) {
  Deno.test(`long runs: drawn, seed: ${seed}`, async () => {
    const random = seeded(seed);
    const one = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
    const [beginning, template] = one(BEGINNINGS);
    const text = beginning + run(one(RUNS)) + one(ENDS);
    const way = one(WAYS);
    await inProportion(JSON.stringify({ beginning, template, tail: text.slice(-40), way }), () => {
      read({ text, way, template });
    });
  });
}
