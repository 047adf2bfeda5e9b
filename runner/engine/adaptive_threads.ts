/**
 * How many threads of the pool a step uses: all of them, or one.
 *
 * llama.cpp's threads wait for each other by spinning, some hundred times a token. Where another program holds one of their
 * processors, each wait lasts until the system gives it back, and two threads of a small model were seen to take fifty
 * times as long as one. One thread waits for nobody. So if steps with all threads take longer than one thread is known to
 * need, one is tried, and kept while it is quicker; all are tried again later. An idle machine never gets that far.
 *
 * The price: flash attention adds up in another order with another number of threads, so a text with a seed may come out
 * otherwise on a machine that was busy.
 */

/** Tunables. */
const SLOW_FACTOR = 1.5;
const SLOW_STEPS = 4;
/** Steps of a trial; the median counts. */
const TRIAL_STEPS = 5;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

interface AdaptiveThreadsOptions {
  /** All threads. */
  readonly threads: number;
  /** What one thread takes for one token with an empty cache, in milliseconds. */
  readonly aloneMs: number;
  /** Milliseconds, from any origin. */
  readonly now: () => number;
}

export class AdaptiveThreads {
  readonly #o: AdaptiveThreadsOptions;
  #alone = false;
  /** Steps of the trial in progress, in milliseconds. */
  #trial: number[] = [];
  #slow: number[] = [];
  #retryAt = 0;
  #retryMs = FIRST_RETRY_MS;
  /** The median that the trial has to beat. */
  #toBeat = Infinity;
  #trying = false;

  constructor(options: AdaptiveThreadsOptions) {
    this.#o = options;
  }

  /** Threads for the next step. */
  get threads(): number {
    return this.#alone ? 1 : this.#o.threads;
  }

  /** Notes a step that took one token of each of `sequences` and no prompt. */
  record(step: { sequences: number; ms: number }): void {
    if (this.#o.threads === 1) return;
    const ms = step.ms / step.sequences;
    if (this.#trying) {
      this.#trial.push(ms);
      if (this.#trial.length >= TRIAL_STEPS) this.#judge();
    } else if (this.#alone) {
      this.#slow = [...this.#slow, ms].slice(-TRIAL_STEPS);
      if (this.#o.now() >= this.#retryAt) this.#try(false);
    } else if (ms > SLOW_FACTOR * this.#o.aloneMs && this.#o.now() >= this.#retryAt) {
      this.#slow.push(ms);
      if (this.#slow.length >= SLOW_STEPS) this.#try(true);
    } else this.#slow = [];
  }

  #try(alone: boolean): void {
    this.#toBeat = median(this.#slow);
    this.#slow = [];
    this.#trial = [];
    this.#alone = alone;
    this.#trying = true;
  }

  #judge(): void {
    this.#trying = false;
    const better = median(this.#trial) < this.#toBeat;
    if (!better) this.#alone = !this.#alone;
    // What was tried in vain is tried less and less often.
    this.#retryMs = better ? FIRST_RETRY_MS : Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    this.#retryAt = this.#o.now() + this.#retryMs;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Infinity;
}
