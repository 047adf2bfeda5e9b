/** `$dynamicRef` and `$recursiveRef` against Python's jsonschema: a document is all that there is, so that what is meant is fixed. */
import assert from "node:assert/strict";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { schemaGrammar } from "./testing.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { judge } from "./testing_judge.ts";

const whole = { type: "integer" };
const NEW = "https://json-schema.org/draft/2020-12/schema";
const OLD = "https://json-schema.org/draft/2019-09/schema";

const TREE = {
  $schema: NEW,
  $dynamicAnchor: "node",
  type: "object",
  properties: { value: whole, children: { type: "array", items: { $dynamicRef: "#node" } } },
  required: ["value"],
  additionalProperties: false,
};

const CASES: readonly [schema: Record<string, unknown>, good: unknown[], bad: unknown[]][] = [
  [TREE, [{ value: 1 }, { value: 1, children: [{ value: 2, children: [] }] }], [
    { children: [] },
    { value: 1, children: [{ value: "2" }] },
    { value: 1, children: [{ value: 2, other: 3 }] },
  ]],
  [
    { $schema: NEW, $dynamicRef: "#/$defs/a", $defs: { a: whole } },
    [1],
    ["a"],
  ],
  [
    {
      $schema: NEW,
      items: { $dynamicRef: "#x", maximum: 3 },
      $defs: { a: { $anchor: "x", ...whole } },
    },
    [[1, 3]],
    [[4], ["a"]],
  ],
  [
    { $schema: OLD, type: "array", items: { anyOf: [whole, { $recursiveRef: "#" }] }, maxItems: 2 },
    [[1, [2, [3, 4]]], []],
    [["a"], [[1, 2, 3]]],
  ],
];

Deno.test("schema: a reference whose way is fixed is kept, and one whose way is not is refused by name", async () => {
  for (const [schema, good, bad] of CASES) {
    const grammar = new TestGrammar(
      schemaGrammar({ type: ["object", "array", "integer"], ...schema }),
    );
    for (const value of good) {
      assert.ok(grammar.accepts(JSON.stringify(value)), JSON.stringify(value));
    }
    for (const value of bad) {
      assert.ok(!grammar.accepts(JSON.stringify(value)), JSON.stringify(value));
    }
  }
  // Debian's jsonschema lets everything pass that a $recursiveRef refers to.
  const judged = CASES.filter(([{ $schema }]) => $schema === NEW);
  const answers = await judge(judged.map(([schema, good, bad]) => ({
    schema,
    texts: [...good, ...bad].map((value) => JSON.stringify(value)),
  })));
  for (const [at, [, good, bad]] of judged.entries()) {
    assert.deepEqual(answers[at], [...good.map(() => true), ...bad.map(() => false)]);
  }
  const refused: readonly [schema: unknown, why: RegExp][] = [
    [
      { ...TREE, $defs: { other: { $id: "other", $dynamicAnchor: "node" } } },
      /\$dynamicRef.*more than one/,
    ],
    [{ $dynamicRef: "other#node" }, /\$dynamicRef.*say \$ref/],
    [{ $dynamicRef: 3 }, /\$dynamicRef.*string/],
    [{ $dynamicRef: "#nothing" }, /\$ref.*not defined/],
    [{ $recursiveRef: "#/$defs/a" }, /\$recursiveRef/],
    [{ $ref: "#/$defs/a", $defs: { a: { $id: "a", $recursiveRef: "#" } } }, /\$recursiveRef.*\$id/],
    [{ enum: [9007199254740993n], multipleOf: 9007199254740993n }, /multipleOf.*2\^53/],
  ];
  for (const [schema, why] of refused) {
    assert.throws(
      () => schemaGrammar(schema),
      (error) =>
        error instanceof SecLlamaError && error.code === "bad-request" && why.test(error.message),
    );
  }
});

Deno.test("schema: random trees of dynamic references write only what is valid", async () => {
  const random = seeded(seeds(1)[0]!);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const part = (depth: number): unknown => {
    const own = { $dynamicRef: pick(["#node", "#node", "#/$defs/leaf", "#leaf"]) };
    if (depth > 2) return pick([whole, { type: "string", maxLength: 2 }, own]);
    return pick([
      () => own,
      () => ({ ...own, minimum: Math.floor(random() * 3) }),
      () => ({ type: "array", items: part(depth + 1), maxItems: 2 }),
      () => ({ type: "object", properties: { a: part(depth + 1) }, additionalProperties: false }),
      () => ({ anyOf: [part(depth + 1), { type: "null" }] }),
    ])();
  };
  const cases: { schema: unknown; texts: string[] }[] = [];
  for (let count = 0; count < 60; count++) {
    const schema = {
      $schema: NEW,
      $dynamicAnchor: "node",
      type: ["object", "null"],
      properties: { a: part(0), b: part(0) },
      additionalProperties: false,
      $defs: { leaf: { $dynamicAnchor: "leaf", ...whole } },
    };
    try {
      const grammar = new TestGrammar(schemaGrammar(schema));
      cases.push({ schema, texts: Array.from({ length: 6 }, () => grammar.sample(random)) });
    } catch (error) {
      assert.ok(error instanceof SecLlamaError, String(error));
    }
  }
  assert.ok(cases.length > 30, `${cases.length} made grammars`);
  const answers = await judge(cases);
  for (const [at, { schema, texts }] of cases.entries()) {
    assert.deepEqual(answers[at], texts.map(() => true), JSON.stringify({ schema, texts }));
  }
});
