/** Exchanges of programs with a token: when the token is taken back, what runs under it ends too, as a client's does. */
import type { SecLlamaError } from "../errors.ts";

/** Ends an exchange, for this reason. */
type End = (why: SecLlamaError) => void;

/** Between looks, ms; as often as the keys of clients are looked at. */
const LOOK_MS = 250;

/** What runs, by the id of its token. */
export class RunningApps {
  readonly #whyOver: (id: string) => SecLlamaError | undefined;
  readonly #running = new Map<string, Set<End>>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param whyOver Why what runs under the token of this id ends now: it was taken back, say. undefined: it goes on. */
  constructor(whyOver: (id: string) => SecLlamaError | undefined) {
    this.#whyOver = whyOver;
  }

  /**
   * Calls `end` once when what runs under the token of `id` ends.
   * @returns To be called when the exchange is over.
   */
  follow(id: string, end: End): () => void {
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
      const why = this.#whyOver(id);
      if (why === undefined) continue;
      this.#running.delete(id);
      for (const end of ends) end(why);
    }
    this.#rest();
  }

  #rest(): void {
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
