/** Replies that are none of any family's: cut, swapped, repeated. Nothing throws, nothing is lost, and time is in proportion. */
import assert from "node:assert/strict";
import { inProportion } from "../../tests/support/patience.ts";
import { argumentsText } from "./draft.ts";
import { readerFor } from "./formats.ts";
import { SYNTAXES } from "./syntaxes.ts";
import { TOOLS } from "./testing_calls.ts";
import { type Writer, WRITERS } from "./testing_writers.ts";
import type { ParsedCall } from "./tools.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const ROUNDS = FULL ? 2000 : 12;
const SEED = Number(Deno.env.get("SECLLAMA_SEED") ?? 1);

const CALLS: readonly ParsedCall[] = [
  { name: "write_file", arguments: { path: "zqone", content: "zqtwo\nzqthree", tags: ["zqfour"] } },
  { name: "add", arguments: { a: 1.5, b: ["zqfive", { c: "zqsix" }] } },
];
const DELIMITERS: readonly string[] = [
  ...SYNTAXES.map(({ open }) => open),
  ..."{}[]()\"':,=<>\\\n`".split(""),
  "</tool_call>",
  "</function>",
  "</parameter>",
  "<arg_key>",
  "</arg_value>",
  "[ARGS]",
  "<|message|>",
  "<|call|>",
  "<|start|>",
  ">>>",
  "<｜tool▁sep｜>",
  '<|"|>',
];

function random(seed: number) {
  let state = seed >>> 0;
  return (count: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

function mutated(reply: string, below: (count: number) => number): string {
  let text = reply;
  for (let step = 0; step <= below(3); step++) {
    const at = below(text.length), other = below(text.length);
    const [from, to] = [Math.min(at, other), Math.max(at, other)];
    const delimiter = DELIMITERS[below(DELIMITERS.length)]!;
    switch (below(6)) {
      case 0:
        text = text.slice(0, at);
        break;
      case 1:
        text = text.slice(0, from) + text.slice(Math.min(to, from + 12));
        break;
      case 2:
        text = text.slice(0, at) + delimiter + text.slice(at);
        break;
      case 3:
        text = text.slice(0, at) + delimiter.repeat(1 + below(20)) + text.slice(at);
        break;
      case 4:
        text = text.slice(0, to) + text.slice(from);
        break;
      default:
        text = text.slice(to) + text.slice(0, from);
    }
  }
  return text.slice(0, 4000);
}

function read(writer: Writer, pieces: readonly string[], cut = false) {
  const { reader } = readerFor({
    template: writer.template,
    promptTail: writer.promptTail ?? "assistant\n",
    thought: false,
    tools: TOOLS,
  });
  const said = [...pieces.map((piece) => reader.push(piece)), reader.end(cut)];
  const calls = said.flatMap((one) => one.calls);
  const json = said.flatMap((one) => one.parts).map((part) =>
    "delta" in part ? part.delta.json : ""
  )
    .join("");
  assert.equal(json, calls.map(argumentsText).join(""), "what was shown is what the calls are");
  return { text: said.map((one) => one.text).join(""), calls };
}

for (const writer of WRITERS) {
  // What is for nobody is dropped there, headers always.
  const marksMore = writer.template !== undefined || writer.family === "Command R";

  Deno.test(`malformed: ${writer.family}: nothing throws, and what is no call is text`, () => {
    const reply = writer.write(CALLS);
    for (let round = 0; round < ROUNDS; round++) {
      const below = random(SEED * 7919 + round);
      const text = `${mutated(reply, below)} zqtail`;
      const what = `seed ${SEED}, round ${round}: ${JSON.stringify(text)}`;
      const whole = read(writer, [text]);
      assert.deepEqual(read(writer, text.split("")), whole, what);
      read(writer, text.split(""), true);
      if (marksMore) continue;
      if (whole.calls.length === 0) assert.equal(whole.text.trim(), text.trim(), what);
      const shown = whole.text + whole.calls.map(argumentsText).join("");
      assert.ok(shown.includes("zqtail") || /\\$/.test(text), what);
    }
  });
}

Deno.test("malformed: openings that lead to nothing cost no more than their number", async () => {
  const some = [
    ...SYNTAXES.map(({ open }) => open),
    "{",
    "[",
    '{"name":"add","x":[',
    "[add(",
    ">>>",
  ];
  for (
    const open of [
      ...some,
      ...some.map((one) => `${one}{"`),
      ...some.map((one) => `${one}add`),
    ]
  ) {
    const text = open.repeat(Math.ceil((FULL ? 200_000 : 6_000) / open.length));
    for (const template of [undefined, "<|channel|><|message|>", ">>>all"]) {
      const writer = { family: "", write: () => "", promptTail: ">>>" };
      await inProportion(`${open} × ${text.length / open.length}`, () => {
        const pieces = text.match(/.{1,7}/gs)!;
        read(template === undefined ? writer : { ...writer, template }, pieces);
      });
    }
  }
});
