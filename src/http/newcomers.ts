/**
 * Who has just come is heard before others push it out: a crowd is in the system's queue at once, each with its request, and who has
 * sent one must not look silent to the next. So newcomers are accepted in turns, and after each what they have sent is read.
 */

/**
 * For one in so many of the places newcomers come in at once: a quarter, as a user has three quarters at most. With fewer, a
 * flood of silent ones would keep the system's queue full.
 */
const AT_ONCE = 4;
/** A turn takes so long at least if one of it is silent. */
const HEARD_MS = 20;
/**
 * Rounds of the event loop in which nobody is heard: who is silent then has sent nothing. Where other work takes the processors no
 * time tells that.
 */
const QUIET_ROUNDS = 16;

/** Those who are heard before more are accepted. */
class Turn {
  readonly #size: number;
  readonly #ms: number;
  #heard = 0;

  /** @param ms The silent ones are waited for so long at least. */
  constructor(newcomers: readonly Promise<void>[], ms: number) {
    this.#size = newcomers.length;
    this.#ms = ms;
    for (const heard of newcomers) void heard.then(() => this.#heard++);
  }

  /** Waits for them. @param round Waits for a round of the event loop. `now`: on `performance.now()`. */
  async over(round: () => Promise<void>, now: () => number): Promise<void> {
    const until = now() + this.#ms;
    let [before, quiet] = [0, 0];
    while (this.#heard < this.#size && (quiet < QUIET_ROUNDS || now() < until)) {
      await round();
      quiet = this.#heard > before ? 0 : quiet + 1;
      before = this.#heard;
    }
  }
}

/** Newcomers in turns. */
export class Newcomers {
  readonly #most: number;
  #heard: Promise<void>[] = [];
  #since = 0;

  /** @param places Connections at once. */
  constructor(places: number) {
    this.#most = Math.ceil(places / AT_ONCE);
  }

  /**
   * Takes one more.
   * @param heard Settles when its first bytes have come.
   * @param now On `performance.now()`.
   * @returns The turn, if it was the last of one.
   */
  add(heard: Promise<void>, now: number): Turn | undefined {
    if (this.#heard.length === 0) this.#since = now;
    this.#heard.push(heard);
    if (this.#heard.length < this.#most) return undefined;
    const turn = new Turn(this.#heard, Math.max(0, this.#since + HEARD_MS - now));
    this.#heard = [];
    return turn;
  }
}
