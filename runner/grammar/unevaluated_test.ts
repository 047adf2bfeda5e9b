/** `unevaluatedProperties` and `unevaluatedItems` against Python's jsonschema: by cases, and by generation. */
import assert from "node:assert/strict";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { schemaGrammar } from "./testing.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { judge } from "./testing_judge.ts";

const text = { type: "string" };
const whole = { type: "integer" };
const BASE = { type: "object", properties: { id: whole }, required: ["id"] };

const CASES: readonly [schema: Record<string, unknown>, good: unknown[], bad: unknown[]][] = [
  [
    {
      $ref: "#/$defs/base",
      properties: { name: text },
      unevaluatedProperties: false,
      $defs: { base: BASE },
    },
    [{ id: 1 }, { name: "a", id: 1 }],
    [{ id: 1, other: 1 }, { name: "a" }],
  ],
  [
    {
      allOf: [BASE, { properties: { a: text } }],
      anyOf: [{ properties: { b: whole }, required: ["b"] }, {
        properties: { c: whole },
        required: ["c"],
      }],
      unevaluatedProperties: false,
    },
    [{ id: 1, a: "x", b: 1 }, { id: 1, c: 1 }, { id: 1, b: 1, c: 2 }],
    [{ id: 1 }, { id: 1, b: 1, d: 2 }],
  ],
  [
    { ...BASE, unevaluatedProperties: text },
    [{ id: 1 }, { id: 1, z: "a" }],
    [{ id: 1, z: 2 }],
  ],
  [
    {
      type: "object",
      if: { properties: { kind: { const: "a" } }, required: ["kind"] },
      then: { properties: { x: whole } },
      else: { properties: { kind: text, y: whole } },
      unevaluatedProperties: false,
    },
    [{ kind: "a", x: 1 }, { kind: "b", y: 1 }, {}],
    [{ kind: "a", y: 1 }, { kind: "b", x: 1 }],
  ],
  [
    { type: "array", allOf: [{ prefixItems: [text] }], unevaluatedItems: whole },
    [["a"], ["a", 1, 2], []],
    [["a", "b"], [1]],
  ],
  [
    { type: "array", contains: { const: "x" }, unevaluatedItems: whole },
    [["x"], [1, "x", 2, "x"]],
    [[1], ["x", "y"]],
  ],
  [{ enum: [{ id: 1 }, { id: 1, a: 2 }, 3], ...BASE, unevaluatedProperties: false }, [{ id: 1 }], [{
    id: 1,
    a: 2,
  }, 3]],
  [
    { type: "object", not: { not: { properties: { a: whole } } }, unevaluatedProperties: text },
    [{}, { b: "x" }],
    [{ a: 1 }],
  ],
  [
    {
      type: "object",
      if: { not: { properties: { a: whole }, required: ["a"] } },
      else: { required: ["a"] },
      unevaluatedProperties: false,
    },
    [{}],
    [{ a: 1 }],
  ],
  [
    { type: "array", allOf: [{ not: { not: { prefixItems: [whole] } } }], unevaluatedItems: text },
    [[]],
    [[1], [1, "x"]],
  ],
];

Deno.test("schema: what no other keyword looks at is held to unevaluated…", async () => {
  for (const [schema, good, bad] of CASES) {
    const grammar = new TestGrammar(schemaGrammar(schema));
    for (const value of good) {
      assert.ok(takes(grammar, value), `${JSON.stringify(schema)} takes ${JSON.stringify(value)}`);
    }
    for (const value of bad) {
      assert.ok(
        !takes(grammar, value),
        `${JSON.stringify(schema)} refuses ${JSON.stringify(value)}`,
      );
    }
  }
  const texts = CASES.map(([schema, good, bad]) => ({
    schema,
    texts: [...good, ...bad].map((value) => JSON.stringify(value)),
  }));
  const answers = await judge(texts);
  for (const [at, [, good, bad]] of CASES.entries()) {
    assert.deepEqual(answers[at], [...good.map(() => true), ...bad.map(() => false)]);
  }
});

/** Whether the members' order is one that it takes. */
function takes(grammar: TestGrammar, value: unknown): boolean {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return grammar.accepts(JSON.stringify(value));
  }
  return orders(Object.entries(value)).some((entries) =>
    grammar.accepts(JSON.stringify(Object.fromEntries(entries)))
  );
}

function orders<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((one, at) => orders(list.toSpliced(at, 1)).map((others) => [one, ...others]));
}

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

Deno.test("schema: random schemas with unevaluated… permit only what is valid", async () => {
  const random = seeded(seeds(1)[0]!);
  const cases: { schema: unknown; texts: string[]; grammar: TestGrammar }[] = [];
  let refused = 0;
  for (let count = 0; count < (FULL ? 3000 : 60); count++) {
    const schema = composed(random);
    try {
      const grammar = new TestGrammar(schemaGrammar(schema));
      const texts = Array.from({ length: 6 }, () => grammar.sample(random));
      cases.push({ schema, texts, grammar });
    } catch (error) {
      assert.ok(error instanceof SecLlamaError, String(error));
      refused++;
    }
  }
  const answers = await judge(cases);
  let judged = 0;
  for (const [at, answer] of answers.entries()) {
    for (const [index, valid] of answer!.entries()) {
      judged++;
      const { schema, texts } = cases[at]!;
      assert.equal(valid, true, `${JSON.stringify(schema)}\n${texts[index]}`);
    }
  }
  console.log(`${judged} texts of ${cases.length} schemas are valid; ${refused} schemas refused`);
  assert.ok(judged > 100);
});

/** Without what Debian's jsonschema misreads: a schema of additionalProperties or unevaluatedProperties inside another. */
function composed(random: () => number): Record<string, unknown> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const value = () =>
    pick<unknown>([text, whole, { const: "k" }, { const: 1 }, true, { type: "null" }]);
  const isArray = random() < 0.3;
  const simple = (): Record<string, unknown> => {
    if (isArray) {
      return {
        ...(random() < 0.7
          ? { prefixItems: [value(), value()].slice(random() < 0.5 ? 1 : 0) }
          : {}),
        ...(random() < 0.2 ? { minItems: 1 } : {}),
        ...(random() < 0.1 ? { items: value() } : {}),
        ...(random() < 0.2 ? { maxItems: 3 } : {}),
      };
    }
    const names = ["a", "b", "c"].filter(() => random() < 0.5);
    return {
      properties: Object.fromEntries(names.map((name) => [name, value()])),
      ...(random() < 0.5 ? { required: names.slice(0, 1) } : {}),
      ...(random() < 0.2 ? { patternProperties: { "^x": value() } } : {}),
      ...(random() < 0.1 ? { additionalProperties: false } : {}),
    };
  };
  const part = (): unknown => random() < 0.2 ? { allOf: [simple(), simple()] } : simple();
  const list = () => Array.from({ length: 1 + Math.floor(random() * 3) }, part);
  const out: Record<string, unknown> = { type: isArray ? "array" : "object", ...simple() };
  if (random() < 0.4) out.allOf = list();
  if (random() < 0.4) out.anyOf = list();
  if (random() < 0.2) out.oneOf = list();
  if (random() < 0.25) out.$ref = "#/$defs/one";
  if (random() < 0.2) {
    out.if = simple();
    if (random() < 0.8) out.then = part();
    if (random() < 0.8) out.else = part();
  }
  if (!isArray && random() < 0.2) out.dependentSchemas = { a: simple() };
  if (isArray && random() < 0.3) out.contains = value();
  const rest = random() < 0.6 ? false : pick([text, whole]);
  out[isArray ? "unevaluatedItems" : "unevaluatedProperties"] = rest;
  out.$defs = { one: simple() };
  return out;
}
