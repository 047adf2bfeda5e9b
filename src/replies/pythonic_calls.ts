/** Calls that are written as Python: `[weather(city="Oslo", days=2)]`, as Llama 4, LFM2 and OLMo 3 do. */
import { exactText } from "../exact_json.ts";
import type { Draft } from "./draft.ts";
import type { Calls } from "./json_calls.ts";
import { constant, isPrefix, pythonString, pythonValue } from "./python_values.ts";
import type { Reading, Source } from "./source.ts";
import type { ParsedCall, Tools } from "./tools.ts";
import { Cut, WRONG } from "./values.ts";

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
      const behind = yield* source.peek();
      if (behind === undefined) return cut();
      const isText = isPrefix(word, behind);
      value = constant(word);
      if (value === WRONG && !isText) return undefined;
      if (position === 0) draft = source.draft(name);
      draft?.key(key);
      if (isText) value = yield* pythonString(source, behind, draft, word);
      else draft?.add(exactText(value));
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
    for (const one of call) calls.push(one);
    if (source.cut && (yield* source.peek()) === undefined) return calls;
  }
}
