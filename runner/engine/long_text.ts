/**
 * Texts that take long to tokenize (some microseconds a character): another thread does it, and what surely is too long is
 * found out by looking at its beginning.
 */
import type { Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { Aside, LongWork } from "../turns.ts";
import type { LlamaSymbols } from "./symbols.ts";

/**
 * No token of any vocabulary stands for more UTF-16 units than this, so a text of n units has at least n / 256 tokens:
 * enough to refuse or cut ten megabytes without tokenizing them.
 */
export const MAX_UNITS_PER_TOKEN = 256;
/** Longer texts are tokenized in another thread: this many units may take 20 ms. */
export const LONG_TEXT_UNITS = 4096;
/** A longer text is tokenized in parts, where that comes to the same; where not, it may take seconds. */
export const UNCUT_UNITS = 64 * 1024;
/** What is tokenized at a time to learn about how many tokens a text has. */
const SAMPLE_UNITS = 1024;
/** Units that are looked at in that way: what is behind them is taken to be like them. */
const SAMPLED_UNITS = 4 * 1024 * 1024;
/** Tokens that a cut through a text may add. */
const TOKENS_PER_CUT = 3;
/** How far back from where a text is to be cut a space is looked for. */
const CUT_SEARCH_UNITS = 64;

const encoder = new TextEncoder();

/** About how many tokens a text has, rather too few; once it is more than `most`, that is enough. */
export function* estimateTokens(
  text: string,
  most: number,
  count: (text: string) => number,
): Work<number> {
  let sum = 0;
  for (let at = 0; at < text.length && sum <= most;) {
    const end = cutNear(text, at + SAMPLE_UNITS);
    const cuts = end < text.length ? TOKENS_PER_CUT : 0;
    sum += Math.max(1, count(text.slice(at, end)) - cuts);
    at = end;
    if (most === Infinity && at >= SAMPLED_UNITS) return Math.floor(sum * text.length / at);
    yield;
  }
  return sum;
}

/** Where to cut a text at about this place: before a space if there is one near, and never through a character. */
function cutNear(text: string, at: number): number {
  if (at >= text.length) return text.length;
  const from = at - CUT_SEARCH_UNITS + 1;
  // Not in all of the text: it may be long, and without any.
  const space = text.slice(from, at + 1).lastIndexOf(" ");
  if (space >= 0) return from + space;
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}

/** Calls llama.cpp in another thread. */
export class ThreadTokenizer {
  readonly #llama: LlamaSymbols;
  readonly #vocabulary: Deno.PointerValue;
  /** Calls under way. */
  #pending = 0;
  #onIdle: (() => void) | undefined;

  constructor(llama: LlamaSymbols, vocabulary: Deno.PointerValue) {
    this.#llama = llama;
    this.#vocabulary = vocabulary;
  }

  /** @throws {SecLlamaError} `bad-request`: llama.cpp refuses the text. */
  *tokenize(text: string, special: boolean): LongWork<Int32Array> {
    const bytes = encoder.encode(text);
    // One token a byte is the common upper bound, and a space may be put in front.
    let tokens = new Int32Array(bytes.length + 2);
    let count = 0;
    const work = async () => {
      this.#pending++;
      try {
        count = await this.#llama.llama_tokenize_in_thread(
          this.#vocabulary,
          bytes,
          bytes.length,
          tokens,
          tokens.length,
          false,
          special,
        );
      } finally {
        if (--this.#pending === 0) this.#onIdle?.();
      }
    };
    const call: Aside = Object.assign(work, { isLong: text.length > UNCUT_UNITS });
    yield call;
    if (count < 0 && count > -0x7fffffff) {
      tokens = new Int32Array(-count);
      yield call;
    }
    if (count < 0) throw new SecLlamaError("bad-request", "the text cannot be tokenized");
    return tokens.slice(0, count);
  }

  /** Settles when no other thread reads the vocabulary. Nothing may be begun after it was asked for. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      if (this.#pending === 0) resolve();
    });
  }
}
