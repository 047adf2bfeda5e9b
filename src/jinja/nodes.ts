/** The syntax tree of a template, with Jinja2's own kinds of nodes. */
import type { Value } from "./values.ts";

export type BinaryOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";
export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export interface CallArgs {
  readonly args: readonly Expr[];
  readonly kwargs: readonly (readonly [name: string, value: Expr])[];
  readonly dynArgs?: Expr;
  readonly dynKwargs?: Expr;
}

export interface Name {
  readonly kind: "name";
  readonly name: string;
  /** `param`: assigned by what surrounds it. */
  ctx: "load" | "store" | "param";
}

interface NamespaceRef {
  readonly kind: "nsref";
  readonly name: string;
  readonly attribute: string;
}

interface TupleNode {
  readonly kind: "tuple";
  readonly items: readonly Expr[];
}

export interface Slice {
  readonly kind: "slice";
  readonly start: Expr | undefined;
  readonly stop: Expr | undefined;
  readonly step: Expr | undefined;
}

export interface FilterNode {
  readonly kind: "filter";
  /** Absent: what a block wrote. */
  readonly node: Expr | undefined;
  readonly name: string;
  readonly call: CallArgs;
  readonly line: number;
}

export interface CallNode {
  readonly kind: "call";
  readonly node: Expr;
  readonly call: CallArgs;
}

export type Expr =
  | { readonly kind: "const"; readonly value: Value }
  | Name
  | NamespaceRef
  | TupleNode
  | { readonly kind: "list"; readonly items: readonly Expr[] }
  | { readonly kind: "dict"; readonly items: readonly (readonly [key: Expr, value: Expr])[] }
  | {
    readonly kind: "cond";
    readonly test: Expr;
    readonly then: Expr;
    readonly otherwise: Expr | undefined;
    readonly line: number;
  }
  | FilterNode
  | {
    readonly kind: "test";
    readonly node: Expr;
    readonly name: string;
    readonly call: CallArgs;
    readonly line: number;
  }
  | CallNode
  | { readonly kind: "item"; readonly node: Expr; readonly arg: Expr | Slice }
  | { readonly kind: "attribute"; readonly node: Expr; readonly name: string }
  | { readonly kind: "concat"; readonly nodes: readonly Expr[] }
  | {
    readonly kind: "compare";
    readonly first: Expr;
    readonly rest: readonly (readonly [CompareOperator, Expr])[];
  }
  | {
    readonly kind: "binary";
    readonly operator: BinaryOperator;
    readonly left: Expr;
    readonly right: Expr;
  }
  | {
    readonly kind: "logic";
    readonly operator: "and" | "or";
    readonly left: Expr;
    readonly right: Expr;
  }
  | { readonly kind: "not"; readonly node: Expr }
  | { readonly kind: "sign"; readonly operator: "+" | "-"; readonly node: Expr };

export type Target = Name | NamespaceRef | TupleNode;

export interface Signature {
  readonly args: readonly Name[];
  /** Of the last arguments. */
  readonly defaults: readonly Expr[];
}

export interface ForNode {
  readonly kind: "for";
  readonly target: Target;
  readonly iter: Expr;
  readonly body: readonly Stmt[];
  readonly otherwise: readonly Stmt[];
  readonly test: Expr | undefined;
  readonly recursive: boolean;
  readonly line: number;
}

export interface IfNode {
  readonly kind: "if";
  readonly test: Expr;
  readonly body: readonly Stmt[];
  readonly elifs: readonly IfNode[];
  readonly otherwise: readonly Stmt[];
}

export interface MacroNode extends Signature {
  readonly kind: "macro";
  readonly name: string;
  readonly body: readonly Stmt[];
  readonly line: number;
}

export interface CallBlock extends Signature {
  readonly kind: "callblock";
  readonly call: CallNode;
  readonly body: readonly Stmt[];
  readonly line: number;
}

export interface BlockNode {
  readonly kind: "block";
  readonly name: string;
  readonly body: readonly Stmt[];
  readonly scoped: boolean;
  readonly required: boolean;
  readonly line: number;
}

interface WithNode {
  readonly kind: "with";
  readonly targets: readonly Target[];
  readonly values: readonly Expr[];
  readonly body: readonly Stmt[];
}

export type Stmt =
  /** Text stands as a string. */
  | { readonly kind: "output"; readonly nodes: readonly (string | Expr)[] }
  | ForNode
  | IfNode
  | MacroNode
  | CallBlock
  | { readonly kind: "filterblock"; readonly filter: FilterNode; readonly body: readonly Stmt[] }
  | WithNode
  | BlockNode
  | { readonly kind: "assign"; readonly target: Target; readonly value: Expr }
  | {
    readonly kind: "assignblock";
    readonly target: Target;
    readonly filter: FilterNode | undefined;
    readonly body: readonly Stmt[];
  }
  | { readonly kind: "autoescape"; readonly value: Expr; readonly body: readonly Stmt[] }
  | { readonly kind: "break" | "continue"; readonly line: number }
  /** `include`, `import`, `from`, `extends`: there are no other templates. */
  | {
    readonly kind: "load";
    readonly tag: string;
    readonly template: Expr;
    readonly names: readonly string[];
    readonly ignoreMissing: boolean;
    readonly line: number;
  };
