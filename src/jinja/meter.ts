/** What one rendering may take. Neither a template nor a message can make it take more. */
import { JinjaError } from "./errors.ts";
import type { Costs } from "./values.ts";

export interface Limits {
  /** Steps of evaluation; text and items that are made count as fractions of one. */
  readonly steps: number;
  /** UTF-16 units of what comes out. */
  readonly output: number;
  /** Macros and recursive loops inside each other. */
  readonly depth: number;
}

/** Some seconds of computing, and some hundred megabytes, at the very most. Real templates take thousands of steps. */
export const DEFAULT_LIMITS: Limits = { steps: 10_000_000, output: 64 * 2 ** 20, depth: 100 };

/** UTF-16 units that may be made for one step. */
const UNITS_PER_STEP = 8;
const CALL_UNITS = 160;
/** Steps between two offers to yield: some milliseconds. */
const STEPS_PER_SLICE = 20_000;

export class Meter implements Costs {
  readonly #limits: Limits;
  #steps = 0;
  #slice = STEPS_PER_SLICE;
  #output = 0;
  #depth = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get steps(): number {
    return this.#steps;
  }

  step(): void {
    if (++this.#steps > this.#limits.steps) this.#tooLong();
  }

  charge(units: number): void {
    if (!(units >= 0)) return;
    this.#steps += units / UNITS_PER_STEP;
    if (this.#steps > this.#limits.steps) this.#tooLong();
  }

  write(units: number): void {
    this.#output += units;
    if (this.#output > this.#limits.output) {
      throw new JinjaError("limit", "the chat template writes too much");
    }
  }

  /** A call weighs more than other steps. */
  enter(): void {
    this.charge(CALL_UNITS);
    if (++this.#depth > this.#limits.depth) {
      throw new JinjaError("limit", "the chat template calls itself too deeply");
    }
  }

  leave(): void {
    this.#depth--;
  }

  /** Whether it is time to let others work. */
  due(): boolean {
    if (this.#steps < this.#slice) return false;
    this.#slice = this.#steps + STEPS_PER_SLICE;
    return true;
  }

  #tooLong(): never {
    throw new JinjaError("limit", "the chat template takes too long");
  }
}
