/**
 * A template's statements to functions that run them. What may take long (a loop, and what holds one) is a generator, which
 * pauses every few milliseconds so that others can work; what macros do is run in one go.
 */
import { compileAssign } from "./assignment.ts";
import { type Body, collectBlocks, runBody, Self } from "./blocks.ts";
import {
  around,
  capturing,
  type Code,
  type CompileBody,
  entered,
  stepsOf,
  writeText,
} from "./code.ts";
import { JinjaError, typeError } from "./errors.ts";
import { compileCall, compileExpr, compileFilter, type Evaluate } from "./expression_compiler.ts";
import { enterFrame, type Frame, FunctionScope, getter, setter } from "./frame.ts";
import { compileFor } from "./loops.ts";
import { macroMaker } from "./macros.ts";
import type { BlockNode, CallBlock, IfNode, MacroNode, Stmt } from "./nodes.ts";
import type { Activation, Context, Runtime } from "./runtime.ts";
import { analyze, analyzeExpr, analyzeTarget, findUndeclared, Symbols } from "./symbols.ts";
import { truthy, Undefined, type Value } from "./values.ts";

export type Program = (runtime: Runtime, context: Context) => Generator<void, void>;

/** @throws {JinjaError} `syntax` */
export function compile(body: readonly Stmt[]): Program {
  return new Compiler().template(body);
}

class Compiler {
  readonly #blocks = new Map<string, Body>();
  readonly #nodes = new Map<string, BlockNode>();

  readonly #bodyOf: CompileBody = (statements, frame) => this.#body(statements, frame);

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
          const signal = code.run === undefined ? yield* code.steps(a) : code.run(a);
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
        return compileFor(node, frame, this.#bodyOf);
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
        return entered(
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
          [compileAssign(target, inner), compileExpr(node.values[index]!, frame)] as const
        );
        return entered((a) => {
          enter(a);
          for (const [assign, value] of pairs) assign(a, value(a));
        }, this.#body(node.body, inner));
      }
      case "block":
        return this.#block(node, frame);
      case "assign": {
        const value = compileExpr(node.value, frame);
        const assign = compileAssign(node.target, frame);
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
        const assign = compileAssign(node.target, frame);
        return entered(
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

  #macro(node: MacroNode, frame: Frame): Code {
    const make = macroMaker(node, node.name, node.body, frame, this.#bodyOf);
    const assign = compileAssign({ kind: "name", name: node.name, ctx: "store" }, frame);
    return {
      run: (a) => {
        assign(a, make(a));
        return undefined;
      },
    };
  }

  #callBlock(node: CallBlock, frame: Frame): Code {
    const make = macroMaker(node, undefined, node.body, frame, this.#bodyOf);
    const call = compileCall(node.call, frame, make);
    return {
      run: (a) => {
        writeText(a.runtime, call(a));
        return undefined;
      },
    };
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
