/**
 * JSON that may be large, as work that yields: how long it is, and its text. `JSON.stringify` does either in one piece, and a
 * client can ask for a hundred megabytes of numbers.
 */
import type { Work } from "../src/budget.ts";
import { exactText } from "../src/exact_json.ts";

/** What is done between two places to yield: values, or 64 units of text. */
const STEPS_PER_YIELD = 4096;
const UNITS_PER_STEP = 64;
/** Numbers that are written at a time. */
const RUN = 512;
/** UTF-16 units of a text that are written at a time. */
const TEXT_UNITS = 64 * 1024;

/**
 * About how many UTF-16 units the JSON of a value has: what is escaped counts as one. Once it is more than `most`, that is enough.
 * @param value What `JSON.parse` may give.
 */
export function* jsonSize(value: unknown, most = Infinity): Work<number> {
  let units = 0;
  let steps = 0;
  for (const open = [value]; open.length > 0 && units <= most;) {
    const one = open.pop();
    if (typeof one === "string") units += one.length + 2;
    else if (typeof one !== "object" || one === null) units += String(one).length;
    else if (Array.isArray(one)) {
      units += 1 + one.length;
      for (const item of one) {
        open.push(item);
        if (++steps % STEPS_PER_YIELD === 0) yield;
      }
    } else {
      units++;
      for (const name in one) {
        if (!Object.hasOwn(one, name)) continue;
        units += name.length + 4;
        open.push((one as Record<string, unknown>)[name]);
        if (++steps % STEPS_PER_YIELD === 0) yield;
      }
    }
    if (++steps % STEPS_PER_YIELD === 0) yield;
  }
  return units;
}

/** A list whose items are made when they are written, each in one go: all at once they may be more than the memory holds. */
export class SmallItems {
  readonly items: Iterable<unknown>;

  /** @param items What {@link jsonPieces} takes, and small. They are gone through once. */
  constructor(items: Iterable<unknown>) {
    this.items = items;
  }
}

/** Texts that follow one another; where there is none, it is a place to yield. */
export type JsonPieces = Generator<string | undefined, void, void>;

type Without = (name: string) => boolean;

/**
 * What `JSON.stringify` makes of a value, in pieces of some ten thousand units. A `Float32Array` or `Int32Array` is an array of
 * numbers.
 * @param value Objects, arrays, texts, numbers, true, false, null, {@link SmallItems}; what is undefined is left out of objects.
 * @param without Whether members of this name are left out as well.
 */
export function* jsonPieces(value: unknown, without: Without = () => false): JsonPieces {
  const out = new Pieces();
  const work = write(value, { out, without });
  while (!work.next().done) {
    yield* out.taken();
    yield;
  }
  yield* out.end();
}

/** The next text; undefined: it was the last. */
export function* nextPiece(pieces: JsonPieces): Work<string | undefined> {
  for (;;) {
    const { done, value } = pieces.next();
    if (done) return undefined;
    if (value !== undefined) return value;
    yield;
  }
}

/** All of {@link jsonPieces}. */
export function* writeJson(value: unknown, without?: Without): Work<string[]> {
  const all: string[] = [];
  for (const piece of jsonPieces(value, without)) {
    if (piece === undefined) yield;
    else all.push(piece);
  }
  return all;
}

class Pieces {
  #done: string[] = [];
  #open: string[] = [];
  #units = 0;
  #steps = 0;

  add(text: string): void {
    this.#open.push(text);
    this.#units += text.length;
    this.#steps += 1 + text.length / UNITS_PER_STEP;
    if (this.#units >= TEXT_UNITS) this.#close();
  }

  /** Whether to yield here. */
  due(): boolean {
    if (this.#steps < STEPS_PER_YIELD) return false;
    this.#steps = 0;
    return true;
  }

  /** Those that are whole; they are handed over. */
  taken(): string[] {
    const taken = this.#done;
    this.#done = [];
    return taken;
  }

  end(): string[] {
    this.#close();
    return this.#done;
  }

  #close(): void {
    if (this.#open.length > 0) this.#done.push(this.#open.join(""));
    this.#open = [];
    this.#units = 0;
  }
}

interface Writing {
  readonly out: Pieces;
  readonly without: Without;
}

function* write(value: unknown, how: Writing): Work<void> {
  const { out, without } = how;
  if (typeof value === "string" && value.length > TEXT_UNITS) yield* writeText(value, out);
  else if (value === null || typeof value !== "object") out.add(exactText(value) ?? "null");
  else if (value instanceof SmallItems) yield* writeItems(value, out);
  else if (Array.isArray(value) || isNumbers(value)) yield* writeList(value, how);
  else {
    let before = "{";
    for (const [name, member] of Object.entries(value)) {
      if (member === undefined || without(name)) continue;
      out.add(`${before}${JSON.stringify(name)}:`);
      yield* write(member, how);
      before = ",";
    }
    out.add(before === "{" ? "{}" : "}");
  }
  if (out.due()) yield;
}

function isNumbers(value: object): value is Float32Array | Int32Array {
  return value instanceof Float32Array || value instanceof Int32Array;
}

function* writeItems({ items }: SmallItems, out: Pieces): Work<void> {
  let before = "[";
  for (const item of items) {
    out.add(before + exactText(item));
    before = ",";
    if (out.due()) yield;
  }
  out.add(before === "[" ? "[]" : "]");
}

function* writeList(
  list: readonly unknown[] | Float32Array | Int32Array,
  how: Writing,
): Work<void> {
  const { out } = how;
  out.add("[");
  for (let at = 0; at < list.length;) {
    if (at > 0) out.add(",");
    let end = at;
    while (end < list.length && end < at + RUN && typeof list[end] === "number") end++;
    if (end > at) {
      out.add(JSON.stringify(Array.from(list.slice(at, end) as number[])).slice(1, -1));
      at = end;
      if (out.due()) yield;
    } else yield* write(list[at++], how);
  }
  out.add("]");
}

/** Cut where no character is in two, which would be written as two escapes. */
function* writeText(text: string, out: Pieces): Work<void> {
  out.add('"');
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + TEXT_UNITS, text.length);
    const code = text.charCodeAt(end);
    if (code >= 0xdc00 && code <= 0xdfff) end--;
    out.add(JSON.stringify(text.slice(at, end)).slice(1, -1));
    at = end;
    yield;
  }
  out.add('"');
}
