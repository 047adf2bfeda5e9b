/**
 * Rules for objects: the properties that the schema names in its order, then others. A property that is not named is offered only
 * where the schema speaks of such, names none, or asks for more of them: models would go on with them.
 */
import { type Automaton, isEmpty, Pause } from "./automaton.ts";
import type { Part, Rule } from "./gbnf.ts";
import { nameAutomaton, namesOfLength } from "./names.ts";
import { nameRule } from "./notation.ts";
import { naming, refuse } from "./refusal.ts";
import type { SchemaRules } from "./schema_rules.ts";
import { type Formula, formula, type Literal, type ObjectRules } from "./terms.ts";
import { allWords } from "./words.ts";

/** Tunables. */
const LIMITS = {
  /** Names that are written out where a schema permits a few names only. */
  names: 64,
  /** Kinds of properties that are not named. */
  kinds: 32,
  /** Properties times counts. */
  states: 20_000,
  /** Lengths of names that are told apart in one piece of work. */
  lengths: 4,
} as const;

/** Properties under any of some names. */
interface Kind {
  readonly names: Automaton;
  readonly value: Formula;
}

/** What an object may have: the properties with names of their own, in order, and kinds of others. */
export interface Properties {
  readonly named: ReadonlyMap<string, Formula>;
  readonly kinds: readonly Kind[];
  /** Of these kinds, those whose names have some lengths. */
  readonly ofLength: Map<string, readonly Kind[]>;
}

/** @returns What stands in an object, or nothing if no object fits. */
export function objectRule(rules: SchemaRules, object: ObjectRules): Rule {
  const { grammar, notation } = rules;
  const { properties: known } = rules.algebra;
  const found = known.get(object) ?? properties(rules, object);
  known.set(object, found);
  const { named, kinds } = found;
  if (object.required.some((name) => !named.has(name))) return grammar.rule();
  const members = notation.sorted === true
    ? [...named].sort(([a], [b]) => a.toLowerCase() < b.toLowerCase() ? -1 : 1)
    : [...named];
  const wanted = object.open || named.size === 0 || object.least > named.size;
  const others = new Others(rules, object, found, wanted);
  // One without a name of its own may be asked for where none is offered.
  const most = named.size + (object.some.length > 0 ? 1 : 0);
  const counts = object.least > object.required.length ||
    (object.most !== undefined && (object.most < most || wanted && kinds.length > 0));
  // What others work in between of comes first: rules would be made anew.
  if (counts) prepare(object, named.size, others);
  const required = new Set(object.required);
  const list = members.map(([name, value]) => ({
    pair: memberRule(rules, nameRule(grammar, notation, name), rules.memberValue(value, name)),
    required: required.has(name),
  }));
  const chain = counts ? counted(rules, object, list, others) : uncounted(rules, list, others);
  return grammar.of(notation.object[0], chain, notation.object[1]);
}

function memberRule({ grammar, notation }: SchemaRules, name: Part, value: Part): Rule {
  const [before, between, after] = notation.member;
  return grammar.of(before, name, between, value, after);
}

interface Listed {
  readonly pair: Rule;
  readonly required: boolean;
}

/** Two chains, built from the end: while no property is written yet, and with a comma to come. */
function uncounted(
  { grammar, notation }: SchemaRules,
  list: readonly Listed[],
  others: Others,
): Rule {
  let next = others.rule(0, undefined, false);
  let first = others.rule(0, undefined, true);
  for (const { pair, required } of list.toReversed()) {
    const [nextBefore, firstBefore] = [next, first];
    next = grammar.of(notation.object[2], pair, nextBefore);
    first = grammar.of(pair, nextBefore);
    if (!required) {
      next.or(nextBefore);
      first.or(firstBefore);
    }
  }
  return first;
}

/** Counts of named properties from which on they are not counted any more. */
function topOf({ least, most }: ObjectRules, named: number): number {
  return most === undefined ? Math.min(least, named) : named;
}

/** Finds what {@link counted} asks of the others. @throws {Pause} */
function prepare(object: ObjectRules, named: number, others: Others): void {
  const { least, most } = object;
  const top = topOf(object, named);
  if ((top + 1) * named > LIMITS.states) {
    refuse(
      most === undefined ? "minProperties" : "maxProperties",
      object.pointer,
      "there are too many properties to count",
    );
  }
  for (let count = 0; count <= top; count++) {
    others.prepare(Math.max(0, least - count), most === undefined ? undefined : most - count);
  }
}

/** The same with a rule for each count of properties written. */
function counted(
  rules: SchemaRules,
  object: ObjectRules,
  list: readonly Listed[],
  others: Others,
): Rule {
  const { grammar } = rules;
  const { least, most } = object;
  const top = topOf(object, list.length);
  // chain[n]: what may follow once n properties are written; beyond `top` they are not counted.
  let chain: Rule[] = [];
  for (let count = 0; count <= top; count++) {
    const room = most === undefined ? undefined : most - count;
    chain.push(
      room !== undefined && room < 0
        ? grammar.rule()
        : others.rule(Math.max(0, least - count), room, count === 0),
    );
  }
  list.toReversed().forEach(({ pair, required }) => {
    chain = chain.map((skip, count) => {
      const more = chain[Math.min(count + 1, top)]!;
      const rule = grammar.rule();
      if (most === undefined || count < most) {
        rule.or(count === 0 ? '""' : rules.notation.object[2], pair, more);
      }
      if (!required) rule.or(skip);
      return rule;
    });
  });
  return chain[0]!;
}

/** Properties behind those that are named. */
class Others {
  readonly #rules: SchemaRules;
  readonly #object: ObjectRules;
  readonly #kinds: readonly Kind[];
  readonly #ofLengths: Map<string, readonly Kind[]>;
  readonly #wanted: boolean;
  #any: Rule | undefined;
  readonly #apart = new Map<string, Rule>();

  constructor(rules: SchemaRules, object: ObjectRules, found: Properties, wanted: boolean) {
    this.#rules = rules;
    this.#object = object;
    this.#kinds = found.kinds;
    this.#ofLengths = found.ofLength;
    this.#wanted = wanted && found.kinds.length > 0;
  }

  /** Finds what {@link rule} needs. @throws {Pause} */
  prepare(least: number, most: number | undefined): void {
    if (this.#object.some.length > 0 || this.#kinds.length === 0 || least < 2) return;
    if (most !== undefined && most < least) return;
    for (let at = 0; at < least; at++) this.#kindsOfLength(at, least);
  }

  /** @param first Whether no property stands before. @param most No `most`: without end. */
  rule(least: number, most: number | undefined, first: boolean): Rule {
    const { grammar } = this.#rules;
    const { some } = this.#object;
    if (some.length > 0) return this.#withSome(least, most, first);
    if (least === 0 && (!this.#wanted || most === 0)) return grammar.of('""');
    if (this.#kinds.length === 0) return grammar.rule();
    return this.#sequence(least, most, first);
  }

  #sequence(least: number, most: number | undefined, first: boolean): Rule {
    const { grammar } = this.#rules;
    this.#any ??= this.#oneOf(this.#kinds);
    const following = grammar.of(this.#comma, this.#any);
    const left = most === undefined ? undefined : most - least;
    if (left !== undefined && left < 0) return grammar.rule();
    if (least === 0) {
      const after = grammar.repeat(following, 0, left);
      if (!first) return grammar.of(after);
      const less = left === undefined ? undefined : left - 1;
      return grammar.of('""').or(this.#any, grammar.repeat(following, 0, less));
    }
    const parts: Part[] = [];
    for (let at = 0; at < least; at++) {
      if (at > 0 || !first) parts.push(this.#comma);
      // A name that comes twice counts once, so those that count are of different lengths.
      parts.push(least === 1 ? this.#any : this.#ofLength(at, least));
    }
    return grammar.of(...parts, grammar.repeat(following, 0, left));
  }

  #ofLength(rest: number, by: number): Rule {
    const key = `${rest}/${by}`;
    let rule = this.#apart.get(key);
    if (rule === undefined) {
      const kinds = this.#kindsOfLength(rest, by);
      if (kinds.length === 0) {
        refuse(
          "minProperties",
          this.#object.pointer,
          "so many properties without a name cannot be kept",
        );
      }
      this.#apart.set(key, rule = this.#oneOf(kinds));
    }
    return rule;
  }

  /** @throws {Pause} once in a while. */
  #kindsOfLength(rest: number, by: number): readonly Kind[] {
    const key = `${rest}/${by}`;
    const made = this.#ofLengths.get(key);
    if (made !== undefined) return made;
    if (by > 40) {
      refuse(
        "minProperties",
        this.#object.pointer,
        "more than 40 properties without a name cannot be kept",
      );
    }
    const lengths = namesOfLength(this.#rules.algebra, rest, by);
    const kinds = this.#kinds.map((kind) => ({
      ...kind,
      names: this.#rules.algebra.both(kind.names, lengths),
    })).filter(({ names }) => !isEmpty(names));
    this.#ofLengths.set(key, kinds);
    if (this.#ofLengths.size % LIMITS.lengths === 0) throw new Pause();
    return kinds;
  }

  /** The one that must be there comes last, so that none of the same name comes after it. */
  #withSome(least: number, most: number | undefined, first: boolean): Rule {
    const { grammar, algebra } = this.#rules;
    const [some, more] = this.#object.some;
    if (more !== undefined) {
      refuse(more.keyword, more.pointer, "with another of its kind its opposite cannot be kept");
    }
    if (most === 0) return grammar.rule();
    const kinds = this.#kinds.map(({ names, value }) => ({
      names: algebra.both(names, some!.names),
      value: formula([...value, some!.value]),
    })).filter(({ names, value }) => !isEmpty(names) && !algebra.isEmpty(value));
    if (kinds.length === 0) return grammar.rule();
    const last = this.#oneOf(kinds);
    const before = Math.max(0, least - 1);
    if (before > 0) {
      refuse(some!.keyword, some!.pointer, "with minProperties its opposite cannot be kept");
    }
    const rule = grammar.of(first ? '""' : this.#comma, last);
    if (this.#wanted && (most === undefined || most > 1)) {
      const room = most === undefined ? undefined : most - 1;
      rule.or(this.#sequence(1, room, first), this.#comma, last);
    }
    return rule;
  }

  #oneOf(kinds: readonly Kind[]): Rule {
    const rules = this.#rules;
    const rule = rules.grammar.rule();
    for (const { names, value } of kinds) {
      const name = rules.names(names, this.#object.pointer);
      rule.or(memberRule(rules, name, rules.memberValue(value)));
    }
    return rule;
  }

  get #comma(): string {
    return this.#rules.notation.object[2];
  }
}

/** Those that may be there at all. */
function properties(rules: SchemaRules, object: ObjectRules): Properties {
  const { algebra } = rules;
  const names = new Set<string>();
  for (const field of object.fields) if (field.kind === "named") names.add(field.name);
  object.required.forEach((name) => names.add(name));
  for (const field of object.fields) {
    if (field.kind === "others") field.except.forEach((name) => names.add(name));
  }
  // It takes time to tell other names from thousands.
  const needed = object.open || object.some.length > 0 || names.size <= Math.max(1, object.least);
  let kinds = needed ? otherKinds(rules, object, [...names]) : [];
  // Where few names are left they are properties like those that are named.
  kinds = kinds.filter((kind) => {
    const words = allWords(kind.names, LIMITS.names);
    if (words === undefined) return true;
    words.forEach((name) => names.add(name));
    return false;
  });
  const named = new Map<string, Formula>();
  for (const name of names) {
    const value = algebra.property(object, name);
    if (!algebra.isEmpty(value)) named.set(name, value);
  }
  return { named, kinds, ofLength: new Map() };
}

/** Names that are none of `except`, split by what a value under them must be. */
function otherKinds(
  { algebra }: SchemaRules,
  object: ObjectRules,
  except: readonly string[],
): Kind[] {
  const fits: Literal[] = [];
  for (const field of object.fields) if (field.kind === "name") fits.push(field.value);
  let kinds: { names: Automaton; value: Literal[] }[] = [{
    names: naming("propertyNames", object.pointer, () => nameAutomaton(algebra, { except, fits })),
    value: [],
  }];
  const split = (value: Literal, inside: Automaton, outside: Automaton, keyword: string) => {
    kinds = kinds.flatMap((kind) => {
      const yes = { names: algebra.both(kind.names, inside), value: [...kind.value, value] };
      const no = { ...kind, names: algebra.both(kind.names, outside) };
      return [yes, no].filter(({ names }) => !isEmpty(names));
    });
    if (kinds.length > LIMITS.kinds) {
      refuse(
        keyword,
        object.pointer,
        `with others it makes more than ${LIMITS.kinds} kinds of properties`,
      );
    }
  };
  for (const field of object.fields) {
    if (field.kind === "matching") {
      // Names on which programs disagree are not offered.
      const { must, may } = field.names;
      naming(
        "patternProperties",
        object.pointer,
        () => split(field.value, must, algebra.negation(may), "patternProperties"),
      );
    } else if (field.kind === "others") {
      naming("additionalProperties", object.pointer, () => {
        const inside = nameAutomaton(algebra, {
          except: field.except,
          outside: field.matching.map(({ may }) => may),
        });
        split(field.value, inside, algebra.negation(inside), "additionalProperties");
      });
    }
  }
  return kinds.map(({ names, value }) => ({ names, value: formula(value) }))
    .filter(({ value }) => !algebra.isEmpty(value));
}
