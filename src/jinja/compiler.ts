/**
 * A template's statements to functions that run them. What may take long (a loop, and what holds one) is a generator, which
 * pauses every few milliseconds so that others can work; what macros do is run in one go.
 */
import { LoopContext, Macro, type Recurse } from "./callables.ts";
import { JinjaError, typeError, valueError } from "./errors.ts";
import { compileCall, compileExpr, compileFilter, type Evaluate } from "./expression_compiler.ts";
import { enterFrame, type Frame, FunctionScope, getter, setter } from "./frame.ts";
import type {
  BlockNode,
  CallBlock,
  ForNode,
  IfNode,
  MacroNode,
  Signature,
  Stmt,
  Target,
} from "./nodes.ts";
import { Activation, type Context, type Runtime } from "./runtime.ts";
import { analyze, analyzeExpr, analyzeTarget, findUndeclared, Symbols, walk } from "./symbols.ts";
import {
  Builtin,
  iterate,
  listOf,
  Markup,
  Namespace,
  PyIterator,
  PyObject,
  textOf,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** How a statement ended. */
type Signal = "break" | "continue" | undefined;
type Steps = Generator<void, Signal>;

/** Either `run`, which is quick, or `steps`. */
interface Code {
  readonly run?: (activation: Activation) => Signal;
  readonly steps?: (activation: Activation) => Steps;
}

/** A template, or a block of one. */
interface Body {
  readonly scope: FunctionScope;
  readonly code: Code;
}

export type Program = (runtime: Runtime, context: Context) => Generator<void, void>;

/** @throws {JinjaError} `syntax` */
export function compile(body: readonly Stmt[]): Program {
  return new Compiler().template(body);
}

function* stepsOf(code: Code, activation: Activation): Steps {
  if (code.run !== undefined) return code.run(activation);
  return yield* code.steps!(activation);
}

/** Runs to the end without a pause. */
function finish(code: Code, activation: Activation): Signal {
  if (code.run !== undefined) return code.run(activation);
  const steps = code.steps!(activation);
  for (;;) {
    const next = steps.next();
    if (next.done) return next.value;
  }
}

/** What stands around a body: `before` and `after` it, in whichever way the body runs. */
function around<State>(
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
      return after(a, state, yield* steps!(a));
    },
  };
}

/** What a body writes is kept, and handed to `use` unless a `break` left it. */
function capturing(body: Code, use: (activation: Activation, text: Value) => void): Code {
  return around(body, ({ runtime }) => {
    const outer = runtime.out;
    runtime.out = [];
    return outer;
  }, (a, outer, signal) => {
    const text = a.runtime.captured();
    a.runtime.out = outer;
    if (signal === undefined) use(a, text);
    return signal;
  });
}

class Compiler {
  readonly #blocks = new Map<string, Body>();
  readonly #nodes = new Map<string, BlockNode>();

  template(body: readonly Stmt[]): Program {
    collectBlocks(body, this.#nodes);
    const root = this.#function(body, ["self"], true);
    for (const [name, node] of this.#nodes) {
      this.#blocks.set(name, this.#function(node.body, ["self", "super"], false));
    }
    return function* (runtime, context) {
      yield* runBody(root, runtime, context);
    };
  }

  /** A function that sees no other's variables. */
  #function(body: readonly Stmt[], specials: readonly string[], toplevel: boolean): Body {
    const symbols = new Symbols();
    const scope = new FunctionScope(undefined, 0);
    const frame: Frame = { symbols, scope, toplevel, soft: false, inLoop: false };
    const used = findUndeclared(body, specials);
    for (const name of used) symbols.declareParameter(name);
    analyze(symbols, body);
    const enter = enterFrame(frame);
    const setters = [...used].map((name) => [name, setter(scope, symbols.find(name)!)] as const);
    const code = around(this.#body(body, frame), (a) => {
      enter(a);
      for (const [name, set] of setters) {
        set(
          a,
          name === "self" ? new Self(this.#blocks, a) : new Undefined("there is no parent block"),
        );
      }
    }, () => undefined);
    return { scope, code };
  }

  #body(statements: readonly Stmt[], frame: Frame): Code {
    const codes = statements.map((statement) => this.#statement(statement, frame));
    if (codes.length === 1) return codes[0]!;
    if (codes.every(({ run }) => run !== undefined)) {
      return {
        run: (a) => {
          for (const { run } of codes) {
            const signal = run!(a);
            if (signal !== undefined) return signal;
          }
          return undefined;
        },
      };
    }
    return {
      *steps(a) {
        for (const code of codes) {
          const signal = code.run === undefined ? yield* code.steps!(a) : code.run(a);
          if (signal !== undefined) return signal;
        }
        return undefined;
      },
    };
  }

  #statement(node: Stmt, frame: Frame): Code {
    switch (node.kind) {
      case "output":
        return this.#output(
          node.nodes.map((one) => typeof one === "string" ? one : compileExpr(one, frame)),
        );
      case "for":
        return this.#for(node, frame);
      case "if":
        return this.#if(node, { ...frame, soft: true });
      case "macro":
        return this.#macro(node, frame);
      case "callblock":
        return this.#callBlock(node, frame);
      case "filterblock": {
        const inner = innerFrame(frame);
        analyze(inner.symbols, node.body);
        analyzeExpr(inner.symbols, node.filter);
        const enter = enterFrame(inner);
        let written: Value = "";
        const filter = compileFilter(node.filter, inner, () => written);
        return this.#entered(
          enter,
          capturing(this.#body(node.body, inner), (a, text) => {
            written = text;
            writeText(a.runtime, filter(a));
          }),
        );
      }
      case "with": {
        const inner = innerFrame(frame);
        for (const target of node.targets) analyzeTarget(inner.symbols, target);
        analyze(inner.symbols, node.body);
        const enter = enterFrame(inner);
        const pairs = node.targets.map((target, index) =>
          [this.#assign(target, inner), compileExpr(node.values[index]!, frame)] as const
        );
        return this.#entered((a) => {
          enter(a);
          for (const [assign, value] of pairs) assign(a, value(a));
        }, this.#body(node.body, inner));
      }
      case "block":
        return this.#block(node, frame);
      case "assign": {
        const value = compileExpr(node.value, frame);
        const assign = this.#assign(node.target, frame);
        return {
          run: (a) => {
            a.runtime.costs.step();
            assign(a, value(a));
            return undefined;
          },
        };
      }
      case "assignblock": {
        const inner = innerFrame(frame);
        analyze(inner.symbols, node.body);
        if (node.filter !== undefined) analyzeExpr(inner.symbols, node.filter);
        const enter = enterFrame(inner);
        let written: Value = "";
        const value = node.filter === undefined
          ? () => written
          : compileFilter(node.filter, inner, () => written);
        const assign = this.#assign(node.target, frame);
        return this.#entered(
          enter,
          capturing(this.#body(node.body, inner), (a, text) => {
            written = text;
            assign(a, value(a));
          }),
        );
      }
      case "autoescape": {
        const inner = innerFrame(frame);
        analyzeExpr(inner.symbols, node.value);
        analyze(inner.symbols, node.body);
        const enter = enterFrame(inner);
        const value = compileExpr(node.value, inner);
        return around(this.#body(node.body, inner), (a) => {
          enter(a);
          const before = a.runtime.autoescape;
          a.runtime.autoescape = truthy(value(a));
          return before;
        }, (a, before, signal) => {
          a.runtime.autoescape = before;
          return signal;
        });
      }
      case "break":
      case "continue": {
        if (!frame.inLoop) throw new JinjaError("syntax", `'${node.kind}' outside loop`, node.line);
        const { kind } = node;
        return { run: () => kind };
      }
      case "load": {
        if (node.tag === "extends" && !frame.toplevel) {
          throw new JinjaError("syntax", "cannot use extend from a non top-level scope", node.line);
        }
        const { tag } = node;
        return {
          run: () => {
            throw typeError(`a chat template is alone: '${tag}' finds no other template`);
          },
        };
      }
    }
  }

  #entered(enter: (activation: Activation) => void, body: Code): Code {
    return around(body, enter, (_a, _state, signal) => signal);
  }

  #output(parts: readonly (string | Evaluate)[]): Code {
    return {
      run: (a) => {
        const { runtime } = a;
        for (const part of parts) {
          runtime.costs.step();
          runtime.write(typeof part === "string" ? part : runtime.show(part(a)));
        }
        return undefined;
      },
    };
  }

  #if(node: IfNode, frame: Frame): Code {
    const branches = [node, ...node.elifs].map(({ test, body }) => ({
      test: compileExpr(test, frame),
      body: this.#body(body, frame),
    }));
    const otherwise = this.#body(node.otherwise, frame);
    const choose = (a: Activation) => {
      a.runtime.costs.step();
      return branches.find(({ test }) => truthy(test(a)))?.body ?? otherwise;
    };
    if ([...branches.map(({ body }) => body), otherwise].every(({ run }) => run !== undefined)) {
      return { run: (a) => choose(a).run!(a) };
    }
    return { steps: (a) => stepsOf(choose(a), a) };
  }

  #assign(target: Target, frame: Frame): (a: Activation, value: Value) => void {
    if (target.kind === "tuple") {
      const parts = target.items.map((item) => this.#assign(item as Target, frame));
      return (a, value) => {
        const values = unpack(value, parts.length, a);
        parts.forEach((part, index) => part(a, values[index]!));
      };
    }
    if (target.kind === "nsref") {
      const owner = compileExpr({ kind: "name", name: target.name, ctx: "load" }, frame);
      const { attribute } = target;
      return (a, value) => {
        const namespace = owner(a);
        if (!(namespace instanceof Namespace)) {
          throw new JinjaError("runtime", "cannot assign attribute on non-namespace object");
        }
        namespace.values.set(attribute, value);
      };
    }
    const { name } = target;
    const set = setter(frame.scope, frame.symbols.find(name)!);
    if (!frame.toplevel) return set;
    return (a, value) => {
      set(a, value);
      a.context.vars.set(name, value);
    };
  }

  #for(node: ForNode, outer: Frame): Code {
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
    const otherwise = this.#otherwise(node, outer, scope);
    const filter = node.test === undefined ? undefined : this.#loopFilter(node, outer, scope);
    const assign = this.#assign(node.target, frame);
    const enter = enterFrame(frame);
    const body = this.#body(node.body, frame);
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
        const signal = body.run === undefined ? yield* body.steps!(a) : body.run(a);
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
      runtime.costs.enter();
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

  #otherwise(node: ForNode, outer: Frame, scope: FunctionScope): Code | undefined {
    if (node.otherwise.length === 0) return undefined;
    const symbols = new Symbols(outer.symbols);
    const inLoop = outer.inLoop && !node.recursive;
    const frame: Frame = { symbols, scope, toplevel: false, soft: false, inLoop };
    analyze(symbols, node.otherwise);
    return this.#entered(enterFrame(frame), this.#body(node.otherwise, frame));
  }

  /** `for … if test`: the items that pass it. It has its own variables, so `loop` is not known in it. */
  #loopFilter(
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
    const assign = this.#assign(node.target, frame);
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

  #macro(node: MacroNode, frame: Frame): Code {
    const make = this.#macroMaker(node, node.name, node.body, frame);
    const assign = this.#assign({ kind: "name", name: node.name, ctx: "store" }, frame);
    return {
      run: (a) => {
        assign(a, make(a));
        return undefined;
      },
    };
  }

  #callBlock(node: CallBlock, frame: Frame): Code {
    const make = this.#macroMaker(node, undefined, node.body, frame);
    const call = compileCall(node.call, frame, make);
    return {
      run: (a) => {
        writeText(a.runtime, call(a));
        return undefined;
      },
    };
  }

  #macroMaker(
    signature: Signature,
    name: string | undefined,
    body: readonly Stmt[],
    outer: Frame,
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
    const code = this.#body(body, frame);
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
        runtime.costs.enter();
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

  #block(node: BlockNode, frame: Frame): Code {
    const blocks = this.#blocks;
    const { name, scoped, required } = node;
    const locals = scoped ? visibleNames(frame) : [];
    return {
      *steps(a) {
        if (required) throw new JinjaError("runtime", `Required block '${name}' not found`);
        const context = scoped
          ? a.context.derived(locals.flatMap(([local, get]) => {
            const value = get(a);
            return value === undefined ? [] : [[local, value] as const];
          }))
          : a.context;
        yield* runBody(blocks.get(name)!, a.runtime, context);
        return undefined;
      },
    };
  }
}

function* runBody(
  { scope, code }: Body,
  runtime: Runtime,
  context: Context,
): Generator<void, void> {
  runtime.costs.enter();
  yield* stepsOf(code, new Activation(scope.size, undefined, runtime, context));
  runtime.costs.leave();
}

/** `self`: the template's blocks, to be written once more. */
class Self extends PyObject {
  override readonly typeName = "TemplateReference";
  readonly #blocks: ReadonlyMap<string, Body>;
  readonly #at: Activation;

  constructor(blocks: ReadonlyMap<string, Body>, at: Activation) {
    super();
    this.#blocks = blocks;
    this.#at = at;
  }

  override item(key: Value): Value | undefined {
    const body = this.#blocks.get(textOf(key) ?? "");
    if (body === undefined) return undefined;
    return new Builtin("block", () => {
      const { runtime, context } = this.#at;
      const outer = runtime.out;
      runtime.out = [];
      const run = runBody(body, runtime, context);
      while (!run.next().done);
      const text = runtime.captured();
      runtime.out = outer;
      return text;
    });
  }
}

function innerFrame(frame: Frame): Frame {
  return { ...frame, symbols: new Symbols(frame.symbols), toplevel: false, soft: false };
}

/** Every variable that is assigned here or further out. */
function visibleNames({ symbols, scope }: Frame) {
  const found = new Map<string, ReturnType<typeof getter>>();
  for (let at: Symbols | undefined = symbols; at !== undefined; at = at.parent) {
    for (const name of at.stores) {
      if (!found.has(name)) found.set(name, getter(scope, symbols.find(name)!));
    }
  }
  return [...found];
}

function collectBlocks(body: readonly Stmt[], found: Map<string, BlockNode>): void {
  for (const node of body) {
    if (node.kind === "block") {
      if (found.has(node.name)) {
        throw new JinjaError("syntax", `block '${node.name}' defined twice`, node.line);
      }
      found.set(node.name, node);
    }
    for (const inner of bodiesOf(node)) collectBlocks(inner, found);
  }
}

function hasScopedBlock(body: readonly Stmt[]): boolean {
  return body.some((node) =>
    (node.kind === "block" && node.scoped) || bodiesOf(node).some(hasScopedBlock)
  );
}

function bodiesOf(node: Stmt): (readonly Stmt[])[] {
  const own = "body" in node ? [node.body] : [];
  if (node.kind === "for") return [...own, node.otherwise];
  return node.kind === "if" ? [...own, node.elifs, node.otherwise] : own;
}

function unpack(value: Value, count: number, { runtime }: Activation): Value[] {
  let values: Value[];
  try {
    values = listOf(value, runtime.costs);
  } catch (error) {
    if (!(error instanceof JinjaError) || error.kind !== "type") throw error;
    throw typeError(`cannot unpack non-iterable ${typeName(value)} object`);
  }
  if (values.length > count) throw valueError(`too many values to unpack (expected ${count})`);
  if (values.length < count) {
    throw valueError(`not enough values to unpack (expected ${count}, got ${values.length})`);
  }
  return values;
}

/** What a call or filter block writes must be text. */
function writeText(runtime: Runtime, value: Value): void {
  const text = textOf(value);
  if (text === undefined) {
    throw typeError(`sequence item 0: expected str instance, ${typeName(value)} found`);
  }
  runtime.write(text);
}
