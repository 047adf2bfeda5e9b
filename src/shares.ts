/**
 * How a pot that many share (bytes, places in a queue, connections) is shared: whoever holds less than three times what is
 * free may take more. Alone that is three quarters of the pot; of those who share it, all come to hold as much as each other
 * once what was taken is given back. Nobody's share has to be set. After Choudhury and Hahne, "Dynamic queue length thresholds
 * for shared-memory packet switches", IEEE/ACM Transactions on Networking 6 (1998).
 */

/** Times what is free that one may hold. */
const FACTOR = 3;

/** How much there is, in whatever unit. */
interface PotSize {
  readonly limit: number;
  /** What each may hold whatever the others do, as long as the limit holds. Default: 0. */
  readonly floor?: number;
  /** Of the limit, what is there for those only who hold no more than the floor. Default: 0. */
  readonly reserve?: number;
}

/**
 * A pot and what each holds of it.
 *
 * @example
 * ```ts
 * import { Pot } from "./shares.ts";
 *
 * const places = new Pot({ limit: 8, floor: 1 });
 * let taken = 0;
 * while (places.take("a", 1)) taken++;
 * console.log(taken, places.take("b", 1)); // 6 true
 * ```
 */
export class Pot {
  readonly #size: Required<PotSize>;
  readonly #held = new Map<string, number>();
  #total = 0;

  /** A pot that nobody holds anything of. */
  constructor({ limit, floor = 0, reserve = 0 }: PotSize) {
    this.#size = { limit, floor, reserve };
  }

  /** What all hold together. */
  get total(): number {
    return this.#total;
  }

  /** What `who` holds. */
  held(who: string): number {
    return this.#held.get(who) ?? 0;
  }

  /** Whether `who` may take `amount` more now. */
  has(who: string, amount: number): boolean {
    const { limit, floor, reserve } = this.#size;
    const own = this.held(who) + amount;
    const total = this.#total + amount;
    if (own <= floor) return total <= limit;
    return own <= FACTOR * (limit - reserve - total);
  }

  /** Takes `amount`, if `who` may have it. */
  take(who: string, amount: number): boolean {
    if (!this.has(who, amount)) return false;
    this.add(who, amount);
    return true;
  }

  /** Takes `amount`, whatever may be had. */
  add(who: string, amount: number): void {
    this.#set(who, this.held(who) + amount);
  }

  /** Gives back what was taken. */
  give(who: string, amount: number): void {
    this.#set(who, this.held(who) - amount);
  }

  #set(who: string, held: number): void {
    this.#total += held - this.held(who);
    if (held > 0) this.#held.set(who, held);
    else this.#held.delete(who);
  }
}
