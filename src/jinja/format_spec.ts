/** Python's format specifications: what stands behind the colon in `"{:>10.2f}".format(x)`. */
import { fixed, floatRepr, scientific } from "./decimal.ts";
import { bigToFloat, intText, str } from "./convert.ts";
import { JinjaError, typeError, valueError } from "./errors.ts";
import { codePointLength, type Costs, intOf, textOf, typeName, type Value } from "./values.ts";

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?(.)?$/su;
const MAX_WIDTH = 100_000;

interface Spec {
  readonly fill: string;
  readonly align: string | undefined;
  readonly sign: string | undefined;
  /** Negative zero shows as zero. */
  readonly zero: boolean;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string | undefined;
  readonly precision: number | undefined;
  readonly type: string | undefined;
}

/** `format(value, spec)` @throws {JinjaError} `value`, `type` */
export function formatValue(value: Value, spec: string, costs: Costs): string {
  if (spec === "") return str(value, costs);
  const parsed = parseSpec(spec, value);
  costs.charge(parsed.width);
  const text = textOf(value);
  if (text !== undefined) return formatText(text, parsed);
  const int = intOf(value);
  const type = parsed.type;
  if (int !== undefined && !(type !== undefined && "eEfFgG%".includes(type))) {
    return formatInt(int, parsed);
  }
  const number = int !== undefined ? bigToFloat(int) : value;
  if (typeof number === "number") return formatFloat(number, parsed);
  throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`);
}

function parseSpec(text: string, value: Value): Spec {
  const match = SPEC.exec(text);
  if (match === null) {
    throw valueError(`Invalid format specifier '${text}' for object of type '${typeName(value)}'`);
  }
  const [, fill, align, sign, z, alternate, zero, width, grouping, precision, type] = match;
  const wide = Number(width ?? 0), exact = precision === undefined ? undefined : Number(precision);
  if (wide > MAX_WIDTH || (exact ?? 0) > MAX_WIDTH) {
    throw new JinjaError("limit", "a width is too large");
  }
  return {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero === undefined ? undefined : "="),
    sign,
    zero: z !== undefined,
    alternate: alternate !== undefined,
    width: wide,
    grouping,
    precision: exact,
    type,
  };
}

function formatText(text: string, spec: Spec): string {
  if (spec.type !== undefined && spec.type !== "s") {
    throw valueError(`Unknown format code '${spec.type}' for object of type 'str'`);
  }
  if (spec.sign !== undefined) throw valueError("Sign not allowed in string format specifier");
  refuseZero(spec, "string");
  if (spec.grouping !== undefined) throw valueError(`Cannot specify '${spec.grouping}' with 's'.`);
  if (spec.align === "=" && spec.fill !== "0") {
    throw valueError("'=' alignment not allowed in string format specifier");
  }
  const points = spec.precision === undefined ? text : [...text].slice(0, spec.precision).join("");
  return align(points, "", { ...spec, align: spec.align === "=" ? "<" : spec.align }, "<");
}

function refuseZero({ zero }: Spec, kind: string): void {
  if (zero) throw valueError(`Negative zero coercion (z) not allowed in ${kind} format specifier`);
}

function formatInt(value: bigint, spec: Spec): string {
  refuseZero(spec, "integer");
  if (spec.precision !== undefined) {
    throw valueError("Precision not allowed in integer format specifier");
  }
  const size = value < 0n ? -value : value;
  const bases: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };
  const type = spec.type ?? "d";
  if (type === "c") return align(String.fromCodePoint(Number(value)), "", spec, "<");
  const base = bases[type] ?? 10;
  if (base === 10 && type !== "d" && type !== "n") {
    throw valueError(`Unknown format code '${type}' for object of type 'int'`);
  }
  let digits = base === 10 ? intText(size) : size.toString(base);
  if (type === "X") digits = digits.toUpperCase();
  const prefix = spec.alternate && base !== 10 ? `0${type}` : "";
  return withSign(value < 0n, prefix, digits, "", spec, base === 10 ? 3 : 4);
}

function formatFloat(value: number, spec: Spec): string {
  const negative = value < 0 || Object.is(value, -0);
  const type = spec.type;
  if (type !== undefined && !"eEfFgGn%".includes(type)) {
    throw valueError(`Unknown format code '${type}' for object of type 'float'`);
  }
  const [digits, rest] = floatDigits(value, type, spec);
  const isZero = spec.zero && !/[1-9a-z]/i.test(digits + rest.split(/e/i)[0]);
  return withSign(negative && !isZero, "", digits, rest, spec, 3);
}

/** Of the absolute value: what may be grouped, and what follows. */
function floatDigits(value: number, type: string | undefined, spec: Spec): [string, string] {
  if (!Number.isFinite(value)) {
    const word = Number.isNaN(value) ? "nan" : "inf";
    const shown = type !== undefined && "EFG".includes(type) ? word.toUpperCase() : word;
    return [shown, type === "%" ? "%" : ""];
  }
  const size = Math.abs(value);
  let text: string;
  const precision = spec.precision ?? 6;
  if (type === "f" || type === "F") text = fixed(size, precision);
  else if (type === "%") text = `${fixed(size * 100, precision)}%`;
  else if (type === "e" || type === "E") text = scientificText(size, precision);
  else if (type === undefined) {
    text = spec.precision === undefined
      ? floatRepr(size)
      : withPoint(general(size, spec.precision, spec.alternate, true));
  } else text = general(size, precision, spec.alternate);
  if (type === "E" || type === "G") text = text.toUpperCase();
  const [, whole = "", rest = ""] = /^(\d*)(.*)$/s.exec(text)!;
  return [whole, rest];
}

/** `%g` of numbers without a type keeps one digit behind the point. */
function withPoint(text: string): string {
  return /[.en]/.test(text) ? text : `${text}.0`;
}

/** `%e` of the absolute value. */
export function scientificText(value: number, precision: number): string {
  const { digits, exponent } = scientific(value, precision);
  const point = precision > 0 ? `${digits[0]}.${digits.slice(1)}` : digits;
  return `${point}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** `%g` of the absolute value. */
export function general(
  value: number,
  wanted: number,
  alternate: boolean,
  untyped = false,
): string {
  const precision = Math.max(wanted, 1);
  const { exponent } = scientific(value, precision - 1);
  const strip = (text: string) =>
    alternate || !text.includes(".") ? text : text.replace(/\.?0+$/, "");
  if (exponent < -4 || exponent >= precision - (untyped ? 1 : 0)) {
    const [mantissa, power] = scientificText(value, precision - 1).split("e") as [string, string];
    return `${strip(mantissa)}e${power}`;
  }
  return strip(fixed(value, precision - 1 - exponent));
}

function withSign(
  negative: boolean,
  prefix: string,
  digits: string,
  rest: string,
  spec: Spec,
  group: number,
): string {
  const sign = negative ? "-" : (spec.sign ?? "-") === "-" ? "" : spec.sign!;
  const before = sign + prefix;
  let shown = digits;
  if (spec.grouping !== undefined && /^[\da-fA-F]+$/.test(digits)) {
    const zeros = spec.fill === "0" && spec.align === "=";
    const room = zeros ? spec.width - before.length - rest.length : 0;
    shown = grouped(digits, spec.grouping, group, room);
  }
  return align(shown + rest, before, spec, ">");
}

function grouped(digits: string, separator: string, size: number, width: number): string {
  let all = digits;
  const length = (count: number) => count + Math.floor((count - 1) / size);
  while (length(all.length) < width) all = `0${all}`;
  let out = "";
  for (let index = 0; index < all.length; index++) {
    if (index > 0 && (all.length - index) % size === 0) out += separator;
    out += all[index];
  }
  return out;
}

function align(text: string, before: string, spec: Spec, usual: string): string {
  const missing = spec.width - codePointLength(before + text);
  if (missing <= 0) return before + text;
  const how = spec.align ?? usual;
  if (how === "=") return before + spec.fill.repeat(missing) + text;
  const front = how === "<" ? 0 : how === ">" ? missing : Math.floor(missing / 2);
  return spec.fill.repeat(front) + before + text + spec.fill.repeat(missing - front);
}
