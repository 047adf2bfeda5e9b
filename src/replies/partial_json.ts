/** JSON that ends too early: what of it is whole. */
import { lenientJson } from "./tools.ts";

/** The members of an object's beginning that are whole, a text that is cut included; {} if none is. */
export function wholeMembers(text: string): Record<string, unknown> {
  const closed = close(text);
  for (const candidate of closed) {
    const value = lenientJson(candidate);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  }
  return {};
}

/** Ways to close what is open, the one that keeps most first. */
function* close(text: string): Generator<string> {
  const { open, inString, escaped, lastComma } = scan(text);
  const brackets = open.toReversed().map((bracket) => bracket === "{" ? "}" : "]").join("");
  if (inString) yield `${escaped ? text.slice(0, -1) : text}"${brackets}`;
  else yield text + brackets;
  // Without a last member that has no value, or only half a number or word.
  if (lastComma !== undefined) {
    const outer = lastComma.open.toReversed().map((one) => one === "{" ? "}" : "]").join("");
    yield text.slice(0, lastComma.at) + outer;
  }
  yield "{}";
}

function scan(text: string) {
  const open: string[] = [];
  let inString = false, escaped = false;
  let lastComma: { at: number; open: string[] } | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (inString) {
      if (escaped) escaped = false;
      else if (char === "\\") escaped = true;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") {
      open.push(char);
      lastComma = { at: at + 1, open: [...open] };
    } else if (char === "}" || char === "]") open.pop();
    else if (char === ",") lastComma = { at, open: [...open] };
  }
  return { open, inString, escaped, lastComma };
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
