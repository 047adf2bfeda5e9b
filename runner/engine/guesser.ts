/**
 * Guessing what comes next from what was there: where the last tokens of a text stand earlier in it, what followed them then may
 * follow again. An edit of a given text is mostly copied; so is code, a quotation, a list. No second model is needed.
 *
 * It is a guess about speed only. Each guessed token is decoded, and what the sampler draws in its place is what counts
 * (scheduler.ts). How often guesses are right is found out without a cost, as it is known of each token that is drawn.
 */

/** Tokens that must stand together earlier. */
const ORDER = 3;
/** What each older token counts, of the newer one's weight. */
const DECAY = 0.93;
/** After a changed word the text often goes on as before: so many tokens further on it is looked for. */
const RESUME_TOKENS = 12;
const MIN_TABLE = 1 << 10;
const MAX_TABLE = 1 << 17;

export class Guesser {
  /** Prompt and reply; below 0: a picture's. */
  readonly #tokens: number[];
  /** By hash of {@link ORDER} tokens: the place behind where they stood last, or 0. Two hashes may be one: the tokens are compared. */
  readonly #places: Int32Array;
  /** The place of the token that is to come, if it is as before. */
  #at: number | undefined;
  /** Where the text was left that it had followed. */
  #left: number | undefined;
  #right = 0;
  #wrong = 0;

  /** @param prompt What the reply is to follow. */
  constructor(prompt: Int32Array) {
    this.#tokens = [...prompt];
    const size = 2 ** Math.ceil(Math.log2(2 * prompt.length + MIN_TABLE));
    this.#places = new Int32Array(Math.min(size, MAX_TABLE));
    for (let end = ORDER; end < prompt.length; end++) this.#note(end);
    this.#find();
  }

  /** Tokens seen: prompt and reply. The list grows. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** The token that was drawn. */
  push(token: number): void {
    const guessed = this.#at === undefined ? undefined : this.#tokens[this.#at];
    this.#note(this.#tokens.length);
    this.#tokens.push(token);
    if (guessed === undefined) return this.#find();
    this.#right = DECAY * this.#right + Number(guessed === token);
    this.#wrong = DECAY * this.#wrong + Number(guessed !== token);
    if (guessed === token) this.#at!++;
    else {
      this.#left = this.#at;
      this.#at = undefined;
      this.#find();
    }
  }

  /** How likely the next guess is right, from 0 to 1, as far as the last ones say. */
  get chance(): number {
    return (this.#right + 0.5) / (this.#right + this.#wrong + 1);
  }

  /** Whether there is a guess. */
  get guesses(): boolean {
    return this.#at !== undefined && this.#tokens[this.#at]! >= 0;
  }

  /** At most `count` tokens that may come next; fewer or none where there is nothing to guess from. */
  guess(count: number): number[] {
    if (this.#at === undefined) return [];
    const guessed = this.#tokens.slice(this.#at, this.#at + count);
    const picture = guessed.findIndex((token) => token < 0);
    return picture < 0 ? guessed : guessed.slice(0, picture);
  }

  /** Notes where the tokens before `end` stood; only when another follows, as they would be found at once otherwise. */
  #note(end: number): void {
    if (end >= ORDER) this.#places[this.#hash(end)] = end;
  }

  #find(): void {
    const end = this.#tokens.length;
    if (end < ORDER) return;
    if (this.#left !== undefined) {
      const last = this.#tokens[end - 1];
      const until = Math.min(this.#left + RESUME_TOKENS, end - 1);
      for (let at = this.#left; at < until; at++) {
        if (this.#tokens[at] !== last) continue;
        this.#at = at + 1;
        this.#left = undefined;
        return;
      }
    }
    const place = this.#places[this.#hash(end)]!;
    if (place === 0) return;
    for (let back = 1; back <= ORDER; back++) {
      if (this.#tokens[place - back] !== this.#tokens[end - back]) return;
    }
    this.#at = place;
    this.#left = undefined;
  }

  #hash(end: number): number {
    let hash = 0;
    for (let at = end - ORDER; at < end; at++) {
      hash = Math.imul(hash ^ this.#tokens[at]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (this.#places.length - 1);
  }
}
