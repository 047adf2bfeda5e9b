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

/** What is waited for before more are accepted. */
interface Turn {
  /** Settles when all of it have been heard. */
  readonly heard: Promise<unknown>;
  /** The silent ones are waited for no longer. */
  readonly ms: number;
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
    const turn = { heard: Promise.all(this.#heard), ms: Math.max(0, this.#since + HEARD_MS - now) };
    this.#heard = [];
    return turn;
  }
}
