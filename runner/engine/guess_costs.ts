/**
 * How many tokens to guess: as many as pay, measured on the machine at hand. A step that decodes eight tokens costs little more
 * than one that decodes a single one where the weights' way from memory is what takes time, and five times as much elsewhere.
 */

/** Tokens that a step takes, the first of them not guessed. Few sizes, as llama.cpp plans each anew. */
const SIZES = [2, 4, 8, 16] as const;
/** The most that a step guesses. */
export const MOST_GUESSES = SIZES[SIZES.length - 1]! - 1;
/** Steps of each size that are remembered; the median counts. */
const REMEMBERED = 7;
/** Guessing must be quicker by this much, as what was measured may have changed. */
const WORTH = 1.2;
/** What a further token is taken to cost before it was tried, as a part of the first one's cost. */
const UNKNOWN = 0.3;
/** Chances below are not looked at. */
const LEAST_CHANCE = 0.3;
/** Steps after which a size that did not pay is tried again. */
const RETRY_STEPS = 500;

/** What each older guess counts, of the newer one's weight. */
const FADE = 0.8;
/** Steps without a guess after guesses that took longer than they gave. */
const FIRST_REST = 32;
const LAST_REST = 1024;

/** Says how many tokens are guessed, from what steps took. */
export interface GuessCosts {
  /** Notes a step of one sequence. @param tokens Those it decoded. @param drawn Those that came of it. */
  record(step: { readonly tokens: number; readonly drawn: number; readonly ms: number }): void;
  /**
   * How many tokens the next step is to guess.
   * @param chance How likely each guess is right if the one before it is.
   * @param most Tokens that may be guessed.
   * @returns How many are to be guessed; 0: none.
   */
  choose(chance: number, most: number): number;
}

/** The same of guesses that a draft model makes, which has to read the text first. */
export interface DraftCosts extends GuessCosts {
  /** Whether it may read, for about so long, what it has not read. @param tookMs How long the reply has taken so far. */
  mayRead(readMs: number, tookMs: number): boolean;
}

/** The draft model reads a text once that takes this part of the time that the reply has taken: a short one may end at any token. */
const READING_SHARE = 0.25;

export class MeasuredGuessCosts implements GuessCosts {
  /** Milliseconds of the last steps, by their tokens. */
  readonly #ms = new Map<number, number[]>();
  #refused = 0;
  /** What the last guesses gave: tokens, and the milliseconds they took. */
  #drawn = 0;
  #took = 0;
  /** Steps without a guess that are still to come, and those after the next disappointment. */
  #rest = 0;
  #nextRest = FIRST_REST;

  record({ tokens, drawn, ms }: { tokens: number; drawn: number; ms: number }): void {
    if (tokens > 1) this.#look(drawn, ms);
    else if (this.#rest > 0) this.#rest--;
    const last = this.#ms.get(tokens);
    if (last === undefined) this.#ms.set(tokens, [ms]);
    else {
      if (last.length >= REMEMBERED) last.shift();
      last.push(ms);
    }
  }

  choose(chance: number, most: number): number {
    if (chance < LEAST_CHANCE || this.#rest > 0) return 0;
    const one = this.#median(1);
    if (one === undefined) return 0;
    let best = 0;
    let bestGain = WORTH;
    let untried = false;
    for (const size of SIZES) {
      if (size - 1 > most) break;
      const ms = this.#median(size);
      const cost = ms === undefined ? 1 + UNKNOWN * (size - 1) : ms / one;
      const tokens = chance >= 1 ? size : (1 - chance ** size) / (1 - chance);
      const gain = tokens / cost;
      untried ||= gain <= WORTH && tokens / (1 + UNKNOWN * (size - 1)) > WORTH;
      if (gain <= bestGain) continue;
      best = size - 1;
      bestGain = gain;
    }
    if (best === 0 && untried && ++this.#refused % RETRY_STEPS === 0) this.#ms.clear();
    return best;
  }

  /** Whether guessing has given what was expected. If not it rests, each time longer. */
  #look(drawn: number, ms: number): void {
    const one = this.#median(1);
    if (one === undefined) return;
    this.#drawn = FADE * this.#drawn + drawn;
    this.#took = FADE * this.#took + ms;
    const gain = this.#drawn * one / this.#took;
    if (gain > WORTH) this.#nextRest = FIRST_REST;
    // The first step in a row may well be the one that is wrong.
    if (gain >= 1 || this.#took < 4 * one) return;
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(2 * this.#nextRest, LAST_REST);
    this.#drawn = this.#took = 0;
  }

  #median(tokens: number): number | undefined {
    const last = this.#ms.get(tokens);
    return last?.toSorted((a, b) => a - b)[last.length >> 1];
  }
}

export class MeasuredDraftCosts extends MeasuredGuessCosts implements DraftCosts {
  mayRead(readMs: number, tookMs: number): boolean {
    return readMs <= READING_SHARE * tookMs;
  }
}
