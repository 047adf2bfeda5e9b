/**
 * Jinja2's template language, as Hugging Face's transformers sets it up for chat templates: the sandbox, `trim_blocks`,
 * `lstrip_blocks`, `break` and `continue`, `{% generation %}`, `raise_exception`, `strftime_now`, and a `tojson` that escapes
 * nothing. Values are Python's. Nothing of JavaScript's can be reached; time, text and depth are bounded.
 *
 * It differs from Jinja2 on purpose: lists and dicts can be changed (`append`, `update`), which the immutable sandbox refuses
 * and some templates want; `lipsum`, bytes and characters by name are not there; nothing else can be included.
 */
import type { Budget, Work } from "../budget.ts";
import { compile, type Program } from "./compiler.ts";
import { fromJs } from "./convert.ts";
import { JinjaError } from "./errors.ts";
import { makeGlobals } from "./globals.ts";
import { parse } from "./parser.ts";
import { Context, Runtime } from "./runtime.ts";

export { JinjaError, type JinjaErrorKind } from "./errors.ts";
export { strftime } from "./strftime.ts";

/** What a rendering may cost, and what it may know. */
export interface RenderOptions {
  /** What this rendering, and others with the same budget, may cost. */
  readonly budget: Budget;
  /** What `strftime_now` tells. Default: now. */
  readonly now?: () => Date;
}

/** UTF-16 units of the longest template. */
const MAX_TEMPLATE = 2 ** 20;

/**
 * A compiled template, which can be rendered any number of times.
 *
 * @example
 * ```ts
 * import { Budget, runAtOnce } from "../budget.ts";
 *
 * const template = new Template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
 * const budget = new Budget({ what: "the chat template" });
 * const messages = [{ role: "user", content: "Hello" }];
 * console.log(runAtOnce(template.render({ messages }, { budget }))); // "user: Hello\n"
 * ```
 */
export class Template {
  readonly #program: Program;

  /**
   * Compiles `source`.
   * @throws {JinjaError} `syntax`: the text is no template; `limit`: it is too long, or nested too deeply.
   */
  constructor(source: string) {
    if (source.length > MAX_TEMPLATE) {
      throw new JinjaError("limit", "the chat template is longer than a million characters");
    }
    this.#program = guarded(() => compile(parse(source)));
  }

  /**
   * The text that the template makes of these names and JSON values.
   * @throws {JinjaError} what the template raises, or would make Python raise.
   * @throws {SecLlamaError} `bad-request`: the budget is used up.
   */
  *render(variables: Readonly<Record<string, unknown>>, o: RenderOptions): Work<string> {
    const runtime = new Runtime(o.budget);
    const context = guarded(() => {
      const given = Object.entries(variables).filter(([, value]) => value !== undefined);
      return new Context(
        new Map([
          ...makeGlobals(o.now ?? (() => new Date())),
          ...given.map(([name, value]) => [name, fromJs(value)] as const),
        ]),
      );
    });
    const run = this.#program(runtime, context);
    while (!guarded(() => run.next()).done) yield;
    return guarded(() => runtime.text());
  }
}

/** JavaScript's own bounds, where a template reaches them, are the template's fault. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new JinjaError("limit", "the chat template is nested too deeply, or makes too much text");
  }
}
