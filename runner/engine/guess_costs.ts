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
const WORTH = 1.15;
/** What a further token is taken to cost before it was tried, as a part of the first one's cost. */
const UNKNOWN = 0.3;
/** Chances below are not looked at. */
const LEAST_CHANCE = 0.3;
/** Steps after which a size that did not pay is tried again. */
const RETRY_STEPS = 500;

export interface GuessCosts {
  /** Notes a step of one sequence. @param tokens Those it decoded. */
  record(tokens: number, ms: number): void;
  /**
   * @param chance How likely each guess is right if the one before it is.
   * @param most Tokens that may be guessed.
   * @returns How many are to be guessed; 0: none.
   */
  choose(chance: number, most: number): number;
}

export class MeasuredGuessCosts implements GuessCosts {
  /** Milliseconds of the last steps, by their tokens. */
  readonly #ms = new Map<number, number[]>();
  #refused = 0;

  record(tokens: number, ms: number): void {
    const last = this.#ms.get(tokens);
    if (last === undefined) this.#ms.set(tokens, [ms]);
    else {
      if (last.length >= REMEMBERED) last.shift();
      last.push(ms);
    }
  }

  choose(chance: number, most: number): number {
    if (chance < LEAST_CHANCE) return 0;
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

  #median(tokens: number): number | undefined {
    const last = this.#ms.get(tokens);
    return last?.toSorted((a, b) => a - b)[last.length >> 1];
  }
}
