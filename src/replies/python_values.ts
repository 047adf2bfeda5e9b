/** Python's values, as models write them in calls, read as they come. */
import { exactNumber, exactText } from "../exact_json.ts";
import { type Draft, DraftText } from "./draft.ts";
import { unescaped } from "./python_literal.ts";
import type { Reading, Source } from "./source.ts";
import { Cut, MAX_DEPTH, WRONG } from "./values.ts";

/** What one of Python's words, or JSON's, stands for. */
export function constant(word: string): unknown {
  switch (word) {
    case "True":
    case "true":
      return true;
    case "False":
    case "false":
      return false;
    case "None":
    case "null":
      return null;
  }
  return WRONG;
}

/** Whether a word is the letters in front of a text, as in `r"\d+"`, of which a quote follows. */
export function isPrefix(word: string, behind: string): boolean {
  return /^(?:[rfbu]|rb|br|rf|fr)$/i.test(word) && /["']/.test(behind);
}

/** @param into Where the value is written as it comes, as JSON. */
export function* pythonValue(source: Source, depth: number, into?: Draft): Reading<unknown> {
  yield* source.space();
  const next = yield* source.peek();
  if (next === undefined) return new Cut();
  if (depth > MAX_DEPTH) return WRONG;
  if (next === '"' || next === "'") return yield* pythonString(source, next, into);
  if (next === "[" || next === "(") {
    return yield* sequence(source, next === "[" ? "]" : ")", depth, into);
  }
  if (next === "{") return yield* mapping(source, depth, into);
  const word = yield* source.takeWhile((char) => /[\w.+-]/.test(char));
  const behind = yield* source.peek();
  if (behind === undefined) return new Cut();
  if (isPrefix(word, behind)) return yield* pythonString(source, behind, into, word);
  const number = /^[-+]?[\d.]/.test(word) ? exactNumber(word.replace(/^\+|_/g, "")) : undefined;
  const value = number === undefined ? constant(word) : Number.isNaN(number) ? WRONG : number;
  if (value !== WRONG) into?.add(exactText(value));
  return value;
}

function* sequence(source: Source, close: string, depth: number, into?: Draft): Reading<unknown> {
  yield* source.takeWhile(first());
  const items: unknown[] = [];
  into?.add("[");
  const end = () => {
    into?.add("]");
    return items;
  };
  for (;;) {
    yield* source.space();
    if (yield* source.skip(close)) return end();
    if (items.length > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? new Cut() : WRONG;
      }
      yield* source.space();
      if (yield* source.skip(close)) return end();
      into?.add(",");
    }
    const item = yield* pythonValue(source, depth + 1, into);
    if (item === WRONG || item instanceof Cut) return item;
    items.push(item);
  }
}

function* mapping(source: Source, depth: number, into?: Draft): Reading<unknown> {
  yield* source.takeWhile(first());
  const entries: [key: string, value: unknown][] = [];
  into?.add("{");
  const end = () => {
    into?.add("}");
    return Object.fromEntries(entries);
  };
  for (;;) {
    yield* source.space();
    if (yield* source.skip("}")) return end();
    if (entries.length > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? new Cut() : WRONG;
      }
      yield* source.space();
      if (yield* source.skip("}")) return end();
    }
    const key = yield* pythonValue(source, depth + 1);
    if (key === WRONG || key instanceof Cut) return key;
    yield* source.space();
    if (!(yield* source.skip(":"))) {
      return (yield* source.peek()) === undefined ? new Cut() : WRONG;
    }
    into?.add(`${entries.length > 0 ? "," : ""}${JSON.stringify(String(key))}:`);
    const value = yield* pythonValue(source, depth + 1, into);
    if (value === WRONG || value instanceof Cut) return value;
    entries.push([String(key), value]);
  }
}

/** Passes one unit only. */
function first(): (char: string) => boolean {
  let taken = false;
  return () => !taken && (taken = true);
}

/** Digits behind a letter. */
const DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
/** What comes behind a value: a quote that none of them follows is of the text, as in `'it's'`, which LFM2's templates write. */
const BEHIND = ",)]}:";

/**
 * Texts that stand side by side are one, as in Python; behind a quote that is of the text they are not, since then it is no Python.
 * @param prefix The letters in front, which were read. With `r` backslashes are as they stand; one in front of a quote keeps the
 * text from its end.
 */
export function* pythonString(
  source: Source,
  quote: string,
  into?: Draft,
  prefix = "",
): Reading<unknown> {
  const raw = /r/i.test(prefix);
  let end = yield* opening(source, quote);
  let isPython = true;
  const text = new DraftText(into);
  const add = (more: string) => {
    text.add(more);
    if (into !== undefined) source.drafted();
  };
  for (;;) {
    const passage = yield* source.until([end, "\\"], true, add);
    if (!passage.closed) return new Cut();
    if (yield* source.skip(end)) {
      const space = yield* source.takeWhile((char) => /\s/.test(char));
      const next = yield* source.peek();
      if (next === undefined || BEHIND.includes(next)) return text.end();
      if (isPython && !raw && (next === '"' || next === "'")) {
        end = yield* opening(source, next);
        continue;
      }
      if (end.length > 1) return text.end();
      isPython = false;
      add(end + space);
      continue;
    }
    yield* source.skip("\\");
    const escaped = raw ? yield* rawPair(source) : yield* pythonEscape(source);
    if (escaped instanceof Cut) return escaped;
    add(escaped);
  }
}

/** Passes the quote, or three, that a text begins with, and says what ends it. */
function* opening(source: Source, quote: string): Reading<string> {
  const triple = quote.repeat(3);
  if (yield* source.skip(triple)) return triple;
  yield* source.skip(quote);
  return quote;
}

/** A backslash that was read, and what stands behind it. */
function* rawPair(source: Source): Reading<string | Cut> {
  if ((yield* source.peek()) === undefined) return new Cut();
  return `\\${yield* source.takeWhile(first())}`;
}

/** What stands for the escape whose backslash was read. */
function* pythonEscape(source: Source): Reading<string | Cut> {
  const letter = yield* source.peek();
  if (letter === undefined) return new Cut();
  const isOctal = /[0-7]/.test(letter);
  if (!isOctal) yield* source.takeWhile(first());
  const length = isOctal ? 3 : DIGITS[letter] ?? 0;
  let left = length;
  const digit = isOctal ? /[0-7]/ : /[\da-fA-F]/;
  const digits = yield* source.takeWhile((char) => left-- > 0 && digit.test(char));
  if (digits.length < length && !isOctal && (yield* source.peek()) === undefined) return new Cut();
  return unescaped(`\\${isOctal ? "" : letter}${digits}`);
}
