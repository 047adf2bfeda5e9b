import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { Fields } from "./fields.ts";
import { contextTokens, readAhead, resultText } from "./read_ahead.ts";

const without = (value: unknown) =>
  JSON.stringify(value, (name, one) => name.startsWith("encrypted_") ? undefined : one);

Deno.test("read ahead: results are the JSON of what they are, without what only their server reads, in turns", () => {
  const result = {
    title: 'ä\u0000\n"',
    encrypted_content: "x",
    list: Array.from(
      { length: 100_000 },
      (_, at) => at % 3 === 0 ? { at, encrypted_index: at } : `${at}`,
    ),
    none: null,
  };
  const body = {
    messages: [
      { role: "user", content: "text" },
      { role: "assistant", content: [null, { type: "web_search_tool_result", content: result }] },
    ],
    input: [null, { type: "code_interpreter_call", outputs: [result] }],
  };
  const turns = [...readAhead(Fields.of(body, "body"))].length;
  assert.ok(turns > 20, `${turns} turns`);
  for (const value of [result, body.input[1]!.outputs]) {
    assert.equal(resultText(value), without(value));
  }
  // Who was not read ahead has the same text.
  assert.equal(resultText({ ...result }), without(result));
});

Deno.test("read ahead: tokens of a context are whole numbers of 0 and more", () => {
  const good = Array.from({ length: 100_000 }, (_, at) => at);
  assert.ok([...readAhead(Fields.of({ context: good }, "body"))].length > 20);
  for (const list of [good, [...good], [], [0, 2 ** 31 - 1]]) {
    assert.deepEqual([...contextTokens(list)!.ids], list);
    assert.equal(contextTokens(list)!.largest, list.length === 0 ? -1 : Math.max(...list));
  }
  for (
    const bad of [-1, 0.5, "1", null, true, [1], {}, NaN, Infinity, 2 ** 31, 2 ** 32 + 1, 2n ** 64n]
  ) {
    const list = [1, bad, 2];
    assert.equal(contextTokens(list), undefined, String(bad));
    runAtOnce(readAhead(Fields.of({ context: list }, "body")));
    assert.equal(contextTokens(list), undefined, String(bad));
  }
});
