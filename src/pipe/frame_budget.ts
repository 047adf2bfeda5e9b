/**
 * How many frames of a kind the other side may send: a bucket of `burst` that fills by `perSecond`. A runner is not trusted; frames that
 * carry nothing for a client cost it nothing, and reading them keeps the gateway from everybody else's.
 */
interface FrameRate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Control messages: pongs, one keep-alive a request, recipient keys by the hour. A busy runner has some hundreds a second. */
export const CONTROL_RATE: FrameRate = { burst: 4096, perSecond: 1024 };

/**
 * Credit, empty data, and frames of exchanges that are over: at most a window of small frames for each exchange that a client
 * left, and a credit for each piece of a request.
 */
export const EMPTY_RATE: FrameRate = { burst: 262_144, perSecond: 32_768 };

export class FrameBudget {
  readonly #rate: FrameRate;
  readonly #now: () => number;
  #left: number;
  #filledMs: number;

  /** `now` in milliseconds, never going back. */
  constructor(rate: FrameRate, now: () => number = () => performance.now()) {
    this.#rate = rate;
    this.#now = now;
    this.#left = rate.burst;
    this.#filledMs = now();
  }

  /** Whether one more frame may come. */
  take(): boolean {
    if (this.#left < 1) {
      const now = this.#now();
      const earned = (now - this.#filledMs) / 1000 * this.#rate.perSecond;
      this.#left = Math.min(this.#rate.burst, this.#left + earned);
      this.#filledMs = now;
    }
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
