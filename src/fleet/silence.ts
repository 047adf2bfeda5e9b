/** Of one connection: whether anybody is at its other end who answers. */

/**
 * A node that has answered nothing for this long, ms, is given up for another one: it may be there, and cut off from the others,
 * which it notices after minutes.
 */
export const SILENT_NODE_MS = 8_000;

/** What was answered, and what was not. Times are of one clock that only goes on, ms. */
export class Silence {
  /** Since when nothing was answered; undefined: nothing is known to be without an answer. */
  #since: number | undefined;
  #answered = 0;

  /** Something was answered. */
  answered(now: number): void {
    this.#since = undefined;
    this.#answered = now;
  }

  /**
   * A question has had no answer. What was answered while it waited shows that somebody is there.
   * @returns Whether the connection is to be given up.
   */
  unanswered(asked: number, now: number): boolean {
    this.#since ??= Math.max(asked, this.#answered);
    return now - this.#since >= SILENT_NODE_MS;
  }
}
