/** JSON that ends too early: what of it is whole. */
import { endOfString } from "./json_string.ts";
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

const TO_KEY = /[\s,]*"/y;
const TO_VALUE = /\s*:\s*/y;

/** The members of an object's beginning, each value as it stands in the text: of the last, what is there of it. */
export function topMembers(text: string): Map<string, { text: string; whole: boolean }> {
  const members = new Map<string, { text: string; whole: boolean }>();
  const start = text.indexOf("{");
  if (start < 0) return members;
  let at = start + 1;
  for (;;) {
    TO_KEY.lastIndex = at;
    if (!TO_KEY.test(text)) return members;
    const quote = TO_KEY.lastIndex - 1;
    TO_VALUE.lastIndex = endOfString(text, quote) ?? text.length;
    const key = text.slice(quote, TO_VALUE.lastIndex);
    if (!TO_VALUE.test(text)) return members;
    at = TO_VALUE.lastIndex;
    const end = endOfValue(text, at);
    const name = lenientJson(key);
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
  let depth = 0;
  for (let at = start;; at++) {
    // From sign to sign: one character after the other would take a second for a megabyte.
    const sign = depth === 0 ? /["{}[\],]/g : /["{}[\]]/g;
    sign.lastIndex = at;
    const found = sign.exec(text);
    if (found === null) return undefined;
    at = found.index;
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (end === undefined) return undefined;
        if (depth === 0) return end;
        at = end - 1;
        break;
      }
      case "{":
      case "[":
        depth++;
        break;
      case ",":
        return at;
      default:
        if (depth === 0) return at;
        if (--depth === 0) return at + 1;
    }
  }
}
