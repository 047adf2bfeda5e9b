/**
 * Turns on the runner's one JavaScript thread. Work that may take long (a template, a large JSON document) is a generator
 * that yields; between two of its turns the event loop runs, so that pings, tokens and other clients' requests go on.
 * Clients take turns in a circle (round-robin scheduling), whatever each has waiting. What native code does in another thread
 * for a long time has circles of its own: one at a time, so that one client's flood of it costs the others one wait, and what may
 * take seconds keeps nobody waiting whose work is short.
 */
import type { Work } from "../src/budget.ts";

/** What native code does in another thread. */
export interface Aside {
  (): Promise<unknown>;
  /** It may take seconds. Default: some tenths of one at most. */
  readonly isLong?: boolean;
}

/** Work that also yields what it needs done in another thread, and goes on when that is done. */
export type LongWork<T> = Generator<void | Aside, T, void>;

/** Whose work it is, and until when it is wanted. */
export interface TurnTaker {
  readonly client: string;
  /** Aborted: the work is given up at its next turn. */
  readonly signal?: AbortSignal;
}

/** How long one turn lasts, about: what anybody else waits for at most, per client that works. */
const TURN_MS = 5;

/** Who waits, by client, in the order of the circle. */
class Circle {
  readonly #waiting = new Map<string, (() => void)[]>();

  wait(client: string): Promise<void> {
    return new Promise<void>((resolve) => {
      const queue = this.#waiting.get(client);
      if (queue) queue.push(resolve);
      else this.#waiting.set(client, [resolve]);
    });
  }

  /** Lets the next one go on; false: nobody waits. */
  next(): boolean {
    const first = this.#waiting.entries().next().value;
    if (first === undefined) return false;
    const [client, queue] = first;
    const resolve = queue.shift()!;
    // To the end of the circle.
    this.#waiting.delete(client);
    if (queue.length > 0) this.#waiting.set(client, queue);
    resolve();
    return true;
  }
}

/** Of what is done in another thread, one at a time. */
interface Lane {
  readonly circle: Circle;
  away: boolean;
}

export class Turns {
  readonly #here = new Circle();
  readonly #short: Lane = { circle: new Circle(), away: false };
  readonly #long: Lane = { circle: new Circle(), away: false };
  #running = false;
  /** Whose turn it is, and since when. */
  #taker: TurnTaker | undefined;
  #began = 0;

  /**
   * Waits for a turn, which lasts until the caller next awaits anything. At once when nobody is at work, or when it is the same
   * taker's turn still: of the three that a short request takes, two cost it a millisecond each.
   * @throws The signal's reason, if it is aborted by then.
   */
  async take(taker: TurnTaker): Promise<void> {
    const { client, signal } = taker;
    signal?.throwIfAborted();
    if (!this.#running) {
      this.#running = true;
      void this.#go();
    } else if (this.#taker === taker && performance.now() < this.#began + TURN_MS) {
      return;
    } else {
      await this.#here.wait(client);
      signal?.throwIfAborted();
    }
    this.#taker = taker;
    this.#began = performance.now();
  }

  /** Gives the turns out, one for each round of the event loop. */
  async #go(): Promise<void> {
    await soon();
    while (this.#here.next()) await nextRound();
    this.#running = false;
    this.#taker = undefined;
  }

  /** Runs work to its end, turn by turn. @throws What the work throws, or the signal's reason. */
  async run<T>(work: LongWork<T> | Work<T>, taker: TurnTaker): Promise<T> {
    try {
      for (;;) {
        await this.take(taker);
        const until = this.#began + TURN_MS;
        do {
          const { done, value } = work.next();
          if (done) return value;
          if (value !== undefined) {
            await this.#doAside(value, taker);
            break;
          }
        } while (performance.now() < until);
      }
    } finally {
      work.return(undefined as T);
    }
  }

  async #doAside(aside: Aside, { client, signal }: TurnTaker): Promise<void> {
    const lane = aside.isLong ? this.#long : this.#short;
    if (lane.away) await lane.circle.wait(client);
    lane.away = true;
    try {
      // What has begun in another thread cannot be given up.
      if (!signal?.aborted) await aside();
    } finally {
      if (!lane.circle.next()) lane.away = false;
    }
  }
}

/** A millisecond sooner than {@link nextRound}, and at a third of its cost: for a first turn, which another seldom follows. */
function soon(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Not `setImmediate`: while there is always another one, the runtime hardly looks for input. */
function nextRound(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
