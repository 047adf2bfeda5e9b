/**
 * Which models may be loaded at once: by number and by memory. Loads are admitted one after another, in the order they
 * came; the least recently used idle models make room, and where only busy ones could, the least recently used of those takes
 * no more requests, so that a model in steady use cannot keep another out for ever.
 */
import { SecLlamaError } from "../errors.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { tooLarge } from "./memory.ts";

/** A model that takes room. */
export interface Occupant {
  readonly name: string;
  readonly needBytes: number;
  /** `leaving`: it takes no more requests and will go by itself. */
  readonly state: "idle" | "busy" | "leaving";
  readonly lastUsedMs: number;
}

export interface Room {
  readonly maxModels: number;
  /** For all models together. */
  readonly budgetBytes: number;
}

export type Verdict =
  | { readonly kind: "fits" }
  | { readonly kind: "evict"; readonly names: readonly string[] }
  /** Until something changes; `drain` is to take no more requests meanwhile. */
  | { readonly kind: "wait"; readonly drain?: string }
  | { readonly kind: "never" };

/** Whether a model of `needBytes` has room beside the others, and who has to go if not. */
export function judgeRoom(occupants: readonly Occupant[], needBytes: number, room: Room): Verdict {
  if (needBytes > room.budgetBytes) return { kind: "never" };
  const fits = (left: readonly Occupant[]) =>
    left.length < room.maxModels &&
    left.reduce((sum, o) => sum + o.needBytes, needBytes) <= room.budgetBytes;
  if (fits(occupants)) return { kind: "fits" };
  const oldest = (state: Occupant["state"]) =>
    occupants.filter((o) => o.state === state).toSorted((a, b) => a.lastUsedMs - b.lastUsedMs);
  const names: string[] = [];
  let left = occupants;
  for (const idle of oldest("idle")) {
    names.push(idle.name);
    left = left.filter((o) => o !== idle);
    if (fits(left)) return { kind: "evict", names };
  }
  // What is leaving may be enough; only then must nobody else go.
  if (fits(left.filter((o) => o.state !== "leaving"))) return { kind: "wait" };
  const [busy] = oldest("busy");
  return busy ? { kind: "wait", drain: busy.name } : { kind: "wait" };
}

export interface AdmissionOptions {
  /** All that is loaded; what is being loaded is known here. */
  readonly occupants: () => readonly Occupant[];
  readonly room: (takenBytes: number) => Room;
  readonly evict: (name: string) => Promise<unknown>;
  readonly drain: (name: string) => void;
  /** How long a load may wait for room. */
  readonly timeoutMs: number;
  /** Loads that may wait at once. */
  readonly maxWaiting: number;
}

export class Admission {
  readonly #o: AdmissionOptions;
  readonly #loading = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #changed = Promise.withResolvers<void>();
  #stopped = false;

  constructor(options: AdmissionOptions) {
    this.#o = options;
  }

  /**
   * Waits for room and takes it; `leave` gives it back, or passes it to the loaded model.
   * @throws {SecLlamaError} `not-enough-memory` if it could not fit alone; `busy` if it waited too long, or too many wait.
   */
  async enter(name: string, needBytes: number): Promise<void> {
    if (this.#waiting > this.#o.maxWaiting) throw busy();
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    this.#waiting++;
    try {
      await before;
      await this.#makeRoom(needBytes);
      this.#loading.set(name, needBytes);
    } finally {
      this.#waiting--;
      resolve();
    }
  }

  leave(name: string): void {
    if (this.#loading.delete(name)) this.changed();
  }

  /** To be called whenever a model became idle or went. */
  changed(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Ends every wait with `busy`. */
  stop(): void {
    this.#stopped = true;
    this.changed();
  }

  async #makeRoom(needBytes: number): Promise<void> {
    const deadline = Date.now() + this.#o.timeoutMs;
    for (;;) {
      if (this.#stopped) throw new SecLlamaError("busy", "the server is shutting down");
      const { promise: changed } = this.#changed;
      const loading = [...this.#loading].map(([name, bytes]): Occupant => ({
        name,
        needBytes: bytes,
        state: "leaving", // not to be touched: it fails, or becomes a loaded model
        lastUsedMs: Infinity,
      }));
      const occupants = [...this.#o.occupants(), ...loading];
      const room = this.#o.room(occupants.reduce((sum, o) => sum + o.needBytes, 0));
      const verdict = judgeRoom(occupants, needBytes, room);
      if (verdict.kind === "fits") return;
      if (verdict.kind === "never") throw tooLarge(needBytes, room.budgetBytes);
      if (verdict.kind === "evict") {
        await Promise.all(verdict.names.map((name) => this.#o.evict(name)));
        continue;
      }
      if (verdict.drain !== undefined) this.#o.drain(verdict.drain);
      if (!await within(changed, deadline - Date.now())) throw busy();
    }
  }
}

function busy(): SecLlamaError {
  return new SecLlamaError("busy", BUSY_TEXT, {
    hint: "every loaded model is in use: try again, or raise SECLLAMA_MAX_LOADED_MODELS",
  });
}

/** Whether `event` came within `ms`. */
async function within(event: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.min(Math.max(0, ms), 2 ** 31 - 1));
  });
  try {
    return await Promise.race([event.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
