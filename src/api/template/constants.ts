/** Go's constants as templates write them: numbers of every form, quoted texts, characters. */
import { decode, GoString } from "./text.ts";

/** A number before its type is known: which of Go's kinds of number it can be. */
export interface Constant {
  readonly text: string;
  readonly int?: bigint;
  readonly uint?: bigint;
  readonly float?: number;
  readonly complex?: readonly [re: number, im: number];
}

const INT = /^([-+]?)(?:(0[xX])([0-9a-fA-F_]+)|(0[bB])([01_]+)|(0[oO]?)([0-7_]+)|([0-9][0-9_]*))$/;
const DECIMAL = /^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;
const HEX_FLOAT = /^([-+]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([-+]?[0-9]+)$/;
const [MIN_INT, MAX_INT, MAX_UINT] = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n - 1n];

/** An underscore stands between digits, or between a prefix and a digit. */
function underscoresAreRight(text: string): boolean {
  const digits = text.replace(/^[-+]/, "").replace(/^0[bBoOxX]/, "0");
  const digit = /^[-+]?0[xX]/.test(text) ? "[0-9a-fA-F]" : "[0-9]";
  return !new RegExp(`(?<!${digit})_|_(?!${digit})`).test(digits);
}

/** What Go's `ParseInt(text, 0, …)` reads, without a bound. */
function parseInteger(text: string): bigint | undefined {
  const match = INT.exec(text);
  if (match === null) return undefined;
  const [, sign, x, hex, b, binary, o, octal, decimal] = match;
  if (!underscoresAreRight(text)) return undefined;
  const clean = (digits: string) => digits.replaceAll("_", "");
  let value: bigint;
  if (x !== undefined) value = BigInt(`0x${clean(hex!)}`);
  else if (b !== undefined) value = BigInt(`0b${clean(binary!)}`);
  else if (o !== undefined) value = BigInt(`0o${clean(octal!)}`);
  else value = BigInt(clean(decimal!));
  // "08" is neither octal nor decimal.
  if (decimal !== undefined && /^0[0-9_]/.test(decimal)) return undefined;
  return sign === "-" ? -value : value;
}

/** What Go's `ParseFloat(text, 64)` reads. */
function parseFloat64(text: string): number | undefined {
  if (!underscoresAreRight(text)) return undefined;
  text = text.replaceAll("_", "");
  if (DECIMAL.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const match = HEX_FLOAT.exec(text);
  if (match === null || match[2] === "" && match[3] === "") return undefined;
  const mantissa = BigInt(`0x${match[2]}${match[3]}`);
  const value = scale(mantissa, Number(match[4]) - 4 * match[3]!.length);
  if (!Number.isFinite(value)) return undefined;
  return match[1] === "-" ? -value : value;
}

/** `mantissa × 2 ** exponent`, rounded once, to even. */
function scale(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  if (bits + exponent > 1024) return Infinity;
  // A double has 53 bits, fewer below 2 ** -1022.
  const kept = Math.min(53, bits + exponent + 1074);
  if (kept < 0) return 0;
  const drop = BigInt(Math.max(bits - kept, 0));
  const rest = mantissa & ((1n << drop) - 1n);
  const half = drop === 0n ? 0n : 1n << (drop - 1n);
  let top = mantissa >> drop;
  if (drop > 0n && (rest > half || rest === half && (top & 1n) === 1n)) top++;
  let value = Number(top);
  let power = exponent + Number(drop);
  // In steps, none of which leaves the range of normal doubles before the last.
  for (; power > 1000; power -= 1000) value *= 2 ** 1000;
  for (; power < -1000; power += 1000) value *= 2 ** -1000;
  return value * 2 ** power;
}

/** The kinds that a number which was read as a float can be as well. */
function withFloat(text: string, float: number): Constant {
  const isWhole = Number.isInteger(float);
  const value = isWhole ? BigInt(float) : 0n;
  return {
    text,
    float,
    ...(isWhole && value >= MIN_INT && value <= MAX_INT ? { int: value } : {}),
    ...(isWhole && value >= 0n && value <= MAX_UINT ? { uint: value } : {}),
  };
}

/** @returns What is wrong, as text, if it is none. */
export function parseNumber(text: string, kind: "number" | "complex"): Constant | string {
  const wrong = "a number is written wrongly";
  if (kind === "complex") {
    const split = /^(.*[^eEpP])([-+].*)i$/.exec(text);
    const re = parseFloat64(split?.[1] ?? ""), im = parseFloat64(split?.[2] ?? "");
    return re === undefined || im === undefined ? wrong : asComplex(text, re, im);
  }
  if (text.endsWith("i")) {
    const im = parseFloat64(text.slice(0, -1));
    if (im !== undefined) return asComplex(text, 0, im);
  }
  const value = parseInteger(text);
  if (value !== undefined && value >= MIN_INT && value <= MAX_UINT) {
    const isInt = value <= MAX_INT;
    const isUint = value > 0n && !/^[-+]/.test(text) || value === 0n;
    if (isInt || isUint) {
      return {
        text,
        float: Number(value),
        ...(isInt ? { int: value } : {}),
        ...(isUint ? { uint: value } : {}),
      };
    }
  }
  const float = parseFloat64(text);
  if (float === undefined) return wrong;
  if (!/[.eEpP]/.test(text)) return "an integer is too large";
  return withFloat(text, float);
}

function asComplex(text: string, re: number, im: number): Constant {
  return { ...(im === 0 ? withFloat(text, re) : { text }), complex: [re, im] };
}

const SIMPLE: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
};
const ESCAPE =
  /\\(?:([abfnrtv\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/y;

/** One escape: a byte (below 256, by `\x` or octal), or a character. Undefined: it is none. */
function readEscape(
  text: string,
  at: number,
  quote: string,
): { value: number; isByte: boolean; end: number } | undefined {
  ESCAPE.lastIndex = at;
  const match = ESCAPE.exec(text);
  if (match === null) return undefined;
  const end = ESCAPE.lastIndex;
  const [, simple, byte, short, long, octal] = match;
  if (simple !== undefined) {
    if (simple === '"' || simple === "'") {
      return simple === quote ? { value: simple.charCodeAt(0), isByte: false, end } : undefined;
    }
    return { value: SIMPLE[simple]!, isByte: false, end };
  }
  if (byte !== undefined) return { value: parseInt(byte, 16), isByte: true, end };
  if (octal !== undefined) {
    const value = parseInt(octal, 8);
    return value > 255 ? undefined : { value, isByte: true, end };
  }
  const value = parseInt((short ?? long)!, 16);
  if (value > 0x10ffff || value >= 0xd800 && value < 0xe000) return undefined;
  return { value, isByte: false, end };
}

/** The text of `"…"`, or undefined for an escape that Go does not know. */
export function unquote(literal: string): GoString | undefined {
  if (literal.startsWith("`")) return GoString.of(literal.slice(1, -1).replaceAll("\r", ""));
  const inside = literal.slice(1, -1);
  if (!inside.includes("\\")) return GoString.of(inside);
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (let at = 0; at < inside.length;) {
    if (inside[at] !== "\\") {
      const char = String.fromCodePoint(inside.codePointAt(at)!);
      bytes.push(...encoder.encode(char));
      at += char.length;
      continue;
    }
    const escape = readEscape(inside, at, '"');
    if (escape === undefined) return undefined;
    if (escape.isByte) bytes.push(escape.value);
    else bytes.push(...encoder.encode(String.fromCodePoint(escape.value)));
    at = escape.end;
  }
  return GoString.of(decode(Uint8Array.from(bytes)));
}

/** `'x'`, or undefined. */
export function parseCharacter(literal: string): Constant | undefined {
  const inside = literal.slice(1, -1);
  let code: number | undefined;
  if (inside.startsWith("\\")) {
    const escape = readEscape(inside, 0, "'");
    if (escape?.end === inside.length) code = escape.value;
  } else if ([...inside].length === 1) code = inside.codePointAt(0)!;
  if (code === undefined) return undefined;
  return { text: literal, int: BigInt(code), uint: BigInt(code), float: code };
}

const isHexInt = (text: string) => /^0[xX]./.test(text) && !/[pP]/.test(text);

/** What a constant is where nothing asks for a type: `complex`, `float`, `int`; undefined: it overflows an int. */
export function idealKind(constant: Constant): "complex" | "float" | "int" | undefined {
  const { text } = constant;
  if (constant.complex !== undefined) return "complex";
  if (
    constant.float !== undefined && !isHexInt(text) && !text.startsWith("'") &&
    /[.eEpP]/.test(text)
  ) return "float";
  return constant.int === undefined ? undefined : "int";
}
