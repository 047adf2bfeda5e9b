/** The bodies of macros and of call blocks. */
import { Macro } from "./callables.ts";
import { type CompileBody, enterCall, finish } from "./code.ts";
import { JinjaError } from "./errors.ts";
import { compileExpr } from "./expression_compiler.ts";
import { enterFrame, type Frame, FunctionScope, getter, setter } from "./frame.ts";
import type { Signature, Stmt } from "./nodes.ts";
import { Activation } from "./runtime.ts";
import { analyze, analyzeExpr, findUndeclared, Symbols } from "./symbols.ts";
import { type Markup, Undefined } from "./values.ts";

/** Makes a macro of a body; it sees the variables of where it is made. */
export function macroMaker(
  signature: Signature,
  name: string | undefined,
  body: readonly Stmt[],
  outer: Frame,
  compileBody: CompileBody,
): (activation: Activation) => Macro {
  const symbols = new Symbols(outer.symbols);
  const scope = new FunctionScope(outer.scope, symbols.level);
  const frame: Frame = { symbols, scope, toplevel: false, soft: false, inLoop: false };
  const parameters = signature.args.map((arg) => arg.name);
  const look = () => {
    for (const arg of signature.args) symbols.declareParameter(arg.name);
    for (const value of signature.defaults) analyzeExpr(symbols, value);
    analyze(symbols, body);
  };
  look();
  const used = findUndeclared(body, ["caller", "kwargs", "varargs"]);
  const withoutDefault = parameters.length - signature.defaults.length;
  const callerAt = parameters.indexOf("caller");
  if (used.has("caller") && callerAt >= 0 && callerAt < withoutDefault) {
    throw new JinjaError(
      "syntax",
      'the special "caller" argument must be omitted or be given a default.',
    );
  }
  const extra = ["caller", "kwargs", "varargs"].filter((one) =>
    used.has(one) && !parameters.includes(one)
  );
  for (const one of extra) symbols.declareParameter(one);
  look();
  for (const one of extra) symbols.declareParameter(one);
  const setters = [...parameters, ...extra].map((one) => setter(scope, symbols.find(one)!));
  const defaults = parameters.map((parameter, index) => {
    const value = signature.defaults[index - withoutDefault];
    return {
      get: getter(scope, symbols.find(parameter)!),
      value: value === undefined
        ? () => new Undefined(`parameter '${parameter}' was not provided`)
        : compileExpr(value, frame),
    };
  });
  const enter = enterFrame(frame);
  const code = compileBody(body, frame);
  const shape = {
    name,
    parameters,
    usesCaller: used.has("caller"),
    usesKwargs: extra.includes("kwargs"),
    usesVarargs: extra.includes("varargs"),
  };
  return (outside) =>
    new Macro(shape, (values) => {
      const { runtime } = outside;
      enterCall(runtime);
      const a = new Activation(scope.size, outside, runtime, outside.context);
      setters.forEach((set, index) => set(a, values[index]));
      const before = runtime.out;
      runtime.out = [];
      enter(a);
      defaults.forEach(({ get, value }, index) => {
        if (get(a) === undefined) setters[index]!(a, value(a));
      });
      finish(code, a);
      const text = runtime.captured();
      runtime.out = before;
      runtime.costs.leave();
      return text as string | Markup;
    });
}
