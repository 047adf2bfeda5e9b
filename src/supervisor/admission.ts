/**
 * Which models may be loaded at once: by number and by memory. Loads are admitted one after another, each client's in turn,
 * and those of one in the order they came. Idle models make room, and where only busy ones could, one of those takes no more
 * requests, so that a model in steady use cannot keep another out for ever. The first to go are those that nobody but the asker
 * used lately; then those of clients who have the most; of these the least recently used. So a client that asks for all models
 * pushes out its own, and another's only while it has none.
 */
import { SecLlamaError } from "../errors.ts";
import { BUSY_TEXT } from "../api/texts.ts";
import { settlesWithin } from "../pause.ts";
import { Pot } from "../shares.ts";
import { tooLarge } from "./memory.ts";

/** A model that takes room. */
export interface Occupant {
  readonly name: string;
  readonly needBytes: number;
  /** `leaving`: it takes no more requests and will go by itself. */
  readonly state: "idle" | "busy" | "leaving";
  readonly lastUsedMs: number;
  /** Clients who used it lately. */
  readonly users?: readonly string[];
}

interface Room {
  readonly maxModels: number;
  /** For all models together. */
  readonly budgetBytes: number;
}

type Verdict =
  | { readonly kind: "fits" }
  | { readonly kind: "evict"; readonly names: readonly string[] }
  /** Until something changes; `drain` is to take no more requests meanwhile. */
  | { readonly kind: "wait"; readonly drain?: string }
  | { readonly kind: "never" };

/** Whether others than this client used a model lately. */
export function isOthers({ users = [] }: Pick<Occupant, "users">, asker: string): boolean {
  return users.some((user) => user !== asker);
}

/** Whether a model of `needBytes` has room beside the others, and who has to go if not. @param asker Who asks for it. */
export function judgeRoom(
  occupants: readonly Occupant[],
  needBytes: number,
  room: Room,
  asker = "",
): Verdict {
  if (needBytes > room.budgetBytes) return { kind: "never" };
  const fits = (left: readonly Occupant[]) =>
    left.length < room.maxModels &&
    left.reduce((sum, o) => sum + o.needBytes, needBytes) <= room.budgetBytes;
  if (fits(occupants)) return { kind: "fits" };
  const rank = ranked(occupants, asker);
  const oldest = (state: Occupant["state"]) =>
    occupants.filter((o) => o.state === state)
      .toSorted((a, b) => rank(a) - rank(b) || a.lastUsedMs - b.lastUsedMs);
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

/** Which are first to go, the lowest number first: nobody's but the asker's; then of who has the most. */
function ranked(occupants: readonly Occupant[], asker: string): (one: Occupant) => number {
  const counts = new Map<string, number>();
  for (const { users = [] } of occupants) {
    for (const user of users) counts.set(user, (counts.get(user) ?? 0) + 1);
  }
  return (one) =>
    isOthers(one, asker) ? -Math.max(...one.users!.map((user) => counts.get(user)!)) : -Infinity;
}

interface AdmissionOptions {
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
  readonly #loading = new Map<string, { needBytes: number; client: string }>();
  /** Those who wait for their turn, by client, in the order of the circle. */
  readonly #line = new Map<string, (() => void)[]>();
  readonly #waiting: Pot;
  #busy = false;
  #changed = Promise.withResolvers<void>();
  #stopped = false;

  constructor(options: AdmissionOptions) {
    this.#o = options;
    this.#waiting = new Pot({ limit: options.maxWaiting + 1, floor: 1 });
  }

  /** Those who wait for room. */
  get waiting(): number {
    return this.#waiting.total;
  }

  /**
   * Waits for room and takes it; `leave` gives it back, or passes it to the loaded model.
   * @param client Whose load it is.
   * @throws {SecLlamaError} `not-enough-memory` if it could not fit alone; `busy` if it waited too long, or too many wait.
   */
  async enter(name: string, needBytes: number, client = ""): Promise<void> {
    if (!this.#waiting.take(client, 1)) throw busy();
    try {
      if (this.#busy) await this.#turnOf(client);
      this.#busy = true;
      await this.#makeRoom(needBytes, client);
      this.#loading.set(name, { needBytes, client });
    } finally {
      this.#waiting.give(client, 1);
      this.#next();
    }
  }

  #turnOf(client: string): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#line.get(client);
      if (queue) queue.push(resolve);
      else this.#line.set(client, [resolve]);
    });
  }

  #next(): void {
    const first = this.#line.entries().next().value;
    this.#busy = first !== undefined;
    if (first === undefined) return;
    const [client, queue] = first;
    const resolve = queue.shift()!;
    // To the end of the circle.
    this.#line.delete(client);
    if (queue.length > 0) this.#line.set(client, queue);
    resolve();
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

  async #makeRoom(needBytes: number, client: string): Promise<void> {
    const deadline = performance.now() + this.#o.timeoutMs;
    for (;;) {
      if (this.#stopped) throw new SecLlamaError("busy", "the server is shutting down");
      const { promise: changed } = this.#changed;
      const loading = [...this.#loading].map(([name, one]): Occupant => ({
        name,
        needBytes: one.needBytes,
        users: [one.client],
        state: "leaving", // not to be touched: it fails, or becomes a loaded model
        lastUsedMs: Infinity,
      }));
      const occupants = [...this.#o.occupants(), ...loading];
      const room = this.#o.room(occupants.reduce((sum, o) => sum + o.needBytes, 0));
      const verdict = judgeRoom(occupants, needBytes, room, client);
      if (verdict.kind === "fits") return;
      if (verdict.kind === "never") throw tooLarge(needBytes, room.budgetBytes);
      if (verdict.kind === "evict") {
        await Promise.all(verdict.names.map((name) => this.#o.evict(name)));
        continue;
      }
      if (verdict.drain !== undefined) this.#o.drain(verdict.drain);
      if (!await settlesWithin(changed, deadline - performance.now())) throw busy();
    }
  }
}

function busy(): SecLlamaError {
  return new SecLlamaError("busy", BUSY_TEXT, {
    hint: "every loaded model is in use: try again, or raise SECLLAMA_MAX_LOADED_MODELS",
  });
}
