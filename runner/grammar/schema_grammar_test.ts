import { runAtOnce } from "../../src/budget.ts";
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { ReplyGrammar } from "./schema_grammar.ts";
import { schemaGrammar } from "./testing.ts";
import { CASES } from "./testing_schema_cases.ts";
import { collect, modelTest, request, withEngine } from "../engine/testing.ts";
import { DEFAULT_SAMPLING } from "../engine/types.ts";

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === "bad-request" && pattern.test(error.message);

modelTest("schema: each grammar takes what fits and nothing else", (modelPath) => {
  const probe = new GrammarProbe(modelPath);
  try {
    for (const [schema, good, bad] of CASES) {
      const grammar = schemaGrammar(schema);
      for (const value of good) {
        // As models write it, and without any space.
        const spaced = JSON.stringify(value).replaceAll(/(?<=[:,])(?=["\[{\dtfn-])/g, " ");
        for (const text of [JSON.stringify(value), value instanceof Object ? spaced : ""]) {
          if (text === "") continue;
          assert.equal(
            probe.accepts(grammar, text),
            true,
            `${JSON.stringify(schema)} takes ${text}`,
          );
        }
      }
      for (const text of bad) {
        assert.equal(
          probe.accepts(grammar, text),
          false,
          `${JSON.stringify(schema)} refuses ${text}`,
        );
      }
    }
    const json = new ReplyGrammar();
    const jsonGrammar = runAtOnce(json.text(json.of("object")));
    assert.equal(probe.accepts(jsonGrammar, '{"a": [1, "x\\n", {"b": null}]}'), true);
    assert.equal(probe.accepts(jsonGrammar, "[1]"), false);
  } finally {
    probe.free();
  }
  return Promise.resolve();
});

modelTest(
  "schema: at the limits a grammar is still parsed, and a step stays quick",
  (modelPath) => {
    const probe = new GrammarProbe(modelPath);
    try {
      const long = { type: "string", minLength: 1000, maxLength: 1000 };
      assert.equal(probe.accepts(schemaGrammar(long), `"${"a".repeat(1000)}"`), true);
      const many = { type: "array", items: { type: "null" }, minItems: 900, maxItems: 1000 };
      assert.equal(probe.accepts(schemaGrammar(many), "[]"), false);
      // The worst kind of union: branches that all stay open.
      const twin = (n: number) => ({
        type: "object",
        properties: { a: { type: "string", maxLength: n } },
      });
      const union = schemaGrammar({
        anyOf: Array.from({ length: 200 }, (_, n) => twin(n % 20 + 1)),
      });
      const ratio = probe.cost(union, "") / probe.cost(schemaGrammar(twin(1)), "");
      assert.ok(ratio < 1000, `a step takes ${ratio.toFixed(0)} times that of one branch`);
    } finally {
      probe.free();
    }
    return Promise.resolve();
  },
);

modelTest(
  "schema: a model that knows nothing of JSON writes JSON of the wanted shape",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const schema = {
        type: "object",
        properties: {
          name: { type: "string", maxLength: 8 },
          age: { type: "integer", minimum: 1, maximum: 120 },
          tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 3 },
        },
        required: ["name", "age", "tags"],
      };
      for (let seed = 0; seed < 8; seed++) {
        const { text, done } = await collect(
          engine,
          request("Once", {
            grammar: schemaGrammar(schema),
            maxTokens: 300,
            sampling: {
              ...DEFAULT_SAMPLING,
              temperature: 1.5,
              topK: seed % 2 ? 40 : 0,
              topP: 1,
              seed,
            },
          }),
        );
        assert.equal(done.reason, "stop", text);
        const value = JSON.parse(text);
        assert.deepEqual(Object.keys(value), ["name", "age", "tags"]);
        // llama.cpp takes broken UTF-8 for characters.
        assert.ok([...value.name.replaceAll("\ufffd", "")].length <= 8);
        assert.ok(value.age >= 1 && value.age <= 120);
        assert.ok(value.tags.length <= 3 && value.tags.every((tag: string) => "ab".includes(tag)));
      }
    }),
);

Deno.test("schema: ranges of numbers hold at every edge", () => {
  const bounds = [-1000, -101, -10, -9.5, -1, -0.25, 0, 0.01, 1, 9, 10, 11.75, 99, 105, 999];
  const texts = bounds.flatMap((value) => [value - 0.01, value - 1, value, value + 0.01, value + 1])
    .map((value) => String(Number(value.toFixed(2))));
  for (const least of bounds) {
    for (const most of bounds.filter((value) => value >= least)) {
      for (
        const [low, high] of [["minimum", "maximum"], ["exclusiveMinimum", "exclusiveMaximum"]]
      ) {
        const exclusive = low !== "minimum";
        if (exclusive && least === most) continue;
        const schema = { type: "number", [low!]: least, [high!]: most };
        const grammar = new TestGrammar(schemaGrammar(schema));
        for (const text of texts) {
          const value = Number(text);
          const inside = exclusive
            ? value > least && value < most
            : value >= least && value <= most;
          assert.equal(grammar.accepts(text), inside, `${JSON.stringify(schema)} and ${text}`);
        }
      }
    }
  }
});

Deno.test("schema: what would be large, endless or nothing is refused", () => {
  const nest = (depth: number): unknown =>
    depth === 0 ? { type: "null" } : { type: "array", items: nest(depth - 1) };
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, { type: "null" }]));
  const table: [unknown, RegExp][] = [
    [nest(200), /nests deeper/],
    [{ type: "object", properties: fields(5000) }, /more than 4000 parts/],
    [{ enum: ["x".repeat(1_100_000)] }, /too large|characters/],
    [
      { anyOf: Array.from({ length: 500 }, (_, at) => ({ maxLength: at })) },
      /"anyOf".*more than 400 branches/,
    ],
    [{ type: "string", minLength: 10_000_000 }, /"maxLength" .*repeats more than/],
    [{ type: "array", minItems: 5, maxItems: 4 }, /permits nothing/],
    [{ $ref: "#" }, /"\$ref" at #.*without end/],
    [{ anyOf: [{ type: "null" }, { $ref: "#" }] }, /without end/],
    [
      { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
      /without/,
    ],
    [{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, /comes to an end/],
    [{ $ref: "#/nowhere" }, /"\$ref" at #: .*not defined/],
    [{ $ref: "#/__proto__/x" }, /not defined/],
    [{ $ref: "#nowhere" }, /not defined/],
    [{ $ref: "https://example.com/x" }, /outside/],
    [{ type: "array", items: false, minItems: 1 }, /permits nothing/],
    [{ type: "text" }, /"type" at #: .*unknown type/],
    [{ enum: [] }, /"enum" at #: it is empty/],
    [
      { enum: Array.from({ length: 10_001 }, (_, at) => `v${at}`) },
      /"enum" at #: it has more than/,
    ],
    [
      { properties: { a: { required: true } } },
      /"required" at #\/properties\/a: it must be a list/,
    ],
    [{ minLength: "3" }, /"minLength"/],
    [{ properties: { "a/b": { minItems: -1 } } }, /"minItems" at #\/properties\/a~1b/],
    [{ type: "string", pattern: String.raw`^(a)\1$` }, /"pattern".*back-references/],
    [{ type: "string", pattern: "(?<=a)b" }, /"pattern".*look-behind/],
    [{ type: "string", pattern: "^[z-a]$" }, /"pattern".*no regular expression/],
    [{ type: "string", pattern: "(".repeat(5000) }, /"pattern"/],
    [{ type: "string", pattern: "^((x{99}){99}){99}$" }, /"pattern".*too large/],
    [{ not: { unevaluatedProperties: false } }, /"unevaluatedProperties" at #\/not.*opposite/],
    [{ type: "array", items: { type: "string" }, uniqueItems: true }, /"uniqueItems"/],
    [{ type: "number", multipleOf: 0.1 }, /"multipleOf".*validators disagree/],
    [{ not: { uniqueItems: true } }, /"uniqueItems" at #\/not/],
    [{ const: 2 ** 60 }, /"const".*2\^53/],
    [{ type: "string", format: "regex" }, /"format"/],
    ["a string", /must be an object/],
    [null, /must be an object/],
  ];
  for (const [schema, pattern] of table) {
    assert.throws(() => schemaGrammar(schema), refused(pattern));
  }
});

/** Expressions that make a backtracking engine, or a grammar that follows every way at once, slow. */
const BOMBS = [
  "^(a+)+$",
  "^(a|a)*$",
  "^((a|aa)+)+$",
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "(((.+)+)+)+$",
  "^(x?){100}(y?){100}$",
  "^(a*b*c*d*e*f*g*h*){1,10}$",
  "^((a|b|c|d)?(a|b|c|d)?(a|b|c|d)?(a|b|c|d)?){1,40}z$",
  `^(x${"(a|b|c|d)?".repeat(23)}){1,40}z$`,
  `^${"(a|b)+".repeat(100)}$`,
];

modelTest(
  "schema: no pattern makes a token slow",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const msPerToken = async (pattern: string) => {
        const grammar = schemaGrammar({ type: "string", pattern });
        const started = performance.now();
        const { done } = await collect(engine, request("x", { grammar, maxTokens: 60 }));
        return (performance.now() - started) / done.evalTokens;
      };
      const plain = await msPerToken("^[a-z ]{100}$");
      for (const pattern of BOMBS) {
        const ratio = await msPerToken(pattern) / plain;
        // The worst measured is 11 ms a token; a bomb that goes off takes seconds.
        assert.ok(
          ratio < 300,
          `${pattern}: a token takes ${ratio.toFixed(0)} times that of a plain one`,
        );
      }
    }),
);
