/** The nonces of proofs that were taken, so that none is taken twice; bounded, in all and for each client. */
import { Pot } from "../shares.ts";

/** What is remembered at most. */
export interface NonceLimits {
  readonly all: number;
  /** Of one client. */
  readonly each: number;
  /** How long each is remembered. */
  readonly lifeMs: number;
}

/** And of these every client has so many, as long as a quarter of all holds out. */
const FLOOR_NONCES = 16;

/** Nonces that were taken. Only holders of a key can fill it: what comes here was proved. */
export class Nonces {
  readonly #limits: NonceLimits;
  /** Client and nonce → when it can be forgotten, in the order of their coming. */
  readonly #known = new Map<string, number>();
  /** How many of them each client has: shared, so that no few of them keep the others out. */
  readonly #shares: Pot;

  constructor(limits: NonceLimits) {
    const { all } = limits;
    this.#limits = limits;
    this.#shares = new Pot({ limit: all, floor: FLOOR_NONCES, reserve: all / 4 });
  }

  /**
   * Takes a nonce of a client, once, and forgets those whose time is over.
   * @param client Without a space. @param nowMs Unix ms.
   * @returns `used` for one that was taken before; `full` where too many are remembered, of this client or of all.
   */
  take(client: string, nonce: string, nowMs: number): "taken" | "used" | "full" {
    for (const [known, until] of this.#known) {
      if (until > nowMs) break;
      this.#known.delete(known);
      this.#shares.give(known.split(" ")[0]!, 1);
    }
    const name = `${client} ${nonce}`;
    if (this.#known.has(name)) return "used";
    if (this.#shares.held(client) >= this.#limits.each || !this.#shares.take(client, 1)) {
      return "full";
    }
    this.#known.set(name, nowMs + this.#limits.lifeMs);
    return "taken";
  }
}
