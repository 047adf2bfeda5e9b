/**
 * What a schema comes to: a list of terms, of which a value fits one. A term is a conjunction: for each type of JSON, what values
 * of that type must be. Schemas of parts (of a property, an item) stay references to the document: a conjunction of
 * schemas that a value fits, or, negated, does not.
 */
import { exactText } from "../../src/exact_json.ts";
import type { Automaton } from "./automaton.ts";
import { ANY_NUMBER, noNumber, type NumberRules } from "./number_text.ts";
import type { TypeName } from "./values.ts";

/** A schema of the document, or its opposite: twice its number, and one more if negated. */
export type Literal = number;
/** All must hold. Sorted, each once. */
export type Formula = readonly Literal[];

export const BITS: Readonly<Record<TypeName, number>> = {
  null: 1,
  boolean: 2,
  number: 4,
  string: 8,
  array: 16,
  object: 32,
};
export const ALL_TYPES = 63;

export interface Language {
  readonly key: string;
  readonly automaton: Automaton;
  /** Of a `format`: what values that the schema lists are held to. */
  readonly rough?: Automaton;
}

export interface StringRules {
  readonly least: number;
  readonly most: number | undefined;
  readonly languages: readonly Language[];
}

export interface Contains {
  /** The index from where items are counted. */
  readonly from: number;
  readonly item: Literal;
  readonly least: number;
  readonly most: number | undefined;
  readonly keyword: string;
  readonly pointer: string;
}

export interface ArrayRules {
  readonly least: number;
  readonly most: number | undefined;
  /** Each says what every item must be. */
  readonly sequences: readonly { readonly prefix: readonly Literal[]; readonly rest: Literal }[];
  readonly contains: readonly Contains[];
  /** Where uniqueItems stands, if it does. */
  readonly unique: string | undefined;
}

export interface Names {
  readonly key: string;
  readonly must: Automaton;
  readonly may: Automaton;
}

/** What the properties with some names must be. */
export type Field =
  | { readonly kind: "named"; readonly name: string; readonly value: Literal }
  | { readonly kind: "matching"; readonly names: Names; readonly value: Literal }
  | {
    readonly kind: "others";
    readonly except: readonly string[];
    readonly matching: readonly Names[];
    readonly value: Literal;
  }
  /** The name itself, as a text. */
  | { readonly kind: "name"; readonly value: Literal };

/** A property that must be there, under one of several names. */
interface Some {
  readonly names: Automaton;
  readonly value: Literal;
  readonly keyword: string;
  readonly pointer: string;
}

export interface ObjectRules {
  readonly least: number;
  readonly most: number | undefined;
  readonly required: readonly string[];
  readonly fields: readonly Field[];
  readonly some: readonly Some[];
  /** The schema itself speaks of properties that it does not name. */
  readonly open: boolean;
  /** For errors: where minProperties stands. */
  readonly pointer: string;
}

/** Members and items that are looked at for certain where a term holds. */
export interface Seen {
  readonly names: readonly string[];
  readonly matching: readonly Names[];
  readonly allNames: boolean;
  /** So many from the first. */
  readonly items: number;
  readonly allItems: boolean;
}

export interface Term {
  readonly types: number;
  /** A `type` was given; else the types that `implied` names are meant. */
  readonly typed: boolean;
  readonly implied: number;
  /** The only values, as the schema lists them. */
  readonly values: readonly unknown[] | undefined;
  readonly number: NumberRules;
  readonly string: StringRules;
  readonly array: ArrayRules;
  readonly object: ObjectRules;
  readonly seen: Seen;
}

const NOTHING: Seen = { names: [], matching: [], allNames: false, items: 0, allItems: false };
export const ANY_STRING: StringRules = { least: 0, most: undefined, languages: [] };
export const ANY_ARRAY: ArrayRules = {
  least: 0,
  most: undefined,
  sequences: [],
  contains: [],
  unique: undefined,
};
export const ANY_OBJECT: ObjectRules = {
  least: 0,
  most: undefined,
  required: [],
  fields: [],
  some: [],
  open: false,
  pointer: "#",
};
export const ANY_VALUE: Term = {
  types: ALL_TYPES,
  typed: false,
  implied: 0,
  values: undefined,
  number: ANY_NUMBER,
  string: ANY_STRING,
  array: ANY_ARRAY,
  object: ANY_OBJECT,
  seen: NOTHING,
};

/** A term of one type, with rules. */
export function termOf(type: TypeName, rules: Partial<Term>): Term {
  return { ...ANY_VALUE, types: BITS[type], typed: true, ...rules };
}

export function formula(literals: readonly Literal[]): Formula {
  return [...new Set(literals)].sort((a, b) => a - b);
}

/** Values that fit both; `undefined` if it is plain that there are none. */
export function meet(a: Term, b: Term): Term | undefined {
  if (a === ANY_VALUE) return b;
  // References may lead to the same schema in thousands of ways.
  if (b === ANY_VALUE || a === b) return a;
  const number = meetNumbers(a.number, b.number);
  const string = meetStrings(a.string, b.string);
  const array = meetArrays(a.array, b.array);
  const object = meetObjects(a.object, b.object);
  let types = a.types & b.types;
  if (noNumber(number) || (number.whole === undefined && clash(a.number.whole, b.number.whole))) {
    types &= ~BITS.number;
  }
  if (string.most !== undefined && string.most < string.least) types &= ~BITS.string;
  if (array.most !== undefined && array.most < array.least) types &= ~BITS.array;
  if (object.most !== undefined && object.most < Math.max(object.least, object.required.length)) {
    types &= ~BITS.object;
  }
  if (types === 0) return undefined;
  return {
    types,
    typed: a.typed || b.typed,
    implied: a.implied | b.implied,
    // Both lists hold: the second is looked at when the values are checked one by one.
    values: a.values === undefined
      ? b.values
      : b.values === undefined
      ? a.values
      : sharedValues(a.values, b.values),
    number,
    string,
    array,
    object,
    seen: both(a.seen, b.seen),
  };
}

/** What is in both lists is there once: else schemas that refer to one another would double it with each reference. */
function joined<T>(a: readonly T[], b: readonly T[]): readonly T[] {
  if (a.length === 0) return b;
  if (b.length > 8) return [...new Set([...a, ...b])];
  const more = b.filter((one) => !a.includes(one));
  return more.length === 0 ? a : a.concat(more);
}

/** How much {@link meet} copies of a term, about. */
export function weightOf({ values, number, string, array, object, seen }: Term): number {
  return (values?.length ?? 0) + number.except.length + string.languages.length +
    array.sequences.length + object.fields.length + object.required.length + seen.names.length;
}

function both(a: Seen, b: Seen): Seen {
  if (a === NOTHING) return b;
  if (b === NOTHING) return a;
  return {
    names: joined(a.names, b.names),
    matching: joined(a.matching, b.matching),
    allNames: a.allNames || b.allNames,
    items: Math.max(a.items, b.items),
    allItems: a.allItems || b.allItems,
  };
}

function sharedValues(a: readonly unknown[], b: readonly unknown[]): readonly unknown[] {
  const texts = new Set(textsOf(b));
  const own = textsOf(a);
  return a.filter((_, at) => texts.has(own[at]!));
}

const known = new WeakMap<readonly unknown[], readonly string[]>();

/** A list is met with hundreds of others. */
function textsOf(values: readonly unknown[]): readonly string[] {
  const texts = known.get(values) ?? values.map(knownText);
  known.set(values, texts);
  return texts;
}

const knownTexts = new WeakMap<object, string>();

/** Of a list that was met with another, a new one is made, of the same values. */
function knownText(value: unknown): string {
  if (typeof value !== "object" || value === null) return textOf(value);
  const text = knownTexts.get(value) ?? textOf(value);
  knownTexts.set(value, text);
  return text;
}

/** A value's JSON with the names of its objects in order, so that equal values have equal texts. */
export function textOf(value: unknown): string {
  return exactText(
    value,
    (_, at) =>
      at !== null && typeof at === "object" && !Array.isArray(at)
        ? Object.fromEntries(Object.entries(at).sort(([x], [y]) => x < y ? -1 : 1))
        : at,
  );
}

const clash = (a: boolean | undefined, b: boolean | undefined) =>
  a !== undefined && b !== undefined && a !== b;

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}

function meetNumbers(a: NumberRules, b: NumberRules): NumberRules {
  if (a === ANY_NUMBER) return b;
  if (b === ANY_NUMBER) return a;
  const side = (x: NumberRules["least"], y: NumberRules["least"], sign: 1 | -1) => {
    if (x === undefined || y === undefined) return x ?? y;
    const [a, b] = [x.exact ?? x.value, y.exact ?? y.value];
    if (a == b) return x.exclusive ? x : y;
    return (sign === 1 ? a > b : a < b) ? x : y;
  };
  return {
    whole: clash(a.whole, b.whole) ? undefined : a.whole ?? b.whole,
    least: side(a.least, b.least, 1),
    most: side(a.most, b.most, -1),
    steps: joined(a.steps, b.steps),
    offSteps: joined(a.offSteps, b.offSteps),
    except: joined(a.except, b.except),
  };
}

function meetStrings(a: StringRules, b: StringRules): StringRules {
  if (a === ANY_STRING) return b;
  if (b === ANY_STRING) return a;
  const keys = new Set(a.languages.map(({ key }) => key));
  return {
    least: Math.max(a.least, b.least),
    most: least(a.most, b.most),
    languages: [...a.languages, ...b.languages.filter(({ key }) => !keys.has(key))],
  };
}

function meetArrays(a: ArrayRules, b: ArrayRules): ArrayRules {
  if (a === ANY_ARRAY) return b;
  if (b === ANY_ARRAY) return a;
  return {
    least: Math.max(a.least, b.least),
    most: least(a.most, b.most),
    sequences: joined(a.sequences, b.sequences),
    contains: joined(a.contains, b.contains),
    unique: a.unique ?? b.unique,
  };
}

function meetObjects(a: ObjectRules, b: ObjectRules): ObjectRules {
  if (a === ANY_OBJECT) return b;
  if (b === ANY_OBJECT) return a;
  return {
    least: Math.max(a.least, b.least),
    most: least(a.most, b.most),
    required: joined(a.required, b.required),
    fields: joined(a.fields, b.fields),
    some: joined(a.some, b.some),
    open: a.open || b.open,
    pointer: b.least > a.least ? b.pointer : a.pointer,
  };
}
