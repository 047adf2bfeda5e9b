/** One producer, one consumer: events pushed on one side, iterated on the other. */

type Waiter<T> = {
  resolve: (result: IteratorResult<T>) => void;
  reject: (reason: unknown) => void;
};

export class EventQueue<T> implements AsyncIterableIterator<T> {
  #items: T[] = [];
  #head = 0;
  #waiter: Waiter<T> | undefined;
  #ended = false;
  #error: unknown;
  readonly #onReturn: () => void;
  readonly #onTake: () => void;

  /**
   * @param options.onReturn Called when the consumer stops iterating before the end.
   * @param options.onTake Called after an event was taken from the buffer.
   */
  constructor(options: { onReturn: () => void; onTake: () => void }) {
    this.#onReturn = options.onReturn;
    this.#onTake = options.onTake;
  }

  /** Events pushed and not yet taken. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    if (this.#ended) return;
    const waiter = this.#waiter;
    if (waiter) {
      this.#waiter = undefined;
      waiter.resolve({ value: item, done: false });
    } else this.#items.push(item);
  }

  /** Ends the iteration behind the events already pushed. */
  end(): void {
    this.#ended = true;
    this.#waiter?.resolve({ value: undefined, done: true });
    this.#waiter = undefined;
  }

  /** Ends the iteration by throwing, behind the events already pushed. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) waiter.reject(error);
    else this.#error = error;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#items.length) {
      const value = this.#items[this.#head++] as T;
      if (this.#head === this.#items.length) {
        this.#items = [];
        this.#head = 0;
      }
      this.#onTake();
      return Promise.resolve({ value, done: false });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiter = { resolve, reject });
  }

  return(): Promise<IteratorResult<T>> {
    if (!this.#ended) {
      this.#ended = true;
      this.#onReturn();
    }
    this.#items = [];
    this.#head = 0;
    this.#error = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this;
  }
}
