/** The tree of a template, as Go's text/template/parse makes it. */
import type { Constant } from "./constants.ts";
import type { GoString } from "./text.ts";

interface Placed {
  /** From 1. */
  readonly line: number;
}

/** A term, or a term with fields. */
export type Operand =
  & Placed
  & (
    | { readonly kind: "dot" | "nil" }
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "number"; readonly value: Constant }
    | { readonly kind: "string"; readonly value: GoString }
    | { readonly kind: "function"; readonly name: string }
    /** `.A.B` */
    | { readonly kind: "field"; readonly names: readonly string[] }
    /** `$x.A.B`; the name with its `$`. */
    | { readonly kind: "variable"; readonly name: string; readonly names: readonly string[] }
    /** `(…).A.B`, or a function's `f.A` */
    | { readonly kind: "chain"; readonly base: Operand; readonly names: readonly string[] }
    /** `(…)` */
    | { readonly kind: "pipeline"; readonly pipeline: Pipeline }
  );

/** Operands with white space between them: a function and its arguments, or one value. */
export interface Command extends Placed {
  readonly operands: readonly Operand[];
}

export interface Pipeline extends Placed {
  /** `$x :=`, `$x =`, of a range two: `$i, $x :=`. */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export interface Branch extends Placed {
  readonly kind: "if" | "with" | "range";
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  /** Undefined: there is no `else`. */
  readonly otherwise: readonly Node[] | undefined;
}

export type Node =
  | Placed & { readonly kind: "text"; readonly text: GoString }
  | Placed & { readonly kind: "action"; readonly pipeline: Pipeline }
  | Placed & { readonly kind: "break" | "continue" }
  | Placed & {
    readonly kind: "template";
    readonly name: string;
    readonly pipeline: Pipeline | undefined;
  }
  | Branch;

/** What one source makes: the template itself, under the name "", and what it defines. */
export interface Tree {
  readonly root: readonly Node[];
  /** By name; the root is among them. */
  readonly templates: ReadonlyMap<string, readonly Node[]>;
}
