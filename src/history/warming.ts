/** Opens, in breaths, what the first list and the first search of a history would have to wait for. */

/** What is opened: a history. */
interface Opening {
  /** @throws {Error} Where its files are away. */
  inPlace(): void;
  /** Opens more than `at`. Returns how much is open now; undefined: all. */
  warm(at: number): number | undefined;
}

/** The opening of one history, breath by breath. */
export class Warming {
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Until the files are there. */
  #isPutOff = false;

  constructor(readonly history: Opening) {}

  /** Begins, or begins anew. */
  start(): void {
    this.end();
    this.#next(0);
  }

  /** The files are there: goes on where they were away when it was to. */
  inPlace(): void {
    if (this.#isPutOff) this.start();
  }

  /** Ends it. */
  end(): void {
    clearTimeout(this.#timer);
    this.#isPutOff = false;
  }

  #next(at: number): void {
    this.#timer = setTimeout(() => this.#breathe(at), 0);
  }

  #breathe(at: number): void {
    try {
      this.history.inPlace();
    } catch {
      // The next call says what is wrong.
      this.#isPutOff = true;
      return;
    }
    let next: number | undefined;
    try {
      next = this.history.warm(at);
    } catch {
      // So it does then.
    }
    if (next !== undefined) this.#next(next);
  }
}
