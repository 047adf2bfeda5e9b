/** Python's operators on values. */
import { JinjaError, typeError } from "./errors.ts";
import { bigToFloat } from "./convert.ts";
import { percentFormat } from "./percent_format.ts";
import { escapeHtml } from "./escape.ts";
import type { BinaryOperator } from "./nodes.ts";
import {
  type Costs,
  intOf,
  Markup,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** Bits of the largest int: more is no number of a prompt. */
const MAX_BITS = 2 ** 16;

export function binary(operator: BinaryOperator, left: Value, right: Value, costs: Costs): Value {
  if (left instanceof Undefined) left.fail();
  if (operator === "%" && textOf(left) !== undefined) return percentFormat(left, right, costs);
  if (right instanceof Undefined) right.fail();
  if (operator === "+") return add(left, right, costs);
  if (operator === "*") {
    const repeated = repeat(left, right, costs) ?? repeat(right, left, costs);
    if (repeated !== undefined) return repeated;
  }
  const a = intOf(left), b = intOf(right);
  if (a !== undefined && b !== undefined) return ofInts(operator, a, b);
  const x = numberOf(left), y = numberOf(right);
  if (x === undefined || y === undefined) {
    const sign = operator === "**" ? "** or pow()" : operator;
    throw typeError(
      `unsupported operand type(s) for ${sign}: '${typeName(left)}' and '${typeName(right)}'`,
    );
  }
  return ofFloats(operator, x, y);
}

export function add(left: Value, right: Value, costs: Costs): Value {
  if (typeof left === "string" && typeof right === "string") {
    costs.charge(left.length + right.length);
    return left + right;
  }
  if (left instanceof Markup || right instanceof Markup) {
    const a = textOf(left), b = textOf(right);
    if (a !== undefined && b !== undefined) {
      costs.charge(a.length + b.length);
      return new Markup(escapeHtml(left, costs).text + escapeHtml(right, costs).text);
    }
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    costs.charge(32 * (left.length + right.length));
    return left.concat(right);
  }
  if (left instanceof Tuple && right instanceof Tuple) {
    costs.charge(32 * (left.items.length + right.items.length));
    return new Tuple([...left.items, ...right.items]);
  }
  const a = intOf(left), b = intOf(right);
  if (a !== undefined && b !== undefined) return bounded(a + b);
  const x = numberOf(left), y = numberOf(right);
  if (x !== undefined && y !== undefined) return x + y;
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  const text = textOf(left) !== undefined;
  throw typeError(
    text
      ? `can only concatenate str (not "${typeName(right)}") to str`
      : Array.isArray(left)
      ? `can only concatenate list (not "${typeName(right)}") to list`
      : `unsupported operand type(s) for +: '${typeName(left)}' and '${typeName(right)}'`,
  );
}

function repeat(items: Value, count: Value, costs: Costs): Value | undefined {
  const times = intOf(count);
  if (times === undefined) return undefined;
  const many = times < 0n ? 0 : Number(times);
  const text = textOf(items);
  if (text !== undefined) {
    costs.charge(text.length * many);
    return items instanceof Markup ? new Markup(text.repeat(many)) : text.repeat(many);
  }
  const list = Array.isArray(items) ? items : items instanceof Tuple ? items.items : undefined;
  if (list === undefined) return undefined;
  // An item weighs more than a letter.
  costs.charge(32 * list.length * many);
  const all: Value[] = [];
  for (let index = 0; index < many && list.length > 0; index++) all.push(...list);
  return Array.isArray(items) ? all : new Tuple(all);
}

/** A float, or an int as one. */
function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  const int = intOf(value);
  return int === undefined ? undefined : bigToFloat(int);
}

function bounded(value: bigint): bigint {
  if (value > LARGEST || value < -LARGEST) throw new JinjaError("limit", "a number is too large");
  return value;
}

const LARGEST = 1n << BigInt(MAX_BITS);

function ofInts(operator: BinaryOperator, a: bigint, b: bigint): Value {
  switch (operator) {
    case "+":
      return bounded(a + b);
    case "-":
      return bounded(a - b);
    case "*":
      return bounded(a * b);
    case "/":
      if (b === 0n) throw new JinjaError("zero-division", "division by zero");
      return divideInts(a, b);
    case "//":
    case "%": {
      if (b === 0n) throw new JinjaError("zero-division", "integer division or modulo by zero");
      const rest = a % b;
      const floors = rest !== 0n && (rest < 0n) !== (b < 0n);
      return operator === "//" ? a / b - (floors ? 1n : 0n) : floors ? rest + b : rest;
    }
    case "**":
      return power(a, b);
  }
}

/** The nearest float to a / b, also where neither fits one. */
function divideInts(a: bigint, b: bigint): number {
  const x = Number(a), y = Number(b);
  if (Number.isSafeInteger(x) && Number.isSafeInteger(y)) return x / y;
  const negative = (a < 0n) !== (b < 0n);
  let numerator = a < 0n ? -a : a;
  let denominator = b < 0n ? -b : b;
  const bits = (value: bigint) => value.toString(2).length;
  // 66 bits of quotient, the last of them set if there is a rest, round as the whole does.
  const shift = 66 - (bits(numerator) - bits(denominator));
  if (shift > 0) numerator <<= BigInt(shift);
  else denominator <<= BigInt(-shift);
  const quotient = numerator / denominator | (numerator % denominator === 0n ? 0n : 1n);
  const value = scale(Number(quotient), -shift);
  if (!Number.isFinite(value)) {
    throw new JinjaError("overflow", "integer division result too large for a float");
  }
  return negative ? -value : value;
}

function scale(value: number, power: number): number {
  let out = value;
  for (let left = power; left !== 0;) {
    const part = Math.max(-1000, Math.min(1000, left));
    out *= 2 ** part;
    left -= part;
  }
  return out;
}

function power(a: bigint, b: bigint): Value {
  if (b < 0n) {
    if (a === 0n) {
      throw new JinjaError("zero-division", "0.0 cannot be raised to a negative power");
    }
    return bigToFloat(a) ** bigToFloat(b);
  }
  const bits = a < 0n ? (-a).toString(2).length : a.toString(2).length;
  if (a !== 0n && a !== 1n && a !== -1n && BigInt(bits) * b > BigInt(MAX_BITS)) {
    throw new JinjaError("limit", "a number is too large");
  }
  return a ** b;
}

function ofFloats(operator: BinaryOperator, x: number, y: number): number {
  switch (operator) {
    case "+":
      return x + y;
    case "-":
      return x - y;
    case "*":
      return x * y;
    case "/":
      if (y === 0) throw new JinjaError("zero-division", "float division by zero");
      return x / y;
    case "//": {
      if (y === 0) throw new JinjaError("zero-division", "float floor division by zero");
      const quotient = (x - modulo(x, y)) / y;
      const floor = Math.floor(quotient);
      return quotient - floor > 0.5 ? floor + 1 : floor;
    }
    case "%":
      if (y === 0) throw new JinjaError("zero-division", "float modulo");
      return modulo(x, y);
    case "**": {
      if (x === 0 && y < 0) {
        throw new JinjaError("zero-division", "0.0 cannot be raised to a negative power");
      }
      if (x < 0 && !Number.isInteger(y) && Number.isFinite(y)) {
        throw typeError("complex numbers are not supported");
      }
      if (x === 1 || y === 0) return 1;
      const value = x ** y;
      if (!Number.isFinite(value) && Number.isFinite(x) && Number.isFinite(y)) {
        throw new JinjaError("overflow", "(34, 'Numerical result out of range')");
      }
      return value;
    }
  }
}

function modulo(x: number, y: number): number {
  const rest = x % y;
  if (rest === 0) return y < 0 ? -0 : 0;
  return (rest < 0) !== (y < 0) ? rest + y : rest;
}

export function sign(operator: "+" | "-", value: Value): Value {
  if (value instanceof Undefined) value.fail();
  const int = intOf(value);
  if (int !== undefined) return operator === "-" ? -int : int;
  if (typeof value === "number") return operator === "-" ? -value : value;
  throw typeError(`bad operand type for unary ${operator}: '${typeName(value)}'`);
}
