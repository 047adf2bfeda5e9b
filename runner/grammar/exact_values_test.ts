/** Whole numbers beyond 2^53 in schemas: those that are listed keep their digits, bounds are moved inwards. */
import assert from "node:assert/strict";
import { parseExact } from "../../src/exact_json.ts";
import { schemaGrammar } from "./testing.ts";
import { TestGrammar } from "./testing_gbnf.ts";

const takes = (schema: string, text: string) =>
  new TestGrammar(schemaGrammar(parseExact(schema))).accepts(text);

Deno.test("schema: listed whole numbers beyond 2^53 are written with their digits", () => {
  const cases: readonly [schema: string, good: string[], bad: string[]][] = [
    ['{"const":9007199254740993}', ["9007199254740993"], ["9007199254740992"]],
    [
      '{"enum":["a",-9223372036854775808,9007199254740995],"type":"integer"}',
      ["-9223372036854775808", "9007199254740995"],
      ["9007199254740996", '"a"'],
    ],
    [
      '{"enum":[9007199254740993,9007199254740994],"multipleOf":2}',
      ["9007199254740994"],
      ["9007199254740993"],
    ],
    [
      '{"oneOf":[{"enum":[18446744073709551615,1]},{"enum":[18446744073709551616,1]}]}',
      ["18446744073709551615", "18446744073709551616"],
      ["1"],
    ],
    [
      '{"type":"object","properties":{"id":{"enum":[9007199254740993]}},"required":["id"]}',
      ['{"id":9007199254740993}'],
      ['{"id":9007199254740992}'],
    ],
    [
      '{"enum":[9007199254740993,9223372036854775807],"minimum":9223372036854775800}',
      ["9223372036854775807"],
      ["9007199254740993"],
    ],
    [
      '{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}',
      ["0", "123456789012345", "-5"],
      ["9223372036854775808", "1.5"],
    ],
    [
      '{"enum":[9007199254740993,9007199254740994],"maximum":9007199254740993,"minimum":9007199254740993}',
      ["9007199254740993"],
      ["9007199254740994"],
    ],
    [
      '{"enum":[9007199254740992,9007199254740993],"not":{"minimum":9007199254740993}}',
      ["9007199254740992"],
      ["9007199254740993"],
    ],
    ['{"type":"string","maxLength":9223372036854775807}', ['"a"'], ["1"]],
  ];
  for (const [schema, good, bad] of cases) {
    for (const text of good) assert.ok(takes(schema, text), `${schema} takes ${text}`);
    for (const text of bad) assert.ok(!takes(schema, text), `${schema} refuses ${text}`);
  }
  assert.throws(
    () => schemaGrammar(parseExact('{"type":"integer","not":{"const":9007199254740993}}')),
    /"const" at #\/not: whole numbers above 2\^53/,
  );
});
