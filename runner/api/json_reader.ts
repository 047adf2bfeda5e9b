/**
 * JSON (RFC 8259) in pieces: what `JSON.parse` makes of a text, as work that yields, so that a body of ten megabytes keeps nobody
 * waiting. `JSON.parse` reads runs of elements that are one piece together; what is longer is gone into.
 */
import { parseExact } from "../../src/exact_json.ts";
import type { Work } from "../../src/budget.ts";
import { utf8Decode } from "../../src/bytes.ts";

/** Bytes that are read at a time: about a millisecond. */
export const PIECE = 64 * 1024;
/** Of `\uXXXX`. */
const LONG_ESCAPE = 6;

const QUOTE = 0x22,
  COMMA = 0x2c,
  COLON = 0x3a,
  BACKSLASH = 0x5c,
  LETTER_U = 0x75,
  OPEN_ARRAY = 0x5b,
  CLOSE_ARRAY = 0x5d,
  OPEN_OBJECT = 0x7b,
  CLOSE_OBJECT = 0x7d;

/** What is not UTF-8 (RFC 8259 section 8.1). */
export class NotUtf8 extends Error {}

/**
 * The value that the bytes stand for. A byte order mark in front is passed over, as some programs write one.
 * @param bytes At most as deep as the stack holds, which the caller has seen to.
 * @throws {SyntaxError} It is no JSON, which its message may quote; {@link NotUtf8}.
 */
export function* parseJson(bytes: Uint8Array): Work<unknown> {
  const reader = new Reader(bytes);
  const value = yield* reader.value();
  reader.end();
  return value;
}

/** An array or object that is being read. */
type Open =
  & (
    | { readonly items: unknown[]; readonly members?: never }
    | { readonly members: Record<string, unknown>; readonly items?: never }
  )
  & {
    /** Of the member that is being read. */
    name: string;
    isEmpty: boolean;
  };

class Reader {
  readonly #bytes: Uint8Array;
  readonly #open: Open[] = [];
  #at: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  }

  /** Without recursion, since each step of a generator in a generator costs a call for each level. */
  *value(): Work<unknown> {
    let value = yield* this.#begin();
    for (let inner = this.#open.at(-1); inner !== undefined; inner = this.#open.at(-1)) {
      yield;
      const run = this.#run();
      if (run === undefined) {
        if (inner.members !== undefined) inner.name = yield* this.#name();
        value = yield* this.#begin();
        // Gone into.
        if (this.#open.at(-1) !== inner) continue;
      } else {
        addRun(inner, decoded(this.#bytes.subarray(this.#at, run.end)), run.isLast);
        this.#at = run.end;
      }
      inner.isEmpty = false;
      for (let of: Open | undefined = inner, isNew = run === undefined; of !== undefined;) {
        if (isNew) addOne(of, value);
        if (!this.#isLast(of)) break;
        value = of.items ?? of.members;
        this.#open.pop();
        [of, isNew] = [this.#open.at(-1), true];
        if (of !== undefined) of.isEmpty = false;
      }
    }
    return value;
  }

  end(): void {
    if (this.#next() !== undefined) fail();
  }

  /** A string or a scalar; or what is open from here on. */
  *#begin(): Work<unknown> {
    const code = this.#next();
    if (code === QUOTE) return yield* this.#string();
    if (code !== OPEN_ARRAY && code !== OPEN_OBJECT) return this.#scalar();
    this.#at++;
    const what = code === OPEN_ARRAY ? { items: [] } : { members: {} };
    this.#open.push({ ...what, name: "", isEmpty: true });
  }

  /** Passes what stands behind an element. */
  #isLast({ items }: Open): boolean {
    const after = this.#next();
    this.#at++;
    if (after === COMMA) return false;
    if (after !== (items === undefined ? CLOSE_OBJECT : CLOSE_ARRAY)) fail();
    return true;
  }

  /**
   * The elements from here on that are a piece together: up to a comma between two, or to the end of what they stand in.
   * @returns undefined: the next one alone is more.
   */
  #run(): { end: number; isLast: boolean } | undefined {
    const window = this.#bytes.subarray(this.#at, this.#at + PIECE);
    let depth = 0;
    let comma = -1;
    for (let at = 0; at < window.length; at++) {
      switch (window[at]) {
        case OPEN_ARRAY:
        case OPEN_OBJECT:
          depth++;
          break;
        case CLOSE_ARRAY:
        case CLOSE_OBJECT:
          if (depth-- > 0) break;
          return { end: this.#at + at, isLast: true };
        case COMMA:
          if (depth === 0) comma = at;
          break;
        case QUOTE:
          at = closingQuote(window, at);
      }
    }
    if (window.length < PIECE) fail();
    return comma < 0 ? undefined : { end: this.#at + comma, isLast: false };
  }

  /** The next byte that is no white space; undefined: the end. */
  #next(): number | undefined {
    for (;; this.#at++) {
      const code = this.#bytes[this.#at];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
    }
  }

  *#name(): Work<string> {
    if (this.#next() !== QUOTE) fail();
    const name = yield* this.#string();
    if (this.#next() !== COLON) fail();
    this.#at++;
    return name;
  }

  /** `true`, `false`, `null` or a number. */
  #scalar(): unknown {
    const begin = this.#at;
    while (isOfScalar(this.#bytes[this.#at])) this.#at++;
    return parseExact(decoded(this.#bytes.subarray(begin, this.#at)));
  }

  *#string(): Work<string> {
    const parts: string[] = [];
    for (let begin = this.#at + 1;;) {
      const piece = this.#bytes.subarray(begin, begin + PIECE);
      const { end, isLast } = cut(piece);
      if (end === 0) fail();
      parts.push(JSON.parse(`"${decoded(piece.subarray(0, isLast ? end - 1 : end))}"`));
      begin += end;
      if (!isLast) yield;
      else {
        this.#at = begin;
        return parts.join("");
      }
    }
  }
}

/** @param isLast Whether what they stand in ends behind them. */
function addRun(of: Open, text: string, isLast: boolean): void {
  // Between two commas, or behind one, there must be something.
  if (!(isLast && of.isEmpty) && !/[^ \n\r\t]/.test(text)) fail();
  if (of.items !== undefined) {
    for (const item of parseExact(`[${text}]`) as unknown[]) of.items.push(item);
  } else {
    const members = parseExact(`{${text}}`) as Record<string, unknown>;
    for (const name of Object.keys(members)) set(of.members, name, members[name]);
  }
}

function addOne(of: Open, value: unknown): void {
  if (of.items === undefined) set(of.members, of.name, value);
  else of.items.push(value);
}

/** Where the string ends that begins at `at`, or the end of the bytes. */
function closingQuote(bytes: Uint8Array, at: number): number {
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at + 1);
    if (quote < 0) return bytes.length;
    let before = quote;
    while (bytes[before - 1] === BACKSLASH) before--;
    if ((quote - before) % 2 === 0) return quote;
    at = quote;
  }
}

/** Where a piece of a string is to be cut: behind its closing quote, or where neither an escape nor a character is in two. */
function cut(piece: Uint8Array): { end: number; isLast: boolean } {
  for (let at = 0; at < piece.length;) {
    const code = piece[at];
    if (code === QUOTE) return { end: at + 1, isLast: true };
    if (code !== BACKSLASH) at++;
    else {
      const length = piece[at + 1] === LETTER_U ? LONG_ESCAPE : 2;
      if (at + length > piece.length) return { end: at, isLast: false };
      at += length;
    }
  }
  return { end: wholeCharacters(piece), isLast: false };
}

/** All but a character that is not whole. What is no UTF-8 is found out when it is decoded. */
function wholeCharacters(piece: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= piece.length; back++) {
    const code = piece[piece.length - back]!;
    if (code < 0x80) break;
    if (code < 0xc0) continue;
    const length = code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;
    return length > back ? piece.length - back : piece.length;
  }
  return piece.length;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8Decode(bytes);
  } catch {
    throw new NotUtf8();
  }
}

function isOfScalar(code: number | undefined): boolean {
  return code !== undefined &&
    (code >= 0x30 && code <= 0x39 || code >= 0x61 && code <= 0x7a || code === 0x2d ||
      code === 0x2b || code === 0x2e || code === 0x45);
}

/** An own property, whatever its name. */
function set(members: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") members[name] = value;
  else {
    const all = { enumerable: true, configurable: true, writable: true };
    Object.defineProperty(members, name, { ...all, value });
  }
}

function fail(): never {
  throw new SyntaxError("no JSON");
}
