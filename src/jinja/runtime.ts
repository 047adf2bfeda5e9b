/** The state of one rendering. */
import type { Budget } from "../budget.ts";
import { escapeHtml } from "./escape.ts";
import { str } from "./convert.ts";
import { JinjaError } from "./errors.ts";
import { FILTERS } from "./filters.ts";
import type { FilterEnv } from "./filter_types.ts";
import { TESTS } from "./tests.ts";
import { type Args, hashKey, Markup, textOf, type Value } from "./values.ts";

/** The names that the caller gave, and those that the template's top level assigned. */
export class Context {
  readonly #given: ReadonlyMap<string, Value>;
  readonly vars = new Map<string, Value>();

  constructor(given: ReadonlyMap<string, Value>) {
    this.#given = given;
  }

  resolve(name: string): Value | undefined {
    const own = this.vars.get(name);
    return own === undefined ? this.#given.get(name) : own;
  }

  /** For a block that sees the variables around it. */
  derived(locals: Iterable<readonly [string, Value]>): Context {
    return new Context(new Map([...this.#given, ...this.vars, ...locals]));
  }
}

export class Runtime implements FilterEnv {
  readonly costs: Budget;
  autoescape = false;
  /** Steps before the outermost macro that is at work. */
  macroStart: number | undefined;
  /** What was written, up to now, to the buffer in use; an error where it was no text, which shows when the buffer is joined. */
  out: (string | JinjaError)[] = [];

  constructor(budget: Budget) {
    this.costs = budget;
  }

  filter(name: string, value: Value, args: Args): Value {
    const run = FILTERS.get(name);
    if (run === undefined) throw new JinjaError("runtime", `No filter named '${name}'.`);
    this.costs.step();
    return run(value, args, this);
  }

  test(name: string, value: Value, args: Args): boolean {
    const run = TESTS.get(name);
    if (name === "filter" || name === "test") {
      hashKey(value);
      const known: ReadonlyMap<string, unknown> = name === "filter" ? FILTERS : TESTS;
      return known.has(textOf(value) ?? "") ||
        (name === "test" && (value === "filter" || value === "test"));
    }
    if (run === undefined) throw new JinjaError("runtime", `No test named '${name}'.`);
    this.costs.step();
    return run(value, args, this);
  }

  write(text: string): void {
    this.costs.write(text.length);
    this.out.push(text);
  }

  /** What `{{ value }}` writes. */
  show(value: Value): string {
    return this.autoescape ? escapeHtml(value, this.costs).text : str(value, this.costs);
  }

  /** What was written. @throws {JinjaError} `type`: something of it is no text. */
  text(): string {
    for (const part of this.out) if (typeof part !== "string") throw part;
    return this.out.join("");
  }

  /** What a block wrote, as the value of an expression. */
  captured(): Value {
    const text = this.text();
    return this.autoescape ? new Markup(text) : text;
  }
}

export function isTest(name: string): boolean {
  return TESTS.has(name) || name === "filter" || name === "test";
}

/** One call of a template's, a block's or a macro's body: its variables, `undefined` where not assigned. */
export class Activation {
  readonly vars: (Value | undefined)[];
  readonly parent: Activation | undefined;
  readonly runtime: Runtime;
  readonly context: Context;

  constructor(
    size: number,
    parent: Activation | undefined,
    runtime: Runtime,
    context: Context,
  ) {
    this.vars = new Array(size).fill(undefined);
    this.parent = parent;
    this.runtime = runtime;
    this.context = context;
  }
}
