/**
 * What one evaluation of something that a client or a model file wrote may cost: a Jinja template, a Go template, a schema.
 * Whoever evaluates is handed a budget and asks it *before* it does the work, so that a loop, a product of loops, a text
 * that doubles itself or a macro that calls itself ends with a clear error, whatever is written. No engine needs a limit of its own.
 *
 * An engine is a generator ({@link Work}). It yields between the statements of loop bodies wherever enough was done
 * (`if (budget.due()) yield;`). Who runs it decides whether its turn is over, and lets others work meanwhile (runner/turns.ts);
 * `runAtOnce` runs it to its end. Nothing of an engine is asynchronous, or kept outside of the one evaluation. Expressions
 * need not yield, unless they can run statements (macros, calls): what else one can cost is small, or charged for.
 */
import { SecLlamaError } from "./errors.ts";

/** Work that can be left for a while wherever it yields. What it yields has no value. */
export type Work<T> = Generator<void, T, void>;

/** The bounds of one evaluation. */
export interface BudgetLimits {
  /** Steps of evaluation; text and items that are made count as fractions of one. */
  readonly steps: number;
  /** UTF-16 units of what comes out. */
  readonly output: number;
  /** Macros, templates and recursive loops inside each other: the call stack must hold them. */
  readonly depth: number;
}

/** Some seconds of computing and some hundred megabytes at the very most. A real template takes some 100 steps a message. */
export const DEFAULT_BUDGET: BudgetLimits = {
  steps: 2_000_000,
  output: 64 * 1024 * 1024,
  depth: 100,
};

/** UTF-16 units of text, or items of a list, that may be made for one step. */
const UNITS_PER_STEP = 8;
/** Steps between two places to yield: about a millisecond. */
const STEPS_PER_YIELD = 1_000;

/** What is left of an evaluation's bounds. Every charge beyond them is an error of the request. */
export class Budget {
  readonly #limits: BudgetLimits;
  readonly #what: string;
  readonly #field: string | undefined;
  #steps = 0;
  #output = 0;
  #depth = 0;
  #yieldAt = STEPS_PER_YIELD;

  /**
   * A budget that nothing has been taken from.
   * @param about What is evaluated, for the errors: "the chat template"; and the request's field that it comes from.
   */
  constructor(
    about: { readonly what: string; readonly field?: string },
    limits: Partial<BudgetLimits> = {},
  ) {
    this.#what = about.what;
    this.#field = about.field;
    this.#limits = { ...DEFAULT_BUDGET, ...limits };
  }

  /** Steps so far. */
  get steps(): number {
    return this.#steps;
  }

  /** For each node that is evaluated, and each element of a list that is walked over. @throws {SecLlamaError} `bad-request` */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps > this.#limits.steps) this.#refuse("takes too many steps");
  }

  /**
   * For text or lists of this length that are about to be made in one go (joined, repeated, replaced, sorted, `tojson`,
   * `range`). What exists already and is only passed on costs nothing.
   * @throws {SecLlamaError} `bad-request`
   */
  charge(units: number): void {
    if (units > 0) this.step(units / UNITS_PER_STEP);
  }

  /** For what is written out. @throws {SecLlamaError} `bad-request` */
  write(units: number): void {
    this.#output += units;
    if (this.#output > this.#limits.output) this.#refuse("writes too much");
    this.charge(units);
  }

  /** Before a macro, a template or a recursive loop is gone into; `leave` when it is left. @throws {SecLlamaError} `bad-request` */
  enter(): void {
    if (++this.#depth > this.#limits.depth) this.#refuse("calls itself too deeply");
  }

  /** When a macro, a template or a recursive loop is left. */
  leave(): void {
    this.#depth--;
  }

  /** Whether to yield here: enough was done since the last time. Costs next to nothing. */
  due(): boolean {
    if (this.#steps < this.#yieldAt) return false;
    this.#yieldAt = this.#steps + STEPS_PER_YIELD;
    return true;
  }

  #refuse(why: string): never {
    throw new SecLlamaError(
      "bad-request",
      `${this.#what} ${why}`,
      this.#field === undefined ? {} : { field: this.#field },
    );
  }
}

/** Runs work to its end at once: where nobody else can be kept waiting, as in tests and on a command line. */
export function runAtOnce<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
