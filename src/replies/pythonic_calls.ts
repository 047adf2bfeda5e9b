/** Calls that are written as Python: `[weather(city="Oslo", days=2)]`, as Llama 4, LFM2 and OLMo 3 do. */
import { exactNumber, exactText } from "../exact_json.ts";
import { type Draft, DraftText } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import type { ParsedCall, Tools } from "./tools.ts";
import { Cut, MAX_DEPTH, WRONG } from "./values.ts";

const NAME_CHAR = /[\w.-]/;
/** `name(arg=value, …)` */
export function* pythonCall(source: Source, tools: Tools): Reading<Calls> {
  const { text: name, closed } = yield* source.name(tools, ["("]);
  if (!closed) {
    const isCut = (yield* source.peek()) === undefined && source.cut;
    return isCut && (name === "" || tools.hasPrefix(name)) ? [] : undefined;
  }
  if (!tools.has(name)) return undefined;
  const values: Record<string, unknown> = {};
  let draft: Draft | undefined;
  const cut = (): Calls => {
    if (!source.cut) return undefined;
    const partial = exactText(values).slice(0, -1);
    return draft === undefined ? [{ name, arguments: values, partial }] : [];
  };
  const whole = (): Calls => {
    if (draft === undefined) return [{ name, arguments: values }];
    draft.close();
    source.drafted();
    return [];
  };
  for (let position = 0;; position++) {
    yield* source.space();
    if (yield* source.skip(")")) return whole();
    if (position > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? cut() : undefined;
      }
      yield* source.space();
      if (yield* source.skip(")")) return whole();
    }
    const next = yield* source.peek();
    if (next === undefined) return cut();
    let key = tools.parameters(name)[position];
    let value: unknown;
    const word = /[A-Za-z_]/.test(next)
      ? yield* source.takeWhile((char) => NAME_CHAR.test(char))
      : undefined;
    if (word !== undefined) yield* source.space();
    const isNamed = word !== undefined && (yield* source.skip("="));
    if (isNamed) key = word;
    if (key === undefined) return undefined;
    if (isNamed || word === undefined) {
      // A value that is none begins no call.
      yield* source.space();
      const begins = yield* source.peek();
      if (begins === undefined) return cut();
      if (!/["'\w[({.+-]/.test(begins)) return undefined;
      if (position === 0) draft = source.draft(name);
      draft?.key(key);
      source.drafted();
      value = yield* pythonValue(source, 0, draft);
    } else {
      if ((yield* source.peek()) === undefined) return cut();
      value = constant(word);
      if (value === WRONG) return undefined;
      if (position === 0) draft = source.draft(name);
      draft?.key(key);
      draft?.add(exactText(value));
    }
    if (value === WRONG) return undefined;
    if (value instanceof Cut) return cut();
    source.drafted();
    values[key] = value;
  }
}

/** `[call, call]`, the bracket included. */
export function* pythonList(source: Source, tools: Tools): Reading<Calls> {
  if (!(yield* source.skip("["))) return undefined;
  const calls: ParsedCall[] = [];
  const atEnd = function* (found: boolean): Reading<Calls> {
    return (yield* source.peek()) === undefined && (source.cut || found) ? calls : undefined;
  };
  for (let found = false;; found = true) {
    yield* source.space();
    if (found) {
      if (yield* source.skip("]")) return calls;
      if (!(yield* source.skip(","))) return yield* atEnd(true);
      yield* source.space();
    }
    if ((yield* source.peek()) === undefined) return yield* atEnd(found);
    const call = yield* pythonCall(source, tools);
    if (call === undefined) return undefined;
    if (call.length > 0) source.settle();
    calls.push(...call);
    if (source.cut && (yield* source.peek()) === undefined) return calls;
  }
}

function constant(word: string): unknown {
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

/** @param into Where the value is written as it comes, as JSON. */
function* pythonValue(source: Source, depth: number, into?: Draft): Reading<unknown> {
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
  if ((yield* source.peek()) === undefined) return new Cut();
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

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  "0": "\0",
};

function* pythonString(source: Source, quote: string, into?: Draft): Reading<unknown> {
  const triple = yield* source.skip(quote.repeat(3));
  if (!triple) yield* source.skip(quote);
  const end = triple ? quote.repeat(3) : quote;
  const text = new DraftText(into);
  const add = (more: string) => {
    text.add(more);
    if (into !== undefined) source.drafted();
  };
  for (;;) {
    const passage = yield* source.until([end, "\\"], true, add);
    if (!passage.closed) return new Cut();
    if (yield* source.skip(end)) return text.end();
    yield* source.skip("\\");
    const escape = yield* source.peek();
    if (escape === undefined) return new Cut();
    yield* source.takeWhile(first());
    if (escape === "u" || escape === "x") {
      const length = escape === "u" ? 4 : 2;
      let left = length;
      const digits = yield* source.takeWhile((char) => left-- > 0 && /[\da-fA-F]/.test(char));
      if (digits.length < length && (yield* source.peek()) === undefined) return new Cut();
      add(
        digits.length < length ? `\\${escape}${digits}` : String.fromCharCode(parseInt(digits, 16)),
      );
    } else add(ESCAPES[escape] ?? escape);
  }
}
