/** Calls that are written as Python: `[weather(city="Oslo", days=2)]`, as Llama 4, LFM2 and OLMo 3 do. */
import type { Calls } from "./json_calls.ts";
import type { Reading, Source } from "./source.ts";
import { lenientJson, type ParsedCall, type Tools } from "./tools.ts";

const NAME_CHAR = /[\w.-]/;
const MAX_DEPTH = 100;

/** The value did not end before the reply did. */
class Cut {
  readonly value: unknown;

  constructor(value?: unknown) {
    this.value = value;
  }
}

/** What is read is no Python value. */
const WRONG = Symbol("no value");

/** `name(arg=value, …)`; the name is consumed already if it is given. */
export function* pythonCall(source: Source, tools: Tools, given?: string): Reading<Calls> {
  const name = given ?? (yield* source.takeWhile((char) => NAME_CHAR.test(char)));
  if ((yield* source.peek()) === undefined) {
    return source.cut && (name === "" || tools.hasPrefix(name)) ? [] : undefined;
  }
  if (!tools.has(name) || !(yield* source.skip("("))) return undefined;
  const values: Record<string, unknown> = {};
  const cut = (key?: string, value?: Cut): Calls => {
    if (!source.cut) return undefined;
    const begun = key === undefined || value?.value === undefined ? {} : { [key]: value.value };
    let text = JSON.stringify({ ...values, ...begun }).slice(0, -1);
    if (typeof value?.value === "string") text = text.slice(0, -1);
    return [{ name, arguments: values, partial: text }];
  };
  for (let position = 0;; position++) {
    yield* source.space();
    if (yield* source.skip(")")) return [{ name, arguments: values }];
    if (position > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? cut() : undefined;
      }
      yield* source.space();
      if (yield* source.skip(")")) return [{ name, arguments: values }];
    }
    const next = yield* source.peek();
    if (next === undefined) return cut();
    let key = tools.parameters(name)[position];
    let value: unknown;
    if (/[A-Za-z_]/.test(next)) {
      const word = yield* source.takeWhile((char) => NAME_CHAR.test(char));
      yield* source.space();
      if (yield* source.skip("=")) {
        key = word;
        value = yield* pythonValue(source, 0);
      } else {
        if ((yield* source.peek()) === undefined) return cut();
        value = constant(word);
      }
    } else value = yield* pythonValue(source, 0);
    if (value === WRONG || key === undefined) return undefined;
    if (value instanceof Cut) {
      return cut(key, value);
    }
    values[key] = value;
  }
}

/** `[call, call]`, the bracket included. */
export function* pythonList(source: Source, tools: Tools): Reading<Calls> {
  if (!(yield* source.skip("["))) return undefined;
  const calls: ParsedCall[] = [];
  for (;;) {
    yield* source.space();
    if (calls.length > 0) {
      if (yield* source.skip("]")) return calls;
      if (!(yield* source.skip(","))) return atEnd(calls, yield* source.peek(), source);
      yield* source.space();
    }
    if ((yield* source.peek()) === undefined) return atEnd(calls, undefined, source);
    const call = yield* pythonCall(source, tools);
    if (call === undefined) return undefined;
    calls.push(...call);
    if (source.cut && call.some(({ partial }) => partial !== undefined)) return calls;
    if (call.length === 0) return calls;
  }
}

function atEnd(calls: ParsedCall[], next: string | undefined, source: Source): Calls {
  return next === undefined && (source.cut || calls.length > 0) ? calls : undefined;
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

function* pythonValue(source: Source, depth: number): Reading<unknown> {
  yield* source.space();
  const next = yield* source.peek();
  if (next === undefined) return new Cut();
  if (depth > MAX_DEPTH) return WRONG;
  if (next === '"' || next === "'") return yield* pythonString(source, next);
  if (next === "[" || next === "(") {
    return yield* sequence(source, next === "[" ? "]" : ")", depth);
  }
  if (next === "{") return yield* mapping(source, depth);
  const word = yield* source.takeWhile((char) => /[\w.+-]/.test(char));
  if ((yield* source.peek()) === undefined) return new Cut();
  if (/^[-+]?[\d.]/.test(word)) {
    const number = Number(word.replaceAll("_", ""));
    return Number.isNaN(number) ? WRONG : number;
  }
  return constant(word);
}

function* sequence(source: Source, close: string, depth: number): Reading<unknown> {
  yield* source.takeWhile(first());
  const items: unknown[] = [];
  for (;;) {
    yield* source.space();
    if (yield* source.skip(close)) return items;
    if (items.length > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? new Cut(items) : WRONG;
      }
      yield* source.space();
      if (yield* source.skip(close)) return items;
    }
    const item = yield* pythonValue(source, depth + 1);
    if (item === WRONG) return WRONG;
    if (item instanceof Cut) return new Cut(items);
    items.push(item);
  }
}

function* mapping(source: Source, depth: number): Reading<unknown> {
  yield* source.takeWhile(first());
  const entries: Record<string, unknown> = Object.create(null);
  for (let index = 0;; index++) {
    yield* source.space();
    if (yield* source.skip("}")) return { ...entries };
    if (index > 0) {
      if (!(yield* source.skip(","))) {
        return (yield* source.peek()) === undefined ? new Cut({ ...entries }) : WRONG;
      }
      yield* source.space();
      if (yield* source.skip("}")) return { ...entries };
    }
    const key = yield* pythonValue(source, depth + 1);
    if (key instanceof Cut) return new Cut({ ...entries });
    yield* source.space();
    if (key === WRONG || !(yield* source.skip(":"))) {
      return (yield* source.peek()) === undefined ? new Cut({ ...entries }) : WRONG;
    }
    const value = yield* pythonValue(source, depth + 1);
    if (value === WRONG) return WRONG;
    if (value instanceof Cut) return new Cut({ ...entries });
    entries[String(key)] = value;
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

function* pythonString(source: Source, quote: string): Reading<unknown> {
  const triple = yield* source.skip(quote.repeat(3));
  if (!triple) yield* source.skip(quote);
  const end = triple ? quote.repeat(3) : quote;
  let text = "";
  for (;;) {
    const passage = yield* source.until([end, "\\"], true);
    text += passage.text;
    if (!passage.closed) return new Cut(text);
    if (yield* source.skip(end)) return text;
    yield* source.skip("\\");
    const escape = yield* source.peek();
    if (escape === undefined) return new Cut(text);
    yield* source.takeWhile(first());
    if (escape === "u" || escape === "x") {
      const length = escape === "u" ? 4 : 2;
      let left = length;
      const digits = yield* source.takeWhile((char) => left-- > 0 && /[\da-fA-F]/.test(char));
      if (digits.length < length && (yield* source.peek()) === undefined) return new Cut(text);
      text += digits.length < length
        ? `\\${escape}${digits}`
        : String.fromCharCode(parseInt(digits, 16));
    } else text += ESCAPES[escape] ?? escape;
  }
}

/** Gemma's own notation: `call:NAME{key:value, …}`, text between marks of its own. */
export function* gemmaCall(source: Source, tools: Tools, quote: string): Reading<Calls> {
  yield* source.space();
  if (!(yield* source.skip("call:"))) {
    return (yield* source.peek()) === undefined && source.cut ? [] : undefined;
  }
  const name = (yield* source.until(["{"], true)).text.trim();
  if ((yield* source.peek()) === undefined) {
    return source.cut && tools.hasPrefix(name) ? [] : undefined;
  }
  if (!tools.has(name)) return undefined;
  const value = yield* gemmaValue(source, quote, 0);
  if (value instanceof Cut) {
    if (!source.cut) return undefined;
    const values = (value.value ?? {}) as Record<string, unknown>;
    return [{
      name,
      arguments: Object.fromEntries(Object.entries(values).slice(0, -1)),
      partial: JSON.stringify(values).slice(0, -1),
    }];
  }
  return value === WRONG ? undefined : [{ name, arguments: value as Record<string, unknown> }];
}

function* gemmaValue(source: Source, quote: string, depth: number): Reading<unknown> {
  yield* source.space();
  if (depth > MAX_DEPTH) return WRONG;
  if (yield* source.skip(quote)) {
    const { text, closed } = yield* source.until([quote]);
    return closed ? text : new Cut(text);
  }
  if (yield* source.skip("{")) return yield* gemmaObject(source, quote, depth);
  if (yield* source.skip("[")) {
    const items: unknown[] = [];
    for (;;) {
      yield* source.space();
      yield* source.skip(",");
      yield* source.space();
      if (yield* source.skip("]")) return items;
      if ((yield* source.peek()) === undefined) return new Cut(items);
      const item = yield* gemmaValue(source, quote, depth + 1);
      if (item === WRONG) return WRONG;
      if (item instanceof Cut) return new Cut(items);
      items.push(item);
    }
  }
  const { text, closed } = yield* source.until([",", "}", "]"], true);
  if (!closed) return new Cut();
  // Nothing at all is no value: in a list it would be found for ever.
  if (text.trim() === "") return WRONG;
  const parsed = lenientJson(text.trim());
  return parsed === undefined ? text.trim() : parsed;
}

function* gemmaObject(source: Source, quote: string, depth: number): Reading<unknown> {
  const entries: Record<string, unknown> = Object.create(null);
  for (;;) {
    yield* source.space();
    yield* source.skip(",");
    yield* source.space();
    if (yield* source.skip("}")) return { ...entries };
    const quoted = yield* source.skip(quote);
    const key = yield* source.until([quoted ? quote : ":"]);
    if (quoted && key.closed) yield* source.skip(":");
    if (!key.closed) return new Cut({ ...entries });
    const value = yield* gemmaValue(source, quote, depth + 1);
    if (value === WRONG) return WRONG;
    if (value instanceof Cut) {
      if (value.value !== undefined) entries[key.text.trim()] = value.value;
      return new Cut({ ...entries });
    }
    entries[key.text.trim()] = value;
  }
}
