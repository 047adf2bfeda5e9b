/** The table of schema_grammar_test.ts. */

/** Schema, values that it permits, texts that it does not. */
export const CASES: readonly [unknown, readonly unknown[], readonly string[]][] = [
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
      properties: { a: { type: "integer" } },
      maxProperties: 1,
      not: { enum: [{ b: 1 }] },
    },
    [{}, { a: 1 }],
    ['{"a": 1, "c": 2}', '{"a": 1, "b": 2}', '{"b": 1}'],
  ],
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
  // What a property asks for is itself: it is one of the two all the same.
  [
    {
      type: "object",
      properties: { c: { type: "null" }, d: { type: "null" } },
      additionalProperties: false,
      dependentRequired: { c: ["c"] },
      minProperties: 2,
    },
    [{ c: null, d: null }],
    ['{"c": null}', '{"d": null}'],
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
