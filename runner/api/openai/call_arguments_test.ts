/** Arguments of calls in the history, from anybody: what is refused, and that reading them lets others work. */
import assert from "node:assert/strict";
import { Fields } from "../fields.ts";
import { JSON_LIMITS } from "../body.ts";
import { PIECE } from "../json_reader.ts";
import { MAX_ARGUMENTS, parseArguments, readArguments } from "./call_arguments.ts";

const holder = (text: string) => ({ name: "f", arguments: text });
const parse = (text: string) => parseArguments(Fields.of(holder(text), "call"));
const refused = (text: string, message: RegExp) =>
  assert.throws(() => parse(text), { code: "bad-request", field: "call.arguments", message });

Deno.test("arguments: an object is read, and of one that was cut off what is whole", () => {
  assert.deepEqual(parse(' {"a":[1]} '), { a: [1] });
  assert.deepEqual(parse(" "), {});
  assert.deepEqual(parse('{"a":1,"b":"cut o'), { a: 1 });
  assert.deepEqual(parse('{"a":"x\ty\n","b":[nonsense],"c":[2],"d":{"cut'), {
    a: "x\ty\n",
    c: [2],
  });
  refused("[1]", /must be a JSON object in a string/);
  refused("nonsense", /must be a JSON object in a string/);
});

Deno.test("arguments: what is too deep or too large is refused before it is read", () => {
  const deep = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  parse(deep(JSON_LIMITS.depth - 1));
  refused(deep(JSON_LIMITS.depth), /nest deeper/);
  refused(`{"a":[`.repeat(50_000), /nest deeper/);
  const long = (length: number) => `{"a":"${"x".repeat(length - 8)}"}`;
  parse(long(MAX_ARGUMENTS));
  refused(long(MAX_ARGUMENTS + 1), /must have at most 1048576/);
});

Deno.test("arguments: many numbers beside one beyond 2^53 are read in pieces, whole and cut", () => {
  const numbers = `{"a":[${"1,".repeat(MAX_ARGUMENTS / 2 - 20)}9007199254740993]`;
  const { parse } = JSON;
  let longest = 0;
  JSON.parse = (text, ...more) => {
    longest = Math.max(longest, text.length);
    return parse(text, ...more);
  };
  const calls = [`${numbers}}`, `${numbers},"b":"cut`].map(holder);
  try {
    let turns = 0;
    for (const _ of readArguments(Fields.of({ input: calls }))) turns++;
    assert.ok(turns > 10, `${turns}`);
  } finally {
    JSON.parse = parse;
  }
  assert.ok(longest < 2 * PIECE, `${longest}`);
  for (const call of calls) {
    const { a, ...more } = parseArguments(Fields.of(call)) as { a: unknown[] };
    assert.deepEqual([a.length, a.at(-1)], [MAX_ARGUMENTS / 2 - 19, 9007199254740993n]);
    assert.deepEqual(more, {});
  }
});

Deno.test("arguments: those of many calls are read one at a time, and once", () => {
  const messages = Array.from({ length: 200 }, (_, at) => ({
    role: "assistant",
    tool_calls: [{ id: `c${at}`, function: holder(`{"a":"${"x".repeat(10_000)}"}`) }],
  }));
  const input = Array.from({ length: 200 }, () => ({ type: "function_call", ...holder("{}") }));
  const { parse } = JSON;
  const sizes = [0];
  JSON.parse = (text, ...more) => {
    sizes[sizes.length - 1]! += text.length;
    return parse(text, ...more);
  };
  try {
    const work = readArguments(Fields.of({ messages, input }));
    while (!work.next().done) sizes.push(0);
    assert.ok(Math.max(...sizes) < 20_000, `${Math.max(...sizes)}`);
    sizes.length = 1;
    sizes[0] = 0;
    for (const { tool_calls: [call] } of messages) parseArguments(Fields.of(call!.function));
    for (const item of input) parseArguments(Fields.of(item));
    assert.equal(sizes[0], 0);
  } finally {
    JSON.parse = parse;
  }
});
