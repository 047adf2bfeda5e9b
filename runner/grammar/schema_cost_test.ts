/**
 * What a schema may cost in all. Costly ones, of every keyword, by generation: what is done for one is counted as it is done, so that
 * it is refused before it has cost more than some steps of making automata.
 */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { Budget } from "./automaton.ts";
import { ReplyGrammar } from "./schema_grammar.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const DRAWS = FULL ? 20 : 1;
/** Turns of what is refused or made: each is some thousand edges that are looked at, at most. */
const MOST_TURNS = 20_000;

/** How many turns a schema took, and what came of it. @throws What is no refusal. */
function cost(schema: unknown): { turns: number; steps: number; result: string } {
  const { take } = Budget.prototype;
  let [turns, steps] = [0, 0];
  Budget.prototype.take = function (count) {
    steps += count;
    take.call(this, count);
  };
  try {
    const grammar = new ReplyGrammar();
    const work = grammar.schema(schema);
    let next = work.next();
    for (; !next.done; next = work.next()) turns++;
    const text = grammar.text(next.value);
    let written = text.next();
    for (; !written.done; written = text.next()) turns++;
    return { turns, steps, result: written.value };
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    return { turns, steps, result: error.message };
  } finally {
    Budget.prototype.take = take;
  }
}

/** What a schema is drawn with. */
interface Draw {
  below(most: number): number;
  /** A text that differs by `at`, of letters. */
  word(at: number, length?: number): string;
}

function drawOf(seed: number): Draw {
  const random = seeded(seed);
  const below = (most: number) => Math.floor(random() * most);
  const shift = below(26);
  const letter = (at: number) => String.fromCharCode(97 + (at + shift) % 26);
  const word = (at: number, length = 6) =>
    Array.from({ length }, (_, n) => letter(at * 7 + n * n * 3 + (at >> n % 30))).join("");
  return { below, word };
}

const list = <T>(count: number, item: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => item(at));
const record = (count: number, name: (at: number) => string, value: (at: number) => unknown) =>
  Object.fromEntries(list(count, (at) => [name(at), value(at)]));
const nest = (depth: number, inner: string, quantifier: string) =>
  list(depth, () => 0).reduce((text) => `(?:${text})${quantifier}`, inner);
const FORMATS = ["date-time", "email", "uri", "ipv6", "uuid", "hostname", "iri", "duration"];

/** By what is costly in it. */
const COSTLY: Readonly<Record<string, (d: Draw) => unknown>> = {
  "patterns, each with a length of its own": (d) => ({
    anyOf: list(300, (at) => ({ type: "string", pattern: d.word(at), minLength: 150 + at % 99 })),
  }),
  "properties with patterns and lengths": (d) => ({
    type: "object",
    properties: record(400, (at) => `p${at}`, (at) => ({ pattern: d.word(at), minLength: 200 })),
  }),
  "references to patterns with lengths": (d) => ({
    $defs: record(300, (at) => `d${at}`, (at) => ({ pattern: d.word(at), minLength: 199 })),
    anyOf: list(300, (at) => ({ $ref: `#/$defs/d${at}` })),
  }),
  "formats with lengths and patterns": (d) => ({
    anyOf: list(300, (at) => ({
      ...{ type: "string", format: FORMATS[at % FORMATS.length], minLength: 1 + at },
      pattern: d.word(at, 1),
    })),
  }),
  "one of many patterns": (d) => ({
    oneOf: list(60, (at) => ({ type: "string", pattern: d.word(at), minLength: 40 + at })),
  }),
  "conditions with patterns": (d) => ({
    allOf: list(8, (at) => ({
      if: { pattern: d.word(at) },
      then: { minLength: 10 * at },
      else: { pattern: d.word(at + 9, 2) },
    })),
  }),
  "dependent patterns": (d) => ({
    type: "object",
    dependentSchemas: record(9, (at) => `a${at}`, (at) => ({
      properties: { [`a${at}`]: { pattern: d.word(at), minLength: 150 } },
    })),
  }),
  "names with patterns and lengths": (d) => ({
    type: "object",
    propertyNames: { anyOf: list(200, (at) => ({ pattern: d.word(at), minLength: 100 })) },
  }),
  "names beside patterns": (d) => ({
    type: "object",
    properties: record(1500, (at) => d.word(at, 200) + at, () => true),
    patternProperties: record(20, (at) => `${d.word(at, 2)}[a-z]`, () => true),
    additionalProperties: false,
  }),
  "more small patterns than branches may be": () => ({
    anyOf: list(3900, (at) => ({ pattern: at.toString(36) })),
  }),
  "texts that few others share a beginning with": (d) => ({
    enum: list(2000, (at) => d.word(at, 40) + at),
  }),
  "long texts": (d) => ({ enum: list(40, (at) => `${at}${d.word(at, 5000)}`) }),
  "steps of numbers": (d) => ({
    anyOf: list(300, (at) => ({
      ...{ type: "integer", multipleOf: 90 + at + d.below(9) },
      ...{ minimum: at, maximum: 1e9 + at },
    })),
  }),
  "items": (d) => ({
    anyOf: list(300, (at) => ({
      ...{ type: "array", items: { pattern: d.word(at) }, minItems: at },
      ...{ maxItems: 1000 + at, contains: { const: at } },
    })),
  }),
  "a schema of items that each of many values is held to": (d) => ({
    const: list(9000 + d.below(99), (at) => [at]),
    items: { prefixItems: list(3000, () => true) },
  }),
  "a list that each of many values is looked for in": () => ({
    const: list(20_000, () => 6993),
    items: { enum: list(1000, (at) => 7 * at) },
  }),
  "numbers that are held to as many others": (d) => ({
    enum: list(9000, (at) => at),
    not: { enum: list(9000, (at) => at + d.below(2) * 4000) },
  }),
  "many schemas under a long name": () => ({
    $defs: { ["n".repeat(400_000)]: { anyOf: list(390, () => ({ anyOf: list(9, () => ({})) })) } },
    $ref: `#/$defs/${"n".repeat(400_000)}`,
  }),
  "many anchors below a long address": () => ({
    $id: `http://a/${"b".repeat(800_000)}/`,
    $defs: record(3000, (at) => `d${at}`, (at) => ({ $anchor: `a${at}` })),
    $ref: "#a0",
  }),
  "many references by way of a long address": () => ({
    $id: `http://a/${"b".repeat(700_000)}/`,
    $defs: record(1900, (at) => `d${at}`, () => ({ type: "string" })),
    allOf: list(1900, (at) => ({ $ref: `./#/$defs/d${at}` })),
  }),
  "a long value that is met with itself": () => ({
    $defs: { a: { enum: [list(30_000, (at) => at)] }, b: { enum: [list(30_000, (at) => at)] } },
    allOf: list(1500, (at) => ({ $ref: `#/$defs/${"ab"[at % 2]}` })),
  }),
  "boundaries in repetitions of repetitions": (d) => ({
    pattern: nest(5 + d.below(30), "\\ba", "{8}"),
  }),
  "look-ahead in repetitions of repetitions": (d) => ({
    pattern: nest(5 + d.below(30), "(?!x)a|b", "{1,8}"),
  }),
  "nothing, repeated and repeated": (d) => ({
    pattern: nest(2 + d.below(30), "(?:)", "{0,2000}"),
  }),
  "what may be left out, hundreds of times": (d) => ({
    pattern: `^${"a?".repeat(500 + d.below(500))}$`,
  }),
  "ranges inside each other": (d) => ({
    pattern: `^(${
      list(170, (at) => `[\\u{${(0x1000 + at).toString(16)}}-\\u{${(0xf000 - at).toString(16)}}]`)
        .join("|")
    }){1,${20 + d.below(60)}}$`,
  }),
  "boundaries and words": (d) => ({
    anyOf: list(100, (at) => ({ pattern: `\\b${d.word(at)}\\b.*\\b${d.word(at + 1)}\\b` })),
  }),
};

for (const [name, schema] of Object.entries(COSTLY)) {
  Deno.test(`schema cost: ${name}: what it comes to is counted`, async () => {
    for (const seed of seeds(DRAWS)) {
      const drawn = schema(drawOf(seed));
      await inProportion(`seed ${seed}`, () => {
        const { turns, steps, result } = cost(drawn);
        assert.match(result, /^root ::=|^the JSON schema's "/, `seed ${seed}`);
        assert.ok(turns < MOST_TURNS, `seed ${seed}: ${turns} turns, ${steps} steps`);
      });
    }
  });
}
