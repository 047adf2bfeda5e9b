/** Where compiled code finds a variable: Jinja2's frames, and the function that each belongs to. */
import { JinjaError } from "./errors.ts";
import type { Activation } from "./runtime.ts";
import type { Ref, Symbols } from "./symbols.ts";
import type { Value } from "./values.ts";

/** The variables of one function: the template, a block, a macro, a recursive loop, a loop's filter. */
export class FunctionScope {
  readonly parent: FunctionScope | undefined;
  readonly #level: number;
  readonly #slots = new Map<string, number>();

  constructor(parent: FunctionScope | undefined, level: number) {
    this.parent = parent;
    this.#level = level;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** How many functions out, and at which place there. */
  place(ref: Ref): readonly [out: number, slot: number] {
    if (ref.level >= this.#level) return [0, this.#slot(`${ref.level} ${ref.name}`)];
    if (this.parent !== undefined) {
      const [out, slot] = this.parent.place(ref);
      return [out + 1, slot];
    }
    throw new JinjaError("syntax", `the variable '${ref.name}' has no place`);
  }

  #slot(id: string): number {
    let slot = this.#slots.get(id);
    if (slot === undefined) this.#slots.set(id, slot = this.#slots.size);
    return slot;
  }
}

type Getter = (activation: Activation) => Value | undefined;
type Setter = (activation: Activation, value: Value | undefined) => void;

export interface Frame {
  readonly symbols: Symbols;
  readonly scope: FunctionScope;
  /** The template itself, or a branch of an `if` there: what is assigned is seen by blocks. */
  readonly toplevel: boolean;
  /** Inside an `if`, a filter that does not exist may stand as long as it is not used. */
  readonly soft: boolean;
  /** A loop that `break` can leave. */
  readonly inLoop: boolean;
}

export function getter(scope: FunctionScope, ref: Ref): Getter {
  const [out, slot] = scope.place(ref);
  if (out === 0) return (activation) => activation.vars[slot];
  if (out === 1) return (activation) => activation.parent!.vars[slot];
  return (activation) => {
    let owner = activation;
    for (let left = out; left > 0; left--) owner = owner.parent!;
    return owner.vars[slot];
  };
}

export function setter(scope: FunctionScope, ref: Ref): Setter {
  const [out, slot] = scope.place(ref);
  if (out === 0) return (activation, value) => void (activation.vars[slot] = value);
  return (activation, value) => {
    let owner = activation;
    for (let left = out; left > 0; left--) owner = owner.parent!;
    owner.vars[slot] = value;
  };
}

/** Gives the frame's variables what they begin with. */
export function enterFrame({ symbols, scope }: Frame): (activation: Activation) => void {
  const steps: ((activation: Activation) => void)[] = [];
  for (const [ref, load] of symbols.loads) {
    if (load.kind === "param") continue;
    const set = setter(scope, ref);
    if (load.kind === "undefined") steps.push((activation) => set(activation, undefined));
    else if (load.kind === "alias") {
      const get = getter(scope, load.of);
      steps.push((activation) => set(activation, get(activation)));
    } else {
      const { name } = ref;
      steps.push((activation) => set(activation, activation.context.resolve(name)));
    }
  }
  return (activation) => {
    for (const step of steps) step(activation);
  };
}
