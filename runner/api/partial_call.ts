/** A tool call that a reply's end cut off: its name, and its arguments as far as they were written. */
import { JsonScanner } from "./json_scan.ts";

export interface PartialCall {
  readonly name: string;
  /** The members that are complete. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** JSON of the arguments that breaks off; "" if they have not begun. Absent: they are whole. */
  readonly partial?: string;
}

/** The name, and behind it the arguments' object. */
const NAMED: readonly RegExp[] = [
  /^\s*<function=([^>\s{}]+)>\s*(\{[^]*)?$/,
  /^\s*([\w.-]+)(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?\s*(\{[^]*)?$/,
];

/** @param text What stands behind the sign that opens a call. @returns `undefined` where no known tool is named yet. */
export function partialCall(text: string, tools: ReadonlySet<string>): PartialCall | undefined {
  const markup = /^\s*<function=([^>\s]+)>([^]*)$/.exec(text);
  if (markup !== null && tools.has(markup[1]!) && !/^\s*\{/.test(markup[2]!)) {
    return { name: markup[1]!, ...fromMarkup(markup[2]!) };
  }
  for (const form of NAMED) {
    const [, name, partial = ""] = form.exec(text) ?? [];
    if (name === undefined || !tools.has(name)) continue;
    return { name, arguments: wholeMembers(partial).members, partial };
  }
  return fromObject(text, tools);
}

/** `{"name": …, "arguments": …`, in any order. */
function fromObject(text: string, tools: ReadonlySet<string>): PartialCall | undefined {
  const { members, end } = wholeMembers(text);
  const name = members.name ?? members.function ?? members.tool_name;
  if (typeof name !== "string" || !tools.has(name)) return undefined;
  const given = members.arguments ?? members.parameters;
  if (given !== null && typeof given === "object") {
    return { name, arguments: given as Record<string, unknown> };
  }
  const rest = /^\s*,?\s*"(?:arguments|parameters)"\s*:\s*([^]*)$/.exec(text.slice(end));
  const partial = rest?.[1] ?? "";
  return { name, arguments: wholeMembers(partial).members, partial };
}

/** The complete elements of a list that breaks off, and what is behind them. */
export function splitList(body: string): { whole: string[]; rest: string } {
  const whole: string[] = [];
  let rest = body.trimStart();
  if (!/^\[\s*\{/.test(rest)) return { whole, rest: body };
  rest = rest.slice(1).trimStart();
  for (;;) {
    const end = rest.startsWith("{") ? new JsonScanner(0).scan(rest) : -1;
    if (end < 0) return { whole, rest };
    whole.push(rest.slice(0, end));
    rest = rest.slice(end).replace(/^[\s,]+/, "");
  }
}

/** Whether a text begins as an object and does not come to its end. */
export function breaksOff(text: string): boolean {
  const begun = text.trimStart();
  return begun.startsWith("{") && new JsonScanner(0).scan(begun) < 0;
}

/** The members of an object that breaks off which are complete, and where the last of them ends. */
export function wholeMembers(text: string): { members: Record<string, unknown>; end: number } {
  let depth = 0;
  let inString = false;
  const ends: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') {
        inString = false;
        if (depth === 1) ends.push(at + 1);
      }
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      depth--;
      if (depth === 1) ends.push(at + 1);
    } else if (char === "," && depth === 1) ends.push(at);
  }
  const tries = ends.toReversed().slice(0, MOST_TRIES).map((end) => ({
    end,
    json: `${text.slice(0, end)}}`,
  }));
  if (depth === 0) tries.unshift({ end: text.length, json: text });
  // A name's end is no member's: such a beginning is no JSON, and the one before it is tried.
  for (const { end, json } of tries) {
    try {
      const value: unknown = JSON.parse(json);
      if (isObject(value)) return { members: value, end };
    } catch { /* a shorter one may be whole */ }
  }
  return { members: {}, end: 0 };
}

/** A member's value and its name end in the last few places. */
const MOST_TRIES = 6;

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Qwen 3 Coder's markup; the last parameter breaks off. */
function fromMarkup(text: string): { arguments: Record<string, unknown>; partial: string } {
  const whole = [...text.matchAll(/<parameter=([^>\s]+)>\n?([^]*?)\n?<\/parameter>/g)];
  const members = Object.fromEntries(whole.map(([, name, value]) => [name!, valueOf(value!)]));
  const last = whole.at(-1);
  const rest = text.slice(last === undefined ? 0 : last.index + last[0].length);
  const open = /^\s*<parameter=([^>\s]+)>\n?([^]*)$/.exec(rest);
  const json = JSON.stringify(members).slice(0, -1);
  if (open === null) return { arguments: members, partial: whole.length === 0 ? "" : json };
  const comma = whole.length === 0 ? "" : ",";
  const begun = `${json}${comma}${JSON.stringify(open[1])}:${JSON.stringify(open[2]).slice(0, -1)}`;
  return { arguments: members, partial: begun };
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
