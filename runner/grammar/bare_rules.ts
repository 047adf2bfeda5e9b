/** Values that stand as they are, of which a reader tells by the schema whether they are texts. */
import { accepts, ANYTHING, type Automaton, both, Budget, negation } from "./automaton.ts";
import { TRIMMED } from "./code_set.ts";
import { literal, type Rule } from "./gbnf.ts";
import type { Notation } from "./notation.ts";
import type { Reading } from "../../src/replies/tools.ts";
import { naming } from "./refusal.ts";
import {
  ANY_TEXT,
  automatonOf,
  codes,
  DIGIT,
  either,
  plain,
  type Regular,
  repeat,
  sequence,
} from "./regular.ts";
import type { SchemaRules } from "./schema_rules.ts";
import { BITS, type Term } from "./terms.ts";

export interface BareValues {
  /** Around a text, and around any other value. */
  readonly text: readonly [open: string, close: string];
  readonly other: readonly [open: string, close: string];
  /** Of what is no text. */
  readonly json: Notation;
  readonly reading: Reading;
}

/** Adds what fits a term to a rule. */
export function bareTerm(
  rules: SchemaRules,
  { text, other, json, reading }: BareValues,
  { rule, term, pointer }: { readonly rule: Rule; readonly term: Term; readonly pointer: string },
): void {
  const { grammar, algebra } = rules;
  const types = rules.typesOf(term);
  const inJson = rules.in(json);
  const rest: Term = { ...term, types: types & ~BITS.string, typed: true };
  if (rest.types !== 0) {
    const values = grammar.rule();
    inJson.term(values, rest, pointer);
    // Templates write Python's words.
    if (term.values === undefined) {
      if ((types & BITS.boolean) !== 0) values.or(`("True" | "False")`);
      if ((types & BITS.null) !== 0) values.or(`"None"`);
    }
    if (values.alternatives.length > 0) rule.or(other[0], values, other[1]);
  }
  if ((types & BITS.string) === 0) return;
  const texts: Term = { ...term, types: BITS.string, typed: true };
  const quotes = reading.kind === "typed" && reading.types.has("string");
  if (term.values === undefined) {
    rule.or(text[0], naming("pattern", pointer, () => rules.string(texts, pointer)), text[1]);
  } else {
    for (const value of algebra.valuesOf(texts) as string[]) {
      if (accepts(rules.notation.text.texts, value)) rule.or(text[0], literal(value), text[1]);
    }
  }
  if (quotes) {
    const quoted = grammar.rule();
    inJson.term(quoted, texts, pointer);
    if (quoted.alternatives.length > 0) rule.or(text[0], quoted, text[1]);
  }
}

const SPACES = repeat(codes(TRIMMED), 0);
const oneOf = (text: string): Regular => either(...[...text].map((char) => plain(char)));
const optional = (item: Regular): Regular => repeat(item, 0, 1);
const between = (open: string, close: string): Regular =>
  sequence(plain(open), ANY_TEXT, plain(close));

const READ: Readonly<Record<string, Regular>> = {
  number: sequence(
    optional(plain("-")),
    either(plain("0"), sequence(oneOf("123456789"), repeat(DIGIT, 0))),
    optional(sequence(plain("."), repeat(DIGIT, 1))),
    optional(sequence(oneOf("eE"), optional(oneOf("+-")), repeat(DIGIT, 1))),
  ),
  boolean: either(...["true", "false", "True", "False"].map(plain)),
  null: either(plain("null"), plain("None")),
  object: between("{", "}"),
  array: between("[", "]"),
  string: between('"', '"'),
};

const known = new Map<string, Automaton>();

/** The texts that a reader leaves as they are. */
function leftAlone(reading: Reading): Automaton {
  if (reading.kind === "text") return ANYTHING;
  const kinds = new Set(Object.keys(READ));
  if (reading.kind === "typed" && reading.types.has("string")) {
    const { types } = reading;
    for (const kind of kinds) {
      const isRead = types.has(kind) || (kind === "number" && types.has("integer"));
      if (!isRead) kinds.delete(kind);
    }
  }
  const key = [...kinds].join();
  let automaton = known.get(key);
  if (automaton === undefined) {
    const budget = new Budget(1_000_000);
    const read = sequence(SPACES, either(...[...kinds].map((kind) => READ[kind]!)), SPACES);
    known.set(key, automaton = negation(automatonOf(read, budget)));
  }
  return automaton;
}

/** Texts that are left as they are and that can be told from what follows them. */
export function bareTexts(reading: Reading, apart: Automaton, budget: Budget): Automaton {
  return both(leftAlone(reading), apart, budget);
}
