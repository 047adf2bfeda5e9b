/** How long a request took, in the nanoseconds of Ollama's API. */
import type { Call } from "./request.ts";

export function toNs(ms: number): number {
  return Math.max(Math.round(ms * 1e6), 0);
}

/** From when the request came in, what it waited for the model included, until now. */
export function elapsedNs(call: Call): number {
  return toNs(performance.now() - call.startedAt + call.waitedMs);
}

/** What of the request's time went into loading the model; a few microseconds where it was loaded already. */
export function loadNs(call: Call): number {
  if (call.waitedMs > 0) return toNs(call.waitedMs);
  return toNs(performance.now() - call.startedAt);
}

/** When a reply's tokens came. */
export class TokenTimes {
  readonly #startedAt: number;
  #first: number | undefined;
  #last = 0;

  constructor({ startedAt }: Call) {
    this.#startedAt = startedAt;
  }

  /** One came. */
  token(): void {
    this.#last = performance.now();
    this.#first ??= this.#last;
  }

  /** In ms; nothing where there was none. */
  told(): { readonly firstMs?: number; readonly restMs?: number } {
    if (this.#first === undefined) return {};
    return { firstMs: this.#first - this.#startedAt, restMs: this.#last - this.#first };
  }
}
