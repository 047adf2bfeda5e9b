/** Calls that are written as JSON. */
import { topMembers, wholeMembers } from "./partial_json.ts";
import type { Reading, Source } from "./source.ts";
import { isObject, lenientJson, type ParsedCall, type Tools } from "./tools.ts";

/** Names of what holds the arguments. */
const ARGUMENTS = ["arguments", "parameters", "args"];

/** `undefined`: no call of one of the tools. */
export type Calls = ParsedCall[] | undefined;

/** The calls of a JSON object, or of each in a list. */
export function callsOf(value: unknown, tools: Tools): Calls {
  const list = Array.isArray(value) ? value : [value];
  const calls = list.map((one) => callOf(one, tools));
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

function callOf(value: unknown, tools: Tools): ParsedCall | undefined {
  if (!isObject(value)) return undefined;
  if (isObject(value.function)) return callOf(value.function, tools);
  const name = value.name ?? value.function ?? value.tool_name;
  if (typeof name !== "string" || !tools.has(name)) return undefined;
  const given = ARGUMENTS.map((key) => value[key]).find((one) => one !== undefined) ?? {};
  const parsed = typeof given === "string" ? lenientJson(given) ?? {} : given;
  return isObject(parsed) ? { name, arguments: parsed } : undefined;
}

/** Reads an object, or a list of them. The text before it must be consumed. */
export function* jsonCalls(source: Source, tools: Tools): Reading<Calls> {
  const { text, closed } = yield* source.json();
  if (closed) return callsOf(lenientJson(text), tools);
  return source.cut ? cutCalls(text, tools) : undefined;
}

/** The arguments alone, of a call whose name is known. */
export function* jsonArguments(source: Source, name: string): Reading<Calls> {
  yield* source.space();
  const next = yield* source.peek();
  if (next === undefined && source.cut) return [{ name, arguments: {}, partial: "" }];
  if (next !== "{") return undefined;
  const { text, closed } = yield* source.json();
  if (!closed) {
    return source.cut ? [{ name, arguments: wholeMembers(text), partial: text }] : undefined;
  }
  const parsed = lenientJson(text);
  return isObject(parsed) ? [{ name, arguments: parsed }] : undefined;
}

/** Calls of JSON that was cut: the whole ones, and the beginning of the last if its name is there. */
function cutCalls(text: string, tools: Tools): Calls {
  const isList = text.trimStart().startsWith("[");
  if (!isList) return cutCall(text, tools);
  const objects = objectsOf(text.slice(text.indexOf("[") + 1));
  const last = objects.pop() ?? "";
  const before = objects.map((one) => callOf(lenientJson(one), tools));
  if (before.some((call) => call === undefined)) return undefined;
  const cut = cutCall(last, tools);
  return cut === undefined ? undefined : [...before as ParsedCall[], ...cut];
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
