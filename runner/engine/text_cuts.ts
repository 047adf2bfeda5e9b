/**
 * Where a long text may be cut, so that its parts, tokenized one after another, are the tokens of the whole: for SentencePiece
 * vocabularies, whose tokens are put together from neighbours. No token of the vocabulary may reach across a cut. llama.cpp takes
 * the square of a text's length for characters that no token has (`llm_tokenizer_spm_session::resegment` copies all that came
 * before for each), and nobody can end a call that has begun.
 */
import type { Work } from "../../src/budget.ts";

/** What is asked of a vocabulary. */
interface Texts {
  readonly size: number;
  /** Texts of tokens that llama.cpp looks for before it tokenizes what is between. */
  readonly specials: Iterable<string>;
  textOf(id: number): string;
}

/** UTF-16 units of a part, at least: some tenths of a second where they cost most. */
const PART_UNITS = 32 * 1024;
const TOKENS_PER_YIELD = 256;
const UNITS_PER_YIELD = 4096;

const SPACE = 0x20;
const LINE_FEED = 0x0a;
/** U+2581, which stands for a space in these vocabularies. */
const SPACE_MARK = 0x2581;
/** What an encoder makes of half a surrogate pair. */
const REPLACEMENT = 0xfffd;

/** The places, by what the tokens of a vocabulary hold. */
export class TextCuts {
  /** Characters of tokens. */
  readonly #known: ReadonlySet<number>;
  /** Characters that a token has in front of a space. */
  readonly #beforeSpace: ReadonlySet<number>;
  /** What special tokens end with: what follows one is begun anew, and may lose its white space. */
  readonly #ends: ReadonlySet<number>;

  private constructor(known: Set<number>, beforeSpace: Set<number>, ends: Set<number>) {
    this.#known = known;
    this.#beforeSpace = beforeSpace;
    this.#ends = ends;
  }

  /** Looks through a vocabulary, once. */
  static *of({ size, specials, textOf }: Texts): Work<TextCuts> {
    const [known, beforeSpace, ends] = [new Set<number>(), new Set<number>(), new Set<number>()];
    for (let id = 0; id < size; id++) {
      let before: number | undefined;
      for (const character of textOf(id)) {
        const code = character.codePointAt(0)!;
        known.add(code);
        if (isSpace(code) && before !== undefined && !isSpace(before)) beforeSpace.add(before);
        before = code;
      }
      if (id % TOKENS_PER_YIELD === TOKENS_PER_YIELD - 1) yield;
    }
    for (const text of specials) ends.add(characterBefore(text, text.length));
    return new TextCuts(known, beforeSpace, ends);
  }

  /** The parts of a text; one that has no such places is one part. */
  *parts(text: string): Work<string[]> {
    const parts: string[] = [];
    let begin = 0;
    for (let units = 0, at = PART_UNITS; at < text.length; at = begin + PART_UNITS) {
      let free = this.#isFree(text, begin, at);
      while (at < text.length && !(free && this.#isPlace(text, at))) {
        free = this.#isFreeBehind(text, at++, free);
        if (++units % UNITS_PER_YIELD === 0) yield;
      }
      parts.push(text.slice(begin, at));
      begin = at;
      yield;
    }
    if (begin < text.length) parts.push(text.slice(begin));
    return parts;
  }

  /** Whether no special token ends at a place, nor in front of the white space there. @param begin There none does. */
  #isFree(text: string, begin: number, at: number): boolean {
    let from = at;
    while (from > begin && isWhite(text.charCodeAt(from - 1))) from--;
    let free = from === begin || this.#isFreeBehind(text, from - 1, true);
    for (; from < at; from++) free = this.#isFreeBehind(text, from, free);
    return free;
  }

  #isFreeBehind(text: string, at: number, before: boolean): boolean {
    if (this.#ends.has(characterBefore(text, at + 1))) return false;
    return before || !isWhite(text.charCodeAt(at));
  }

  #isPlace(text: string, at: number): boolean {
    const code = text.codePointAt(at)!;
    if (code !== SPACE) return isWhole(text, at) && !this.#known.has(encoded(code));
    const before = characterBefore(text, at);
    // Parts behind the first are tokenized behind a line feed.
    return !isSpace(before) && !this.#beforeSpace.has(before) && !this.#beforeSpace.has(LINE_FEED);
  }
}

/** As C's `isspace`, by which llama.cpp drops what special tokens drop. */
function isWhite(code: number): boolean {
  return code === SPACE || (code >= 0x09 && code <= 0x0d);
}

/** Whether no character is in two here. */
function isWhole(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < 0xdc00 || code > 0xdfff;
}

function characterBefore(text: string, at: number): number {
  const [low, high] = [text.charCodeAt(at - 1), text.charCodeAt(at - 2)];
  const isPair = low >= 0xdc00 && low <= 0xdfff && high >= 0xd800 && high <= 0xdbff;
  return encoded(isPair ? text.codePointAt(at - 2)! : low);
}

function encoded(code: number): number {
  return code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code;
}

function isSpace(code: number): boolean {
  return code === SPACE || code === SPACE_MARK;
}
