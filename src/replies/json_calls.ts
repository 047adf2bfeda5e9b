/** Calls that are written as JSON. */
import { ARGUMENTS, type CallShape, CallWatcher, NAMES } from "./call_watcher.ts";
import { topMembers, wholeMembers } from "./partial_json.ts";
import type { Reading, Source } from "./source.ts";
import { lenientJson, type ParsedCall, type Tools } from "./tools.ts";
import { isObject } from "./values.ts";

/** `undefined`: no call of one of the tools. Calls of which there are drafts are not among them. */
export type Calls = ParsedCall[] | undefined;

/** The calls of a JSON object, or of each in a list. */
function callsOf(value: unknown, tools: Tools): Calls {
  const list = Array.isArray(value) ? value : [value];
  const calls = list.map((one) => callOf(one, tools));
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

function callOf(value: unknown, tools: Tools): ParsedCall | undefined {
  if (!isObject(value)) return undefined;
  if (isObject(value.function)) return callOf(value.function, tools);
  const name = NAMES.map((key) => value[key]).find((one) => one !== undefined && one !== null);
  if (typeof name !== "string" || !tools.has(name)) return undefined;
  const given = ARGUMENTS.map((key) => value[key]).find((one) => one !== undefined) ?? {};
  const parsed = typeof given === "string" ? lenientJson(given) ?? {} : given;
  return isObject(parsed) ? { name, arguments: parsed } : undefined;
}

/** Reads an object, or a list of them. The text before it must be consumed. */
export function* jsonCalls(
  source: Source,
  tools: Tools,
  { shape = "named", each = (value) => value }: JsonCallOptions = {},
): Reading<Calls> {
  const before = source.drafts.length;
  const { text, closed } = yield* source.json(new CallWatcher(source, tools, shape));
  const drafts = source.drafts.slice(before);
  if (!closed) {
    if (!source.cut) return shape === "named" ? openList(text, tools, drafts.length) : undefined;
    if (drafts.at(-1)?.whole === false) return [];
    return shape === "named" ? cutCalls(text, tools, drafts.length) : [];
  }
  const value = lenientJson(text);
  if (value === undefined) return undefined;
  const values = Array.isArray(value) ? value : [value];
  const calls = values.slice(drafts.length).map(each).filter((one) => one !== undefined);
  return calls.length === 0 && values.length > 0 ? [] : callsOf(calls, tools);
}

interface JsonCallOptions {
  readonly shape?: CallShape;
  /** What an element stands for: `undefined` for no call. */
  readonly each?: (value: unknown) => unknown;
}

/** The arguments alone, of a call whose name is known. */
export function* jsonArguments(source: Source, name: string, tools: Tools): Reading<Calls> {
  yield* source.space();
  const next = yield* source.peek();
  if (next === undefined && source.cut) return [{ name, arguments: {}, partial: "" }];
  if (next !== "{") return undefined;
  const before = source.drafts.length;
  const { text, closed } = yield* source.json(new CallWatcher(source, tools, { name }));
  const draft = source.drafts[before];
  if (draft !== undefined) return draft.whole || source.cut ? [] : undefined;
  if (!closed) {
    return source.cut ? [{ name, arguments: wholeMembers(text), partial: text }] : undefined;
  }
  const parsed = lenientJson(text);
  return isObject(parsed) ? [{ name, arguments: parsed }] : undefined;
}

/** Calls of JSON that was cut: the whole ones, and the beginning of the last if its name is there. */
function cutCalls(text: string, tools: Tools, drafts: number): Calls {
  const isList = text.trimStart().startsWith("[");
  if (!isList) return drafts > 0 ? [] : cutCall(text, tools);
  const objects = objectsOf(text.slice(text.indexOf("[") + 1)).slice(drafts);
  const last = objects.pop() ?? "";
  const before = objects.map((one) => callOf(lenientJson(one), tools));
  if (before.some((call) => call === undefined)) return undefined;
  const cut = cutCall(last, tools);
  return cut === undefined ? undefined : [...before as ParsedCall[], ...cut];
}

/** The calls of a list whose bracket is missing at the end of a reply. */
function openList(text: string, tools: Tools, drafts: number): Calls {
  if (!text.trimStart().startsWith("[")) return undefined;
  const objects = objectsOf(text.slice(text.indexOf("[") + 1));
  if (objects.pop() !== "" || objects.length <= drafts) return undefined;
  return callsOf(objects.slice(drafts).map(lenientJson), tools);
}

/** One object's beginning; no call yet while its name is not there, but none of another name. */
function cutCall(text: string, tools: Tools): Calls {
  const whole = callOf(lenientJson(text), tools);
  if (whole !== undefined) return [whole];
  const members = topMembers(text);
  const inner = members.get("function");
  if (inner?.text.startsWith("{")) return cutCall(inner.text, tools);
  const named = members.get("name") ?? members.get("tool_name") ?? inner;
  if (named === undefined || !named.whole) return [];
  const name = lenientJson(named.text);
  if (typeof name !== "string" || !tools.has(name)) return undefined;
  const key = ARGUMENTS.find((one) => members.has(one));
  const given = key === undefined ? "" : members.get(key)!.text;
  return [{ name, arguments: wholeMembers(given), partial: given }];
}

/** The objects of a list's inside, the last as far as it is there. */
function objectsOf(text: string): string[] {
  const objects: string[] = [];
  let depth = 0, inString = false, escaped = false, start = -1;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (inString) {
      if (escaped) escaped = false;
      else if (char === "\\") escaped = true;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" && depth++ === 0) start = at;
    else if (char === "}" && --depth === 0) {
      objects.push(text.slice(start, at + 1));
      start = -1;
    }
  }
  objects.push(start < 0 ? "" : text.slice(start));
  return objects;
}
