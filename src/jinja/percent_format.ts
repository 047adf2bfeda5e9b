/** `text % values`, Python's printf-style formatting. */
import { fixed } from "./decimal.ts";
import { codeEscape, intText, repr, str, toFloat, toInt } from "./convert.ts";
import { JinjaError, typeError, valueError } from "./errors.ts";
import { escapeText } from "./escape.ts";
import { general, scientificText } from "./format_spec.ts";
import {
  codePointLength,
  type Costs,
  Dict,
  intOf,
  Markup,
  PyObject,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

const CONVERSION =
  /%(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?([-#0 +]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?(.)?/gsu;
/** Padding and digits may not be longer. */
const MAX_WIDTH = 100_000;

/** @throws {JinjaError} `type`: too many or too few values, or of the wrong type; `value`: the format is not one. */
export function percentFormat(template: Value, given: Value, costs: Costs): Value {
  const text = textOf(template) as string;
  const safe = template instanceof Markup;
  const values = new Values(given);
  const show = (value: string) => safe ? escapeText(value) : value;
  let out = "";
  let from = 0;
  for (const match of text.matchAll(CONVERSION)) {
    out += text.slice(from, match.index);
    from = match.index + match[0].length;
    const [, key, flags = "", width, precision, type] = match;
    if (type === undefined) throw valueError("incomplete format");
    if (type === "%") {
      out += "%";
      continue;
    }
    const wide = amount(width, values);
    const left = flags.includes("-") || (wide ?? 0) < 0;
    const exact = amount(precision, values);
    const value = values.take(key);
    const piece = convert(
      value,
      type,
      { flags, width: Math.abs(wide ?? 0), left, precision: exact },
      show,
      costs,
    );
    costs.charge(piece.length);
    out += piece;
  }
  out += text.slice(from);
  values.finish();
  costs.charge(out.length);
  return safe ? new Markup(out) : out;
}

/** A width or precision: a number, `*` for the next value, "" for 0. */
function amount(text: string | undefined, values: Values): number | undefined {
  if (text === undefined) return undefined;
  const number = text === "*" ? intOf(values.take(undefined)) : BigInt(text);
  if (number === undefined) throw typeError("* wants int");
  if (number > MAX_WIDTH || number < -MAX_WIDTH) {
    throw new JinjaError("limit", "a width is too large");
  }
  return Number(number);
}

/** A tuple's items one by one, a mapping's by name, or one value alone. */
class Values {
  readonly #given: Value;
  readonly #items: readonly Value[];
  #at = 0;
  #named = false;

  constructor(given: Value) {
    this.#given = given;
    this.#items = given instanceof Tuple ? given.items : [given];
  }

  take(key: string | undefined): Value {
    if (key === undefined) {
      const value = this.#items[this.#at++];
      if (value === undefined) throw typeError("not enough arguments for format string");
      return value;
    }
    const given = this.#given;
    this.#named = true;
    if (given instanceof Undefined) given.fail();
    if (!isMapping(given)) throw typeError("format requires a mapping");
    const value = given instanceof Dict ? given.get(key) : undefined;
    if (value === undefined) throw new JinjaError("lookup", `'${key}'`);
    return value;
  }

  finish(): void {
    const left = this.#at < this.#items.length && !this.#named;
    if (left && !(isMapping(this.#given) && this.#at === 0)) {
      throw typeError("not all arguments converted during string formatting");
    }
  }
}

/** What Python takes for one: whatever has items, but no tuple and no text. */
function isMapping(value: Value): boolean {
  if (Array.isArray(value) || value instanceof Dict || value instanceof Undefined) return true;
  return value instanceof PyObject && value.typeName === "range";
}

interface Shape {
  readonly flags: string;
  readonly width: number;
  readonly left: boolean;
  readonly precision: number | undefined;
}

function convert(
  value: Value,
  type: string,
  shape: Shape,
  show: (text: string) => string,
  costs: Costs,
): string {
  const { flags, precision } = shape;
  switch (type) {
    case "s":
      return padded(
        cut(value instanceof Markup ? value.text : show(str(value, costs)), precision),
        shape,
      );
    case "r":
      return padded(cut(show(repr(value, costs)), precision), shape);
    case "a":
      return padded(
        cut(repr(value, costs).replace(/[^\0-\x7f]/gu, codeEscape), precision),
        shape,
      );
    case "c": {
      const text = textOf(value);
      if (text !== undefined && codePointLength(text) === 1) return padded(text, shape);
      const code = intOf(value);
      if (code === undefined) throw typeError("%c requires int or char");
      if (code < 0n || code > 0x10ffffn) {
        throw new JinjaError("overflow", "%c arg not in range(0x110000)");
      }
      return padded(String.fromCodePoint(Number(code)), shape);
    }
    case "d":
    case "i":
    case "u":
    case "o":
    case "x":
    case "X":
      return number(integer(value, type, shape), shape);
    case "e":
    case "E":
    case "f":
    case "F":
    case "g":
    case "G": {
      if (textOf(value) !== undefined) {
        throw typeError(`must be real number, not ${typeName(value)}`);
      }
      return number(float(toFloat(value), type, precision ?? 6, flags.includes("#")), shape);
    }
  }
  throw valueError(`unsupported format character '${type}'`);
}

/** A number's sign, its prefix (`0x`), and its digits. */
type Digits = readonly [negative: boolean, prefix: string, digits: string];

function integer(value: Value, type: string, { flags, precision }: Shape): Digits {
  const decimal = type === "d" || type === "i" || type === "u";
  const int = typeof value === "number" && decimal ? toInt(value) : intOf(value);
  if (int === undefined) {
    if (value instanceof Undefined) value.fail();
    const wanted = decimal ? "a real number" : "an integer";
    throw typeError(`%${type} format: ${wanted} is required, not ${typeName(value)}`);
  }
  const size = int < 0n ? -int : int;
  const base = type === "o" ? 8 : type.toLowerCase() === "x" ? 16 : 10;
  let digits = base === 10 ? intText(size) : size.toString(base);
  if (type === "X") digits = digits.toUpperCase();
  const prefix = flags.includes("#") && base !== 10 ? `0${type}` : "";
  return [int < 0n, prefix, digits.padStart(precision ?? 0, "0")];
}

function float(value: number, type: string, precision: number, alternate: boolean): Digits {
  const negative = value < 0 || Object.is(value, -0);
  const upper = type === type.toUpperCase();
  const kind = type.toLowerCase();
  let digits: string;
  if (!Number.isFinite(value)) digits = Number.isNaN(value) ? "nan" : "inf";
  else if (kind === "f") {
    digits = fixed(value, precision);
    if (alternate && precision === 0) digits += ".";
  } else if (kind === "e") digits = scientificText(value, precision);
  else digits = general(value, precision, alternate);
  return [negative, "", upper ? digits.toUpperCase() : digits];
}

function number([negative, prefix, digits]: Digits, shape: Shape): string {
  const { flags, width, left } = shape;
  const sign = negative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  if (!flags.includes("0") || left) return padded(sign + prefix + digits, shape);
  return sign + prefix + digits.padStart(width - sign.length - prefix.length, "0");
}

function padded(text: string, { width, left }: Shape): string {
  const missing = width - codePointLength(text);
  if (missing <= 0) return text;
  return left ? text + " ".repeat(missing) : " ".repeat(missing) + text;
}

function cut(text: string, precision: number | undefined): string {
  return precision === undefined ? text : [...text].slice(0, precision).join("");
}
