/** Rules for the values that fit schemas. */
import { exactText } from "../../src/exact_json.ts";
import type { Work } from "../../src/budget.ts";
import { type Algebra, kept } from "./algebra.ts";
import { accepts, ANYTHING, type Automaton, both, Pause, words, wordsWork } from "./automaton.ts";
import { arrayRule } from "./array_rules.ts";
import { bareTerm } from "./bare_rules.ts";
import { type Grammar, literal, type Part, type Rule } from "./gbnf.ts";
import { JSON_NOTATION, nameRule, type Notation } from "./notation.ts";
import { isAnyNumber, numberText } from "./number_text.ts";
import { objectRule } from "./object_rules.ts";
import { Inexpressible, naming } from "./refusal.ts";
import {
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  BITS,
  type Formula,
  type StringRules,
  type Term,
} from "./terms.ts";
import { textRule } from "./text_rules.ts";
import type { TypeName } from "./values.ts";

/** What rules of all notations of one schema share. */
/** UTF-16 units of listed texts whose automaton is made in turns. */
const LONG_LIST = 4096;

interface Shared {
  /** Whether a schema without a type is of those that its keywords are about. */
  readonly guessTypes: boolean;
  readonly waiting: (() => void)[];
  readonly byNotation: Map<string, SchemaRules>;
}

export class SchemaRules {
  readonly grammar: Grammar;
  readonly algebra: Algebra;
  readonly notation: Notation;
  readonly #values = new Map<string, Rule>();
  readonly #texts = new Map<Automaton, Rule>();
  /** Of long lists of texts. */
  readonly #listed = new Map<string, Automaton | Inexpressible>();
  readonly #shared: Shared;

  /** @param options.guessTypes Whether a schema without a type is of those that its keywords are about. */
  constructor(
    grammar: Grammar,
    algebra: Algebra,
    options: { readonly guessTypes: boolean },
    notation = JSON_NOTATION,
    shared?: Shared,
  ) {
    this.grammar = grammar;
    this.algebra = algebra;
    this.notation = notation;
    this.#shared = shared ??
      { guessTypes: options.guessTypes, waiting: [], byNotation: new Map() };
    this.#shared.byNotation.set(notation.id, this);
  }

  /** Rules for values of the same schema in another notation. */
  in(notation: Notation): SchemaRules {
    return this.#shared.byNotation.get(notation.id) ??
      new SchemaRules(this.grammar, this.algebra, this.#shared, notation, this.#shared);
  }

  /** The rule for what stands behind a member's name. @param name Absent: any other than those that are named. */
  memberValue(of: Formula, name?: string): Part {
    return this.in(this.notation.inner?.(name) ?? this.notation).value(of);
  }

  /** The rule for values that fit; it is filled by {@link finish}. */
  value(of: Formula): Part {
    const key = of.join();
    let rule = this.#values.get(key);
    if (rule === undefined) {
      const made = rule = this.grammar.rule();
      this.#values.set(key, made);
      this.#shared.waiting.push(() => this.#fill(made, of));
    }
    return rule;
  }

  /** Makes all rules that were asked for, and lets others work in between. */
  *finish(): Work<void> {
    for (let next; (next = this.#shared.waiting.pop()) !== undefined;) {
      const { budget } = this.algebra;
      const { spent } = this.grammar;
      budget.begin();
      let pause: Pause | undefined;
      try {
        next();
      } catch (error) {
        if (!(error instanceof Pause)) throw error;
        pause = error;
        this.grammar.spend(spent);
        this.#shared.waiting.push(next);
      }
      yield;
      budget.begin();
      for (const _ of pause?.work ?? []) {
        yield;
        budget.begin();
      }
    }
  }

  #fill(rule: Rule, of: Formula): void {
    const { pointer } = this.algebra.document.at((of[0] ?? 0) >> 1);
    // It may be for the second time.
    rule.alternatives.length = 0;
    naming("schema", pointer, () => {
      const { bare } = this.notation;
      for (const term of this.algebra.terms(of)) {
        if (bare === undefined) this.term(rule, term, pointer);
        else bareTerm(this, bare, { rule, term, pointer });
      }
    });
  }

  /** Adds what fits a term to a rule. */
  term(rule: Rule, term: Term, pointer: string): void {
    const { isJson } = this.notation;
    if (term === ANY_VALUE && isJson) return void rule.or("value");
    if (term.values !== undefined) {
      const values = this.algebra.valuesOf(term);
      const texts = values.filter((value) => typeof value === "string");
      // Many texts share their beginnings.
      const many = texts.length > 4;
      if (many) rule.or(this.#quoted(this.#text(this.#words(texts))));
      for (const value of values) {
        if (!many || typeof value !== "string") rule.or(this.constant(value));
      }
      return;
    }
    const types = this.typesOf(term);
    const has = (type: TypeName) => (types & BITS[type]) !== 0;
    if (has("object")) {
      rule.or(
        term.object === ANY_OBJECT && isJson
          ? "object"
          : naming("properties", pointer, () => objectRule(this, term.object)),
      );
    }
    if (has("array")) {
      rule.or(
        term.array === ANY_ARRAY && isJson
          ? "array"
          : naming("items", pointer, () => arrayRule(this, term)),
      );
    }
    if (has("string")) {
      rule.or(
        term.string === ANY_STRING && this.notation.text === JSON_NOTATION.text
          ? "string"
          : naming("pattern", pointer, () => this.string(term)),
      );
    }
    if (has("number")) rule.or(naming("multipleOf", pointer, () => this.#number(term)));
    if (has("boolean")) rule.or(this.notation.words[0]);
    if (has("null")) rule.or(this.notation.words[1]);
  }

  /** The types of what fits a term: where it has none, those that its keywords are about. */
  typesOf(term: Term): number {
    const { types } = term;
    if (!this.#shared.guessTypes || term.typed || term.implied === 0) return types;
    const meant = { ...term, types: types & term.implied };
    return meant.types === 0 || this.algebra.isEmptyTerm(meant) ? types : meant.types;
  }

  /** The texts that fit a term, with what stands around a text. */
  string({ string }: Term): Part {
    const { grammar, algebra } = this;
    const { texts, character } = this.notation.text;
    const { automaton, least, most } = algebra.strings(string);
    if (automaton !== ANYTHING) return this.#quoted(this.#text(automaton));
    const counted = least > 0 || most !== undefined;
    if (texts !== ANYTHING && !counted) return this.#quoted(this.#text(texts));
    if (character === undefined) return this.#quoted(this.#countedText(string));
    const repeated = () =>
      naming("maxLength", "#", () => grammar.repeat(grammar.of(character), least, most));
    const rule = grammar.of(this.#quoted(repeated()));
    if (texts === ANYTHING) return rule;
    // Any character, as far as that can be counted.
    try {
      rule.or(this.#quoted(this.#countedText(string)));
    } catch (error) {
      if (!(error instanceof Inexpressible)) throw error;
    }
    return rule;
  }

  #countedText(string: StringRules): Rule {
    const { id, text: { texts } } = this.notation;
    const languages = [...string.languages, { key: `notation:${id}`, automaton: texts }];
    return this.#text(this.algebra.strings({ ...string, languages }).automaton);
  }

  #quoted(body: Part): Rule {
    const { around: [open, close] } = this.notation.text;
    return this.grammar.of(open, body, close);
  }

  /** @throws {Pause} the first time, for long ones; {@link Inexpressible}. */
  #words(texts: readonly string[]): Automaton {
    const { budget } = this.algebra;
    if (texts.reduce((sum, { length }) => sum + length, 0) < LONG_LIST) return words(texts, budget);
    return kept(this.#listed, JSON.stringify(texts), () => wordsWork(texts, budget));
  }

  /** Those of the automaton's texts that can be written. */
  #text(automaton: Automaton): Rule {
    const { text } = this.notation;
    const { budget } = this.algebra;
    let rule = this.#texts.get(automaton);
    if (rule === undefined) {
      const fitting = both(automaton, text.texts, budget);
      this.#texts.set(automaton, rule = textRule(this.grammar, fitting, text.way, budget));
    }
    return rule;
  }

  #number({ number }: Term): Part {
    if (isAnyNumber(number)) return number.whole === true ? "integer" : "number";
    return textRule(
      this.grammar,
      numberText(number, this.algebra.budget),
      "plain",
      this.algebra.budget,
    );
  }

  /** A value as it is written, with white space where it may be; a rule without alternatives if it cannot be. */
  constant(value: unknown): Part {
    const { grammar, notation } = this;
    if (Array.isArray(value)) {
      const parts = value.flatMap((item, at): Part[] =>
        at === 0 ? [this.constant(item)] : [`"," ws`, this.constant(item)]
      );
      return grammar.of(`"[" ws`, ...parts, `ws "]"`);
    }
    if (value !== null && typeof value === "object") {
      const [open, close, comma] = notation.object;
      const parts = Object.entries(value).flatMap(([name, inner], at): Part[] => {
        const of = this.in(notation.inner?.(name) ?? notation);
        const [before, between, after] = notation.member;
        const written = nameRule(grammar, notation, name);
        const pair = [before, written, between, of.constant(inner), after];
        return at === 0 ? pair : [comma, ...pair];
      });
      return grammar.of(open, ...parts, close);
    }
    if (typeof value === "string") return this.#constantText(value);
    if (typeof value === "boolean") return notation.constants(value);
    return value === null ? notation.words[1] : literal(exactText(value));
  }

  #constantText(value: string): Part {
    const { grammar, notation: { text } } = this;
    if (text.way === "json") return literal(written(value, text.texts));
    return accepts(text.texts, value) ? this.#quoted(literal(value)) : grammar.rule();
  }
}

/** A text as JSON, in which a mark that it may not hold is broken by an escape. */
function written(value: string, texts: Automaton): string {
  const json = JSON.stringify(value);
  return accepts(texts, value) ? json : json.replaceAll("<", "\\u003c");
}
