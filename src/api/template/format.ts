/** Go's fmt: `Sprint`, `Sprintln` and `Sprintf` of values. */
import { type Charge, type Flags, NO_FLAGS, Printer } from "./printer.ts";
import { GoString } from "./text.ts";
import { concrete, isInteger, type Maybe } from "./types.ts";

/** Widths and precisions beyond this are none. */
const MAX_WIDTH = 1_000_000;

/** With a space between neighbours of which neither is a string. */
export function sprint(values: readonly Maybe[], charge: Charge): GoString {
  const printer = new Printer(charge);
  let wasString = false;
  for (const [at, value] of values.entries()) {
    const isString = concrete(value)?.type.kind === "string";
    if (at > 0 && !isString && !wasString) printer.write(" ");
    printer.arg(value, "v");
    wasString = isString;
  }
  return printer.done();
}

export function sprintln(values: readonly Maybe[], charge: Charge): GoString {
  const printer = new Printer(charge);
  for (const [at, value] of values.entries()) {
    if (at > 0) printer.write(" ");
    printer.arg(value, "v");
  }
  printer.write("\n");
  return printer.done();
}

export function sprintf(format: GoString, values: readonly Maybe[], charge: Charge): GoString {
  return new Formatter(format, values, charge).run();
}

class Formatter {
  readonly #format: string;
  readonly #runs: GoString;
  readonly #values: readonly Maybe[];
  readonly #printer: Printer;
  #at = 0;
  #arg = 0;
  #reordered = false;
  #goodArg = true;

  constructor(format: GoString, values: readonly Maybe[], charge: Charge) {
    this.#format = format.text;
    this.#runs = format;
    this.#values = values;
    this.#printer = new Printer(charge);
  }

  run(): GoString {
    const format = this.#format;
    while (this.#at < format.length) {
      const percent = format.indexOf("%", this.#at);
      const end = percent < 0 ? format.length : percent;
      this.#literal(this.#at, end);
      this.#at = end + 1;
      if (percent >= 0 && !this.#verb()) break;
    }
    if (!this.#reordered && this.#arg < this.#values.length) this.#extra();
    return this.#printer.done();
  }

  /** The format's own text, whoever wrote it. */
  #literal(from: number, to: number): void {
    let at = 0;
    for (const run of this.#runs.runs) {
      const [begin, end] = [Math.max(from - at, 0), Math.min(to - at, run.text.length)];
      at += run.text.length;
      if (begin < end) {
        this.#printer.writeRuns(GoString.ofRuns([{ ...run, text: run.text.slice(begin, end) }]));
      }
    }
  }

  #extra(): void {
    const printer = this.#printer;
    printer.flags = { ...NO_FLAGS };
    printer.write("%!(EXTRA ");
    for (const [at, given] of this.#values.slice(this.#arg).entries()) {
      if (at > 0) printer.write(", ");
      const value = concrete(given);
      if (value === undefined) printer.write("<nil>");
      else {
        printer.write(`${value.type.name}=`);
        printer.arg(value, "v");
      }
    }
    printer.write(")");
  }

  /** One verb with its flags; false: the format ended in it. */
  #verb(): boolean {
    const printer = this.#printer;
    const flags = printer.flags = { ...NO_FLAGS };
    this.#goodArg = true;
    this.#readFlags(flags);
    let afterIndex = this.#index();
    if (this.#format[this.#at] === "*") {
      this.#at++;
      const width = this.#intArg();
      if (width === undefined) printer.write("%!(BADWIDTH)");
      else flags.width = Math.abs(width);
      if (width !== undefined && width < 0) [flags.minus, flags.zero] = [true, false];
      afterIndex = false;
    } else {
      flags.width = this.#number();
      if (afterIndex && flags.width !== undefined) this.#goodArg = false;
    }
    if (this.#format[this.#at] === "." && this.#at + 1 < this.#format.length) {
      this.#at++;
      if (afterIndex) this.#goodArg = false;
      afterIndex = this.#index();
      if (this.#format[this.#at] === "*") {
        this.#at++;
        const precision = this.#intArg();
        if (precision === undefined || precision < 0) printer.write("%!(BADPREC)");
        else flags.precision = precision;
        afterIndex = false;
      } else flags.precision = this.#number() ?? 0;
    }
    if (!afterIndex) this.#index();
    if (this.#at >= this.#format.length) {
      printer.write("%!(NOVERB)");
      return false;
    }
    const verb = String.fromCodePoint(this.#format.codePointAt(this.#at)!);
    this.#at += verb.length;
    if (verb === "%") printer.write("%");
    else if (!this.#goodArg) printer.write(`%!${verb}(BADINDEX)`);
    else if (this.#arg >= this.#values.length) printer.write(`%!${verb}(MISSING)`);
    else {
      if (verb === "v") {
        [flags.sharpV, flags.sharp] = [flags.sharp, false];
        [flags.plusV, flags.plus] = [flags.plus, false];
      }
      printer.arg(this.#values[this.#arg++], verb);
    }
    return true;
  }

  #readFlags(flags: Flags): void {
    for (; this.#at < this.#format.length; this.#at++) {
      switch (this.#format[this.#at]) {
        case "#":
          flags.sharp = true;
          break;
        case "0":
          flags.zero = !flags.minus;
          break;
        case "+":
          flags.plus = true;
          break;
        case "-":
          [flags.minus, flags.zero] = [true, false];
          break;
        case " ":
          flags.space = true;
          break;
        default:
          return;
      }
    }
  }

  /** `[3]`, which chooses the next argument. */
  #index(): boolean {
    const format = this.#format;
    if (format[this.#at] !== "[") return false;
    this.#reordered = true;
    const close = format.indexOf("]", this.#at);
    if (close < 0 || format.length - this.#at < 3) {
      this.#at++;
      this.#goodArg = false;
      return false;
    }
    const inside = format.slice(this.#at + 1, close);
    this.#at = close + 1;
    const isNumber = /^[0-9]+$/.test(inside) && Number(inside) <= MAX_WIDTH;
    const index = Number(inside) - 1;
    if (isNumber && index >= 0 && index < this.#values.length) {
      this.#arg = index;
      return true;
    }
    this.#goodArg = false;
    return isNumber;
  }

  #number(): number | undefined {
    const digits = /^[0-9]*/.exec(this.#format.slice(this.#at, this.#at + 400))![0];
    if (digits === "") return undefined;
    if (Number(digits) > MAX_WIDTH * 10) {
      // As Go: the rest of the format is taken for the number.
      this.#at = this.#format.length;
      return undefined;
    }
    this.#at += digits.length;
    return Number(digits);
  }

  #intArg(): number | undefined {
    if (this.#arg >= this.#values.length) return undefined;
    const value = concrete(this.#values[this.#arg++]);
    if (value === undefined || !isInteger(value.type)) return undefined;
    const width = Number(value.data as bigint);
    return Math.abs(width) > MAX_WIDTH ? undefined : width;
  }
}
