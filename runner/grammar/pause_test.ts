/**
 * Schemas are read in pieces: what one costs at most, and that pauses change nothing. In an isolate of its own: what characters a
 * property has is found once.
 */
import { runAtOnce } from "../../src/budget.ts";
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { seeded } from "../../tests/support/seeds.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { accepts, Budget, negation, Pause } from "./automaton.ts";
import { ReplyGrammar } from "./schema_grammar.ts";
import { CASES } from "./testing_schema_cases.ts";
import { SchemaGenerator } from "./testing_schemas.ts";
import { wordsWork } from "./words.ts";

/** The grammar or the refusal, and the steps of each piece of the work. */
function make(schema: unknown): { result: string; pieces: number[] } {
  const { take } = Budget.prototype;
  const pieces = [0];
  Budget.prototype.take = function (steps) {
    pieces[pieces.length - 1]! += steps;
    take.call(this, steps);
  };
  try {
    const grammar = new ReplyGrammar();
    const work = grammar.schema(schema);
    for (;;) {
      const { done, value } = work.next();
      if (done) return { result: runAtOnce(grammar.text(value)), pieces };
      pieces.push(0);
    }
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    return { result: error.message, pieces };
  } finally {
    Budget.prototype.take = take;
  }
}

/** With another rule of when to pause. */
function pausing<T>(pauseIfDue: () => void, use: () => T): T {
  const own = Budget.prototype.pauseIfDue;
  Budget.prototype.pauseIfDue = pauseIfDue;
  try {
    return use();
  } finally {
    Budget.prototype.pauseIfDue = own;
  }
}

const never = () => {};
const always = () => {
  throw new Pause();
};

const patterns = (count: number) => ({
  type: "object",
  properties: Object.fromEntries(
    Array.from({ length: count }, (_, at) => [`p${at}`, {
      type: "string",
      pattern: `^(a|b){1,20}x${at}[0-9]{1,9}$`,
    }]),
  ),
});

const sum = (steps: readonly number[]) => steps.reduce((a, b) => a + b, 0);

for (
  const [name, schema, wanted] of [
    ["many patterns", patterns(100), /^root ::=/],
    ["too many patterns", patterns(500), /too large/],
    ["patterns of which each has a length of its own", {
      anyOf: Array.from({ length: 20 }, (_, at) => ({
        ...{ type: "string", pattern: `${String.fromCharCode(97 + at)}x`, minLength: 30 + at },
      })),
    }, /^root ::=|too large/],
    ["one hard pattern", { type: "string", pattern: "(a|b)*a(a|b){12}" }, /^root ::=/],
  ] as const
) {
  Deno.test(`pieces: ${name}: no piece is more than a small part of the whole`, () => {
    const { result, pieces } = make(schema);
    assert.match(result.slice(0, 200), wanted);
    const [most, all] = [Math.max(...pieces), sum(pieces)];
    assert.ok(most < 25_000 && most < all / 3, `${most} of ${all} steps in one piece`);
  });
}

Deno.test("pieces: work that cannot pause is refused before it is too much", () => {
  const budget = new Budget(Infinity);
  budget.take(300_000);
  budget.begin();
  budget.take(300_000);
  assert.throws(() => budget.take(300_000), /too large/);
});

Deno.test("pieces: a pause at each place changes no grammar and no refusal", () => {
  const schemas = [
    ...CASES.map(([schema]) => schema),
    ...Array.from({ length: 150 }, (_, at) => new SchemaGenerator(seeded(at)).document()),
  ];
  let paused = 0;
  for (const schema of schemas) {
    const wanted = pausing(never, () => make(schema));
    const got = pausing(always, () => make(schema));
    paused += got.pieces.length > wanted.pieces.length ? 1 : 0;
    assert.equal(got.result, wanted.result, JSON.stringify(schema));
  }
  assert.ok(paused > 50, `${paused} of ${schemas.length} paused`);
});

Deno.test("pieces: what is restricted is so from its place on, also where the work before it is done again", () => {
  const kinds = (letters: string, count: number, required: readonly string[]) =>
    [...letters].map((kind) => ({
      type: "object",
      properties: {
        kind: { const: kind },
        ...Object.fromEntries(Array.from({ length: count }, (_, at) => [
          `${kind}${at}`,
          { type: at % 2 ? "string" : "number" },
        ])),
      },
      required,
    }));
  // What does not fit a pattern is made behind a pause.
  const texts = ["^a", "b$", "c"].map((pattern) => ({ type: "string", pattern }));
  const some = { oneOf: [...kinds("abx", 12, []), ...kinds("cd", 8, ["kind"]), ...texts] };
  const { result } = pausing(never, () => make(some));
  assert.match(result, /^root ::=/);
  assert.equal(pausing(always, () => make(some)).result, result);
  const many = { oneOf: [...kinds("ab", 100, []), ...kinds("cd", 30, ["kind"]), ...texts] };
  assert.match(make(many).result, /^root ::=/);
});

Deno.test("pieces: what is not counted in steps is done in many pieces as well", () => {
  // The first time, the property is found among all characters.
  assert.ok(make({ type: "string", pattern: "^\\p{Script=Cherokee}+$" }).pieces.length > 60);
  const unicode = make({ type: "string", pattern: "^\\p{L}{1,9}[^\\p{N}]\\P{Lu}+$" });
  assert.match(unicode.result, /^root ::=/);
  assert.ok(unicode.pieces.length > 200, `${unicode.pieces.length}`);
  const listed = make({ enum: texts(5, 4000) });
  assert.match(listed.result, /^root ::=/);
  assert.ok(listed.pieces.length > 40, `${listed.pieces.length}`);
  const counted = make({ pattern: "[a-z]{24}[0-9]", minLength: 55, maxLength: 70 });
  assert.match(counted.result, /^root ::=/);
  assert.ok(counted.pieces.length > 40, `${counted.pieces.length}`);
  const many = make({
    type: "string",
    allOf: Array.from({ length: 12 }, (_, at) => ({ pattern: `^[^${at}]*$` })),
  });
  assert.match(many.result, /^root ::=/);
  assert.ok(many.pieces.length > 10, `${many.pieces.length}`);
  const unnamed = make({ type: "object", properties: { a: true, b: true }, minProperties: 30 });
  assert.match(unnamed.result, /^root ::=/);
  assert.ok(unnamed.pieces.length > 20, `${unnamed.pieces.length}`);
});

Deno.test("pieces: names of which some are made at once and some in turns are made once each", () => {
  const names = [{ enum: ["a", "b"] }, { pattern: "^[x-z]{1100}$" }];
  const { result, pieces } = make({ type: "object", propertyNames: { anyOf: names } });
  assert.match(result, /^root ::=/);
  assert.ok(pieces.length < 1000, `${pieces.length}`);
});

Deno.test("pieces: what schemas come to in thousands of ways is made once, or refused by name", () => {
  const chain = (length: number, link: (next: unknown) => unknown, end: unknown) => ({
    $defs: Object.fromEntries(
      Array.from({ length }, (_, at) => [
        `d${at}`,
        at === length - 1 ? end : link({ $ref: `#/$defs/d${at + 1}` }),
      ]),
    ),
    $ref: "#/$defs/d0",
  });
  const twice = (keyword: string) => (next: unknown) => ({ [keyword]: [next, next] });
  const all = {
    properties: { a: true },
    required: ["a"],
    items: true,
    contains: true,
    pattern: "a",
    minimum: 1,
    enum: ["a", { a: 1 }, 1],
  };
  const long = texts(300, 300);
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ...Object.values(all).map((value, at) =>
      [chain(60, twice("allOf"), { [Object.keys(all)[at]!]: value }), /^root ::=/] as const
    ),
    [chain(60, twice("anyOf"), { enum: all.enum }), /^root ::=/],
    [chain(60, twice("anyOf"), { type: "string" }), /"anyOf" at .*: its combinations/],
    [{ not: chain(60, twice("allOf"), { pattern: "a" }) }, /"(?:not|\$ref)" at .*/],
    [chain(200, (next) => ({ allOf: [next] }), true), /"\$ref" at .* more than 300 schemas/],
    [chain(3900, (next) => next, true), /"\$ref" at .* more than 300 schemas/],
    [chain(1900, (a) => ({ type: "object", required: ["a"], properties: { a } }), true), /^root/],
    [chain(1900, (items) => ({ type: "array", minItems: 1, items }), true), /^root ::=/],
    [{ propertyNames: { not: { enum: texts(2, 3000) } } }, /^root ::=|too large/],
    [
      {
        properties: Object.fromEntries(long.map((name) => [name, true])),
        patternProperties: { "[ab]{2}": true, "[c]{2}": true },
      },
      /too large/,
    ],
    [{ type: "string", minLength: 5, pattern: `^${"a?".repeat(1990)}$` }, /^root ::=|too large/],
  ];
  for (const [schema, wanted] of cases) {
    assert.match(make(schema).result.slice(0, 300), wanted, JSON.stringify(schema).slice(0, 300));
  }
});

/** So many texts of so many letters, which have little in common. */
function texts(count: number, length: number): string[] {
  const random = seeded(count);
  const letter = () => String.fromCharCode(97 + Math.floor(random() * 26));
  return Array.from({ length: count }, () => Array.from({ length }, letter).join(""));
}

Deno.test("pieces: listed texts, long or many, cost time in proportion", async () => {
  for (const [count, length] of [[5, 1200], [2000, 10]] as const) {
    for (
      const schema of [{ enum: texts(count, length) }, { not: { enum: texts(count, length) } }]
    ) {
      await inProportion(
        `${count} texts of ${length}`,
        () => assert.match(make(schema).result, /^root ::=|too large/),
      );
    }
  }
});

Deno.test("pieces: long texts are refused at their beginning", () => {
  const taken = make({ enum: texts(5, 190_000) });
  assert.match(taken.result, /too large/);
  assert.ok(sum(taken.pieces) < 500_000, `${sum(taken.pieces)} steps`);
});

Deno.test("pieces: an automaton of texts takes these, its opposite all others, with no state too many", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = seeded(seed);
    const text = () =>
      Array.from({ length: random() * 5 }, () => ["a", "b", "😀"][Math.floor(random() * 3)]).join(
        "",
      );
    const list = Array.from({ length: Math.floor(random() * 8) }, text);
    const automaton = runAtOnce(wordsWork(list, new Budget(Infinity)));
    const opposite = negation(automaton);
    for (const one of [...list, ...Array.from({ length: 30 }, text)]) {
      assert.equal(accepts(automaton, one), list.includes(one));
      assert.equal(accepts(opposite, one), !list.includes(one));
    }
    // Myhill and Nerode: as many states as there are different sets of endings.
    const beginnings = new Set(list.flatMap((one) => {
      const all = [...one];
      return [...all.keys(), all.length].map((end) => all.slice(0, end).join(""));
    }));
    const endings = new Set(
      [...beginnings].map((begin) =>
        [...new Set(list)].filter((one) => one.startsWith(begin)).map((one) =>
          one.slice(begin.length)
        )
          .sort().join("|") + list.includes(begin)
      ),
    );
    assert.equal(automaton.states.length, Math.max(1, endings.size), JSON.stringify(list));
    assert.ok(opposite.states.length <= automaton.states.length + 1);
  }
});
