/** Python's operations on text. Indices count code points, as in Python; JavaScript's count UTF-16 units. */
import { JinjaError, typeError, valueError } from "./errors.ts";
import { SPACE } from "./lexer.ts";
import { clampInt } from "./arguments.ts";
import { codePointLength, hasAstral, textOf, Tuple, typeName, type Value } from "./values.ts";

const SPACE_CHAR = new RegExp(`[${SPACE}]`);
const SPACES = new RegExp(`[${SPACE}]+`);
/** Separators of files, groups and records end a line as well. */
const SEPARATORS = "\\x1c-\\x1e";
const LINE_END = new RegExp(`\\r\\n|[\\n-\\r${SEPARATORS}\\x85\\u2028\\u2029]`, "g");

/** Start and stop of a slice inside `length`, as Python's `slice.indices` cuts them, for a step of 1. */
export function sliceBounds(start: Value, stop: Value, length: number): [number, number] {
  const cut = (value: Value, usual: number) => {
    if (value === null) return usual;
    const index = clampInt(value);
    return index < 0 ? Math.max(index + length, 0) : Math.min(index, length);
  };
  return [cut(start, 0), cut(stop, length)];
}

/** The indices that `start:stop:step` takes of `length`. @throws {JinjaError} `value`: a step of 0; `type`. */
export function sliceIndices(start: Value, stop: Value, step: Value, length: number): number[] {
  const by = step === null ? 1 : clampInt(step);
  if (by === 0) throw valueError("slice step cannot be zero");
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const cut = (value: Value, usual: number) => {
    if (value === null) return usual;
    const index = clampInt(value);
    return index < 0 ? Math.max(index + length, low) : Math.min(index, high);
  };
  const first = cut(start, by > 0 ? low : high);
  const last = cut(stop, by > 0 ? high : low);
  const indices: number[] = [];
  for (let index = first; by > 0 ? index < last : index > last; index += by) indices.push(index);
  return indices;
}

/** `text[start:stop]` with bounds inside the text. */
export function between(text: string, start: number, stop: number): string {
  if (!hasAstral(text)) return text.slice(start, Math.max(start, stop));
  return [...text].slice(start, Math.max(start, stop)).join("");
}

export function sliceText(text: string, start: Value, stop: Value, step: Value): string {
  if (step === null || step === 1n) {
    const [from, to] = sliceBounds(start, stop, codePointLength(text));
    return between(text, from, to);
  }
  const points = hasAstral(text) ? [...text] : text;
  return sliceIndices(start, stop, step, points.length).map((index) => points[index]).join("");
}

/** `text[index]`; `undefined` outside. */
export function charAt(text: string, index: number): string | undefined {
  if (!hasAstral(text)) return text[index < 0 ? index + text.length : index];
  return [...text].at(index);
}

/** Which characters `strip(chars)` takes; `null`: white space. @throws {JinjaError} `type` */
function stripper(chars: Value): (point: string) => boolean {
  if (chars === null) return (point) => SPACE_CHAR.test(point);
  const text = textOf(chars);
  if (text === undefined) throw typeError("strip arg must be None or str");
  const set = new Set(text);
  return (point) => set.has(point);
}

export function strip(text: string, chars: Value, sides: "left" | "right" | "both"): string {
  const takes = stripper(chars);
  let start = 0, end = text.length;
  if (sides !== "right") {
    while (start < end) {
      const point = String.fromCodePoint(text.codePointAt(start)!);
      if (!takes(point)) break;
      start += point.length;
    }
  }
  if (sides !== "left") {
    while (end > start) {
      const pair = end - start >= 2 &&
        /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(end - 2, end));
      const point = text.slice(end - (pair ? 2 : 1), end);
      if (!takes(point)) break;
      end -= point.length;
    }
  }
  return text.slice(start, end);
}

/** `text.split(separator, limit)`; separator `null`: runs of white space. */
export function split(text: string, separator: string | null, limit: number): string[] {
  if (separator === "") throw valueError("empty separator");
  const most = limit < 0 ? Infinity : limit;
  const parts: string[] = [];
  if (separator !== null) {
    let from = 0;
    for (let at = text.indexOf(separator); at >= 0 && parts.length < most;) {
      parts.push(text.slice(from, at));
      from = at + separator.length;
      at = text.indexOf(separator, from);
    }
    parts.push(text.slice(from));
    return parts;
  }
  let rest = strip(text, null, "left");
  while (rest !== "") {
    const at = parts.length < most ? rest.search(SPACES) : -1;
    if (at < 0) {
      parts.push(rest);
      break;
    }
    parts.push(rest.slice(0, at));
    rest = strip(rest.slice(at), null, "left");
  }
  return parts;
}

/** `text.rsplit(separator, limit)` */
export function splitRight(text: string, separator: string | null, limit: number): string[] {
  if (limit < 0) return split(text, separator, -1);
  if (separator === "") throw valueError("empty separator");
  const parts: string[] = [];
  let end = text.length;
  if (separator !== null) {
    while (parts.length < limit) {
      const at = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length);
      if (at < 0) break;
      parts.push(text.slice(at + separator.length, end));
      end = at;
    }
    parts.push(text.slice(0, end));
    return parts.reverse();
  }
  const isSpace = (at: number) => SPACE_CHAR.test(text[at]!);
  const skipSpaces = () => {
    while (end > 0 && isSpace(end - 1)) end--;
  };
  for (skipSpaces(); end > 0 && parts.length < limit; skipSpaces()) {
    let start = end;
    while (start > 0 && !isSpace(start - 1)) start--;
    parts.push(text.slice(start, end));
    end = start;
  }
  if (end > 0) parts.push(text.slice(0, end));
  return parts.reverse();
}

export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let from = 0;
  for (const end of text.matchAll(LINE_END)) {
    const stop = end.index + end[0].length;
    lines.push(text.slice(from, keepEnds ? stop : end.index));
    from = stop;
  }
  if (from < text.length) lines.push(text.slice(from));
  return lines;
}

/** `limit` below 0: all. */
export function replace(text: string, old: string, by: string, limit: number): string {
  if (limit < 0 && old !== "") return text.replaceAll(old, () => by);
  const most = limit < 0 ? Infinity : limit;
  if (old === "") {
    let out = "", count = 0;
    for (const point of text) out += (count++ < most ? by : "") + point;
    return count < most ? out + by : out;
  }
  const parts = split(text, old, most === Infinity ? -1 : most);
  return parts.join(by);
}

/** Times that `part` is in `text`, none over another. */
export function count(text: string, part: string): number {
  if (part === "") return codePointLength(text) + 1;
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}

/** Index in code points, -1 if it is not there between the bounds. */
export function find(text: string, part: string, start: Value, stop: Value, last: boolean): number {
  const length = codePointLength(text);
  const [from, to] = sliceBounds(start, stop, length);
  if (start !== null && clampInt(start) > length) return -1;
  if (from > to) return -1;
  const inside = between(text, from, to);
  const at = last ? inside.lastIndexOf(part) : inside.indexOf(part);
  return at < 0 ? -1 : from + codePointLength(inside.slice(0, at));
}

/** `startswith` and `endswith`, of one text or a tuple of them. */
export function hasAffix(
  text: string,
  affix: Value,
  start: Value,
  stop: Value,
  atEnd: boolean,
): boolean {
  const [from, to] = start === null && stop === null
    ? [0, Infinity]
    : sliceBounds(start, stop, codePointLength(text));
  const beyond = start !== null && clampInt(start) > codePointLength(text);
  if (from > to || beyond) return false;
  const inside = from === 0 && to === Infinity ? text : between(text, from, to);
  const test = (one: Value) => {
    const part = textOf(one);
    if (part === undefined) {
      const name = atEnd ? "endswith" : "startswith";
      throw typeError(`${name} first arg must be str or a tuple of str, not ${typeName(one)}`);
    }
    return atEnd ? inside.endsWith(part) : inside.startsWith(part);
  };
  return affix instanceof Tuple ? affix.items.some(test) : test(affix);
}

export function pad(text: string, width: number, fill: string, how: "<" | ">" | "^"): string {
  if (codePointLength(fill) !== 1) {
    throw typeError("The fill character must be exactly one character long");
  }
  const missing = width - codePointLength(text);
  if (missing <= 0) return text;
  if (how === "<") return text + fill.repeat(missing);
  if (how === ">") return fill.repeat(missing) + text;
  // Python puts the odd one in front if the width is odd too.
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

export function zeroFill(text: string, width: number): string {
  const missing = width - codePointLength(text);
  if (missing <= 0) return text;
  const sign = /^[-+]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

/** @throws {JinjaError} `limit` */
export function expandTabs(text: string, size: number): string {
  if (size > 10_000) throw new JinjaError("limit", "a width is too large");
  let out = "", column = 0;
  for (const point of text) {
    if (point === "\t") {
      const spaces = size > 0 ? size - column % size : 0;
      out += " ".repeat(spaces);
      column += spaces;
    } else {
      out += point;
      column = point === "\n" || point === "\r" ? 0 : column + 1;
    }
  }
  return out;
}
