/** Rules for the values that fit schemas. */
import { exactText } from "../../src/exact_json.ts";
import type { Work } from "../../src/budget.ts";
import type { Algebra } from "./algebra.ts";
import { accepts, ANYTHING, type Automaton, Pause } from "./automaton.ts";
import { arrayRule } from "./array_rules.ts";
import { bareTerm } from "./bare_rules.ts";
import { areCountable, type Bounds, countedTexts, TOO_LONG } from "./counted_text.ts";
import { type Grammar, literal, type Part, type Rule } from "./gbnf.ts";
import { JSON_NOTATION, nameRule, type Notation } from "./notation.ts";
import { isAnyNumber } from "./number_text.ts";
import { objectRule } from "./object_rules.ts";
import { Inexpressible, naming, namingWork } from "./refusal.ts";
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
import { type TextWay, textWork } from "./text_rules.ts";
import type { TypeName } from "./values.ts";

/** Steps that count for a pause. */
const STEPS_PER_PAUSE = 4;
/** States of texts up to which an automaton counts the length, though rules could; and if none can. */
const FEW_COUNTED = 512;
const MOST_COUNTED = 2000;

/** What rules of all notations of one schema share. */
interface Shared {
  /** Whether a schema without a type is of those that its keywords are about. */
  readonly guessTypes: boolean;
  /** What is to be made, and what is made in turns. */
  readonly waiting: (() => void | Work<void>)[];
  /** Rules of texts that all notations share, and all schemas of a grammar: formats are the same in each. */
  readonly texts: Readonly<Record<TextWay, Map<Automaton, Rule>>> & {
    /** Of a notation's texts, by its id and the bounds. */
    readonly ofLength: Map<string, Rule>;
  };
  readonly byNotation: Map<string, SchemaRules>;
}

const TEXTS = new WeakMap<Grammar, Shared["texts"]>();

function textsOf(grammar: Grammar): Shared["texts"] {
  const texts = TEXTS.get(grammar) ?? { json: new Map(), plain: new Map(), ofLength: new Map() };
  TEXTS.set(grammar, texts);
  return texts;
}

export class SchemaRules {
  readonly grammar: Grammar;
  readonly algebra: Algebra;
  readonly notation: Notation;
  readonly #values = new Map<string, Rule>();
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
      {
        guessTypes: options.guessTypes,
        waiting: [],
        texts: textsOf(grammar),
        byNotation: new Map(),
      };
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
      let work: Work<unknown> | void;
      try {
        work = next();
      } catch (error) {
        if (!(error instanceof Pause)) throw error;
        work = error.work;
        // What would be found anew for ever comes to an end.
        naming("schema", "#", () => budget.take(STEPS_PER_PAUSE));
        this.grammar.spend(spent);
        this.algebra.undo();
        this.#shared.waiting.push(next);
      }
      yield;
      budget.begin();
      for (const _ of work ?? []) {
        yield;
        budget.begin();
      }
    }
  }

  #fill(rule: Rule, of: Formula): void {
    const { pointer } = this.algebra.document.at((of[0] ?? 0) >> 1);
    const terms = naming("schema", pointer, () => this.algebra.terms(of));
    this.#fillFrom(0, { rule, terms, pointer, before: 0 });
  }

  /**
   * Adds a term to a rule, and then the next one: each on its own, so that one which pauses is all that is done again.
   * @param filled.before Alternatives of the rule that are of the terms before.
   */
  #fillFrom(
    at: number,
    filled: {
      readonly rule: Rule;
      readonly terms: readonly Term[];
      readonly pointer: string;
      readonly before: number;
    },
  ): void {
    const { rule, terms, pointer, before } = filled;
    const term = terms[at];
    if (term === undefined) return;
    this.#shared.waiting.push(() => {
      // It may be for the second time.
      rule.alternatives.length = before;
      naming("schema", pointer, () => {
        const { bare } = this.notation;
        if (bare === undefined) this.term(rule, term, pointer);
        else bareTerm(this, bare, { rule, term, pointer });
      });
      this.#fillFrom(at + 1, { ...filled, before: rule.alternatives.length });
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
      if (many) rule.or(this.#quoted(this.#text(this.algebra.words(texts), "enum", pointer)));
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
          : naming("pattern", pointer, () => this.string(term, pointer)),
      );
    }
    if (has("number")) rule.or(naming("multipleOf", pointer, () => this.#number(term, pointer)));
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
  string({ string }: Term, pointer: string): Part {
    const { grammar, algebra } = this;
    const { texts, character, way } = this.notation.text;
    let made = algebra.strings(string, false);
    const isCounted = ({ least, most }: Bounds) => least > 0 || most !== undefined;
    if (isCounted(made) && made.automaton !== ANYTHING) {
      const states = made.automaton.states.length * texts.states.length;
      const isFew = (made.most ?? made.least) * states <= FEW_COUNTED;
      if (isFew) made = algebra.strings(string, true);
    }
    const { automaton, least, most } = made;
    if (!isCounted(made)) {
      const within = algebra.both(automaton, texts);
      if (within !== ANYTHING) return this.#quoted(this.#written(within, way, "pattern", pointer));
    } else if (automaton !== ANYTHING) {
      return this.#quoted(this.#counted(algebra.both(automaton, texts), { least, most }, pointer));
    }
    if (character === undefined) return this.#quoted(this.#ofLength(string, pointer));
    const repeated = () =>
      naming("maxLength", "#", () => grammar.characters(character, least, most));
    const rule = grammar.of(this.#quoted(repeated()));
    if (texts === ANYTHING) return rule;
    // Any character, as far as that can be counted.
    try {
      rule.or(this.#quoted(this.#ofLength(string, pointer)));
    } catch (error) {
      if (!(error instanceof Inexpressible)) throw error;
    }
    return rule;
  }

  /** The notation's texts of some length. @throws {Pause} {@link Inexpressible} */
  #ofLength(string: StringRules, pointer: string): Rule {
    const { id, text: { texts } } = this.notation;
    const { least, most } = string;
    const states = texts.states.length * (most ?? least);
    if (states > FEW_COUNTED && areCountable(string)) return this.#counted(texts, string, pointer);
    if (states > MOST_COUNTED) throw new Inexpressible(TOO_LONG);
    const known = this.#shared.texts.ofLength;
    const key = `${id} ${least} ${most}`;
    const languages = [{ key: `notation:${id}`, automaton: texts }];
    const rule = known.get(key) ??
      this.#text(
        this.algebra.strings({ least, most, languages }, true).automaton,
        "pattern",
        pointer,
      );
    known.set(key, rule);
    return rule;
  }

  /** Those of an automaton's texts that have some length, by rules that count. */
  #counted(automaton: Automaton, { least, most }: Bounds, pointer: string): Rule {
    const { grammar, notation: { text: { way } }, algebra: { budget } } = this;
    const { waiting } = this.#shared;
    return countedTexts(grammar, automaton, way, budget).within({ least, most }, (work) => {
      waiting.push(() => namingWork("maxLength", pointer, work));
    });
  }

  #quoted(body: Part): Rule {
    const { around: [open, close] } = this.notation.text;
    return this.grammar.of(open, body, close);
  }

  /** Those of the automaton's texts that can be written. @throws {Pause} {@link Inexpressible} */
  #text(automaton: Automaton, keyword: string, pointer: string): Rule {
    const { text } = this.notation;
    return this.#written(this.algebra.both(automaton, text.texts), text.way, keyword, pointer);
  }

  /** Any of some names of members, of those that can be written. @throws {Pause} {@link Inexpressible} */
  names(of: Automaton, pointer: string): Rule {
    const { names } = this.notation;
    if (names !== undefined) {
      return this.#written(this.algebra.both(of, names), "plain", "properties", pointer);
    }
    const { way, texts } = this.notation.text;
    const fitting = way === "json" ? this.algebra.both(of, texts) : of;
    const text = this.#written(fitting, "json", "properties", pointer);
    return this.grammar.of(`"\\""`, text, `"\\""`);
  }

  #number({ number }: Term, pointer: string): Part {
    if (isAnyNumber(number)) return number.whole === true ? "integer" : "number";
    return this.#written(this.algebra.numbers(number), "plain", "multipleOf", pointer);
  }

  /** The rule of an automaton's texts, which is filled in turns. It is refused by the keyword and the place that asked first. */
  #written(automaton: Automaton, notation: TextWay, keyword: string, pointer: string): Rule {
    const { waiting, texts: { [notation]: known } } = this.#shared;
    let rule = known.get(automaton);
    if (rule === undefined) {
      known.set(automaton, rule = this.grammar.rule());
      const { grammar, algebra: { budget } } = this;
      const work = textWork(grammar, { rule, automaton, notation, budget });
      waiting.push(() => namingWork(keyword, pointer, work));
    }
    return rule;
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
