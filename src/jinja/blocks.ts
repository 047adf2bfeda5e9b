/** `block`, and `self`. There is no other template, so a block is what stands in it. */
import { type Code, enterCall, stepsOf } from "./code.ts";
import { JinjaError } from "./errors.ts";
import type { FunctionScope } from "./frame.ts";
import type { BlockNode, Stmt } from "./nodes.ts";
import { Builtin } from "./objects.ts";
import { Activation, type Context, type Runtime } from "./runtime.ts";
import { PyObject, textOf, type Value } from "./values.ts";

/** A template, or a block of one. */
export interface Body {
  readonly scope: FunctionScope;
  readonly code: Code;
}

export function* runBody(
  { scope, code }: Body,
  runtime: Runtime,
  context: Context,
): Generator<void, void> {
  enterCall(runtime);
  yield* stepsOf(code, new Activation(scope.size, undefined, runtime, context));
  runtime.costs.leave();
}

/** `self`: the template's blocks, to be written once more. */
export class Self extends PyObject {
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

export function collectBlocks(body: readonly Stmt[], found: Map<string, BlockNode>): void {
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

export function hasScopedBlock(body: readonly Stmt[]): boolean {
  return body.some((node) =>
    (node.kind === "block" && node.scoped) || bodiesOf(node).some(hasScopedBlock)
  );
}

function bodiesOf(node: Stmt): (readonly Stmt[])[] {
  const own = "body" in node ? [node.body] : [];
  if (node.kind === "for") return [...own, node.otherwise];
  return node.kind === "if" ? [...own, node.elifs, node.otherwise] : own;
}
