/**
 * How values are written: as JSON, or as a family of models writes the arguments of a call. The rules of schemas are the same in
 * each; what a reader takes for another value than was meant, no rule permits.
 */
import { accepts, ANYTHING, type Automaton } from "./automaton.ts";
import type { BareValues } from "./bare_rules.ts";
import { type Grammar, literal, type Rule } from "./gbnf.ts";

/** How texts are written. */
export interface TextNotation {
  readonly around: readonly [open: string, close: string];
  readonly way: "json" | "plain";
  /** Those that can be written. */
  readonly texts: Automaton;
  /** A rule for one character of texts of which any sequence can be written; absent: there is none. */
  readonly character?: string;
}

/** Parts are in GBNF. */
export interface Notation {
  /** Of all notations of a grammar that differ. */
  readonly id: string;
  /** The rules of JSON itself stand for values of any kind. */
  readonly isJson: boolean;
  readonly object: readonly [open: string, close: string, comma: string];
  /** Around a name and its value. */
  readonly member: readonly [before: string, between: string, after: string];
  /** Members come by their names, not in the schema's order. */
  readonly sorted?: boolean;
  /** Names that can be written, as they are. Absent: all, as JSON. */
  readonly names?: Automaton;
  readonly text: TextNotation;
  /** For either boolean, and for null. */
  readonly words: readonly [boolean: string, none: string];
  constants(value: boolean): string;
  /** Of the value behind a name; of a name that the schema does not have, without one. Absent: the same. */
  inner?(name?: string): Notation;
  /** Texts stand as they are, and a reader decides by the schema what is one. */
  readonly bare?: BareValues;
}

export const JSON_NOTATION: Notation = {
  id: "json",
  isJson: true,
  object: [`"{" ws`, `ws "}"`, `"," ws`],
  member: ["", `":" ws`, ""],
  text: { around: [`"\\""`, `"\\""`], way: "json", texts: ANYTHING, character: "char" },
  words: ["boolean", "null"],
  constants: (value) => literal(String(value)),
};

/** A member's name; a rule without alternatives if it cannot be written. */
export function nameRule(grammar: Grammar, { names }: Notation, name: string): Rule {
  if (names === undefined) return grammar.of(literal(JSON.stringify(name)));
  return accepts(names, name) ? grammar.of(literal(name)) : grammar.rule();
}
