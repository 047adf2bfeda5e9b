/** Expressions to functions that evaluate them. */
import { JinjaError, typeError } from "./errors.ts";
import { escapeHtml } from "./escape.ts";
import { str } from "./convert.ts";
import { FILTERS } from "./filters.ts";
import { type Frame, getter } from "./frame.ts";
import { getAttribute, getItem, slice } from "./lookup.ts";
import type { CallArgs, CallNode, Expr, FilterNode, Slice } from "./nodes.ts";
import { compare } from "./comparison.ts";
import { add, binary, sign } from "./operators.ts";
import { type Activation, isTest } from "./runtime.ts";
import {
  type Args,
  Dict,
  each,
  Markup,
  orElse,
  PyObject,
  textOf,
  truthy,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export type Evaluate = (activation: Activation) => Value;

/** @throws {JinjaError} `syntax`: a filter or test that does not exist. */
export function compileExpr(node: Expr, frame: Frame): Evaluate {
  switch (node.kind) {
    case "const": {
      const { value } = node;
      return () => value;
    }
    case "name":
      return compileName(node.name, frame);
    case "nsref":
      return compileExpr(
        {
          kind: "attribute",
          node: { kind: "name", name: node.name, ctx: "load" },
          name: node.attribute,
        },
        frame,
      );
    case "tuple": {
      const items = compileAll(node.items, frame);
      return (a) => {
        a.runtime.costs.charge(32 * items.length);
        return new Tuple(items.map((item) => item(a)));
      };
    }
    case "list": {
      const items = compileAll(node.items, frame);
      return (a) => {
        a.runtime.costs.charge(32 * items.length);
        return items.map((item) => item(a));
      };
    }
    case "dict": {
      const items = node.items.map(([key, value]) =>
        [compileExpr(key, frame), compileExpr(value, frame)] as const
      );
      return (a) => {
        a.runtime.costs.charge(64 * items.length);
        return new Dict(items.map(([key, value]) => [key(a), value(a)] as const));
      };
    }
    case "cond":
      return compileConditional(node, frame);
    case "filter":
      return compileFilter(node, frame);
    case "test":
      return compileTest(node, frame);
    case "call":
      return compileCall(node, frame);
    case "item":
      return compileItem(node.node, node.arg, frame);
    case "attribute": {
      const owner = compileExpr(node.node, frame);
      const { name } = node;
      return (a) => {
        a.runtime.costs.step();
        return getAttribute(owner(a), name, a.runtime.costs);
      };
    }
    case "concat": {
      const parts = compileAll(node.nodes, frame);
      return (a) => concatenate(parts.map((part) => part(a)), a);
    }
    case "compare":
      return compileComparison(node, frame);
    case "binary": {
      const left = compileExpr(node.left, frame), right = compileExpr(node.right, frame);
      const { operator } = node;
      if (operator === "+") {
        return (a) => {
          a.runtime.costs.step();
          return add(left(a), right(a), a.runtime.costs);
        };
      }
      return (a) => {
        a.runtime.costs.step();
        return binary(operator, left(a), right(a), a.runtime.costs);
      };
    }
    case "logic": {
      const left = compileExpr(node.left, frame), right = compileExpr(node.right, frame);
      const stops = node.operator === "or";
      return (a) => {
        const value = left(a);
        return truthy(value) === stops ? value : right(a);
      };
    }
    case "not": {
      const value = compileExpr(node.node, frame);
      return (a) => !truthy(value(a));
    }
    case "sign": {
      const value = compileExpr(node.node, frame);
      const { operator } = node;
      return (a) => sign(operator, value(a));
    }
  }
}

function compileAll(nodes: readonly Expr[], frame: Frame): Evaluate[] {
  return nodes.map((node) => compileExpr(node, frame));
}

function compileName(name: string, { symbols, scope }: Frame): Evaluate {
  const ref = symbols.find(name);
  if (ref === undefined) throw new JinjaError("syntax", `the name '${name}' is not known`);
  const get = getter(scope, ref);
  const missing = () => new Undefined(`'${name}' is undefined`);
  return (a) => orElse(get(a), missing);
}

function concatenate(values: readonly Value[], { runtime }: Activation): Value {
  const { costs } = runtime;
  const escapes = runtime.autoescape && values.some((value) => value instanceof Markup);
  const text = values.map((value) => escapes ? escapeHtml(value, costs).text : str(value, costs))
    .join("");
  costs.charge(text.length);
  return escapes ? new Markup(text) : text;
}

function compileConditional(node: Expr & { kind: "cond" }, frame: Frame): Evaluate {
  const soft = { ...frame, soft: true };
  const test = compileExpr(node.test, soft);
  const then = compileExpr(node.then, soft);
  const otherwise = node.otherwise === undefined ? undefined : compileExpr(node.otherwise, soft);
  const { line } = node;
  return (a) => {
    if (truthy(test(a))) return then(a);
    if (otherwise !== undefined) return otherwise(a);
    return new Undefined(
      `the inline if-expression on line ${line} evaluated to false and no else section was defined.`,
    );
  };
}

function compileComparison(node: Expr & { kind: "compare" }, frame: Frame): Evaluate {
  const first = compileExpr(node.first, frame);
  const rest = node.rest.map(([operator, operand]) =>
    [operator, compileExpr(operand, frame)] as const
  );
  return (a) => {
    const { costs } = a.runtime;
    let left = first(a);
    for (const [operator, operand] of rest) {
      costs.step();
      const right = operand(a);
      if (!compare(operator, left, right, costs)) return false;
      left = right;
    }
    return true;
  };
}

function compileItem(node: Expr, arg: Expr | Slice, frame: Frame): Evaluate {
  const owner = compileExpr(node, frame);
  if (arg.kind !== "slice") {
    const key = compileExpr(arg, frame);
    return (a) => {
      a.runtime.costs.step();
      return getItem(owner(a), key(a), a.runtime.costs);
    };
  }
  const bound = (one: Expr | undefined): Evaluate =>
    one === undefined ? () => null : compileExpr(one, frame);
  const start = bound(arg.start), stop = bound(arg.stop), step = bound(arg.step);
  return (a) => slice(owner(a), start(a), stop(a), step(a), a.runtime.costs);
}

/** @param written What a filter without an operand is applied to. */
export function compileFilter(node: FilterNode, frame: Frame, written?: Evaluate): Evaluate {
  const value = node.node === undefined
    ? written!
    : node.node.kind === "filter"
    ? compileFilter(node.node, frame, written)
    : compileExpr(node.node, frame);
  const args = compileArgs(node.call, frame);
  const { name } = node;
  if (!FILTERS.has(name) && !frame.soft) {
    throw new JinjaError("syntax", `No filter named '${name}'.`, node.line);
  }
  return (a) => a.runtime.filter(name, value(a), args(a));
}

function compileTest(node: Expr & { kind: "test" }, frame: Frame): Evaluate {
  const value = compileExpr(node.node, frame);
  const args = compileArgs(node.call, frame);
  const { name } = node;
  if (!isTest(name) && !frame.soft) {
    throw new JinjaError("syntax", `No test named '${name}'.`, node.line);
  }
  return (a) => a.runtime.test(name, value(a), args(a));
}

/** @param caller Added to the names: a call block's body. */
export function compileCall(node: CallNode, frame: Frame, caller?: Evaluate): Evaluate {
  const callee = compileExpr(node.node, frame);
  const args = compileArgs(node.call, frame);
  return (a) => {
    const { costs } = a.runtime;
    costs.step();
    const called = callee(a);
    const given = args(a);
    const named = caller === undefined
      ? given.named
      : new Map([...given.named, ["caller", caller(a)] as const]);
    if (!(called instanceof PyObject) || called.call === undefined) {
      throw typeError(`'${typeName(called)}' object is not callable`);
    }
    return called.call({ positional: given.positional, named }, costs);
  };
}

const NOTHING: Args = { positional: [], named: new Map() };

function compileArgs(
  { args, kwargs, dynArgs, dynKwargs }: CallArgs,
  frame: Frame,
): (a: Activation) => Args {
  if (
    args.length === 0 && kwargs.length === 0 && dynArgs === undefined && dynKwargs === undefined
  ) {
    return () => NOTHING;
  }
  const positional = compileAll(args, frame);
  const named = kwargs.map(([name, value]) => [name, compileExpr(value, frame)] as const);
  const more = dynArgs === undefined ? undefined : compileExpr(dynArgs, frame);
  const moreNamed = dynKwargs === undefined ? undefined : compileExpr(dynKwargs, frame);
  return (a) => {
    const { costs } = a.runtime;
    const values = positional.map((value) => value(a));
    if (more !== undefined) { for (const value of each(more(a), costs)) values.push(value); }
    const byName = new Map(named.map(([name, value]) => [name, value(a)] as const));
    if (moreNamed !== undefined) addNamed(byName, moreNamed(a));
    return { positional: values, named: byName };
  };
}

function addNamed(named: Map<string, Value>, mapping: Value): void {
  if (!(mapping instanceof Dict)) {
    throw typeError(`argument after ** must be a mapping, not ${typeName(mapping)}`);
  }
  for (const [key, value] of mapping.entries()) {
    const name = textOf(key);
    if (name === undefined) throw typeError("keywords must be strings");
    if (named.has(name)) throw typeError(`got multiple values for keyword argument '${name}'`);
    named.set(name, value);
  }
}
