/** Which of an engine's slots a request takes, and who waits for one: in a circle of clients, each a client's own again if it can be. */
import { BUSY_TEXT } from "../../../src/api/texts.ts";
import { SecLlamaError } from "../../../src/errors.ts";
import { TaskCircle } from "../task_circle.ts";

interface Slot {
  readonly index: number;
  /** Whose prompt the engine has in it; undefined: that is not sure, or nobody's. */
  client: string | undefined;
  busy: boolean;
  usedAt: number;
}

/** A slot, until it is disposed of. */
export interface Taken extends Disposable {
  readonly index: number;
  /** Whether what the engine has in it is its client's. */
  readonly keeps: boolean;
  /** The engine has begun with its client's prompt: what was in it before is gone. */
  begun(): void;
}

export class Slots {
  readonly #slots: Slot[];
  readonly #waiting = new TaskCircle();
  readonly #limit: number;
  #used = 0;

  constructor(count: number, queueLimit: number) {
    this.#slots = Array.from({ length: count }, (_, index) => ({
      index,
      client: undefined,
      busy: false,
      usedAt: 0,
    }));
    this.#limit = queueLimit;
  }

  /** Those that are taken. */
  get busy(): number {
    return this.#slots.filter(({ busy }) => busy).length;
  }

  /** Whether nobody may wait any more. */
  get full(): boolean {
    return this.#waiting.size >= this.#limit;
  }

  /**
   * Takes one, or waits for one.
   * @throws {SecLlamaError} `busy`: too many wait; `cancelled`: by the signal.
   */
  async take(client: string, signal: AbortSignal): Promise<Taken> {
    if (signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
    if (this.#waiting.size === 0) {
      const free = this.#takeFree(client);
      if (free) return free;
    }
    if (this.full) throw new SecLlamaError("busy", BUSY_TEXT);
    const turn = Promise.withResolvers<Taken>();
    this.#waiting.add(client, () => {
      // Whoever left meanwhile passes its turn on.
      if (signal.aborted) this.#next();
      else turn.resolve(this.#takeFree(client)!);
      return Promise.resolve();
    });
    const leave = () => turn.reject(new SecLlamaError("cancelled", "the request was cancelled"));
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await turn.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #takeFree(client: string): Taken | undefined {
    const free = this.#slots.filter(({ busy }) => !busy).sort((a, b) => a.usedAt - b.usedAt);
    const slot = free.find((one) => one.client === client) ?? free[0];
    if (!slot) return undefined;
    const keeps = slot.client === client;
    // An engine that refuses the request, or is told to give it up, may leave the slot as it was.
    slot.client = keeps ? client : undefined;
    slot.busy = true;
    slot.usedAt = ++this.#used;
    let held = true;
    return {
      index: slot.index,
      keeps,
      begun: () => void (slot.client = client),
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        slot.busy = false;
        this.#next();
      },
    };
  }

  #next(): void {
    if (this.busy < this.#slots.length) void this.#waiting.next()?.();
  }
}
