/** JSON that ends too early: what of it is whole. */
import { lenientJson } from "./tools.ts";
import { isObject } from "./values.ts";

/** The members of an object's beginning that are whole; what is cut is left out, for nobody is to act on half a value. */
export function wholeMembers(text: string): Record<string, unknown> {
  const value = lenientJson(text);
  if (isObject(value)) return value;
  return Object.fromEntries(
    [...topMembers(text)].flatMap(([name, member]) => {
      const own = member.whole ? lenientJson(member.text) : undefined;
      return own === undefined ? [] : [[name, own]];
    }),
  );
}

/** Whether a JSON object begins here that does not end. */
export function isBeginning(text: string): boolean {
  const begun = text.trimStart();
  return /^\{\s*("|$)/.test(begun) && endOfValue(begun, 0) === undefined;
}

/** The members of an object's beginning, each value as it stands in the text: of the last, what is there of it. */
export function topMembers(text: string): Map<string, { text: string; whole: boolean }> {
  const members = new Map<string, { text: string; whole: boolean }>();
  const start = text.indexOf("{");
  if (start < 0) return members;
  let at = start + 1;
  for (;;) {
    const key = /^[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*/s.exec(text.slice(at));
    if (key === null) return members;
    at += key[0].length;
    const end = endOfValue(text, at);
    const name = lenientJson(`"${key[1]}"`);
    members.set(String(name), {
      text: text.slice(at, end ?? text.length),
      whole: end !== undefined,
    });
    if (end === undefined) return members;
    at = end;
  }
}

/** Index just past the value that begins at `start`; `undefined` if the text ends before. */
function endOfValue(text: string, start: number): number | undefined {
  let depth = 0, inString = false, escaped = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at]!;
    if (inString) {
      if (escaped) escaped = false;
      else if (char === "\\") escaped = true;
      else if (char === '"') {
        inString = false;
        if (depth === 0) return at + 1;
      }
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (char === "," && depth === 0) return at;
  }
  return undefined;
}
