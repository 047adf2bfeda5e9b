/** Rules for the values that fit schemas. */
import type { Work } from "../../src/budget.ts";
import type { Algebra } from "./algebra.ts";
import { ANYTHING, Pause, words } from "./automaton.ts";
import { arrayRule } from "./array_rules.ts";
import { type Grammar, literal, type Part, type Rule } from "./gbnf.ts";
import { isAnyNumber, numberText } from "./number_text.ts";
import { objectRule } from "./object_rules.ts";
import { naming } from "./refusal.ts";
import { strings } from "./string_text.ts";
import {
  ANY_ARRAY,
  ANY_OBJECT,
  ANY_STRING,
  ANY_VALUE,
  BITS,
  type Formula,
  type Term,
} from "./terms.ts";
import { textRule } from "./text_rules.ts";
import type { TypeName } from "./values.ts";

export class SchemaRules {
  readonly grammar: Grammar;
  readonly algebra: Algebra;
  readonly #values = new Map<string, Rule>();
  readonly #texts = new Map<unknown, Rule>();
  readonly #waiting: (() => void)[] = [];

  readonly #guessTypes: boolean;

  /** @param options.guessTypes Whether a schema without a type is of those that its keywords are about. */
  constructor(grammar: Grammar, algebra: Algebra, options: { readonly guessTypes: boolean }) {
    this.grammar = grammar;
    this.algebra = algebra;
    this.#guessTypes = options.guessTypes;
  }

  /** The rule for values that fit; it is filled by {@link finish}. */
  value(of: Formula): Part {
    const key = of.join();
    let rule = this.#values.get(key);
    if (rule === undefined) {
      const made = rule = this.grammar.rule();
      this.#values.set(key, made);
      this.#waiting.push(() => this.#fill(made, of));
    }
    return rule;
  }

  /** Makes all rules that were asked for, and lets others work in between. */
  *finish(): Work<void> {
    for (let next; (next = this.#waiting.pop()) !== undefined;) {
      const { budget } = this.algebra;
      budget.begin();
      let pause: Pause | undefined;
      try {
        next();
      } catch (error) {
        if (!(error instanceof Pause)) throw error;
        pause = error;
        this.#waiting.push(next);
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
      for (const term of this.algebra.terms(of)) this.#term(rule, term, pointer);
    });
  }

  #term(rule: Rule, term: Term, pointer: string): void {
    if (term === ANY_VALUE) return void rule.or("value");
    if (term.values !== undefined) {
      const values = this.algebra.valuesOf(term);
      const texts = values.filter((value) => typeof value === "string");
      // Many texts share their beginnings.
      if (texts.length > 4) {
        rule.or(
          `"\\""`,
          textRule(this.grammar, words(texts, this.algebra.budget), "json", this.algebra.budget),
          `"\\""`,
        );
      }
      for (const value of values) {
        if (texts.length <= 4 || typeof value !== "string") rule.or(this.constant(value));
      }
      return;
    }
    let { types } = term;
    if (this.#guessTypes && !term.typed && term.implied !== 0) {
      const meant = { ...term, types: types & term.implied };
      if (meant.types !== 0 && !this.algebra.isEmptyTerm(meant)) types = meant.types;
    }
    const has = (type: TypeName) => (types & BITS[type]) !== 0;
    if (has("object")) {
      rule.or(
        term.object === ANY_OBJECT
          ? "object"
          : naming("properties", pointer, () => objectRule(this, term.object)),
      );
    }
    if (has("array")) {
      rule.or(
        term.array === ANY_ARRAY ? "array" : naming("items", pointer, () => arrayRule(this, term)),
      );
    }
    if (has("string")) {
      rule.or(
        term.string === ANY_STRING
          ? "string"
          : naming("pattern", pointer, () => this.#string(term)),
      );
    }
    if (has("number")) rule.or(naming("multipleOf", pointer, () => this.#number(term)));
    if (has("boolean")) rule.or("boolean");
    if (has("null")) rule.or("null");
  }

  #string({ string }: Term): Part {
    const { grammar } = this;
    const { automaton, least, most } = strings(string, this.algebra.budget);
    const body = automaton === ANYTHING
      ? naming("maxLength", "#", () => grammar.repeat(grammar.of("char"), least, most))
      : this.#text(automaton);
    return grammar.of(`"\\""`, body, `"\\""`);
  }

  #text(automaton: Parameters<typeof textRule>[1]): Rule {
    let rule = this.#texts.get(automaton);
    if (rule === undefined) {
      this.#texts.set(
        automaton,
        rule = textRule(this.grammar, automaton, "json", this.algebra.budget),
      );
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

  /** A value as JSON, with white space where it may be. */
  constant(value: unknown): Part {
    const { grammar } = this;
    if (Array.isArray(value)) {
      const parts = value.flatMap((item, at): Part[] =>
        at === 0 ? [this.constant(item)] : [`"," ws`, this.constant(item)]
      );
      return grammar.of(`"[" ws`, ...parts, `ws "]"`);
    }
    if (value !== null && typeof value === "object") {
      const parts = Object.entries(value).flatMap(([name, inner], at): Part[] => {
        const pair = [literal(JSON.stringify(name)), `":" ws`, this.constant(inner)];
        return at === 0 ? pair : [`"," ws`, ...pair];
      });
      return grammar.of(`"{" ws`, ...parts, `ws "}"`);
    }
    return literal(JSON.stringify(value));
  }
}
