/** `set`, and the targets of loops: names, tuples of them, and attributes of namespaces. */
import { JinjaError, typeError, valueError } from "./errors.ts";
import { compileExpr } from "./expression_compiler.ts";
import { type Frame, setter } from "./frame.ts";
import type { Target } from "./nodes.ts";
import { Namespace } from "./objects.ts";
import type { Activation } from "./runtime.ts";
import { listOf, typeName, type Value } from "./values.ts";

export function compileAssign(target: Target, frame: Frame): (a: Activation, value: Value) => void {
  if (target.kind === "tuple") {
    const parts = target.items.map((item) => compileAssign(item as Target, frame));
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
