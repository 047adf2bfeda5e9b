/**
 * Turns on the runner's one JavaScript thread. Work that may take long (a template, a large JSON document) is a generator
 * that yields; between two of its turns the event loop runs, so that pings, tokens and other clients' requests go on.
 * Clients take turns in a circle (round-robin scheduling), whatever each has waiting.
 */

import type { Work } from "../src/budget.ts";

/** Whose work it is, and until when it is wanted. */
export interface TurnTaker {
  readonly client: string;
  /** Aborted: the work is given up at its next turn. */
  readonly signal?: AbortSignal;
}

/** How long one turn lasts, about: what anybody else waits for at most, per client that works. */
export const TURN_MS = 5;

export class Turns {
  /** By client, in the order of the circle: those of its works that wait for a turn. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = false;

  /**
   * Waits for a turn, which lasts until the caller next awaits anything. At once when nobody is at work.
   * @throws The signal's reason, if it is aborted by then.
   */
  async take({ client, signal }: TurnTaker): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running) {
      await new Promise<void>((resolve) => {
        const queue = this.#waiting.get(client);
        if (queue) queue.push(resolve);
        else this.#waiting.set(client, [resolve]);
      });
      signal?.throwIfAborted();
      return;
    }
    this.#running = true;
    void this.#go();
  }

  /** Gives the turns out, one for each round of the event loop. */
  async #go(): Promise<void> {
    for (;;) {
      await nextRound();
      const next = this.#waiting.entries().next().value;
      if (next === undefined) break;
      const [client, queue] = next;
      const resolve = queue.shift()!;
      // To the end of the circle.
      this.#waiting.delete(client);
      if (queue.length > 0) this.#waiting.set(client, queue);
      resolve();
    }
    this.#running = false;
  }

  /** Runs work to its end, turn by turn. @throws What the work throws, or the signal's reason. */
  async run<T>(work: Work<T>, taker: TurnTaker): Promise<T> {
    try {
      for (;;) {
        await this.take(taker);
        const until = performance.now() + TURN_MS;
        do {
          const { done, value } = work.next();
          if (done) return value;
        } while (performance.now() < until);
      }
    } finally {
      work.return(undefined as T);
    }
  }
}

/** Not `setImmediate`: while there is always another one, the runtime hardly looks for input. */
function nextRound(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
