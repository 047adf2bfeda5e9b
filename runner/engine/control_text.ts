/**
 * Keeps text text. A control token's text in a user's message ("<|im_end|>") would become that token when the rendered
 * prompt is tokenized, and end the user's turn. It is broken by a mark that occurs nowhere else; after
 * rendering the prompt is cut at the marks: no control token arises across two pieces, though they are tokenized as one.
 */
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

/** Finds every place where one of many texts begins. */
export class ControlTextFinder {
  readonly #texts: ReadonlySet<string>;
  /** First two characters → lengths of the texts that begin so: few, where texts may be thousands. */
  readonly #lengths = new Map<string, Set<number>>();
  readonly #prefixes: RegExp | undefined;

  constructor(texts: Iterable<string>) {
    // One character alone cannot be broken, and is no control token worth its name.
    this.#texts = new Set([...texts].filter((text) => text.length >= 2));
    for (const text of this.#texts) {
      const prefix = text.slice(0, 2);
      const lengths = this.#lengths.get(prefix);
      if (lengths) lengths.add(text.length);
      else this.#lengths.set(prefix, new Set([text.length]));
    }
    const alternatives = [...this.#lengths.keys()].map((prefix) => RegExp.escape(prefix));
    if (alternatives.length > 0) this.#prefixes = new RegExp(alternatives.join("|"), "g");
  }

  /** The text with `mark` behind the first character of every occurrence. */
  break(text: string, mark: string): string {
    const prefixes = this.#prefixes;
    if (!prefixes) return text;
    let out = "";
    let from = 0;
    prefixes.lastIndex = 0;
    for (let match = prefixes.exec(text); match; match = prefixes.exec(text)) {
      const at = match.index;
      // Occurrences may overlap: look again from the next character.
      prefixes.lastIndex = at + 1;
      if (!this.#occursAt(text, at, match[0])) continue;
      const cut = at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
      out += text.slice(from, cut) + mark;
      from = cut;
    }
    return out + text.slice(from);
  }

  #occursAt(text: string, at: number, prefix: string): boolean {
    for (const length of this.#lengths.get(prefix) ?? []) {
      if (this.#texts.has(text.slice(at, at + length))) return true;
    }
    return false;
  }
}

/** What JSON writers that escape everything but ASCII make of a mark. */
function escaped(mark: string): string {
  return `\\u${mark.charCodeAt(0).toString(16)}`;
}

/**
 * A private-use character that does not occur in `texts`, escaped or not.
 * @throws {SecLlamaError} `bad-request`: all 6400 occur.
 */
export function chooseMark(texts: readonly string[]): string {
  for (let code = 0xe000; code <= 0xf8ff; code++) {
    const mark = String.fromCharCode(code);
    const escape = escaped(mark);
    if (!texts.some((text) => text.includes(mark) || text.toLowerCase().includes(escape))) {
      return mark;
    }
  }
  throw new SecLlamaError("bad-request", "the messages hold every private-use character");
}

/** The pieces between marks. */
export function splitAtMarks(text: string, mark: string): string[] {
  return text.split(mark).flatMap((piece) =>
    piece.split(new RegExp(RegExp.escape(escaped(mark)), "i"))
  );
}
