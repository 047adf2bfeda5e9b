/**
 * Wrong tokens, counted for whoever sends them: after some each one waits, after more none is looked at for a while. Bounded: whoever
 * comes from many addresses pushes out the oldest.
 */

/** Wrong ones that cost nothing: a program with an old token is no attacker. */
const FREE = 5;
/** From here on nothing is looked at. */
const MOST = 20;
/** Until which time they are forgotten, ms. */
const FORGET_MS = 15 * 60_000;
/** The longest that one waits, ms. */
const MAX_DELAY_MS = 4_000;
const MAX_PARTIES = 10_000;
const NONE = { wrong: 0, forgivenUntilMs: -Infinity };

interface Count {
  readonly wrong: number;
  readonly lastMs: number;
  /** Until then a right token has forgiven wrong ones, and forgives no more; ms. */
  readonly forgivenUntilMs: number;
}

/** How many wrong tokens came from where. */
export class Guesses {
  readonly #now: () => number;
  /** The one that guessed last is last. */
  readonly #counts = new Map<string, Count>();

  /** @param now Ms of any clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds for which this party is locked out; 0: it is not. */
  lockedSeconds(party: string): number {
    const count = this.#of(party);
    if (count === undefined || count.wrong < MOST) return 0;
    return Math.max(1, Math.ceil((count.lastMs + FORGET_MS - this.#now()) / 1000));
  }

  /** Counts a wrong one. Returns for how many ms its answer waits, and whether it was the one that locks out. */
  wrong(party: string): { delayMs: number; locks: boolean } {
    const { wrong: before, forgivenUntilMs } = this.#of(party) ?? NONE;
    const wrong = before + 1;
    this.#set(party, { wrong, lastMs: this.#now(), forgivenUntilMs });
    const delayMs = wrong <= FREE ? 0 : Math.min(MAX_DELAY_MS, 100 * 2 ** (wrong - FREE - 1));
    return { delayMs, locks: wrong === MOST };
  }

  /** A right one came: what was wrong before was a mistake, once in a while. Who has a token of their own guesses no faster by it. */
  right(party: string): void {
    const count = this.#of(party);
    const now = this.#now();
    if (count === undefined || count.wrong === 0 || now < count.forgivenUntilMs) return;
    this.#set(party, { wrong: 0, lastMs: now, forgivenUntilMs: now + FORGET_MS });
  }

  #set(party: string, count: Count): void {
    this.#counts.delete(party);
    this.#counts.set(party, count);
    if (this.#counts.size > MAX_PARTIES) this.#counts.delete(this.#counts.keys().next().value!);
  }

  #of(party: string): Count | undefined {
    const count = this.#counts.get(party);
    if (count === undefined || this.#now() < count.lastMs + FORGET_MS) return count;
    this.#counts.delete(party);
    return undefined;
  }
}
