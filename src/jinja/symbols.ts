/**
 * Which variable a name means, decided before anything runs, by the rules of Jinja2's `idtracking.py`: a body that assigns a
 * name has a variable of its own, which begins with the outer one's value; what is never assigned comes from the context.
 */
import type { CallArgs, Expr, Slice, Stmt, Target } from "./nodes.ts";

export interface Ref {
  readonly level: number;
  readonly name: string;
}

/** How a variable begins when its frame is entered. */
type Load =
  | { readonly kind: "param" }
  | { readonly kind: "resolve" }
  | { readonly kind: "alias"; readonly of: Ref }
  | { readonly kind: "undefined" };

const refId = ({ level, name }: Ref) => `${level} ${name}`;

export class Symbols {
  readonly level: number;
  readonly parent: Symbols | undefined;
  readonly #refs: Map<string, Ref>;
  readonly #loads: Map<string, readonly [Ref, Load]>;
  readonly stores: Set<string>;

  constructor(parent?: Symbols, copyOf?: Symbols) {
    this.parent = parent;
    this.level = copyOf?.level ?? (parent === undefined ? 0 : parent.level + 1);
    this.#refs = new Map(copyOf === undefined ? [] : copyOf.#refs);
    this.#loads = new Map(copyOf === undefined ? [] : copyOf.#loads);
    this.stores = new Set(copyOf?.stores);
  }

  copy(): Symbols {
    return new Symbols(this.parent, this);
  }

  get loads(): Iterable<readonly [Ref, Load]> {
    return this.#loads.values();
  }

  find(name: string): Ref | undefined {
    return this.#refs.get(name) ?? this.parent?.find(name);
  }

  declareParameter(name: string): Ref {
    this.stores.add(name);
    return this.#define(name, { kind: "param" });
  }

  store(name: string): void {
    this.stores.add(name);
    if (this.#refs.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { kind: "undefined" } : { kind: "alias", of: outer });
  }

  load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { kind: "resolve" });
  }

  /** Takes over what branches assign. A name that some branch leaves alone keeps its outer value there. */
  branches(all: readonly Symbols[]): void {
    const counts = new Map<string, number>();
    for (const branch of all) {
      for (const name of branch.stores) {
        if (!this.stores.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    for (const branch of all) {
      for (const [name, ref] of branch.#refs) this.#refs.set(name, ref);
      for (const [id, load] of branch.#loads) this.#loads.set(id, load);
      for (const name of branch.stores) this.stores.add(name);
    }
    for (const [name, count] of counts) {
      if (count === all.length) continue;
      const ref = this.find(name)!;
      const outer = this.parent?.find(name);
      const load: Load = outer === undefined ? { kind: "resolve" } : { kind: "alias", of: outer };
      this.#loads.set(refId(ref), [ref, load]);
    }
  }

  #define(name: string, load: Load): Ref {
    const ref = { level: this.level, name };
    this.#refs.set(name, ref);
    this.#loads.set(refId(ref), [ref, load]);
    return ref;
  }
}

/** Notes every name that the nodes use, but not those inside bodies that have variables of their own. */
export function analyze(symbols: Symbols, nodes: readonly Stmt[]): void {
  for (const node of nodes) analyzeStmt(symbols, node);
}

export function analyzeTarget(symbols: Symbols, target: Target, asParam = false): void {
  if (target.kind === "tuple") {
    for (const item of target.items) analyzeTarget(symbols, item as Target, asParam);
  } else if (target.kind === "nsref") {
    symbols.load(target.name);
  } else if (asParam || target.ctx === "param") {
    symbols.declareParameter(target.name);
  } else {
    symbols.store(target.name);
  }
}

export function analyzeExpr(symbols: Symbols, expression: Expr): void {
  eachName(expression, (name) => symbols.load(name));
}

function analyzeStmt(symbols: Symbols, node: Stmt): void {
  switch (node.kind) {
    case "output":
      for (const one of node.nodes) if (typeof one !== "string") analyzeExpr(symbols, one);
      break;
    case "for":
      analyzeExpr(symbols, node.iter);
      break;
    case "if": {
      analyzeExpr(symbols, node.test);
      const branch = (visit: (copy: Symbols) => void) => {
        const copy = symbols.copy();
        visit(copy);
        return copy;
      };
      symbols.branches([
        branch((copy) => analyze(copy, node.body)),
        branch((copy) => analyze(copy, node.elifs)),
        branch((copy) => analyze(copy, node.otherwise)),
      ]);
      break;
    }
    case "macro":
      symbols.store(node.name);
      break;
    case "callblock":
      analyzeExpr(symbols, node.call);
      break;
    case "filterblock":
      analyzeExpr(symbols, node.filter);
      break;
    case "with":
      for (const value of node.values) analyzeExpr(symbols, value);
      break;
    case "assign":
      analyzeExpr(symbols, node.value);
      analyzeTarget(symbols, node.target);
      break;
    case "assignblock":
      analyzeTarget(symbols, node.target);
      break;
    case "load":
      analyzeExpr(symbols, node.template);
      for (const name of node.names) symbols.store(name);
      break;
  }
}

/** Which of `names` the nodes load without assigning them first; blocks are not looked into. */
export function findUndeclared(nodes: readonly Stmt[], names: readonly string[]): Set<string> {
  const wanted = new Set(names);
  const found = new Set<string>();
  const load = (name: string) => {
    if (wanted.has(name)) found.add(name);
  };
  walk(nodes, load, (name) => wanted.delete(name));
  return found;
}

/** Every name that is loaded and every name that is assigned, in Jinja2's order. */
export function walk(
  nodes: readonly Stmt[],
  load: (name: string) => void,
  store: (name: string) => void,
): void {
  const expr = (value: Expr | undefined) => {
    if (value !== undefined) eachName(value, load);
  };
  const target = (value: Target) => {
    if (value.kind === "name") store(value.name);
    else if (value.kind === "tuple") { for (const item of value.items) target(item as Target); }
  };
  for (const node of nodes) {
    switch (node.kind) {
      case "output":
        for (const one of node.nodes) if (typeof one !== "string") expr(one);
        break;
      case "for":
        target(node.target);
        expr(node.iter);
        walk(node.body, load, store);
        walk(node.otherwise, load, store);
        expr(node.test);
        break;
      case "if":
        expr(node.test);
        walk(node.body, load, store);
        walk(node.elifs, load, store);
        walk(node.otherwise, load, store);
        break;
      case "macro":
      case "callblock":
        if (node.kind === "callblock") expr(node.call);
        node.args.forEach(target);
        node.defaults.forEach(expr);
        walk(node.body, load, store);
        break;
      case "filterblock":
        walk(node.body, load, store);
        expr(node.filter);
        break;
      case "with":
        node.targets.forEach(target);
        node.values.forEach(expr);
        walk(node.body, load, store);
        break;
      case "assign":
        target(node.target);
        expr(node.value);
        break;
      case "assignblock":
        target(node.target);
        expr(node.filter);
        walk(node.body, load, store);
        break;
      case "autoescape":
        expr(node.value);
        walk(node.body, load, store);
        break;
      case "load":
        expr(node.template);
        break;
    }
  }
}

function eachName(node: Expr | Slice, visit: (name: string) => void): void {
  const one = (child: Expr | Slice | undefined) => {
    if (child !== undefined) eachName(child, visit);
  };
  const call = ({ args, kwargs, dynArgs, dynKwargs }: CallArgs) => {
    args.forEach(one);
    for (const [, value] of kwargs) one(value);
    one(dynArgs);
    one(dynKwargs);
  };
  switch (node.kind) {
    case "name":
      visit(node.name);
      break;
    case "tuple":
    case "list":
      node.items.forEach(one);
      break;
    case "dict":
      for (const [key, value] of node.items) {
        one(key);
        one(value);
      }
      break;
    case "cond":
      one(node.test);
      one(node.then);
      one(node.otherwise);
      break;
    case "filter":
    case "test":
    case "call":
      one(node.node);
      call(node.call);
      break;
    case "item":
      one(node.node);
      one(node.arg);
      break;
    case "slice":
      one(node.start);
      one(node.stop);
      one(node.step);
      break;
    case "concat":
      node.nodes.forEach(one);
      break;
    case "compare":
      one(node.first);
      for (const [, operand] of node.rest) one(operand);
      break;
    case "binary":
    case "logic":
      one(node.left);
      one(node.right);
      break;
    case "attribute":
    case "not":
    case "sign":
      one(node.node);
      break;
  }
}
