/**
 * The decimal notations of the numbers that a schema permits, as an automaton.
 *
 * A reply's text is read as a double by whoever gets it. No number is written with more than fifteen digits where it matters:
 * such texts are the same in number and order as the doubles they become. A bound with more digits is moved inwards.
 */
import type { Work } from "../../src/budget.ts";
import { type Automaton, bothWork, type Budget, exploreWork, negationWork } from "./automaton.ts";
import { ceilUnits, decimal, floorUnits } from "./decimal.ts";
import { Inexpressible } from "./refusal.ts";
import {
  all,
  automatonWork,
  codes,
  DIGIT,
  either,
  EMPTY,
  NEVER,
  plain,
  type Regular,
  repeat,
  sequence,
} from "./regular.ts";

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
  /** What a schema says of a bound that no double is: `value` is next to it, on the inside. */
  readonly exact?: bigint;
}

/** What numbers must be. */
export interface NumberRules {
  /** `true`: whole numbers only, `false`: none of them. */
  readonly whole: boolean | undefined;
  readonly least: Bound | undefined;
  readonly most: Bound | undefined;
  readonly steps: readonly number[];
  /** Steps of which they are no multiple. */
  readonly offSteps: readonly number[];
  readonly except: readonly number[];
}

export const ANY_NUMBER: NumberRules = {
  whole: undefined,
  least: undefined,
  most: undefined,
  steps: [],
  offSteps: [],
  except: [],
};

/** Digits that a double tells apart. */
const DIGITS = 15;
/** Remainders that an automaton counts. */
const MAX_STATES = 6000;

const digit = (from: number, to: number): Regular => codes([[0x30 + from, 0x30 + to]]);

/** Whether no number fits; `false` may also mean that none can be written. */
export function noNumber({ whole, least, most }: NumberRules): boolean {
  if (least === undefined || most === undefined) return false;
  // What is between two doubles cannot be written, but a schema may list it.
  if (least.exact !== undefined || most.exact !== undefined) {
    return (least.exact ?? least.value) > (most.exact ?? most.value);
  }
  let [low, high] = [least.value, most.value];
  if (whole === true && Number.isFinite(low) && Number.isFinite(high)) {
    if (Math.ceil(low) === low && least.exclusive) low += 1;
    if (Math.floor(high) === high && most.exclusive) high -= 1;
    return Math.ceil(low) > Math.floor(high);
  }
  return low > high || (low === high && (least.exclusive || most.exclusive));
}

export function isAnyNumber(rules: NumberRules): boolean {
  return rules.whole !== false && rules.least === undefined && rules.most === undefined &&
    rules.steps.length + rules.offSteps.length + rules.except.length === 0;
}

/** Of rules that say the same. */
export function numberKey(rules: NumberRules): string {
  // JSON has neither whole numbers without end nor infinity.
  const write = (_: string, value: unknown) =>
    typeof value === "bigint"
      ? `${value}n`
      : value === Infinity || value === -Infinity
      ? `${value}`
      : value;
  return JSON.stringify(rules, write);
}

/** How numbers that fit are written, in turns. @throws {Inexpressible} */
export function* numberWork(rules: NumberRules, budget: Budget): Work<Automaton> {
  const steps = rules.steps.map(stepOf);
  const offSteps = rules.offSteps.map(stepOf);
  const fractional = [...steps, ...offSteps].some(({ places }) => places > 0);
  const bounds = [rules.least, rules.most].filter((bound) => bound !== undefined)
    .map(({ value }) => value).filter(Number.isFinite);
  const wholeDigits = Math.max(
    1,
    ...[...bounds, ...rules.except].map((value) =>
      String(floorUnits(decimal(Math.abs(value)), 0)).length
    ),
  );
  let places = Math.max(0, DIGITS - wholeDigits);
  let window = Math.max(DIGITS, wholeDigits);
  if (fractional || rules.whole === false) {
    // All that is written is exact as a double.
    places = Math.min(places, 6);
    window = Math.max(Math.min(window, 9), wholeDigits);
    if (wholeDigits > 9) throw new Inexpressible("such large fractions cannot be told apart");
  }
  if (rules.whole === true) places = 0;
  let automaton = yield* automatonWork(range(rules, places, window), budget);
  if (rules.whole === false) {
    const fraction = sequence(repeat(DIGIT, 0), digit(1, 9), repeat(DIGIT, 0));
    const minus = repeat(plain("-"), 0, 1);
    const written = sequence(minus, repeat(DIGIT, 1), plain("."), fraction);
    automaton = yield* bothWork(automaton, yield* automatonWork(written, budget), budget);
  }
  for (const step of steps) {
    automaton = yield* bothWork(automaton, yield* multiples(step, budget), budget);
  }
  for (const step of offSteps) {
    const others = yield* negationWork(yield* multiples(step, budget));
    automaton = yield* bothWork(automaton, others, budget);
  }
  if (rules.except.length > 0) {
    const listed = either(...rules.except.map(notations));
    const others = yield* negationWork(yield* automatonWork(listed, budget));
    automaton = yield* bothWork(automaton, others, budget);
  }
  return automaton;
}

interface Step {
  /** In units of 10^-places. */
  readonly size: number;
  readonly places: number;
}

/** @throws {Inexpressible} for steps that doubles do not hold exactly: programs disagree on their multiples. */
function stepOf(step: number): Step {
  const { coefficient, places } = decimal(step);
  if (!Number.isInteger(step * 64)) {
    throw new Inexpressible(
      "steps that are no sum of halves, quarters … 64ths are inexact in binary, and validators disagree on them",
    );
  }
  if (coefficient * BigInt(places + 1) > MAX_STATES) {
    throw new Inexpressible(`the step has more than ${MAX_STATES} remainders`);
  }
  return { size: Number(coefficient), places };
}

/** Notations of the multiples of a step, by the remainder of what was read. */
function* multiples({ size, places }: Step, budget: Budget): Work<Automaton> {
  // place -2: nothing read; -1: digits before the point; 0 …: behind it
  interface At {
    readonly rest: number;
    readonly place: number;
  }
  const scale = (rest: number, read: number) => rest * 10 ** (places - read) % size;
  const key = ({ rest, place }: At) => `${rest},${place}`;
  return yield* exploreWork<At>({ rest: 0, place: -2 }, key, (at) => {
    const { rest, place } = at;
    const edges: { from: number; to: number; target: At }[] = [];
    if (place === -2) edges.push({ from: 0x2d, to: 0x2d, target: { rest: 0, place: -3 } });
    if (place === -1) edges.push({ from: 0x2e, to: 0x2e, target: { rest, place: 0 } });
    for (let d = 0; d < 10; d++) {
      // Behind the places of the step only zeroes keep to it.
      if (place >= places && d > 0) break;
      const next = place < 0 ? -1 : Math.min(place + 1, places);
      const target = { rest: place >= places ? rest : (rest * 10 + d) % size, place: next };
      edges.push({ from: 0x30 + d, to: 0x30 + d, target });
    }
    const read = Math.max(0, place);
    return { accepts: place > -2 && scale(rest, read) === 0, edges };
  }, budget);
}

/** All notations of one number, without exponents. */
function notations(value: number): Regular {
  const { coefficient, places } = decimal(Math.abs(value));
  const text = String(coefficient).padStart(places + 1, "0");
  const whole = text.slice(0, text.length - places);
  const fraction = text.slice(text.length - places);
  const zeroes = repeat(plain("0"), 0);
  const tail = fraction === ""
    ? repeat(sequence(plain("."), zeroes), 0, 1)
    : sequence(plain(`.${fraction}`), zeroes);
  const sign = value === 0 ? repeat(plain("-"), 0, 1) : plain(value < 0 ? "-" : "");
  return sequence(sign, plain(whole), tail);
}

function range(rules: NumberRules, places: number, window: number): Regular {
  const unit = 10n ** BigInt(places);
  let limit = 10n ** BigInt(window) * unit - 1n;
  const [low, high] = [lowest(rules.least, places), highest(rules.most, places)];
  for (const bound of [low, high]) {
    if (bound !== undefined && abs(bound) > limit) {
      limit = 10n ** BigInt(String(abs(bound)).length) - 1n;
    }
  }
  const [from, to] = [low ?? -limit, high ?? limit];
  const branches: Regular[] = [];
  if (to >= 0n) branches.push(magnitudes(from > 0n ? from : 0n, to, places));
  if (from < 0n) {
    branches.push(sequence(plain("-"), magnitudes(to < 0n ? -to : 1n, -from, places)));
  }
  return from > to ? NEVER : either(...branches);
}

/** Whole numbers beyond it are not told apart from their neighbours once read: the next one is certain. */
function certain(value: number, up: boolean): number {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 52);
  return up ? value + step : value - step;
}

function lowest(bound: Bound | undefined, places: number): bigint | undefined {
  if (bound === undefined || bound.value === -Infinity) return undefined;
  if (bound.value === Infinity) throw new Inexpressible("no number is that large");
  const value = decimal(certain(bound.value, true));
  const units = ceilUnits(value, places);
  return bound.exclusive && units === floorUnits(value, places) ? units + 1n : units;
}

function highest(bound: Bound | undefined, places: number): bigint | undefined {
  if (bound === undefined || bound.value === Infinity) return undefined;
  if (bound.value === -Infinity) throw new Inexpressible("no number is that small");
  const value = decimal(certain(bound.value, false));
  const units = floorUnits(value, places);
  return bound.exclusive && units === ceilUnits(value, places) ? units - 1n : units;
}

const abs = (value: bigint): bigint => value < 0n ? -value : value;

/** Notations of the numbers from `low` to `high` units of 10^-places, both at least 0. */
function magnitudes(low: bigint, high: bigint, places: number): Regular {
  const unit = 10n ** BigInt(places);
  const [first, last] = [low / unit, high / unit];
  const fraction = (units: bigint) => String(units % unit).padStart(places, "0").slice(0, places);
  const from = places === 0 ? EMPTY : fractionFrom(fraction(low));
  const to = places === 0 ? EMPTY : fractionTo(fraction(high));
  if (first > last) return NEVER;
  if (first === last) return sequence(plain(String(first)), all(from, to));
  const any = places === 0 ? EMPTY : repeat(sequence(plain("."), repeat(DIGIT, 1, places)), 0, 1);
  const branches = [sequence(plain(String(first)), from), sequence(plain(String(last)), to)];
  if (first + 1n < last) branches.push(sequence(naturals(first + 1n, last - 1n), any));
  return either(...branches);
}

/** A point and digits that are no less than `wanted`, which is as long as they may be; or nothing, if that is zero. */
function fractionFrom(wanted: string): Regular {
  const digits = (at: number): Regular => {
    if (at === wanted.length) return EMPTY;
    const here = Number(wanted[at]);
    const left = wanted.length - at - 1;
    const branches = [sequence(digit(here, here), digits(at + 1))];
    if (here < 9) branches.push(sequence(digit(here + 1, 9), repeat(DIGIT, 0, left)));
    if (/^0+$/.test(wanted.slice(at)) && at > 0) branches.push(EMPTY);
    return either(...branches);
  };
  const some = sequence(plain("."), digits(0));
  return /^0+$/.test(wanted) ? either(EMPTY, some) : some;
}

/** Nothing, or a point and digits that are no more than `wanted`. */
function fractionTo(wanted: string): Regular {
  const digits = (at: number): Regular => {
    if (at === wanted.length) return EMPTY;
    const here = Number(wanted[at]);
    const left = wanted.length - at - 1;
    const branches = [sequence(digit(here, here), digits(at + 1))];
    if (here > 0) branches.push(sequence(digit(0, here - 1), repeat(DIGIT, 0, left)));
    if (at > 0) branches.push(EMPTY);
    return either(...branches);
  };
  return either(EMPTY, sequence(plain("."), digits(0)));
}

/** Decimal notations of the integers from `low` to `high`, both at least 0. */
function naturals(low: bigint, high: bigint): Regular {
  const branches: Regular[] = [];
  for (let length = String(low).length; length <= String(high).length; length++) {
    const least = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    branches.push(
      sameLength(String(low > least ? low : least), String(high < most ? high : most)),
    );
  }
  return either(...branches);
}

/** Between two of the same number of digits. */
function sameLength(from: string, to: string): Regular {
  if (/^0*$/.test(from) && /^9*$/.test(to)) return repeat(DIGIT, from.length, from.length);
  const [first, last] = [Number(from[0]), Number(to[0])];
  const rest = from.length - 1;
  if (first === last) return sequence(digit(first, first), sameLength(from.slice(1), to.slice(1)));
  const branches = [
    sequence(digit(first, first), sameLength(from.slice(1), "9".repeat(rest))),
    sequence(digit(last, last), sameLength("0".repeat(rest), to.slice(1))),
  ];
  if (first + 1 < last) {
    branches.push(sequence(digit(first + 1, last - 1), repeat(DIGIT, rest, rest)));
  }
  return either(...branches);
}
