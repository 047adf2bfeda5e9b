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

/**
 * What `JSON.stringify` makes of a value, in pieces of some ten thousand units. A `Float32Array` is an array of numbers.
 * @param value Objects, arrays, texts, numbers, true, false, null; what is undefined is left out of objects.
 * @param without Whether members of this name are left out as well.
 */
export function* writeJson(
  value: unknown,
  without: (name: string) => boolean = () => false,
): Work<string[]> {
  const out = new Pieces();
  yield* write(value, { out, without });
  return out.end();
}

class Pieces {
  readonly #done: string[] = [];
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
  readonly without: (name: string) => boolean;
}

function* write(value: unknown, how: Writing): Work<void> {
  const { out, without } = how;
  if (typeof value === "string" && value.length > TEXT_UNITS) yield* writeText(value, out);
  else if (value === null || typeof value !== "object") out.add(exactText(value) ?? "null");
  else if (Array.isArray(value) || value instanceof Float32Array) yield* writeList(value, how);
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

function* writeList(list: readonly unknown[] | Float32Array, how: Writing): Work<void> {
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
