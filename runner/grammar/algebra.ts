/** From the schemas of a document to terms: conjunctions are multiplied out, and asked whether anything fits them. */
import { accepts, type Budget, isEmpty, Pause } from "./automaton.ts";
import { MadeOnce } from "./made_once.ts";
import { negativeTerms } from "./negative.ts";
import { noNumber } from "./number_text.ts";
import type { Properties } from "./object_rules.ts";
import { positiveTerms } from "./positive.ts";
import { naming, refuse } from "./refusal.ts";
import type { Keywords, SchemaDocument, SchemaNode } from "./schema_document.ts";
import { fitsTerm } from "./term_values.ts";
import {
  ANY_VALUE,
  BITS,
  type Field,
  type Formula,
  formula,
  type Literal,
  meet,
  type ObjectRules,
  type Term,
  weightOf,
} from "./terms.ts";
import { type TypeName, ValueChecker } from "./values.ts";

/** Tunables. */
const LIMITS = {
  /** Terms of one schema: each may be open at the same time. */
  terms: 400,
  /** Terms made in all. */
  work: 100_000,
  /** Schemas inside each other, by reference or by keyword: the call stack must hold them. */
  depth: 300,
  /** Values inside each other that are asked whether they are empty. */
  values: 100,
  /** Conjunctions that are looked at in one piece of work. */
  looks: 512,
} as const;

/** Parts of terms that are copied for one step of the budget. */
const UNITS_PER_STEP = 4;
/** Steps for the terms of one schema, besides what its keywords take. */
const STEPS_PER_SCHEMA = 4;

export class Algebra extends MadeOnce {
  readonly document: SchemaDocument;
  readonly checker: ValueChecker;
  /** Of objects, as object_rules.ts found them before others worked. */
  readonly properties = new WeakMap<ObjectRules, Properties>();
  readonly #expanded = new Map<Literal, readonly Term[]>();
  readonly #open = new Set<Literal>();
  readonly #lists = new WeakMap<readonly unknown[], readonly Literal[]>();
  readonly #terms = new Map<string, readonly Term[]>();
  readonly #empty = new Map<string, boolean>();
  readonly #fields = new WeakMap<ObjectRules, { named: Map<string, Literal[]>; rest: Field[] }>();
  /** Terms that were made, and places where less is permitted than the schema does. */
  #done = { work: 0, restrictions: 0 };
  /** Of that, what need not be done again. */
  #kept = { work: 0, restrictions: 0 };
  #looked = 0;
  #asked = 0;

  constructor(document: SchemaDocument, budget: Budget) {
    super(budget);
    this.document = document;
    this.checker = new ValueChecker(document, budget, {
      pattern: (source, reading, { pointer }) =>
        naming("pattern", pointer, () => this.pattern(source, reading)),
      format: (name, { pointer }) => naming("format", pointer, () => this.format(name))?.rough,
    });
  }

  literal(node: SchemaNode, negated = false): Literal {
    return 2 * node.id + (negated ? 1 : 0);
  }

  get yes(): Literal {
    return this.literal(this.document.yes);
  }

  get no(): Literal {
    return this.literal(this.document.no);
  }

  /** Somewhere less is permitted than the schema does, so that nothing being left does not mean that nothing fits. */
  get restricted(): boolean {
    return this.#done.restrictions > 0;
  }

  restrict(): void {
    this.#done.restrictions++;
  }

  /** Takes back what will be done again behind a pause. */
  undo(): void {
    this.#done = { ...this.#kept };
  }

  /** Makes what is kept, so that its work is not taken back. */
  #keeping<T>(make: () => T): T {
    const before = { ...this.#done };
    const { work, restrictions } = this.#kept;
    const made = make();
    this.#kept = {
      work: work + this.#done.work - before.work,
      restrictions: restrictions + this.#done.restrictions - before.restrictions,
    };
    return made;
  }

  /** The schemas of a keyword that has a list of them; none where it is absent. */
  list(node: SchemaNode, keyword: string): readonly Literal[] {
    const schemas = (node.schema as Keywords)[keyword] as readonly unknown[] | undefined;
    if (schemas === undefined) return [];
    const known = this.#lists.get(schemas) ??
      schemas.map((_, at) => this.literal(this.document.child(node, keyword, at)));
    this.#lists.set(schemas, known);
    return known;
  }

  /** What values fit a conjunction. */
  terms(of: Formula): readonly Term[] {
    this.budget.look(1 + of.length);
    const key = of.join();
    const known = this.#terms.get(key);
    if (known !== undefined) return known;
    for (const literal of of) this.expand(literal);
    const terms = this.#keeping(() => this.all(of));
    this.#terms.set(key, terms);
    return terms;
  }

  /** Whether it is certain that no value fits. */
  isEmpty(of: Formula): boolean {
    this.budget.look(1 + of.length);
    if (of.includes(this.no)) return true;
    const key = of.join();
    const known = this.#empty.get(key);
    if (known !== undefined) return known;
    // Not for certain. A grammar leaves out what comes to no end.
    if (this.#asked >= LIMITS.values) return false;
    this.#empty.set(key, false); // of what refers to itself
    let empty: boolean | undefined;
    try {
      this.#asked++;
      empty = this.terms(of).every((term) => this.isEmptyTerm(term));
    } finally {
      this.#asked--;
      if (empty === undefined) this.#empty.delete(key);
    }
    this.#empty.set(key, empty);
    if (++this.#looked % LIMITS.looks === 0) throw new Pause();
    this.budget.pauseIfDue();
    return empty;
  }

  isEmptyTerm(term: Term): boolean {
    if (term.values !== undefined) return this.valuesOf(term).length === 0;
    const { number, string, array, object } = term;
    const has = (type: TypeName) => (term.types & BITS[type]) !== 0;
    if (has("null") || has("boolean")) return false;
    if (has("number") && !noNumber(number)) return false;
    if (has("string") && !isEmpty(this.strings(string, false).automaton)) return false;
    if (has("array")) {
      let fine = array.most === undefined || array.most >= array.least;
      const tuple = Math.max(0, ...array.sequences.map(({ prefix }) => prefix.length)) + 1;
      for (let at = 0; fine && at < Math.min(array.least, tuple); at++) {
        fine = !this.isEmpty(this.item(term, at));
      }
      for (const { item, least, most } of array.contains) {
        if (least > (most ?? Infinity) || (least > 0 && this.isEmpty([item]))) fine = false;
      }
      if (fine) return false;
    }
    if (has("object")) {
      const fine = (object.most === undefined ||
        object.most >= Math.max(object.least, object.required.length)) &&
        object.required.every((name) => !this.isEmpty(this.property(object, name)));
      if (fine) return false;
    }
    return true;
  }

  /** What the item at an index must be. */
  item(term: Term, index: number): Formula {
    return formula(term.array.sequences.map(({ prefix, rest }) => prefix[index] ?? rest));
  }

  /** What a property must be. */
  property(object: ObjectRules, name: string): Formula {
    let fields = this.#fields.get(object);
    if (fields === undefined) {
      this.#fields.set(object, fields = { named: new Map(), rest: [] });
      for (const field of object.fields) {
        if (field.kind !== "named") fields.rest.push(field);
        else fields.named.set(field.name, [...fields.named.get(field.name) ?? [], field.value]);
      }
    }
    const found: Literal[] = [...fields.named.get(name) ?? []];
    for (const field of fields.rest) {
      this.budget.look(looksOf(field, name));
      if (field.kind === "name") {
        if (!this.fits(field.value, name)) found.push(this.no);
      } else if (touches(field, name)) found.push(field.value);
    }
    return formula(found);
  }

  /** The values that a term lists, without those that do not fit the rest of it. */
  valuesOf(term: Term): unknown[] {
    return (term.values ?? []).filter((value) => fitsTerm(this, term, value));
  }

  fits(literal: Literal, value: unknown): boolean {
    const node = this.document.at(literal >> 1);
    return literal % 2 === 0
      ? this.checker.fits(node, value, "must")
      : !this.checker.fits(node, value, "may");
  }

  /** What fits one of both lists. @param literal For errors: the schema that the second comes from. */
  multiply(
    a: readonly Term[],
    b: readonly Term[],
    literal: Literal,
    keyword = "allOf",
  ): readonly Term[] {
    const out: Term[] = [];
    this.#done.work += a.length * b.length;
    const weights = b.map(weightOf);
    for (const one of a) {
      const weight = weightOf(one);
      for (const [at, two] of b.entries()) {
        this.budget.take((weight + weights[at]!) / UNITS_PER_STEP);
        const both = meet(one, two);
        if (both !== undefined) out.push(both);
      }
    }
    if (out.length > LIMITS.terms || this.#done.work > LIMITS.work) {
      const { pointer } = this.document.at(literal >> 1);
      refuse(keyword, pointer, `its combinations come to more than ${LIMITS.terms} branches`);
    }
    return out;
  }

  /** What fits all of some schemas. */
  all(literals: readonly Literal[]): readonly Term[] {
    return literals.reduce<readonly Term[]>(
      (sum, literal) => this.multiply(sum, this.expand(literal), literal),
      [ANY_VALUE],
    );
  }

  /** The terms of one schema or of its opposite. */
  expand(literal: Literal): readonly Term[] {
    const known = this.#expanded.get(literal);
    if (known !== undefined) {
      this.budget.look(1);
      return known;
    }
    const node = this.document.at(literal >> 1);
    if (this.#open.size >= LIMITS.depth) {
      refuse("$ref", node.pointer, `it leads through more than ${LIMITS.depth} schemas`);
    }
    if (this.#open.has(literal)) refuse("$ref", node.pointer, "it refers to itself without end");
    // Again, where it was begun before a pause.
    this.budget.take(STEPS_PER_SCHEMA);
    this.#open.add(literal);
    try {
      const terms = this.#keeping(() =>
        literal % 2 === 0 ? positiveTerms(this, node) : negativeTerms(this, node)
      );
      this.#expanded.set(literal, terms);
      this.budget.pauseIfDue();
      return terms;
    } finally {
      this.#open.delete(literal);
    }
  }
}

const sets = new WeakMap<readonly string[], ReadonlySet<string>>();

/** Thousands of names are looked for in a list of as many. */
function setOf(names: readonly string[]): ReadonlySet<string> {
  const set = sets.get(names) ?? new Set(names);
  sets.set(names, set);
  return set;
}

/** Patterns that a name is held to, by its characters. */
function looksOf(field: Field, name: string): number {
  if (field.kind === "matching") return 1 + name.length;
  return field.kind === "others" ? 1 + field.matching.length * (1 + name.length) : 1;
}

/** Whether a field's value is asked of the property `name`; where readings of a pattern differ, it is. */
function touches(field: Exclude<Field, { kind: "name" }>, name: string): boolean {
  switch (field.kind) {
    case "named":
      return field.name === name;
    case "matching":
      return accepts(field.names.may, name);
    case "others":
      return !setOf(field.except).has(name) &&
        !field.matching.some(({ must }) => accepts(must, name));
  }
}
