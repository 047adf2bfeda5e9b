/**
 * Whether a runner still lives: it is pinged, and must answer; and while it works on requests it must make steps. Counts
 * pings, not time, so that a machine that was suspended does not find all of its runners hung.
 */

/** Pings in the time that a runner may be silent. */
const PINGS = 4;
/** A step of a large model on a slow machine may take long; silence of the whole process may not. */
const STUCK_FACTOR = 10;

interface Pong {
  /** Requests that the engine works on. */
  readonly busy: number;
  /** Batches decoded since the start. */
  readonly steps: number;
}

interface WatchdogOptions {
  /** How long a runner may be silent. */
  readonly timeoutMs: number;
  readonly ping: () => void;
  /** Called once, with what was wrong. */
  readonly onHung: (reason: "silent" | "stuck") => void;
}

export class Watchdog {
  readonly #o: WatchdogOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #unanswered = 0;
  #steps = -1;
  #stuck = 0;

  constructor(options: WatchdogOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.tick(), this.#o.timeoutMs / PINGS);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  pong({ busy, steps }: Pong): void {
    this.#unanswered = 0;
    const moved = busy === 0 || steps !== this.#steps;
    this.#stuck = moved ? 0 : this.#stuck + 1;
    this.#steps = steps;
    if (this.#stuck >= PINGS * STUCK_FACTOR) this.#hung("stuck");
  }

  /** One interval has passed. */
  tick(): void {
    if (this.#unanswered >= PINGS) return this.#hung("silent");
    this.#unanswered++;
    this.#o.ping();
  }

  #hung(reason: "silent" | "stuck"): void {
    this.stop();
    this.#o.onHung(reason);
  }
}
