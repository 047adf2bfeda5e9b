import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { ReplyGrammar } from "./schema_grammar.ts";
import { schemaGrammar } from "./testing.ts";
import { collect, modelTest, request, withEngine } from "../engine/testing.ts";
import { DEFAULT_SAMPLING } from "../engine/types.ts";

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === "bad-request" && pattern.test(error.message);

/** schema, values it permits, texts it does not. */
const CASES: readonly [unknown, readonly unknown[], readonly string[]][] = [
  [{ type: "object" }, [{}, { a: 1, b: [null, true] }], ["[]", "1"]],
  [true, [1, "a", null, [], {}], ["", "nul"]],
  [
    {
      type: "object",
      properties: { a: { type: "integer" }, b: { type: "string" } },
      required: ["a"],
    },
    [{ a: 1 }, { a: -20, b: "x" }],
    ["{}", '{"b": "x"}', '{"a": 1.5}', '{"a": 1, "c": 2}', '{"a": 1,}', '{"a": 01}'],
  ],
  [
    {
      type: "object",
      properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" } },
    },
    [{}, { a: null }, { b: null }, { c: null }, { a: null, c: null }, {
      a: null,
      b: null,
      c: null,
    }],
    ['{"c": null, "a": null}', '{, "b": null}', '{"a": null "b": null}'],
  ],
  [
    {
      type: "object",
      properties: { ab: { type: "null" } },
      additionalProperties: { type: "boolean" },
    },
    [{ ab: null, x: true }, { a: true }, { abc: false }, { x: true, y: false }, {}],
    ['{"x": true, "ab": false}', '{"x": 1}'],
  ],
  [
    { type: "array", items: { type: "number" }, minItems: 1, maxItems: 3 },
    [[1], [1.5, -2e10, 0]],
    ["[]", "[1, 2, 3, 4]", "[1,]"],
  ],
  [{ type: "array", maxItems: 0 }, [[]], ["[1]"]],
  [{ type: "array", items: { type: "null" }, minItems: 2 }, [[null, null, null]], ["[null]"]],
  [{ prefixItems: [{ type: "null" }, { type: "boolean" }] }, [[null, true], [], [null, true, 3]], [
    "[true, null]",
  ]],
  [{ enum: ["red", 'a"b\\c', 3, null, { x: [1] }] }, ["red", 'a"b\\c', 3, null], ['"blue"', "4"]],
  [{ const: "only" }, ["only"], ['"other"', '"onl"']],
  [{ anyOf: [{ type: "integer" }, { type: "null" }] }, [5, null], ['"a"', "true"]],
  [{ type: ["string", "null"] }, ["", "a", null], ["1"]],
  [{ type: "string", minLength: 2, maxLength: 3 }, ["ab", "abc"], ['"a"', '"abcd"']],
  [{ type: "string", format: "date" }, ["2024-02-28"], ['"2024-13-01"', '"2024"']],
  [{ type: "string", format: "date-time" }, ["2024-02-28T23:59:59Z"], ['"2024-02-28"']],
  [{ type: "string", format: "uuid" }, ["123e4567-e89b-12d3-a456-426614174000"], ['"123e4567"']],
  [{ type: "integer", minimum: 3, maximum: 12 }, [3, 9, 10, 12], ["2", "13", "1", "33"]],
  [
    {
      allOf: [
        { type: "object", properties: { a: { type: "null" } }, required: ["a"] },
        { properties: { b: { type: "null" } }, required: ["b"] },
      ],
    },
    [{ a: null, b: null }],
    ['{"a": null}', '{"b": null}'],
  ],
  [
    {
      $ref: "#/$defs/tree",
      $defs: {
        tree: {
          type: "object",
          properties: {
            v: { type: "integer" },
            kids: { type: "array", items: { $ref: "#/$defs/tree" } },
          },
          required: ["v"],
        },
      },
    },
    [{ v: 1 }, { v: 1, kids: [{ v: 2, kids: [] }, { v: 3 }] }],
    ['{"kids": []}', '{"v": 1, "kids": [1]}'],
  ],
  [
    { type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } } },
    [{ next: null }, { next: { next: {} } }],
    ['{"next": 1}'],
  ],
  [{ type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 5 }, [1, 4], ["0", "5", "-1"]],
  [{ type: "number", minimum: 0, maximum: 1 }, [0, 0.25, 1], ["1.5", "-0.1", "2", "10"]],
  [{ type: "number", minimum: -2, maximum: 3 }, [-2, -1.75, -0.5, 0, 2.99, 3], [
    "-2.1",
    "3.1",
    "4",
  ]],
  [{ type: "number", minimum: 5 }, [5, 5.5, 1234.5], ["4.9", "-5", "0"]],
  [{ type: "number", maximum: -1 }, [-1, -1.5, -99], ["-0.5", "1"]],
  [{ type: "number", minimum: -7, maximum: -5 }, [-5, -6.5, -7], ["-4.9", "-7.5", "6"]],
  [{ type: "number", minimum: 0.5 }, [0.5, 0.75, 7], ["0.4", "0.49999", "0", "-1"]],
  [{ type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 }, [0.5, 0.01], [
    "0",
    "0.0",
    "1",
    "1.0",
  ]],
  [{ type: "integer", multipleOf: 7, minimum: 3 }, [7, 14, 700], ["0", "8", "-7"]],
  [{ type: "number", multipleOf: 0.25 }, [0.25, -3.5, 2], ["0.3", "0.125"]],
  [{ type: "string", pattern: "^(a+)+$" }, ["aaaa"], ['"aaaa!"', '""', "1"]],
  [
    { pattern: String.raw`^[A-Z]{2}-\d{3,}(?:x|yy)?$` },
    ["AB-123", "AB-1234yy"],
    ['"AB-12"', '"ab-123"', '"AB-123z"'],
  ],
  [{ type: "string", pattern: "foo" }, ["foo", "xfooy"], ['"fo"']],
  [{ type: "string", pattern: String.raw`^"\\[^a-c\]]\/.é$` }, ['"\\d/xé'], [
    String.raw`"\"\\a/xé"`,
  ]],
  [{ type: "string", pattern: "^(?!x)(?<y>[\\s\\S]+?)[\\w.%+-]$" }, ["a b."], ['"a "']],
  [{ type: "string", pattern: String.raw`^([a-z]+\.)+$`, maxLength: 30 }, ["a.bc."], [
    '"a."b"',
    '"a"',
  ]],
  [{ type: "string", pattern: "^[a-z]+$", maxLength: 3 }, ["abc"], ['"abcd"']],
  [{ type: "string", pattern: "^a|b$" }, ["ax", "xb"], ['"xa"', '"bx"']],
  [{ type: "string", pattern: "^(a?b?c?){1,40}$" }, ["abcab"], ['"d"']],
  [{ type: "string", pattern: "b", maxLength: 2 }, ["ab", "b"], ['"abb"', '"zz"']],
  [{ type: "string", pattern: "^(?=.*a)(?=.*b)[a-z]{2,4}$" }, ["xbya"], ['"xaya"']],
  [{ type: "string", minLength: 2, enum: ["a", "ab", 3] }, ["ab"], ['"a"', "3"]],
  [{ type: "string", const: "x" }, ["x"], ['"y"']],
  [
    {
      type: "object",
      properties: { a: { type: "null" } },
      required: ["a"],
      anyOf: [{ required: ["b"] }, { required: ["c"] }],
    },
    [{ a: null, b: 1 }, { a: null, c: [] }],
    ['{"a": null}', '{"b": 1}'],
  ],
  [
    {
      type: "object",
      properties: { a: { type: "integer" } },
      required: ["a"],
      $ref: "#/$defs/b",
      $defs: { b: { properties: { a: { minimum: 5 }, b: { type: "null" } }, required: ["b"] } },
    },
    [{ a: 5, b: null }],
    ['{"a": 4, "b": null}', '{"a": 5}'],
  ],
  [
    {
      allOf: [{ properties: { a: { type: "integer" } } }, {
        properties: { a: { maximum: 2, minimum: 1 } },
      }],
    },
    [{ a: 1 }],
    ['{"a": 3}', '{"a": 1.5}'],
  ],
  [
    { type: "object", properties: { a: { type: "null" }, b: { type: "null" } }, minProperties: 1 },
    [{ a: null }, { b: null }],
    ["{}"],
  ],
  [
    { type: "object", properties: { a: { type: "null" }, b: { type: "null" } }, maxProperties: 1 },
    [{}, { b: null }],
    ['{"a": null, "b": null}'],
  ],
  [
    {
      type: "object",
      properties: { a: { type: "null" }, b: { type: "null" } },
      dependentRequired: { a: ["b"] },
    },
    [{}, { b: null }, { a: null, b: null }],
    ['{"a": null}'],
  ],
  [
    { type: "object", patternProperties: { "^x": { type: "null" } }, additionalProperties: false },
    [{}, { x: null, xy: null }],
    ['{"y": null}', '{"x": 1}'],
  ],
  [
    { prefixItems: [{ type: "null" }, { type: "boolean" }], items: false, minItems: 1 },
    [[null], [null, true]],
    ["[]", "[null, true, 1]"],
  ],
  [
    {
      type: "array",
      items: [{ type: "null" }, { type: "boolean" }],
      additionalItems: { type: "integer" },
    },
    [[], [null], [null, true, 3, 4]],
    ["[true]", "[null, true, null]"],
  ],
  [
    { type: "array", items: { type: "integer" }, contains: { minimum: 5 } },
    [[5], [1, 7, 2]],
    ["[]", "[1, 2]"],
  ],
  [
    { type: "array", items: { enum: ["a", "b", "c"] }, uniqueItems: true },
    [[], ["b", "a"], ["c", "a", "b"]],
    ['["a", "a"]'],
  ],
  [{ not: { type: ["object", "array"] } }, [null, 3, "x"], ["{}", "[1]"]],
  [{ type: "string", not: { enum: ["a", "b"] } }, ["ab", ""], ['"a"', '"b"', String.raw`"\u0061"`]],
  [
    {
      type: "object",
      properties: { k: { enum: ["a", "b"] }, v: true },
      required: ["k"],
      if: { properties: { k: { const: "a" } } },
      then: { required: ["v"] },
    },
    [{ k: "a", v: 1 }, { k: "b" }],
    ['{"k": "a"}'],
  ],
  [
    { type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] },
    [{ a: 1 }, { b: 1 }],
    ["{}", '{"a": 1, "b": 1}'],
  ],
  [
    {
      $ref: "#/$defs/a~1b~0c%20d",
      $defs: { "a/b~c d": { $ref: "#here" }, x: { $anchor: "here", type: "null" } },
    },
    [null],
    ["1"],
  ],
  [
    {
      $id: "https://example.com/one",
      $ref: "two",
      $defs: { two: { $id: "two", $ref: "#/$defs/three", $defs: { three: { const: 3 } } } },
    },
    [3],
    ["1"],
  ],
  [
    {
      type: "object",
      propertyNames: { enum: ["a", "b"] },
      additionalProperties: { type: "null" },
      required: ["a"],
    },
    [{ a: null }, { a: null, b: null }],
    ["{}", '{"b": null}', '{"a": null, "c": null}', '{"a": 1}'],
  ],
  [
    {
      type: "object",
      propertyNames: { pattern: "^[xy]$" },
      additionalProperties: { type: "null" },
    },
    [{}, { x: null }],
    ['{"z": null}'],
  ],
  [{ type: "object", required: ["a"] }, [{ a: 1 }], ["{}"]],
];

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
    const jsonGrammar = json.text(json.of("object"));
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
    [{ properties: {}, unevaluatedProperties: false }, /"unevaluatedProperties"/],
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
