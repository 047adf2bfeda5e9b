/**
 * How many of the slots that generate share a step: all of them, or one after another.
 *
 * A batch reads the weights once for all of its tokens, so sharing should always pay. It does not with every type of weights:
 * on processors with AVX-512 a batch of 2 to 7 tokens of a Q8_0 model takes up to five times as long as one token, since the
 * kernels for one token and for many are different ones. So it is measured, step by step, on the machine at hand.
 */

/** Steps of each size that are remembered; the median counts, so that a step during which others had the processor does not. */
const REMEMBERED = 5;
/** Sharing must be slower by this much to be given up. */
const MARGIN = 0.9;
/** Steps after which sharing is tried again where it did not pay. */
const RETRY_STEPS = 400;

export class BatchPolicy {
  /** Milliseconds of the last steps, by number of tokens in them. */
  readonly #ms: number[][] = [];
  #apart = 0;

  /** Tokens that the next step takes, if `active` slots have one each. */
  limit(active: number): number {
    const together = this.#ms[active] ?? [];
    const alone = this.#ms[1] ?? [];
    if (active < 2 || together.length < REMEMBERED || alone.length === 0) return active;
    if (active * median(alone) >= MARGIN * median(together)) return active;
    // One step together each time, as the oldest of those remembered goes.
    return ++this.#apart % RETRY_STEPS === 0 ? active : 1;
  }

  /** Notes a step that took one token of each of `sequences` and no prompt. */
  record(step: { sequences: number; ms: number }): void {
    const { sequences, ms } = step;
    this.#ms[sequences] = [...this.#ms[sequences] ?? [], ms].slice(-REMEMBERED);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Infinity;
}
