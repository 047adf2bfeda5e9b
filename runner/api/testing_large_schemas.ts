/** Schemas of which one part is large. Not part of the product. */
import type { Draw } from "./testing_draw.ts";

const PATTERNS: readonly ((at: number) => string)[] = [
  (at) => `[a-z]{${at % 90 + 1}}[0-9]`,
  (at) => `^(a|b){1,${at % 60 + 1}}x${at}`,
  (at) => `a.{${at % 12}}b${at}`,
  (at) => `^(?!x${at})\\w+$`,
  (at) => `(ab|cd|e${at})*f`,
  (at) => `^[^${String.fromCharCode(97 + at % 26)}]*$`,
  (at) => `\\bw${at}\\b`,
  (at) => `^\\p{L}{${at % 9}}\\d`,
];
const LEAVES: readonly ((at: number) => unknown)[] = [
  (at) => ({ type: "string", minLength: at % 50 }),
  (at) => ({ type: "integer", minimum: at, maximum: at * 7919 }),
  (at) => ({ type: "number", multipleOf: 0.25, exclusiveMinimum: -at }),
  (at) => ({ enum: [`v${at}`, at, null] }),
  (at) => ({ type: "array", items: { type: "string" }, minItems: at % 9, maxItems: at % 9 + 20 }),
  () => ({ format: "date-time" }),
  () => true,
];
const GROUPS = ["allOf", "anyOf", "oneOf"] as const;

/** By the part that is large. */
export const LARGE_SCHEMAS: Readonly<Record<string, (d: Draw) => unknown>> = {
  properties: (d) => {
    const leaf = d.pick(LEAVES);
    const properties = d.record(leaf, 30);
    const required = d.below(2) === 0 ? Object.keys(properties) : [];
    return { type: "object", properties, required, additionalProperties: d.below(2) === 0 };
  },
  "long names": (d) => {
    const long = d.text(Math.ceil(d.size / 9));
    return {
      type: "object",
      properties: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`${long}${at}`, true])),
      ...(d.below(2) === 0 ? { additionalProperties: { type: "integer" } } : {}),
      ...(d.below(2) === 0 ? { required: [`${long}0`] } : {}),
    };
  },
  enum: (d) => {
    const long = 1 + d.below(300);
    return { enum: d.list((at) => d.pick([`${at}${"y".repeat(long)}`, at, [at]]), long) };
  },
  const: (d) => ({
    const: d.pick<unknown>([d.text(), d.record((at) => at, 10), d.list((at) => [at], 8)]),
  }),
  patterns: (d) => {
    const pattern = d.pick(PATTERNS);
    return {
      type: "string",
      [d.pick(GROUPS)]: d.list((at) => ({ pattern: pattern(at) }), 200, 400),
    };
  },
  "patterns of properties": (d) => {
    const pattern = d.pick(PATTERNS);
    return {
      type: "object",
      properties: d.record((at) => ({ type: "string", pattern: pattern(at) }), 60),
    };
  },
  patternProperties: (d) => {
    const pattern = d.pick(PATTERNS);
    return {
      type: "object",
      patternProperties: d.record(d.pick(LEAVES), 60, pattern),
      additionalProperties: d.below(2) === 0,
      minProperties: d.below(5),
    };
  },
  "a long pattern": (d) => {
    const piece = d.pick(["(a|b)", "[a-f]", "a{2,5}", "\\d", "(?=a)", "\\p{L}", "x|", ".*"]);
    return {
      type: "string",
      pattern: piece.repeat(Math.ceil(d.size / piece.length)).replace(/\|$/, ""),
    };
  },
  lengths: (d) => ({
    type: "string",
    pattern: d.pick(PATTERNS)(d.below(90)),
    minLength: d.below(200),
    maxLength: d.size,
  }),
  "a group": (d) => ({ [d.pick(GROUPS)]: d.list(() => d.schemas.document(), 200, 300) }),
  "groups of groups": (d) => ({
    allOf: d.list(
      (n) => ({
        [d.pick(GROUPS)]: d.list(
          (at) => ({
            properties: { [`p${n}_${at}`]: d.pick(LEAVES)(at) },
            required: [`p${n}_${at}`],
          }),
          2000,
          30,
        ),
      }),
      2000,
      40,
    ),
  }),
  nested: (d) =>
    d.nested((inner) => ({ type: "object", properties: { a: inner }, required: ["a"] }), true, 50),
  "nested not": (d) =>
    d.nested((inner) => ({ not: { properties: { a: inner }, required: ["a"] } }), {
      type: "string",
    }, 50),
  conditions: (d) =>
    d.nested(
      (inner) => ({ if: { required: ["a"] }, then: d.pick(LEAVES)(1), else: inner }),
      true,
      80,
    ),
  references: (d) => {
    const count = Math.max(1, Math.floor(d.size / 60));
    const of = () => ({ $ref: `#/$defs/d${d.below(count)}` });
    return {
      $defs: Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${at}`, {
        type: "object",
        properties: { a: of(), b: d.below(2) === 0 ? of() : true },
      }])),
      $ref: "#/$defs/d0",
    };
  },
  "references that double": (d) => {
    const [group, leaf] = [d.pick(GROUPS), d.pick(LEAVES)(d.below(9))];
    const chain = d.list((at) => at, 90);
    const link = (at: number) => {
      const next = { $ref: `#/$defs/d${at + 1}` };
      return { [group]: [next, d.below(2) === 0 ? next : { ...next, minLength: at }] };
    };
    const $defs = Object.fromEntries(chain.map((at) => [`d${at}`, link(at)]));
    const schema = { $defs: { ...$defs, [`d${chain.length}`]: leaf }, $ref: "#/$defs/d0" };
    return d.below(3) === 0 ? { not: schema } : schema;
  },
  "a chain of references": (d) => {
    const chain = d.list((at) => at, 70);
    const links = [
      (next: unknown) => next,
      (next: unknown) => ({ allOf: [next] }),
      (a: unknown) => ({ type: "object", required: ["a"], properties: { a } }),
      (items: unknown) => ({ type: "array", minItems: 1, items }),
    ];
    const link = d.pick(links);
    const $defs = Object.fromEntries(
      chain.map((at) => [`d${at}`, link({ $ref: `#/$defs/d${at + 1}` })]),
    );
    return { $defs: { ...$defs, [`d${chain.length}`]: { type: "string" } }, $ref: "#/$defs/d0" };
  },
  "long names beside patterns": (d) => {
    const long = d.text(Math.ceil(d.size / 9));
    const schema = {
      type: "object",
      properties: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`${long}${at}`, true])),
      patternProperties: Object.fromEntries(
        Array.from(
          { length: 1 + d.below(4) },
          (_, at) => [d.pick(PATTERNS)(at), d.pick(LEAVES)(at)],
        ),
      ),
      additionalProperties: d.pick(LEAVES)(d.below(9)),
    };
    return d.below(2) === 0 ? schema : { not: schema };
  },
  "other values than some": (d) => ({
    type: d.pick([["number"], ["string"], ["number", "string", "object", "array"]]),
    not: { enum: d.list((at) => d.pick<unknown>([at * 7919, `v${at}`, at / 8]), 10, 9000) },
  }),
  "different items": (d) => ({
    type: "array",
    uniqueItems: true,
    items: { enum: d.list((at) => `${"y".repeat(d.below(500))}${at}`, 500, 300) },
  }),
  tuples: (d) => ({ type: "array", prefixItems: d.list(d.pick(LEAVES), 40), items: false }),
  counts: (d) => ({
    type: "array",
    items: d.pick(LEAVES)(3),
    minItems: d.below(d.size),
    maxItems: d.size,
    contains: d.pick(LEAVES)(5),
    maxContains: d.below(300),
  }),
  dependent: (d) => ({
    type: "object",
    properties: d.record(d.pick(LEAVES), 80),
    dependentRequired: d.record((at) => [`p${at + 1}`], 80),
    minProperties: d.below(40),
    maxProperties: d.below(400),
  }),
  unevaluated: (d) => ({
    anyOf: d.list((at) => ({ properties: { [`p${at}`]: true } }), 80, 200),
    unevaluatedProperties: d.pick(LEAVES)(1),
  }),
  random: (d) => d.schemas.document(),
  notes: (d) => ({ type: "object", description: d.text(), examples: d.list((at) => ({ at }), 12) }),
};
