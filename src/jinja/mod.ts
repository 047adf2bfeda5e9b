/**
 * Jinja2's template language, as Hugging Face's transformers sets it up for chat templates: the sandbox, `trim_blocks`,
 * `lstrip_blocks`, `break` and `continue`, `{% generation %}`, `raise_exception`, `strftime_now`, and a `tojson` that escapes
 * nothing. Values are Python's. Nothing of JavaScript's can be reached; time, text and depth are bounded.
 *
 * It differs from Jinja2 on purpose: lists and dicts can be changed (`append`, `update`), which the immutable sandbox refuses
 * and some templates want; `lipsum`, bytes and characters by name are not there; nothing else can be included.
 */
import { compile, type Program } from "./compiler.ts";
import { fromJs } from "./convert.ts";
import { JinjaError } from "./errors.ts";
import { makeGlobals } from "./globals.ts";
import { DEFAULT_LIMITS, type Limits, Meter } from "./meter.ts";
import { parse } from "./parser.ts";
import { Context, Runtime } from "./runtime.ts";

export { JinjaError, type JinjaErrorKind } from "./errors.ts";
export { DEFAULT_LIMITS, type Limits } from "./meter.ts";

export interface RenderOptions {
  readonly limits?: Partial<Limits>;
  /** What `strftime_now` tells. Default: now. */
  readonly now?: () => Date;
}

/** UTF-16 units of the longest template. */
const MAX_TEMPLATE = 2 ** 20;

export class Template {
  readonly #program: Program;

  /** @throws {JinjaError} `syntax`: the text is no template; `limit`: it is too long, or nested too deeply. */
  constructor(source: string) {
    if (source.length > MAX_TEMPLATE) {
      throw new JinjaError("limit", "the chat template is longer than a million characters");
    }
    this.#program = guarded(() => compile(parse(source)));
  }

  /**
   * The text that the template makes of these names and JSON values.
   * @throws {JinjaError} what the template raises, or that it takes too long.
   */
  render(variables: Readonly<Record<string, unknown>>, o: RenderOptions = {}): string {
    const steps = this.steps(variables, o);
    for (;;) {
      const next = steps.next();
      if (next.done) return next.value;
    }
  }

  /** The same with a pause every few milliseconds, unless a macro is at work. */
  *steps(
    variables: Readonly<Record<string, unknown>>,
    o: RenderOptions = {},
  ): Generator<void, string> {
    const runtime = new Runtime(new Meter({ ...DEFAULT_LIMITS, ...o.limits }));
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
    for (;;) {
      const next = guarded(() => run.next());
      if (next.done) return runtime.out.join("");
      yield;
    }
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
