/**
 * Keeps text text. A control token's text in a user's message ("<|im_end|>") would become that token when the rendered
 * prompt is tokenized, and end the user's turn. It is broken by a mark that occurs nowhere else; after
 * rendering the prompt is cut at the marks: no control token arises across two pieces, though they are tokenized as one.
 *
 * The texts are strangers', and may be large: looking through them is work that yields.
 */
import type { Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";

/**
 * Of the tokens that llama.cpp recognises in any text, those that structure a prompt: "<|user|>", "<tool_call>", "</think>",
 * "[INST]". Others are there for brevity: "<table>", runs of spaces.
 */
const STRUCTURAL = /^(<\/?([|｜].*|[a-z]+(_[a-z]+)+|think[a-z]*)>|\[\/?[A-Z_]+\])$/;

export function isStructural(text: string): boolean {
  return STRUCTURAL.test(text);
}

/** Of those, what an assistant's own text may hold: some templates cut its thinking off by its tags. */
export function isThoughtTag(text: string): boolean {
  return /think/.test(text);
}

/** Units that are looked through between two yields. */
const WINDOW_UNITS = 16 * 1024;
/** Finds between two yields. */
const FINDS_PER_YIELD = 512;

/** Finds every place where one of many texts begins. */
export class ControlTextFinder {
  readonly #texts: ReadonlySet<string>;
  /** First two characters → lengths of the texts that begin so: few, where texts may be thousands. */
  readonly #lengths = new Map<string, Set<number>>();
  /** What texts begin with, and a pattern for any of that. */
  readonly #firsts: readonly string[];
  readonly #first: RegExp;

  constructor(texts: Iterable<string>) {
    // One character alone cannot be broken, and is no control token worth its name.
    this.#texts = new Set([...texts].filter((text) => text.length >= 2));
    for (const text of this.#texts) {
      const prefix = text.slice(0, 2);
      const lengths = this.#lengths.get(prefix);
      if (lengths) lengths.add(text.length);
      else this.#lengths.set(prefix, new Set([text.length]));
    }
    this.#firsts = [...new Set([...this.#lengths.keys()].map((prefix) => prefix.charAt(0)))];
    const units = this.#firsts.map((unit) =>
      `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    );
    this.#first = new RegExp(`[${units.join("")}]`, "g");
  }

  /** The text with `mark` behind the first character of every occurrence. */
  *break(text: string, mark: string): Work<string> {
    // The usual case, at the speed of native code.
    if (!this.#firsts.some((unit) => text.includes(unit))) return text;
    const out: string[] = [];
    let from = 0;
    for (let start = 0; start < text.length; start += WINDOW_UNITS) {
      const window = text.slice(start, start + WINDOW_UNITS);
      // An evaluation may be left here, and the pattern's place is its own.
      const first = new RegExp(this.#first);
      let finds = 0;
      for (let match = first.exec(window); match; match = first.exec(window)) {
        if (++finds % FINDS_PER_YIELD === 0) yield;
        const at = start + match.index;
        if (!this.#occursAt(text, at)) continue;
        const cut = at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
        out.push(text.slice(from, cut));
        from = cut;
      }
      yield;
    }
    out.push(text.slice(from));
    return out.join(mark);
  }

  #occursAt(text: string, at: number): boolean {
    for (const length of this.#lengths.get(text.slice(at, at + 2)) ?? []) {
      if (this.#texts.has(text.slice(at, at + length))) return true;
    }
    return false;
  }
}

const FIRST_MARK = 0xe000;
const LAST_MARK = 0xf8ff;
/** Marks that are tried before all texts are looked through. */
const TRIED_MARKS = 8;
const MARKS = /[\ue000-\uf8ff]|\\u([ef][0-9a-f]{3})/gi;

/** What JSON writers that escape everything but ASCII make of a mark. */
function escaped(mark: string): string {
  return `\\u${mark.charCodeAt(0).toString(16)}`;
}

/**
 * A private-use character that does not occur in `texts`, escaped or not.
 * @throws {SecLlamaError} `bad-request`: all 6400 occur.
 */
export function* chooseMark(texts: readonly string[]): Work<string> {
  const withEscapes = texts.filter((text) => text.includes("\\u")).map((text) =>
    text.toLowerCase()
  );
  for (let code = FIRST_MARK; code < FIRST_MARK + TRIED_MARKS; code++) {
    const mark = String.fromCharCode(code);
    const escape = escaped(mark);
    const occurs = texts.some((text) => text.includes(mark)) ||
      withEscapes.some((text) => text.includes(escape));
    if (!occurs) return mark;
    yield;
  }
  const taken = yield* privateUse(texts);
  for (let code = FIRST_MARK; code <= LAST_MARK; code++) {
    if (!taken.has(code)) return String.fromCharCode(code);
  }
  throw new SecLlamaError("bad-request", "the messages hold every private-use character");
}

/** The private-use characters that occur, escaped or not. */
function* privateUse(texts: readonly string[]): Work<ReadonlySet<number>> {
  const found = new Set<number>();
  for (const text of texts) {
    // Windows overlap by the length of an escape.
    for (let start = 0; start < text.length; start += WINDOW_UNITS) {
      let finds = 0;
      for (const [whole, escape] of text.slice(start, start + WINDOW_UNITS + 5).matchAll(MARKS)) {
        found.add(escape === undefined ? whole.charCodeAt(0) : parseInt(escape, 16));
        if (++finds % FINDS_PER_YIELD === 0) yield;
      }
      yield;
    }
  }
  return found;
}

/** The pieces between marks. */
export function splitAtMarks(text: string, mark: string): string[] {
  const escape = escaped(mark);
  const upper = `\\u${escape.slice(2).toUpperCase()}`;
  const pieces = text.split(mark);
  if (!text.includes("\\u")) return pieces;
  return pieces.flatMap((piece) => piece.split(escape).flatMap((part) => part.split(upper)));
}
