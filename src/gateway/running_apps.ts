/** Exchanges of programs with a token: when the token is taken back, what runs under it ends too, as a client's does. */

/** Between looks, ms; as often as the keys of clients are looked at. */
const LOOK_MS = 250;

/** What runs, by the id of its token. */
export class RunningApps {
  readonly #wasRevoked: (id: string) => boolean;
  readonly #running = new Map<string, Set<() => void>>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param wasRevoked Whether the token of this id was taken back. */
  constructor(wasRevoked: (id: string) => boolean) {
    this.#wasRevoked = wasRevoked;
  }

  /**
   * Calls `end` once when the token of `id` is taken back.
   * @returns To be called when the exchange is over.
   */
  follow(id: string, end: () => void): () => void {
    const ends = this.#running.get(id) ?? new Set();
    ends.add(end);
    this.#running.set(id, ends);
    this.#timer ??= setInterval(() => this.look(), LOOK_MS);
    Deno.unrefTimer(this.#timer);
    return () => {
      ends.delete(end);
      if (ends.size === 0 && this.#running.get(id) === ends) this.#running.delete(id);
      this.#rest();
    };
  }

  /** Ends what is to end. However many run under one token, it is looked at once. */
  look(): void {
    for (const [id, ends] of this.#running) {
      if (!this.#wasRevoked(id)) continue;
      this.#running.delete(id);
      for (const end of ends) end();
    }
    this.#rest();
  }

  #rest(): void {
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
