/**
 * The end of `serve`, in order: first what takes requests in, so that answers under way reach their end while the runners are
 * still there; then everything else. Neither is waited for without end.
 */
import { settlesWithin } from "../pause.ts";

/** What the listeners and the proxy have to close, beyond the time that they give what is under way. */
const CLOSE_MS = 1_000;
/** From then to the end of the runners. */
const END_MS = 4_000;

/** Ends one thing; what it throws is dropped, since the others must end all the same. */
type Closer = () => Promise<unknown> | void;

export class Shutdown {
  readonly #drainMs: number;
  readonly #stop = new AbortController();
  readonly #entrances: Closer[] = [];
  readonly #others: Closer[] = [];
  readonly #last: Closer[] = [];

  /** @param drainMs How long what is under way may take. */
  constructor(drainMs: number) {
    this.#drainMs = drainMs;
  }

  /** Aborted as the first step. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Adds a listener, or a process that has one. */
  addEntrance(close: Closer): void {
    this.#entrances.push(close);
  }

  /** Adds what the answers under way still need. */
  add(close: Closer): void {
    this.#others.push(close);
  }

  /** Adds what the end of the others still needs. */
  addLast(close: Closer): void {
    this.#last.push(close);
  }

  /** Ends everything that was added. */
  async run(): Promise<void> {
    this.#stop.abort();
    await closeWithin(this.#entrances.splice(0), this.#drainMs + CLOSE_MS);
    await closeWithin(this.#others.splice(0), END_MS);
    await closeWithin(this.#last.splice(0), END_MS);
  }
}

/** Calls all of them at once and waits for them, but no longer than `ms`. */
async function closeWithin(closers: readonly Closer[], ms: number): Promise<void> {
  await settlesWithin(Promise.allSettled(closers.map(async (close) => await close())), ms);
}
