/**
 * From the parts of a prompt to tokens. The text is tokenized as one, as if no parts were there, so that words of a
 * template and of a user that meet make the tokens that the model knows. But the text of a special token becomes that token
 * only where one part, which may hold such tokens, has all of it: nobody's text becomes a control token, not even together
 * with the template's.
 *
 * Where nothing of the kind happens, llama.cpp tokenizes the whole. Else the special tokens are found here, in the way that
 * llama.cpp finds them (`tokenizer_st_partition`), and what is between is given to it as text. The texts are strangers', and may
 * be large: all of it is work that yields.
 */
import type { Work } from "../../src/budget.ts";
import type { LongWork } from "../turns.ts";
import { isStructural, isThoughtTag } from "./control_text.ts";
import type { PromptPart } from "./types.ts";

/** A token that llama.cpp looks for in text before it tokenizes what is between. */
export interface SpecialToken {
  readonly id: number;
  readonly text: string;
  /** llama.cpp recognises it in any text; others only where control tokens are wanted. */
  readonly isUserDefined: boolean;
  /** White space in front of it, and behind it, is dropped. */
  readonly stripsBefore: boolean;
  readonly stripsAfter: boolean;
}

/** What the vocabulary does for a text without parts. */
export interface TextTokenizer {
  /** As llama.cpp: at the start, or behind a special token. */
  tokenize(text: string, special: boolean): LongWork<Int32Array>;
  /** Behind other text. */
  continue(text: string): LongWork<Int32Array>;
}

type Known = SpecialToken & { readonly bytes: number };

interface Occurrence {
  readonly token: Known;
  readonly from: number;
  readonly to: number;
}

/** Where a part lies in the whole text. */
interface Place {
  readonly part: PromptPart;
  readonly to: number;
}

/** Units that are looked through between two yields, and finds. */
const WINDOW_UNITS = 16 * 1024;
const FINDS_PER_YIELD = 512;
const PIECES_PER_YIELD = 32;

export class PromptTokenizer {
  /** All, and those that must not arise from somebody's text. */
  readonly #all: TokenFinder;
  readonly #guarded: TokenFinder;
  /** Ids of tokens that no text of anybody's may become. */
  readonly #controls: ReadonlySet<number>;

  constructor(specials: readonly SpecialToken[]) {
    this.#controls = new Set(specials.filter((one) => !one.isUserDefined).map((one) => one.id));
    this.#all = new TokenFinder(specials);
    this.#guarded = new TokenFinder(
      specials.filter((token) => !token.isUserDefined || isStructural(token.text)),
    );
  }

  /** @param o.always Look for the special tokens here, also where llama.cpp could. */
  *tokenize(
    parts: readonly PromptPart[],
    text: TextTokenizer,
    o: { readonly always?: boolean } = {},
  ): LongWork<Int32Array> {
    const whole = parts.map((part) => part.text).join("");
    const places: Place[] = [];
    for (const part of parts) {
      if (part.text !== "") places.push({ part, to: (places.at(-1)?.to ?? 0) + part.text.length });
    }
    const isWanted = wantedIn(places);
    const unwanted: Occurrence[] = [];
    for (const from of yield* this.#guarded.places(whole)) {
      for (const one of this.#guarded.at(whole, from)) if (!isWanted(one)) unwanted.push(one);
    }
    if (unwanted.length === 0 && o.always !== true) return yield* text.tokenize(whole, true);
    const wanted = yield* choose(whole, this.#all, isWanted);
    const out: Int32Array[] = [];
    const between = new Between(whole, unwanted, { text, controls: this.#controls });
    let at = 0;
    // One by one: as arguments, a hundred thousand would be more than a stack holds.
    for (const { id, from, to } of wanted) {
      for (const piece of yield* between.tokens(at, from)) out.push(piece);
      if (id >= 0) out.push(Int32Array.of(id));
      at = to;
    }
    for (const piece of yield* between.tokens(at, whole.length)) out.push(piece);
    return joined(out);
  }
}

/** What is between the special tokens, from the front to the end. */
class Between {
  readonly #whole: string;
  readonly #unwanted: readonly Occurrence[];
  readonly #text: TextTokenizer;
  readonly #controls: ReadonlySet<number>;
  #next = 0;
  #pieces = 0;

  constructor(
    whole: string,
    unwanted: readonly Occurrence[],
    o: { text: TextTokenizer; controls: ReadonlySet<number> },
  ) {
    this.#whole = whole;
    this.#unwanted = unwanted;
    this.#text = o.text;
    this.#controls = o.controls;
  }

  *tokens(from: number, to: number): LongWork<Int32Array[]> {
    if (from >= to) return [];
    const inside: Occurrence[] = [];
    const unwanted = this.#unwanted;
    for (; this.#next < unwanted.length && unwanted[this.#next]!.from < to; this.#next++) {
      const one = unwanted[this.#next]!;
      if (one.from >= from && one.to <= to) inside.push(one);
    }
    // Those that are not user-defined are not looked for in text, but SentencePiece may put them together.
    const known = inside.filter((one) => one.token.isUserDefined);
    const first = yield* this.#broken(from, to, known);
    const isSafe = !first.some((piece) => piece.some((id) => this.#controls.has(id)));
    return isSafe ? first : yield* this.#broken(from, to, inside);
  }

  /** Text without special tokens, broken behind the first character of each of `broken`. */
  *#broken(from: number, to: number, broken: readonly Occurrence[]): LongWork<Int32Array[]> {
    const whole = this.#whole;
    const out: Int32Array[] = [];
    let begin = from;
    for (const one of broken) {
      const end = one.from + String.fromCodePoint(whole.codePointAt(one.from)!).length;
      // One character alone cannot be broken, and is no token worth its name.
      if (end >= one.to || end <= begin) continue;
      out.push(yield* this.#piece(whole.slice(begin, end), begin === from));
      begin = end;
    }
    out.push(yield* this.#piece(whole.slice(begin, to), begin === from));
    return out;
  }

  *#piece(text: string, isFirst: boolean): LongWork<Int32Array> {
    if (++this.#pieces % PIECES_PER_YIELD === 0) yield;
    return isFirst ? yield* this.#text.tokenize(text, false) : yield* this.#text.continue(text);
  }
}

/** Whether an occurrence is to be a token. */
function wantedIn(places: readonly Place[]): (one: Occurrence) => boolean {
  let at = 0;
  return ({ token, from, to }) => {
    // Mostly asked in the order of the text.
    if (at > 0 && places[at - 1]!.to > from) at = 0;
    while (places[at]!.to <= from) at++;
    const { part, to: end } = places[at]!;
    if (part.special && to <= end) return true;
    if (!token.isUserDefined) return false;
    if (!isStructural(token.text)) return true;
    return part.reply === true && to <= end && isThoughtTag(token.text);
  };
}

interface Cut {
  /** -1: white space that is dropped. */
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Those that llama.cpp takes where some overlap: the longest first (in bytes), of one token the leftmost first. At each place
 * only the longest waits; a shorter one does when that is not to be had, so that a run of spaces, which has tokens of every
 * length everywhere, costs no more than its length.
 */
function* choose(
  whole: string,
  finder: TokenFinder,
  isWanted: (one: Occurrence) => boolean,
): Work<Cut[]> {
  const taken = new Uint8Array(whole.length);
  const cuts: Cut[] = [];
  const take = (id: number, from: number, to: number) => {
    taken.fill(1, from, to);
    cuts.push({ id, from, to });
  };
  const isSpace = (at: number) => taken[at] === 0 && /[ \t-\r]/.test(whole[at] ?? "x");
  const waiting = new Map<number, Occurrence[]>();
  const wait = (from: number, below: number) => {
    for (const one of finder.at(whole, from)) {
      if (one.to - from >= below || !isWanted(one)) continue;
      const { bytes } = one.token;
      const list = waiting.get(bytes);
      if (list) list.push(one);
      else waiting.set(bytes, [one]);
      return;
    }
  };
  let steps = 0;
  for (const from of yield* finder.places(whole)) {
    wait(from, Infinity);
    if (++steps % FINDS_PER_YIELD === 0) yield;
  }
  while (waiting.size > 0) {
    const longest = Math.max(...waiting.keys());
    const list = waiting.get(longest)!;
    waiting.delete(longest);
    list.sort((a, b) => a.token.id - b.token.id || a.from - b.from);
    yield;
    for (const { token, from, to } of list) {
      if (++steps % FINDS_PER_YIELD === 0) yield;
      if (taken[from] === 1) continue;
      if (taken.subarray(from, to).includes(1)) {
        wait(from, to - from);
        continue;
      }
      take(token.id, from, to);
      let end = to;
      while (token.stripsAfter && isSpace(end)) end++;
      if (end > to) take(-1, to, end);
      let begin = from;
      while (token.stripsBefore && isSpace(begin - 1)) begin--;
      if (begin < from) take(-1, begin, from);
    }
  }
  return cuts.sort((a, b) => a.from - b.from);
}

/** Finds every place where the text of a token stands; they may overlap. */
class TokenFinder {
  readonly #tokens = new Map<string, Known>();
  /**
   * The first two characters, or the one there is → lengths of texts that begin so, the longest first: few, where texts may be
   * thousands.
   */
  readonly #lengths = new Map<string, number[]>();
  readonly #firsts: readonly string[];
  readonly #first: RegExp;

  constructor(tokens: readonly SpecialToken[]) {
    for (const token of tokens) {
      // Of two tokens with one text llama.cpp knows the last.
      this.#tokens.set(token.text, {
        ...token,
        bytes: new TextEncoder().encode(token.text).length,
      });
      const prefix = token.text.slice(0, 2);
      const lengths = this.#lengths.get(prefix) ?? [];
      if (!lengths.includes(token.text.length)) lengths.push(token.text.length);
      this.#lengths.set(prefix, lengths);
    }
    for (const lengths of this.#lengths.values()) lengths.sort((a, b) => b - a);
    this.#firsts = [...new Set([...this.#lengths.keys()].map((prefix) => prefix.charAt(0)))];
    const units = this.#firsts.map((unit) =>
      `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    );
    this.#first = new RegExp(`[${units.join("")}]`, "g");
  }

  /** Where tokens stand, in order. */
  *places(text: string): Work<number[]> {
    const found: number[] = [];
    // The usual case, at the speed of native code.
    if (!this.#firsts.some((unit) => text.includes(unit))) return found;
    let finds = 0;
    for (let start = 0; start < text.length; start += WINDOW_UNITS) {
      // The work may be left here, and the pattern's place is its own.
      const first = new RegExp(this.#first);
      const window = text.slice(start, start + WINDOW_UNITS);
      for (let match = first.exec(window); match !== null; match = first.exec(window)) {
        const from = start + match.index;
        if (this.#longest(text, from) !== undefined) found.push(from);
        if (++finds % FINDS_PER_YIELD === 0) yield;
      }
      yield;
    }
    return found;
  }

  /** The tokens at a place, the longest first. */
  *at(text: string, from: number): Generator<Occurrence> {
    const two = text.slice(from, from + 2);
    for (const prefix of two.length === 2 ? [two, two.charAt(0)] : [two]) {
      for (const length of this.#lengths.get(prefix) ?? []) {
        const token = this.#tokens.get(text.slice(from, from + length));
        if (token !== undefined) yield { token, from, to: from + length };
      }
    }
  }

  #longest(text: string, from: number): Occurrence | undefined {
    return this.at(text, from).next().value;
  }
}

/** Tokens one after another. */
export function joined(pieces: readonly Int32Array[]): Int32Array {
  const tokens = new Int32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}
