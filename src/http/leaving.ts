/**
 * Connections that have no place and are told so: 503, in words, to whoever asks within two seconds. They are as many as the
 * places at most. When one more comes, the one that was told first goes, or the one that has waited longest to be told.
 */
import type { Connection } from "./connection.ts";
import { Refusal } from "./refusal.ts";

/** What those are told for whom there is no place. */
function busy(): Refusal {
  return new Refusal(503, "busy", "too many connections", { hint: "try again later" });
}

/** Those that are on their way out. */
export class Leaving {
  readonly #limit: number;
  /** In the order of their coming here. */
  readonly #connections = new Set<Connection>();

  /** @param limit Connections at once. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** In the order of their coming here. */
  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  /** Takes one in that has no place, or has lost it, and lets it be told. */
  take(connection: Connection): void {
    if (this.#connections.size >= this.#limit) this.spareOne();
    this.#connections.add(connection);
    connection.turnAway(busy());
  }

  /** One that has ended. */
  remove(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Closes one; false: there is none. */
  spareOne(): boolean {
    const [oldest] = this.#connections;
    if (oldest === undefined) return false;
    const told = this.#connections.values().find(({ unprovenSince }) => unprovenSince === 0);
    const one = told ?? oldest;
    one.close();
    return this.#connections.delete(one);
  }
}
