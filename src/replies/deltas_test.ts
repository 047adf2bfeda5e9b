/** Arguments of calls as they grow: whatever a reply is cut into, the pieces joined are the call's JSON text. */
import assert from "node:assert/strict";
import { inProportion } from "../../tests/support/patience.ts";
import { argumentsText } from "./draft.ts";
import { readerFor } from "./formats.ts";
import type { Part } from "./reader.ts";
import { FAMILIES, TOOLS } from "./testing_calls.ts";
import { type Writer, WRITERS } from "./testing_writers.ts";
import type { ParsedCall } from "./tools.ts";
import { seeded } from "../../tests/support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const ROUNDS = FULL ? 30 : 1;
const SEED = Number(Deno.env.get("SECLLAMA_SEED") ?? 1);

interface Shown {
  readonly text: string;
  readonly calls: readonly ParsedCall[];
  /** Of each call, its pieces. */
  readonly pieces: readonly string[][];
}

function read(writer: Partial<Writer>, pieces: readonly string[], cut = false): Shown {
  const { reader } = readerFor({
    template: writer.template,
    promptTail: writer.promptTail ?? "assistant\n",
    thought: false,
    tools: TOOLS,
  });
  const parts: Part[] = [];
  for (const piece of pieces) parts.push(...reader.push(piece).parts);
  parts.push(...reader.end(cut).parts);
  const shown = { text: "", calls: [] as ParsedCall[], pieces: [] as string[][] };
  for (const part of parts) {
    if ("text" in part) {
      assert.equal(shown.pieces.length, shown.calls.length, "no text within a call");
      shown.text += part.text;
      continue;
    }
    const { index, name, json, call } = part.delta;
    assert.ok(index === shown.calls.length, "one call is whole before the next begins");
    (shown.pieces[index] ??= []).push(json);
    if (call === undefined) continue;
    assert.equal(call.name, name);
    assert.equal(shown.pieces[index].join(""), argumentsText(call));
    shown.calls.push(call);
  }
  assert.equal(shown.pieces.length, shown.calls.length, "every call ends");
  return shown;
}

const plain = ({ name, arguments: args }: ParsedCall) => ({ name, arguments: args });
const texts = ({ text, calls, pieces }: Shown) => ({
  text,
  calls: calls.map(plain),
  json: pieces.map((one) => one.join("")),
});

const cuts = (reply: string) =>
  Array.from(
    { length: reply.length - 1 },
    (_, at) => [reply.slice(0, at + 1), reply.slice(at + 1)],
  );

/** Of a seed: the same numbers at each run. */
function random(seed: number) {
  const next = seeded(seed);
  const below = (count: number) => Math.floor(next() * count);
  const one = <T>(list: readonly T[]) => list[below(list.length)]!;
  return { below, one };
}

const WORDS = [
  "a",
  " ",
  "\n",
  "\t",
  '"',
  "'",
  "\\",
  "\\n",
  "\\u0041",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "é",
  "漢",
  "😀",
  "<",
  ">",
  "<tool_call>",
  "[TOOL_CALLS]",
  "``",
  "=",
  "(",
  ")",
  "\u2028",
  "\u007f",
];

function generated({ below, one }: ReturnType<typeof random>): ParsedCall[] {
  const text = () => Array.from({ length: below(9) }, () => one(WORDS)).join("");
  const value = (depth: number): unknown => {
    switch (below(depth > 2 ? 4 : 6)) {
      case 0:
        return below(2) === 0;
      case 1:
        return null;
      case 2:
        return below(100_000) / 8 - 100;
      case 3:
        return text();
      case 4:
        return Array.from({ length: below(4) }, () => value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: below(4) }, (_, at) => [`k${below(9)}${at}`, value(depth + 1)]),
        );
    }
  };
  return Array.from(
    { length: 1 + below(3) },
    () =>
      below(2) === 0 ? { name: "add", arguments: { a: below(1000) / 4, b: [value(0)] } } : {
        name: "write_file",
        arguments: { path: text(), content: text(), tags: [value(0)], force: below(2) === 0 },
      },
  );
}

for (const writer of WRITERS) {
  Deno.test(`deltas: ${writer.family}: joined, they are the call, wherever the reply is cut`, () => {
    for (let round = 0; round < ROUNDS; round++) {
      const calls = generated(random(SEED * 1000 + round));
      const reply = writer.write(calls);
      const what = `seed ${SEED}, round ${round}: ${JSON.stringify(reply)}`;
      const whole = texts(read(writer, [reply]));
      assert.deepEqual(whole, { text: "", calls, json: whole.json }, what);
      whole.json.forEach((json, at) => assert.deepEqual(JSON.parse(json), calls[at]!.arguments));
      assert.deepEqual(texts(read(writer, reply.split(""))), whole, what);
      for (const pieces of cuts(reply)) assert.deepEqual(texts(read(writer, pieces)), whole, what);
      // And wherever it ends for want of room: what was shown is the beginning of the whole.
      for (let length = 1; length < reply.length; length += FULL ? 1 : 7) {
        const { calls: some, pieces } = read(writer, reply.slice(0, length).split(""), true);
        some.forEach((call, at) => {
          assert.equal(call.name, calls[at]!.name, what);
          const json = pieces[at]!.join("");
          if (call.partial === undefined) assert.equal(json, whole.json[at], what);
          else if (!writer.atOnce) {
            // A tag that is half there may still be text, a digit the last one.
            const sure = json.replace(/[<｜`\]\\].*$/s, "");
            assert.ok(whole.json[at]!.startsWith(sure), `${json} of ${what}, ${length}`);
          }
        });
      }
    }
  });

  Deno.test(`deltas: ${writer.family}: a long text is shown as it comes`, () => {
    const content = Array.from({ length: 40 }, (_, at) => `line ${at}\n`).join("");
    const call = { name: "write_file", arguments: { path: "a", content } };
    const reply = writer.write([call]);
    const { pieces } = read(writer, reply.match(/.{1,5}/gs)!);
    if (writer.atOnce) assert.equal(pieces[0]!.length, 1);
    else assert.ok(pieces[0]!.length > 40, `${pieces[0]!.length} pieces`);
  });

  Deno.test(`deltas: ${writer.family}: time in proportion`, async () => {
    const content = "word ".repeat(FULL ? 100_000 : 5_000);
    const reply = writer.write([{ name: "write_file", arguments: { path: "a", content } }]);
    await inProportion(writer.family, () => {
      assert.equal(read(writer, reply.match(/.{1,4}/gs)!).calls[0]!.arguments.content, content);
    });
  });
}

for (const [family, reply] of FAMILIES) {
  Deno.test(`deltas: ${family}, a real shape, wherever it is cut`, () => {
    const whole = texts(read({}, [reply]));
    assert.deepEqual(texts(read({}, reply.split(""))), whole);
    for (const pieces of cuts(reply)) assert.deepEqual(texts(read({}, pieces)), whole);
  });
}

/** Of a reply that goes wrong once something was shown of a call. */
const WRONG: readonly (readonly [reply: string, text: string, json: readonly string[]])[] = [
  ['<tool_call>{"name":"add","arguments":{"a":1}', "", ['{"a":1}']],
  ['<tool_call>{"name":"add","arguments":{"a":1,oops}} so', "oops}} so", ['{"a":1,']],
  ['<tool_call>{"name":"add","arguments":{"b":"x\\q"}} so', '\\q"}} so', ['{"b":"x']],
  [
    '[{"name":"add","arguments":{}},{"name":"rm","arguments":{}}]',
    '{"name":"rm","arguments":{}}]',
    [
      "{}",
    ],
  ],
  ['{"name":"add","arguments":{"a":1,"a":2}}', "", ['{"a":1,"a":2}']],
  ['{"name":"add","arguments":{"2":1,"1":12345678901234567890}}', "", [
    '{"2":1,"1":12345678901234567890}',
  ]],
  ['{"name":"add","arguments":{"__proto__":{"a":1}}}', "", ['{"__proto__":{"a":1}}']],
  ["[add(a=1, b=2 y)] so", "y)] so", ['{"a":1,"b":2']],
  ['[add(a=1, b="x" y")] so', "so", ['{"a":1,"b":"x\\" y"}']],
];

Deno.test("deltas: a call of which something was shown stays one, and what is none of it is text", () => {
  for (const [reply, text, json] of WRONG) {
    for (const pieces of [[reply], reply.split(""), ...cuts(reply)]) {
      const shown = read({}, pieces);
      assert.deepEqual([shown.text.trim(), texts(shown).json], [text, json], reply);
    }
  }
});
