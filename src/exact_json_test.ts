import assert from "node:assert/strict";
import { exactText, parseExact, roundedTo } from "./exact_json.ts";

Deno.test("JSON keeps the digits of whole numbers, and everything else as JavaScript does", () => {
  const texts = [
    "9007199254740993",
    "-9223372036854775808",
    "18446744073709551615",
    "9".repeat(300),
  ];
  for (const text of texts) {
    const json = `{"a":[${text},{"__proto__":${text}}],"b":"${text}","c":1.5}`;
    // Shows that it is needed.
    assert.notEqual(JSON.stringify(JSON.parse(json)), json);
    assert.equal(exactText(parseExact(json)), json);
  }
  const others = ["9007199254740991", "1e400", "1.25", "-0", "1234567890123456e3", "9".repeat(301)];
  for (const text of [...others, '"1234567890123456789"', "true", "null"]) {
    assert.deepEqual(parseExact(text), JSON.parse(text));
  }
  const beside =
    '{"1234567890123456789":[0.1234567890123456789,1e-1234567890123456,"\\\\\\"1234567890123456789"]}';
  assert.deepEqual(parseExact(beside), JSON.parse(beside));
  for (
    const text of ["[1234567890123456789", "{1234567890123456789:1}", "[01234567890123456789]"]
  ) {
    assert.throws(() => parseExact(text), SyntaxError);
  }
  const cycle: unknown[] = [];
  cycle.push(cycle);
  assert.throws(() => exactText(cycle), TypeError);
});

Deno.test("JSON with such a number is read without asking for each of its values", () => {
  const { parse } = JSON;
  const given: unknown[][] = [];
  JSON.parse = (...all) => {
    given.push(all);
    return parse(...all);
  };
  try {
    assert.deepEqual(parseExact("[1,9007199254740993]"), [1, 9007199254740993n]);
  } finally {
    JSON.parse = parse;
  }
  assert.ok(given.length > 0 && given.every((all) => all.length === 1));
});

Deno.test("the double on one side of a whole number is its neighbour", () => {
  for (let bits = 53n; bits < 70n; bits++) {
    for (const near of [-3n, -1n, 0n, 1n, 2n, 3n]) {
      for (const sign of [1n, -1n]) {
        const value = sign * (2n ** bits + near);
        const [below, above] = [roundedTo(-1, value), roundedTo(1, value)];
        assert.ok(BigInt(below) <= value && value <= BigInt(above), `${value}`);
        assert.ok(BigInt(above) - BigInt(below) <= 2n ** (bits - 52n), `${value}`);
      }
    }
  }
});
