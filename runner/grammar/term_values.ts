/** Whether a value that a schema lists fits the rest of a term. */
import type { Algebra } from "./algebra.ts";
import { accepts } from "./automaton.ts";
import { isMultiple } from "./decimal.ts";
import type { NumberRules } from "./number_text.ts";
import {
  type ArrayRules,
  BITS,
  type ObjectRules,
  type StringRules,
  type Term,
  textOf,
} from "./terms.ts";
import { isWhole, isWithin } from "./bounds.ts";
import { lengthOf, typeOf } from "./values.ts";

export function fitsTerm(algebra: Algebra, term: Term, value: unknown): boolean {
  if ((term.types & BITS[typeOf(value)]) === 0) return false;
  if (typeof value === "number" || typeof value === "bigint") {
    algebra.budget.look(1 + term.number.steps.length + term.number.offSteps.length);
    return fitsNumber(term.number, value);
  }
  if (typeof value === "string") {
    algebra.budget.look(1 + value.length * term.string.languages.length);
    return fitsString(term.string, value);
  }
  if (Array.isArray(value)) return fitsArray(algebra, term, term.array, value);
  if (value === null || typeof value !== "object") return true;
  return fitsObject(algebra, term.object, value as Record<string, unknown>);
}

function fitsNumber(rules: NumberRules, value: number | bigint): boolean {
  const { whole, least, most, steps, offSteps, except } = rules;
  return (whole === undefined || isWhole(value) === whole) &&
    isWithin(value, least, most) &&
    steps.every((step) => isMultiple(value, step)) &&
    !offSteps.some((step) => isMultiple(value, step)) && !isIn(except, value);
}

const sets = new WeakMap<readonly number[], ReadonlySet<number>>();

/** Thousands of numbers are looked for in a list of as many. */
function isIn(list: readonly number[], value: number | bigint): boolean {
  if (list.length === 0) return false;
  const set = sets.get(list) ?? new Set(list);
  sets.set(list, set);
  const double = Number(value);
  return double == value && set.has(double);
}

function fitsString(rules: StringRules, value: string): boolean {
  const length = lengthOf(value);
  return length >= rules.least && length <= (rules.most ?? Infinity) &&
    rules.languages.every(({ automaton, rough }) => accepts(rough ?? automaton, value));
}

function fitsArray(
  algebra: Algebra,
  term: Term,
  rules: ArrayRules,
  value: readonly unknown[],
): boolean {
  if (value.length < rules.least || value.length > (rules.most ?? Infinity)) return false;
  if (rules.unique !== undefined && new Set(value.map(textOf)).size < value.length) return false;
  algebra.budget.look(value.length * (1 + rules.sequences.length));
  const each = (item: unknown, at: number) =>
    algebra.item(term, at).every((literal) => algebra.fits(literal, item));
  return value.every(each) && rules.contains.every(({ from, item, least, most }) => {
    const counted = value.slice(from);
    const found = counted.filter((one) => algebra.fits(item, one)).length;
    // What does not fit for certain and what certainly does not are the same but for readings of patterns.
    const missed = counted.filter((one) => algebra.fits(item ^ 1, one)).length;
    return found >= least && (most === undefined || counted.length - missed <= most);
  });
}

function fitsObject(
  algebra: Algebra,
  rules: ObjectRules,
  value: Readonly<Record<string, unknown>>,
): boolean {
  const names = Object.keys(value);
  if (names.length < rules.least || names.length > (rules.most ?? Infinity)) return false;
  if (!rules.required.every((name) => Object.hasOwn(value, name))) return false;
  const fits = (name: string) =>
    algebra.property(rules, name).every((literal) => algebra.fits(literal, value[name]));
  return names.every(fits) &&
    rules.some.every((some) =>
      names.some((name) => accepts(some.names, name) && algebra.fits(some.value, value[name]))
    );
}
