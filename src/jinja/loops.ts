/** `for`, with its filter, its `else` and its recursion. */
import { compileAssign } from "./assignment.ts";
import { hasScopedBlock } from "./blocks.ts";
import { LoopContext, type Recurse } from "./callables.ts";
import {
  type Code,
  type CompileBody,
  enterCall,
  entered,
  finish,
  type Steps,
  stepsOf,
  writeText,
} from "./code.ts";
import { JinjaError } from "./errors.ts";
import { compileExpr } from "./expression_compiler.ts";
import { enterFrame, type Frame, FunctionScope, setter } from "./frame.ts";
import type { ForNode } from "./nodes.ts";
import { PyIterator } from "./objects.ts";
import { Activation } from "./runtime.ts";
import { analyze, analyzeExpr, analyzeTarget, findUndeclared, Symbols, walk } from "./symbols.ts";
import { iterate, truthy, type Value } from "./values.ts";

export function compileFor(node: ForNode, outer: Frame, compileBody: CompileBody): Code {
  const symbols = new Symbols(outer.symbols);
  const scope = node.recursive ? new FunctionScope(outer.scope, symbols.level) : outer.scope;
  const frame: Frame = { symbols, scope, toplevel: false, soft: false, inLoop: true };
  const extended = node.recursive || findUndeclared(node.body, ["loop"]).size > 0 ||
    hasScopedBlock(node.body);
  walk([node], () => {}, (name) => {
    if (name !== "loop") return;
    throw new JinjaError(
      "syntax",
      "Can't assign to special loop variable in for-loop target",
      node.line,
    );
  });
  const setLoop = extended ? setter(scope, symbols.declareParameter("loop")) : undefined;
  analyzeTarget(symbols, node.target, true);
  analyze(symbols, node.body);
  const otherwise = compileOtherwise(node, outer, scope, compileBody);
  const filter = node.test === undefined ? undefined : loopFilter(node, outer, scope);
  const assign = compileAssign(node.target, frame);
  const enter = enterFrame(frame);
  const body = compileBody(node.body, frame);
  const iter = compileExpr(node.iter, outer);

  function* loop(a: Activation, items: Value, recurse?: Recurse, depth?: number): Steps {
    const { costs } = a.runtime;
    if (setLoop !== undefined) setLoop(a, undefined);
    const filtered = filter === undefined ? items : filter(a, items);
    const context = setLoop === undefined
      ? undefined
      : new LoopContext(filtered, costs, recurse, depth);
    const plain = context === undefined ? iterate(filtered, costs) : undefined;
    let completed = false;
    for (;;) {
      const next = context === undefined
        ? plain!.next().value as Value | undefined
        : context.next();
      if (next === undefined) break;
      assign(a, next);
      if (setLoop !== undefined) setLoop(a, context!);
      enter(a);
      const signal = body.run === undefined ? yield* body.steps(a) : body.run(a);
      if (costs.due()) yield;
      if (signal === "break") break;
      if (signal === undefined) completed = true;
    }
    // As in Jinja2, an iteration that `continue` or `break` left does not count.
    if (completed || otherwise === undefined) return undefined;
    return yield* stepsOf(otherwise, a);
  }
  if (!node.recursive) return { steps: (a) => loop(a, iter(a)) };

  const render = (a: Activation, items: Value, depth: number): Value => {
    const { runtime } = a;
    enterCall(runtime);
    const inner = new Activation(scope.size, a, runtime, a.context);
    const recurse: Recurse = (more, deeper) => render(a, more, deeper);
    const outside = runtime.out;
    runtime.out = [];
    finish({ steps: (one) => loop(one, items, recurse, depth) }, inner);
    const text = runtime.captured();
    runtime.out = outside;
    runtime.costs.leave();
    return text;
  };
  return {
    run: (a) => {
      writeText(a.runtime, render(a, iter(a), 0));
      return undefined;
    },
  };
}

function compileOtherwise(
  node: ForNode,
  outer: Frame,
  scope: FunctionScope,
  compileBody: CompileBody,
): Code | undefined {
  if (node.otherwise.length === 0) return undefined;
  const symbols = new Symbols(outer.symbols);
  const inLoop = outer.inLoop && !node.recursive;
  const frame: Frame = { symbols, scope, toplevel: false, soft: false, inLoop };
  analyze(symbols, node.otherwise);
  return entered(enterFrame(frame), compileBody(node.otherwise, frame));
}

/** `for … if test`: the items that pass it. It has its own variables, so `loop` is not known in it. */
function loopFilter(
  node: ForNode,
  outer: Frame,
  parent: FunctionScope,
): (activation: Activation, items: Value) => Value {
  const symbols = new Symbols(outer.symbols);
  const scope = new FunctionScope(parent, symbols.level);
  const frame: Frame = { symbols, scope, toplevel: false, soft: false, inLoop: false };
  analyzeTarget(symbols, node.target, true);
  analyzeExpr(symbols, node.test!);
  const enter = enterFrame(frame);
  const assign = compileAssign(node.target, frame);
  const test = compileExpr(node.test!, frame);
  function* passing(outside: Activation, items: Value): Generator<Value> {
    const { costs } = outside.runtime;
    const a = new Activation(scope.size, outside, outside.runtime, outside.context);
    enter(a);
    const all = iterate(items, costs);
    for (let next = all.next(); !next.done; next = all.next()) {
      assign(a, next.value);
      if (truthy(test(a))) yield next.value;
    }
  }
  return (a, items) => {
    iterate(items, a.runtime.costs);
    return new PyIterator(passing(a, items));
  };
}
