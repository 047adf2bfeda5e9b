/** What statements are compiled to, and how it is run. */
import { JinjaError, typeError } from "./errors.ts";
import type { Frame } from "./frame.ts";
import type { Stmt } from "./nodes.ts";
import type { Activation, Runtime } from "./runtime.ts";
import { textOf, typeName, type Value } from "./values.ts";

/** How a statement ended. */
type Signal = "break" | "continue" | undefined;
export type Steps = Generator<void, Signal>;

/** Either `run`, which is quick, or `steps`. */
export type Code =
  | { readonly run: (activation: Activation) => Signal; readonly steps?: never }
  | { readonly steps: (activation: Activation) => Steps; readonly run?: never };

/** Compiles statements that stand inside another. */
export type CompileBody = (statements: readonly Stmt[], frame: Frame) => Code;

export function* stepsOf(code: Code, activation: Activation): Steps {
  if (code.run !== undefined) return code.run(activation);
  return yield* code.steps(activation);
}

/** Steps of a macro, or a recursive loop, with all that it calls: they are made in one go. */
const MAX_MACRO_STEPS = 500_000;

/** Runs to the end without a pause. @throws {JinjaError} `limit`: that takes too long. */
export function finish(code: Code, activation: Activation): Signal {
  if (code.run !== undefined) return code.run(activation);
  const { runtime } = activation;
  const outermost = runtime.macroStart === undefined;
  runtime.macroStart ??= runtime.costs.steps;
  const steps = code.steps(activation);
  for (;;) {
    const next = steps.next();
    if (runtime.costs.steps - runtime.macroStart > MAX_MACRO_STEPS) {
      throw new JinjaError("limit", "a macro of the chat template takes too many steps");
    }
    if (!next.done) continue;
    if (outermost) runtime.macroStart = undefined;
    return next.value;
  }
}

/** What stands around a body: `before` and `after` it, in whichever way the body runs. */
export function around<State>(
  body: Code,
  before: (activation: Activation) => State,
  after: (activation: Activation, state: State, signal: Signal) => Signal,
): Code {
  const { run, steps } = body;
  if (run !== undefined) {
    return {
      run: (a) => {
        const state = before(a);
        return after(a, state, run(a));
      },
    };
  }
  return {
    *steps(a) {
      const state = before(a);
      return after(a, state, yield* steps(a));
    },
  };
}

/** What a body writes is kept, and handed to `use` unless a `break` left it. */
export function capturing(body: Code, use: (activation: Activation, text: Value) => void): Code {
  return around(body, ({ runtime }) => {
    const outer = runtime.out;
    runtime.out = [];
    return outer;
  }, (a, outer, signal) => {
    try {
      // What a `break` leaves is never joined.
      if (signal !== undefined) return signal;
      const text = a.runtime.captured();
      a.runtime.out = outer;
      use(a, text);
      return signal;
    } finally {
      a.runtime.out = outer;
    }
  });
}

/** A call weighs more than other steps. */
const CALL_STEPS = 20;

export function enterCall({ costs }: Runtime): void {
  costs.step(CALL_STEPS);
  costs.enter();
}

/** What a call or filter block writes must be text. Python finds that it is none when all is written, after what comes behind it. */
export function writeText(runtime: Runtime, value: Value): void {
  const text = textOf(value);
  if (text !== undefined) return runtime.write(text);
  const at = runtime.out.length;
  runtime.out.push(
    typeError(`sequence item ${at}: expected str instance, ${typeName(value)} found`),
  );
}

/** A body whose frame is entered first. */
export function entered(enter: (activation: Activation) => void, body: Code): Code {
  return around(body, enter, (_activation, _state, signal) => signal);
}
