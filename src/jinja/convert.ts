/** Values to text, text to numbers, and JavaScript's values to Python's. */
import { JinjaError, typeError, valueError } from "./errors.ts";
import { floatRepr } from "./decimal.ts";
import {
  type Costs,
  Dict,
  Markup,
  PyObject,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";
import { SPACE } from "./lexer.ts";
import { isPrintable } from "./unicode.ts";

/** Python's bound on the digits of a number in text. */
const MAX_DIGITS = 4300;
/** Values inside each other that are printed or compared. */
export const MAX_NESTING = 500;

/** `str(x)` */
export function str(value: Value, costs: Costs): string {
  const text = textOf(value);
  if (text !== undefined) return text;
  return value instanceof Undefined ? "" : repr(value, costs);
}

/** `repr(x)` */
export function repr(value: Value, costs: Costs, depth = 0): string {
  costs.step();
  if (value === null) return "None";
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "bigint":
      return intText(value);
    case "number":
      return floatRepr(value);
    case "string":
      costs.charge(8 * value.length);
      return stringRepr(value);
  }
  if (depth > MAX_NESTING) {
    throw new JinjaError("limit", "a value is nested too deeply to be printed");
  }
  const nested = (inner: Value) => repr(inner, costs, depth + 1);
  let text: string;
  if (Array.isArray(value)) text = `[${value.map(nested).join(", ")}]`;
  else if (value instanceof Markup) text = `Markup(${stringRepr(value.text)})`;
  else text = value.repr(nested);
  costs.charge(text.length);
  return text;
}

export function intText(value: bigint): string {
  // Ten bits are three digits and a little.
  if (value > BIG || value < -BIG) {
    throw valueError("Exceeds the limit (4300 digits) for integer string conversion");
  }
  return value.toString();
}

const BIG = 10n ** BigInt(MAX_DIGITS);

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = quote;
  for (const point of text) {
    if (point === quote) out += `\\${quote}`;
    else out += SHORT_ESCAPES[point] ?? (isPrintable(point) ? point : codeEscape(point));
  }
  return out + quote;
}

/** `\xNN`, `\uNNNN` or `\UNNNNNNNN` */
export function codeEscape(point: string): string {
  const code = point.codePointAt(0) as number;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

const SPACE_CHAR = new RegExp(`[${SPACE}]`);
const PREFIXES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16 };

/** `int(text, base)` @throws {JinjaError} `value` */
function parseInteger(text: string, base: number): bigint {
  const fail = () =>
    valueError(`invalid literal for int() with base ${base}: ${stringRepr(text.slice(0, 200))}`);
  if (base !== 0 && (base < 2 || base > 36)) {
    throw valueError("int() base must be >= 2 and <= 36, or 0");
  }
  const [, sign, body = ""] = /^([-+]?)(.*)$/s.exec(withoutSpaces(text))!;
  let digits = body.toLowerCase();
  let radix = base;
  const prefix = digits[0] === "0" ? PREFIXES[digits[1] ?? ""] : undefined;
  if (prefix !== undefined && (base === 0 || base === prefix)) {
    radix = prefix;
    digits = digits.slice(digits[2] === "_" ? 3 : 2);
  } else if (base === 0) {
    radix = 10;
    if (/^0[_\d]/.test(digits) && !/^[0_]+$/.test(digits)) throw fail();
  }
  if (!/^[\p{Nd}a-z]+(_[\p{Nd}a-z]+)*$/u.test(digits)) throw fail();
  digits = asciiDigits(digits.replaceAll("_", ""));
  if (digits.length > MAX_DIGITS) throw valueError("Exceeds the limit (4300 digits)");
  let value = 0n;
  const big = BigInt(radix);
  if (radix === 10 && /^\d+$/.test(digits)) value = BigInt(digits);
  else {
    for (const digit of digits) {
      const number = parseInt(digit, 36);
      if (Number.isNaN(number) || number >= radix) throw fail();
      value = value * big + BigInt(number);
    }
  }
  return sign === "-" ? -value : value;
}

/** Without the white space around it. By a regular expression, a run within would be looked at from each of its characters. */
function withoutSpaces(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && SPACE_CHAR.test(text[start]!)) start++;
  while (start < end && SPACE_CHAR.test(text[end - 1]!)) end--;
  return text.slice(start, end);
}

const DIGITS = "\\d+(?:_\\d+)*";
/** Each digit can belong to one part only: else what is no number is tried in as many ways as it has digits. */
const FLOAT = new RegExp(
  `^[-+]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:e[-+]?${DIGITS})?$`,
  "i",
);

/** `float(text)` @throws {JinjaError} `value` */
function parseFloatText(text: string): number {
  const trimmed = asciiDigits(withoutSpaces(text));
  if (FLOAT.test(trimmed)) {
    return Number(trimmed.replaceAll("_", ""));
  }
  const word = /^([-+]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (word === null) {
    throw valueError(`could not convert string to float: ${stringRepr(text.slice(0, 200))}`);
  }
  if (word[2]!.toLowerCase() === "nan") return NaN;
  return word[1] === "-" ? -Infinity : Infinity;
}

/** Other scripts' decimal digits as ASCII ones; each script's ten stand in a row. */
function asciiDigits(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text;
  return text.replace(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0)!;
    let zero = code;
    while (code - zero < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--;
    return String((code - zero) % 10);
  });
}

/** `float(x)` @throws {JinjaError} */
export function toFloat(value: Value): number {
  const text = textOf(value);
  if (text !== undefined) return parseFloatText(text);
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  if (typeof value === "bigint") return bigToFloat(value);
  if (value instanceof Undefined) value.fail();
  throw typeError(
    `float() argument must be a string or a real number, not '${typeName(value)}'`,
  );
}

export function bigToFloat(value: bigint): number {
  const number = Number(value);
  if (!Number.isFinite(number)) {
    throw new JinjaError("overflow", "int too large to convert to float");
  }
  return number;
}

/** `int(x)` @throws {JinjaError} */
export function toInt(value: Value, base = 10): bigint {
  const text = textOf(value);
  if (text !== undefined) return parseInteger(text, base);
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return BigInt(value);
  if (typeof value === "number") {
    if (Number.isNaN(value)) throw valueError("cannot convert float NaN to integer");
    if (!Number.isFinite(value)) {
      throw new JinjaError("overflow", "cannot convert float infinity to integer");
    }
    return BigInt(Math.trunc(value));
  }
  if (value instanceof Undefined) value.fail();
  throw typeError(
    `int() argument must be a string, a bytes-like object or a real number, not '${
      typeName(value)
    }'`,
  );
}

/**
 * JSON's values as Python's `json` would read them, but that `1.0`, which JavaScript does not tell from `1`, is an int.
 * `undefined` as a member is left out, elsewhere it is none.
 */
export function fromJs(value: unknown, depth = 0): Value {
  if (depth > MAX_NESTING) throw new JinjaError("limit", "a value is nested too deeply");
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value;
    case "number":
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case "object":
      if (value === null) return null;
      if (value instanceof PyObject) return value;
      if (Array.isArray(value)) return value.map((item) => fromJs(item, depth + 1));
      return new Dict(
        Object.entries(value).filter(([, item]) => item !== undefined)
          .map(([key, item]) => [key, fromJs(item, depth + 1)] as const),
      );
  }
  return null;
}
