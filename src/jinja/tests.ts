/** Jinja2's tests: what stands behind `is`. */
import { str } from "./convert.ts";
import { bind } from "./arguments.ts";
import type { Test } from "./filter_types.ts";
import { compare, equal } from "./comparison.ts";
import { binary } from "./operators.ts";
import type { CompareOperator } from "./nodes.ts";
import { Range } from "./objects.ts";
import { Dict, intOf, Markup, PyObject, textOf, Tuple, Undefined, type Value } from "./values.ts";
import { isLower, isUpper } from "./unicode.ts";

function simple(name: string, test: (value: Value) => boolean): Test {
  return (value, args) => {
    bind(name, [], args);
    return test(value);
  };
}

function comparison(name: string, operator: CompareOperator): Test {
  return (value, args, { costs }) => {
    const [other] = bind(name, ["other"], args);
    return compare(operator, value, other!, costs);
  };
}

function remainder(name: string, by: bigint | undefined, wanted: bigint): Test {
  return (value, args, { costs }) => {
    const [number] = bind(name, by === undefined ? ["num"] : [], args);
    return equal(binary("%", value, by ?? number!, costs), wanted, costs);
  };
}

const isNumber = (value: Value) => typeof value === "number" || intOf(value) !== undefined;

function isSequence(value: Value): boolean {
  return textOf(value) !== undefined || Array.isArray(value) ||
    [Dict, Tuple, Range, Undefined].some((kind) => value instanceof kind);
}

function isIterable(value: Value): boolean {
  return isSequence(value) || (value instanceof PyObject && value.iterate() !== undefined);
}

function isCallable(value: Value): boolean {
  return value instanceof PyObject && value.call !== undefined;
}

/** The same object; of numbers and texts, which have no identity here, the same type and value. */
function isSame(value: Value, other: Value): boolean {
  return value === other;
}

function letters(name: string, test: (text: string) => boolean): Test {
  return (value, args, { costs }) => {
    bind(name, [], args);
    const text = str(value, costs);
    costs.charge(32 * text.length);
    return test(text);
  };
}

const BASE: Readonly<Record<string, Test>> = {
  odd: remainder("odd", 2n, 1n),
  even: remainder("even", 2n, 0n),
  divisibleby: remainder("divisibleby", undefined, 0n),
  defined: simple("defined", (value) => !(value instanceof Undefined)),
  undefined: simple("undefined", (value) => value instanceof Undefined),
  none: simple("none", (value) => value === null),
  boolean: simple("boolean", (value) => typeof value === "boolean"),
  false: simple("false", (value) => value === false),
  true: simple("true", (value) => value === true),
  integer: simple("integer", (value) => typeof value === "bigint"),
  float: simple("float", (value) => typeof value === "number"),
  lower: letters("lower", isLower),
  upper: letters("upper", isUpper),
  string: simple("string", (value) => textOf(value) !== undefined),
  mapping: simple("mapping", (value) => value instanceof Dict),
  number: simple("number", isNumber),
  sequence: simple("sequence", isSequence),
  iterable: simple("iterable", isIterable),
  callable: simple("callable", isCallable),
  sameas: (value, args) => isSame(value, bind("sameas", ["other"], args)[0]!),
  escaped: simple("escaped", (value) => value instanceof Markup),
  in: comparison("in", "in"),
  eq: comparison("eq", "=="),
  ne: comparison("ne", "!="),
  lt: comparison("lt", "<"),
  le: comparison("le", "<="),
  gt: comparison("gt", ">"),
  ge: comparison("ge", ">="),
};

export const TESTS: ReadonlyMap<string, Test> = new Map(Object.entries({
  ...BASE,
  "==": BASE.eq!,
  equalto: BASE.eq!,
  "!=": BASE.ne!,
  "<": BASE.lt!,
  lessthan: BASE.lt!,
  "<=": BASE.le!,
  ">": BASE.gt!,
  greaterthan: BASE.gt!,
  ">=": BASE.ge!,
}));
