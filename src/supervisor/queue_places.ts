/**
 * The places of one model's queue: those that it works on, and those that wait. Each client has a share. A request whose body
 * has not come whole has shown nothing yet that is worth a place: where there is none for a newcomer, it makes room, of who has
 * the most first, as silent connections do in the listener.
 */
import { BUSY_TEXT } from "../api/texts.ts";
import { SecLlamaError } from "../errors.ts";
import { Pot } from "../shares.ts";

/** A place that was taken. */
export interface Place {
  /** The request's body has come whole: it keeps its place until it is given back. */
  arrived(): void;
  /** Gives it back; again: does nothing. */
  leave(): void;
}

interface Taken {
  readonly client: string;
  readonly evict: (error: SecLlamaError) => void;
  hasArrived: boolean;
}

export class QueuePlaces {
  readonly #limit: number;
  readonly #slots: number;
  readonly #pot: Pot;
  /** In the order of their coming. */
  readonly #taken = new Set<Taken>();

  /** @param o.slots Requests that are worked on at once. `waiting`: requests that may wait besides. */
  constructor({ slots, waiting }: { readonly slots: number; readonly waiting: number }) {
    this.#limit = slots + waiting;
    this.#slots = slots;
    // Whoever comes may have all that is worked on at once, while nobody else is there.
    this.#pot = new Pot({ limit: this.#limit, floor: slots });
  }

  /** Of those that have one, how many are more than are worked on at once. */
  get waiting(): number {
    return Math.max(0, this.#pot.total - this.#slots);
  }

  /**
   * Takes a place.
   * @param o.shared Whether others than this client may come. `evict` is called if it has to go before it has arrived.
   * @throws {SecLlamaError} `busy` if there is none for this client.
   */
  take(
    client: string,
    o: { readonly shared: boolean; readonly evict: (error: SecLlamaError) => void },
  ): Place {
    while (!this.#has(client, o.shared)) {
      const victim = this.#chooseVictim(client);
      if (victim === undefined) throw busy();
      this.#leave(victim);
      victim.evict(busy());
    }
    const taken: Taken = { client, evict: o.evict, hasArrived: false };
    this.#taken.add(taken);
    this.#pot.add(client, 1);
    return {
      arrived: () => void (taken.hasArrived = true),
      leave: () => this.#leave(taken),
    };
  }

  #has(client: string, shared: boolean): boolean {
    if (this.#pot.has(client, 1)) return true;
    const alone = !shared && this.#pot.held(client) === this.#pot.total;
    return alone && this.#pot.total < this.#limit;
  }

  /** Of who has at least as many as the newcomer's client, the most first: the one that came first. */
  #chooseVictim(newcomer: string): Taken | undefined {
    const own = this.#pot.held(newcomer);
    let victim: Taken | undefined;
    for (const one of this.#taken) {
      const held = this.#pot.held(one.client);
      if (one.hasArrived || held < own) continue;
      if (victim === undefined || held > this.#pot.held(victim.client)) victim = one;
    }
    return victim;
  }

  #leave(taken: Taken): void {
    if (this.#taken.delete(taken)) this.#pot.give(taken.client, 1);
  }
}

function busy(): SecLlamaError {
  return new SecLlamaError("busy", BUSY_TEXT);
}
