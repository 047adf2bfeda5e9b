/**
 * From the parts of a prompt to tokens. The text is tokenized as one, as if no parts were there, so that words of a
 * template and of a user that meet make the tokens that the model knows. But the text of a special token becomes that token
 * only where one part, which may hold such tokens, has all of it: nobody's text becomes a control token, not even together
 * with the template's.
 *
 * Where nothing of the kind happens, llama.cpp tokenizes the whole. Else the special tokens are found here, in the way that
 * llama.cpp finds them (`tokenizer_st_partition`), and what is between is given to it as text.
 */
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
  tokenize(text: string, special: boolean): Int32Array;
  /** Behind other text. */
  continue(text: string): Int32Array;
}

interface Occurrence {
  readonly token: SpecialToken;
  readonly from: number;
  readonly to: number;
}

/** Where a part lies in the whole text. */
interface Place {
  readonly part: PromptPart;
  readonly to: number;
}

export class PromptTokenizer {
  readonly #text: TextTokenizer;
  /** All, and those that must not arise from somebody's text. */
  readonly #all: OccurrenceFinder;
  readonly #guarded: OccurrenceFinder;
  /** Ids of tokens that no text of anybody's may become. */
  readonly #controls: ReadonlySet<number>;

  constructor(specials: readonly SpecialToken[], text: TextTokenizer) {
    this.#text = text;
    this.#controls = new Set(specials.filter((one) => !one.isUserDefined).map((one) => one.id));
    this.#all = new OccurrenceFinder(specials);
    this.#guarded = new OccurrenceFinder(
      specials.filter((token) => !token.isUserDefined || isStructural(token.text)),
    );
  }

  /** @param o.always Look for the special tokens here, also where llama.cpp could. */
  tokenize(parts: readonly PromptPart[], o: { readonly always?: boolean } = {}): Int32Array {
    const whole = parts.map((part) => part.text).join("");
    const places: Place[] = [];
    for (const part of parts) {
      if (part.text !== "") places.push({ part, to: (places.at(-1)?.to ?? 0) + part.text.length });
    }
    const guarded = [...this.#guarded.find(whole)];
    const isWanted = wantedIn(places);
    const unwanted = guarded.filter((one) => !isWanted(one));
    if (unwanted.length === 0 && o.always !== true) return this.#text.tokenize(whole, true);
    return this.#cut(whole, [...this.#all.find(whole)].filter(wantedIn(places)), unwanted);
  }

  #cut(
    whole: string,
    wanted: readonly Occurrence[],
    unwanted: readonly Occurrence[],
  ): Int32Array {
    const out: Int32Array[] = [];
    let next = 0;
    const raw = (from: number, to: number) => {
      if (from >= to) return;
      const inside: Occurrence[] = [];
      for (; next < unwanted.length && unwanted[next]!.from < to; next++) {
        const one = unwanted[next]!;
        if (one.from >= from && one.to <= to) inside.push(one);
      }
      // Those that are not user-defined are not looked for in text, but SentencePiece may put them together.
      const known = inside.filter((one) => one.token.isUserDefined);
      const first = this.#raw(whole, from, to, known);
      const isSafe = !first.some((piece) => piece.some((id) => this.#controls.has(id)));
      out.push(...isSafe ? first : this.#raw(whole, from, to, inside));
    };
    let at = 0;
    for (const { id, from, to } of choose(whole, wanted)) {
      raw(at, from);
      if (id >= 0) out.push(Int32Array.of(id));
      at = to;
    }
    raw(at, whole.length);
    return joined(out);
  }

  /** Text without special tokens, broken behind the first character of each of `broken`. */
  #raw(whole: string, from: number, to: number, broken: readonly Occurrence[]): Int32Array[] {
    const out: Int32Array[] = [];
    let begin = from;
    for (const one of broken) {
      const end = one.from + String.fromCodePoint(whole.codePointAt(one.from)!).length;
      // One character alone cannot be broken, and is no token worth its name.
      if (end >= one.to || end <= begin) continue;
      out.push(this.#piece(whole.slice(begin, end), begin === from));
      begin = end;
    }
    out.push(this.#piece(whole.slice(begin, to), begin === from));
    return out;
  }

  #piece(text: string, isFirst: boolean): Int32Array {
    return isFirst ? this.#text.tokenize(text, false) : this.#text.continue(text);
  }
}

/** Whether an occurrence is to be a token. Asked in the order of the text. */
function wantedIn(places: readonly Place[]): (one: Occurrence) => boolean {
  let at = 0;
  return ({ token, from, to }) => {
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

/** Those that llama.cpp takes where some overlap: the longest first, of one token the leftmost first. */
function choose(whole: string, wanted: readonly Occurrence[]): Cut[] {
  const taken = new Uint8Array(whole.length);
  const cuts: Cut[] = [];
  const take = (id: number, from: number, to: number) => {
    taken.fill(1, from, to);
    cuts.push({ id, from, to });
  };
  const isSpace = (at: number) => taken[at] === 0 && /[ \t-\r]/.test(whole[at] ?? "x");
  const bytes = new Map<SpecialToken, number>();
  for (const { token } of wanted) {
    if (!bytes.has(token)) bytes.set(token, new TextEncoder().encode(token.text).length);
  }
  const order = wanted.toSorted((a, b) =>
    bytes.get(b.token)! - bytes.get(a.token)! || a.token.id - b.token.id || a.from - b.from
  );
  for (const { token, from, to } of order) {
    if (taken.subarray(from, to).includes(1)) continue;
    take(token.id, from, to);
    let end = to;
    while (token.stripsAfter && isSpace(end)) end++;
    if (end > to) take(-1, to, end);
    let begin = from;
    while (token.stripsBefore && isSpace(begin - 1)) begin--;
    if (begin < from) take(-1, begin, from);
  }
  return cuts.sort((a, b) => a.from - b.from);
}

/** Finds every place where the text of a token stands; they may overlap. */
class OccurrenceFinder {
  readonly #tokens = new Map<string, SpecialToken>();
  /** The first two characters, or the one there is → lengths of texts that begin so: few, where texts may be thousands. */
  readonly #lengths = new Map<string, Set<number>>();
  readonly #prefixes: RegExp | undefined;

  constructor(tokens: readonly SpecialToken[]) {
    for (const token of tokens) {
      // Of two tokens with one text llama.cpp knows the last.
      this.#tokens.set(token.text, token);
      const prefix = token.text.slice(0, 2);
      const lengths = this.#lengths.get(prefix);
      if (lengths) lengths.add(token.text.length);
      else this.#lengths.set(prefix, new Set([token.text.length]));
    }
    const firsts = new Set([...this.#lengths.keys()].map((prefix) => prefix[0]!));
    if (firsts.size === 0) return;
    const choices = [...firsts].map((first) => RegExp.escape(first));
    this.#prefixes = new RegExp(choices.join("|"), "g");
  }

  *find(text: string): Generator<Occurrence> {
    const prefixes = this.#prefixes;
    if (prefixes === undefined) return;
    prefixes.lastIndex = 0;
    for (let match = prefixes.exec(text); match !== null; match = prefixes.exec(text)) {
      const from = match.index;
      const resume = prefixes.lastIndex = from + 1;
      for (const prefix of new Set([text.slice(from, from + 1), text.slice(from, from + 2)])) {
        for (const length of this.#lengths.get(prefix) ?? []) {
          const token = this.#tokens.get(text.slice(from, from + length));
          if (token !== undefined) yield { token, from, to: from + length };
        }
      }
      prefixes.lastIndex = resume;
    }
  }
}

function joined(pieces: readonly Int32Array[]): Int32Array {
  const tokens = new Int32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}
