/**
 * Go's strings, and where each piece of one came from. A Go string is bytes: what is no UTF-8 is kept as U+DC80 to U+DCFF,
 * one for each byte, so that two halves of a character become whole when they meet again.
 */
import { utf8 } from "../../bytes.ts";

/** `template`: the template's own words, or ours; `user`: from a request; `model`: an earlier reply of the model. */
export type Origin = "template" | "user" | "model";

export interface Run {
  readonly text: string;
  readonly from: Origin;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// deno-lint-ignore no-control-regex -- ASCII is what it means
const ASCII = /^[\x00-\x7f]*$/;

export class GoString {
  static readonly EMPTY = new GoString([]);

  /** None is empty, and no two neighbours have one origin. */
  readonly runs: readonly Run[];
  #text: string | undefined;
  #bytes = -1;

  private constructor(runs: readonly Run[]) {
    this.runs = runs;
  }

  /** Lone surrogates of JavaScript's become U+FFFD, as Go's JSON reader makes them. */
  static from(text: string, from: Origin): GoString {
    return text === "" ? GoString.EMPTY : new GoString([{ text: text.toWellFormed(), from }]);
  }

  /** Text of ours, or of the template. */
  static of(text: string): GoString {
    return text === "" ? GoString.EMPTY : new GoString([{ text, from: "template" }]);
  }

  static ofRuns(runs: Iterable<Run>): GoString {
    const out: Run[] = [];
    for (const run of runs) {
      if (run.text === "") continue;
      const last = out.at(-1);
      if (last?.from === run.from) out[out.length - 1] = { ...run, text: last.text + run.text };
      else out.push(run);
    }
    return out.length === 0 ? GoString.EMPTY : new GoString(out);
  }

  get text(): string {
    return this.#text ??= this.runs.length === 1
      ? this.runs[0]!.text
      : this.runs.map((run) => run.text).join("");
  }

  /** Go's `len`. */
  get byteLength(): number {
    if (this.#bytes < 0) this.#bytes = byteLength(this.text);
    return this.#bytes;
  }

  get bytes(): Uint8Array {
    return encode(this.text);
  }

  /** Each run's text changed by itself. */
  map(change: (text: string) => string): GoString {
    return GoString.ofRuns(this.runs.map(({ text, from }) => ({ text: change(text), from })));
  }

  /** Go's `s[from:to]`, in bytes. */
  slice(from: number, to: number): GoString {
    const out: Run[] = [];
    let at = 0;
    for (const run of this.runs) {
      const length = byteLength(run.text);
      const [begin, end] = [Math.max(from - at, 0), Math.min(to - at, length)];
      at += length;
      if (begin >= end) continue;
      const isAscii = length === run.text.length && ASCII.test(run.text);
      const text = isAscii
        ? run.text.slice(begin, end)
        : decode(encode(run.text).subarray(begin, end));
      out.push({ text, from: run.from });
    }
    return GoString.ofRuns(out);
  }
}

function byteLength(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) bytes++;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && isTrail(text.charCodeAt(at + 1))) {
      bytes += 4;
      at++;
    } else bytes += isTrail(unit) ? 1 : 3;
  }
  return bytes;
}

function isTrail(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

function encode(text: string): Uint8Array {
  if (text.isWellFormed()) return utf8(text);
  const out: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00);
    else out.push(...utf8(char));
  }
  return Uint8Array.from(out);
}

/** Bytes to text; of those that are no UTF-8, each becomes U+DC80 to U+DCFF. */
export function decode(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch { /* piece by piece */ }
  let out = "";
  for (let at = 0; at < bytes.length;) {
    const length = runeLength(bytes, at);
    if (length === 0) out += String.fromCharCode(0xdc00 + bytes[at++]!);
    else {
      out += strict.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return out;
}

/** Bytes of the character that begins at `at`; 0: none does. */
function runeLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length <= 1 || first > 0xf4 || at + length > bytes.length) return length === 1 ? 1 : 0;
  try {
    strict.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/** Text for the world outside: bytes that are no UTF-8 become U+FFFD, each, as Go's JSON writer makes them. */
export function wellFormed(text: string): string {
  return text.isWellFormed() ? text : decode(encode(text)).toWellFormed();
}

/** Go's order of strings, by their bytes. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  if (a.isWellFormed() && b.isWellFormed() && !/[\ud800-\udfff]/.test(a + b)) {
    return a < b ? -1 : 1;
  }
  const [x, y] = [encode(a), encode(b)];
  for (let at = 0; at < Math.min(x.length, y.length); at++) {
    if (x[at] !== y[at]) return x[at]! - y[at]!;
  }
  return x.length - y.length;
}
