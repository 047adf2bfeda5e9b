/** How Go's fmt shows one value, by a verb and its flags. */
import { formatFloat } from "./float_text.ts";
import { canBackquote, isPrintable, quote, quoteRune } from "./quote.ts";
import { GoString, type Run } from "./text.ts";
import { concrete, elements, entries, type Maybe, type Value } from "./types.ts";

/** Called with the UTF-16 units that are about to be made. */
export type Charge = (units: number) => void;

/** What a piece costs beside its length. */
const PIECE = 16;
/** Values inside each other. */
const MAX_DEPTH = 200;

export interface Flags {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  /** `%+v` and `%#v`, which mean something else than a sign. */
  plusV: boolean;
  sharpV: boolean;
  width: number | undefined;
  precision: number | undefined;
}

export const NO_FLAGS: Readonly<Flags> = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  plusV: false,
  sharpV: false,
  width: undefined,
  precision: undefined,
};

export class Printer {
  flags: Flags = { ...NO_FLAGS };
  readonly #charge: Charge;
  #out: Run[] = [];
  /** Inside of `%!d(…)`, where methods are not asked. */
  #isError = false;

  constructor(charge: Charge) {
    this.#charge = charge;
  }

  done(): GoString {
    return GoString.ofRuns(this.#out);
  }

  write(text: string): void {
    this.#charge(text.length + PIECE);
    this.#out.push({ text, from: "template" });
  }

  writeRuns(text: GoString): void {
    this.#charge(text.text.length + PIECE);
    this.#out.push(...text.runs);
  }

  arg(given: Maybe, verb: string): void {
    const value = concrete(given);
    if (value === undefined) {
      if (verb === "T" || verb === "v") this.#pad(GoString.of("<nil>"));
      else this.#badVerb(verb, undefined);
    } else if (verb === "T") this.#string(GoString.of(value.type.name), "s");
    else if (verb === "p") this.#pointer(value, "p");
    else this.#value(value, verb, 0);
  }

  /** `depth` 0: the argument itself, whose methods count as well. */
  #value(value: Value, verb: string, depth: number): void {
    if (depth > MAX_DEPTH) return this.write("…");
    const { type, data } = value;
    if (type.string !== undefined && !this.#isError && !this.flags.sharpV && isStringVerb(verb)) {
      return this.#string(type.string(value), verb);
    }
    switch (type.kind) {
      case "bool":
        if (verb !== "t" && verb !== "v") return this.#badVerb(verb, value);
        return this.#pad(GoString.of(String(data)));
      case "float64":
        return this.#float(data as number, verb, value);
      case "complex128":
        return this.#complex(value, verb);
      case "string":
        if (!isStringVerb(verb)) return this.#badVerb(verb, value);
        return this.#string(data as GoString, verb);
      case "interface": {
        const inner = data as Maybe;
        if (inner !== undefined) return this.#value(inner, verb, depth + 1);
        return this.write(this.flags.sharpV ? `${type.name}(nil)` : "<nil>");
      }
      case "map":
      case "struct":
      case "slice":
        return this.#composite(value, verb, depth);
      case "pointer": {
        const kind = type.elem!.kind;
        const isPlain = kind === "slice" || kind === "struct" || kind === "map";
        if (depth > 0 || data === undefined || !isPlain) return this.#pointer(value, verb);
        this.write("&");
        return this.#value({ type: type.elem!, data }, verb, depth + 1);
      }
      default:
        return this.#integer(data as bigint, verb, value);
    }
  }

  #composite(value: Value, verb: string, depth: number): void {
    const { type, data } = value;
    const { sharpV, plusV } = this.flags;
    const isNil = data === undefined && type.kind !== "struct";
    if (sharpV) this.write(type.name + (isNil ? "(nil)" : ""));
    if (sharpV && isNil) return;
    const isStruct = type.kind === "struct";
    this.write(sharpV || isStruct ? "{" : type.kind === "map" ? "map[" : "[");
    const between = sharpV ? ", " : " ";
    for (const [at, { name, value: one }] of parts(value).entries()) {
      if (at > 0) this.write(between);
      if (typeof name !== "string") {
        if (name !== undefined) {
          this.#value(name, verb, depth + 1);
          this.write(":");
        }
      } else if (plusV || sharpV) this.write(`${name}:`);
      // A field that is an interface shows what it holds.
      this.#value(isStruct ? concrete(one) ?? one : one, verb, depth + 1);
    }
    this.write(sharpV || isStruct ? "}" : "]");
  }

  /** What has no address here is told from nil all the same. */
  #pointer(value: Value, verb: string): void {
    if (!["pointer", "slice", "map"].includes(value.type.kind) || !"pvbodxX".includes(verb)) {
      return this.#badVerb(verb, value);
    }
    const address = value.data === undefined ? 0n : 0xc000000000n;
    if (verb === "v" && this.flags.sharpV) {
      return this.write(`(${value.type.name})(${address === 0n ? "nil" : "0xc000000000"})`);
    }
    if (verb === "v" && address === 0n) return this.#pad(GoString.of("<nil>"));
    if (verb === "v" || verb === "p") this.#digits(address, 16, "v", !this.flags.sharp);
    else this.#integer(address, verb, value);
  }

  #badVerb(verb: string, value: Maybe): void {
    this.#isError = true;
    this.write(`%!${verb}(`);
    if (value === undefined) this.write("<nil>");
    else {
      this.write(`${value.type.name}=`);
      this.#value(value, "v", 0);
    }
    this.write(")");
    this.#isError = false;
  }

  #pad(text: GoString): void {
    const { width, minus, zero } = this.flags;
    const missing = (width ?? 0) === 0 ? 0 : width! - [...text.text].length;
    const padding = (zero ? "0" : " ").repeat(Math.max(missing, 0));
    if (!minus && padding !== "") this.write(padding);
    this.writeRuns(text);
    if (minus && padding !== "") this.write(padding);
  }

  #padSpaces(text: string): void {
    const { zero } = this.flags;
    this.flags.zero = false;
    this.#pad(GoString.of(text));
    this.flags.zero = zero;
  }

  #string(text: GoString, verb: string): void {
    const { precision, sharp, sharpV, plus } = this.flags;
    if (verb === "x" || verb === "X") return this.#hex(text, verb);
    const shown = precision === undefined ? text : firstRunes(text, precision);
    if (verb === "q" || sharpV) {
      if (sharp && canBackquote(shown.text)) {
        const mark = GoString.of("`");
        this.#pad(GoString.ofRuns([...mark.runs, ...shown.runs, ...mark.runs]));
      } else this.#pad(quote(shown, plus));
    } else this.#pad(shown);
  }

  #hex(text: GoString, verb: string): void {
    const { precision, sharp, space, width, minus } = this.flags;
    const bytes = text.bytes.subarray(0, precision);
    this.#charge(bytes.length * 5);
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
    const prefix = sharp && bytes.length > 0 ? "0x" : "";
    let shown = prefix + digits.join(space ? " " + prefix : "");
    if (verb === "X") shown = shown.toUpperCase();
    const padding = (this.flags.zero ? "0" : " ").repeat(Math.max((width ?? 0) - shown.length, 0));
    this.write(minus && shown !== "" ? shown + padding : padding + shown);
  }

  #integer(value: bigint, verb: string, whole: Value): void {
    const isUnsigned = whole.type.kind === "uint8";
    switch (verb) {
      case "v":
        return this.flags.sharpV && isUnsigned
          ? this.#digits(value, 16, "v", true)
          : this.#digits(value, 10, verb);
      case "d":
        return this.#digits(value, 10, verb);
      case "b":
        return this.#digits(value, 2, verb);
      case "o":
      case "O":
        return this.#digits(value, 8, verb);
      case "x":
      case "X":
        return this.#digits(value, 16, verb);
      case "c":
        return this.#pad(GoString.of(rune(value)));
      case "q":
        return this.#pad(quoteRune(GoString.of(rune(value)), this.flags.plus));
      case "U":
        return this.#unicode(value);
      default:
        return this.#badVerb(verb, whole);
    }
  }

  #digits(value: bigint, base: number, verb: string, sharp = this.flags.sharp): void {
    const { width, plus, space, zero } = this.flags;
    let { precision } = this.flags;
    if (precision === 0 && value === 0n) return this.write(" ".repeat(width ?? 0));
    const isNegative = value < 0n;
    if (precision === undefined && zero && width !== undefined) {
      precision = width - (isNegative || plus || space ? 1 : 0);
    }
    this.#charge(precision ?? 0);
    let text = (isNegative ? -value : value).toString(base).padStart(precision ?? 0, "0");
    if (sharp) {
      if (base === 2) text = "0b" + text;
      else if (base === 8 && !text.startsWith("0")) text = "0" + text;
      else if (base === 16) text = "0x" + text;
    }
    if (verb === "X") text = text.toUpperCase();
    if (verb === "O") text = "0o" + text;
    this.#padSpaces((isNegative ? "-" : plus ? "+" : space ? " " : "") + text);
  }

  #unicode(value: bigint): void {
    const { precision, sharp } = this.flags;
    const code = BigInt.asUintN(64, value);
    this.#charge(precision ?? 0);
    let text = "U+" + code.toString(16).toUpperCase().padStart(Math.max(precision ?? 4, 4), "0");
    const isRune = code <= 0x10ffffn && (code < 0xd800n || code > 0xdfffn);
    if (sharp && isRune && isPrintable(rune(code))) text += ` '${rune(code)}'`;
    this.#padSpaces(text);
  }

  #float(value: number, verb: string, whole: Value, always = false): void {
    const known = "vbgGxXfFeE".includes(verb);
    if (!known) return this.#badVerb(verb, whole);
    const { sharp, space, zero, width } = this.flags;
    const plus = this.flags.plus || always;
    const form = verb === "v" ? "g" : verb === "F" ? "f" : verb;
    const precision = this.flags.precision ?? ("feE".includes(form) ? 6 : -1);
    this.#charge(Math.max(precision, 0));
    let text = formatFloat(value, form, precision);
    if (!/^[-+]/.test(text)) text = "+" + text;
    if (space && text.startsWith("+") && !plus) text = " " + text.slice(1);
    if (/^.[IN]/.test(text)) {
      return this.#padSpaces(text[1] === "N" && !space && !plus ? text.slice(1) : positive(text));
    }
    if (sharp && form !== "b") text = withPoint(text, form, precision);
    const shown = plus || !text.startsWith("+") ? text : text.slice(1);
    if (shown === text && zero && width !== undefined && width > text.length) {
      return this.write(text[0]! + text.slice(1).padStart(width - 1, "0"));
    }
    this.#pad(GoString.of(shown));

    function positive(text: string): string {
      return plus || !text.startsWith("+") ? text : text.slice(1);
    }
  }

  #complex(value: Value, verb: string): void {
    if (!"vbgGxXfFeE".includes(verb)) return this.#badVerb(verb, value);
    const [re, im] = value.data as [number, number];
    this.write("(");
    this.#float(re, verb, value);
    this.#float(im, verb, value, true);
    this.write("i)");
  }
}

/** What a composite holds: of maps with their keys, of structs with their names. */
function parts(value: Value): { name: Value | string | undefined; value: Value }[] {
  switch (value.type.kind) {
    case "map":
      return entries(value).map((entry) => ({ name: entry.key, value: entry.value }));
    case "struct": {
      const data = value.data as readonly unknown[];
      return value.type.fields!().map(({ name, type }, at) => ({
        name,
        value: { type, data: data[at] },
      }));
    }
    default:
      return elements(value).map((one) => ({ name: undefined, value: one }));
  }
}

function isStringVerb(verb: string): boolean {
  return "vsxXq".includes(verb);
}

function firstRunes(text: GoString, count: number): GoString {
  let left = count;
  return text.map((run) => {
    let kept = "";
    for (const char of run) {
      if (left-- <= 0) break;
      kept += char;
    }
    return kept;
  });
}

function rune(code: bigint): string {
  const isRune = code >= 0n && code <= 0x10ffffn && (code < 0xd800n || code > 0xdfffn);
  return isRune ? String.fromCodePoint(Number(code)) : "\ufffd";
}

/** The flag `#`: a point always, and zeros up to the precision. */
function withPoint(text: string, form: string, precision: number): string {
  const isHex = form === "x" || form === "X";
  let digits = "vgGx".includes(form) ? precision === -1 ? 6 : precision : 0;
  const match = (isHex ? /^(.*?)([pP].*)?$/ : /^(.*?)([pPeE].*)?$/).exec(text)!;
  let number = match[1]!;
  let seen = false;
  for (const char of number.slice(1)) {
    if (char === ".") continue;
    seen ||= char !== "0";
    if (seen) digits--;
  }
  if (!number.includes(".")) {
    if (number.length === 2 && number[1] === "0") digits--;
    number += ".";
  }
  return number + "0".repeat(Math.max(digits, 0)) + (match[2] ?? "");
}
