/** Macros and the variable `loop`. */
import { typeError } from "./errors.ts";
import { equal } from "./comparison.ts";
import { Builtin, PyIterator } from "./objects.ts";
import {
  type Args,
  type Costs,
  Dict,
  iterate,
  lengthOf,
  type Markup,
  orElse,
  PyObject,
  Tuple,
  Undefined,
  type Value,
} from "./values.ts";

interface MacroShape {
  /** Absent: a call block's body. */
  readonly name: string | undefined;
  readonly parameters: readonly string[];
  readonly usesCaller: boolean;
  readonly usesKwargs: boolean;
  readonly usesVarargs: boolean;
}

/** `run` gets the parameters in order, `undefined` where not given, then `caller`, `kwargs` and `varargs` if used. */
type MacroBody = (values: (Value | undefined)[]) => string | Markup;

export class Macro extends PyObject {
  override readonly typeName = "Macro";
  readonly #shape: MacroShape;
  readonly #run: MacroBody;

  constructor(shape: MacroShape, run: MacroBody) {
    super();
    this.#shape = shape;
    this.#run = run;
  }

  override attribute(name: string): Value | undefined {
    const shape = this.#shape;
    switch (name) {
      case "name":
        return shape.name ?? null;
      case "arguments":
        return new Tuple(shape.parameters);
      case "catch_kwargs":
        return shape.usesKwargs;
      case "catch_varargs":
        return shape.usesVarargs;
      case "caller":
        return shape.usesCaller;
    }
    return undefined;
  }

  override call({ positional, named }: Args): Value {
    const { parameters, usesCaller, usesKwargs, usesVarargs } = this.#shape;
    const name = `macro '${this.#shape.name}'`;
    const rest = new Map(named);
    const values: (Value | undefined)[] = positional.slice(0, parameters.length);
    let foundCaller = values.length === parameters.length && parameters.includes("caller");
    for (const parameter of parameters.slice(values.length)) {
      values.push(rest.get(parameter));
      rest.delete(parameter);
      if (parameter === "caller") foundCaller = true;
    }
    if (usesCaller && !foundCaller) {
      values.push(rest.get("caller") ?? new Undefined("No caller defined"));
      rest.delete("caller");
    }
    if (usesKwargs) values.push(new Dict(rest));
    else if (rest.has("caller")) throw typeError(`${name} was invoked with two values for caller`);
    else if (rest.size > 0) {
      throw typeError(`${name} takes no keyword argument '${[...rest.keys()][0]}'`);
    }
    if (usesVarargs) values.push(new Tuple(positional.slice(parameters.length)));
    else if (positional.length > parameters.length) {
      throw typeError(`${name} takes not more than ${parameters.length} argument(s)`);
    }
    return this.#run(values);
  }

  override repr(nested: (value: Value) => string): string {
    return `<Macro ${this.#shape.name === undefined ? "anonymous" : nested(this.#shape.name)}>`;
  }
}

/** Renders a recursive loop's body over other items. */
export type Recurse = (items: Value, depth: number) => Value;

export class LoopContext extends PyObject {
  override readonly typeName = "LoopContext";
  readonly #iterable: Value;
  readonly #costs: Costs;
  readonly #recurse: Recurse | undefined;
  readonly #depth: number;
  #items: Iterator<Value>;
  #index = -1;
  #length: number | undefined;
  #after: Value | undefined;
  #current: Value | undefined;
  #before: Value | undefined;
  #changed: Value | undefined;

  constructor(iterable: Value, costs: Costs, recurse?: Recurse, depth = 0) {
    super();
    this.#iterable = iterable;
    this.#costs = costs;
    this.#recurse = recurse;
    this.#depth = depth;
    this.#items = iterate(iterable, costs);
  }

  /** The next item; `undefined` at the end. */
  next(): Value | undefined {
    const item = this.#peek();
    this.#after = undefined;
    if (item === undefined) return undefined;
    this.#index++;
    this.#before = this.#current;
    this.#current = item;
    return item;
  }

  #peek(): Value | undefined {
    if (this.#after === undefined) {
      const next = this.#items.next();
      if (!next.done) this.#after = next.value;
    }
    return this.#after;
  }

  override length(): number {
    if (this.#length !== undefined) return this.#length;
    if (this.#iterable instanceof PyIterator) {
      const rest: Value[] = [];
      for (let next = this.#items.next(); !next.done; next = this.#items.next()) {
        rest.push(next.value);
      }
      this.#items = rest[Symbol.iterator]();
      this.#length = rest.length + this.#index + 1 + (this.#after === undefined ? 0 : 1);
    } else this.#length = lengthOf(this.#iterable, this.#costs);
    return this.#length;
  }

  override attribute(name: string): Value | undefined {
    const index = this.#index;
    switch (name) {
      case "index":
        return BigInt(index + 1);
      case "index0":
        return BigInt(index);
      case "revindex":
        return BigInt(this.length() - index);
      case "revindex0":
        return BigInt(this.length() - index - 1);
      case "first":
        return index === 0;
      case "last":
        return this.#peek() === undefined;
      case "length":
        return BigInt(this.length());
      case "depth":
        return BigInt(this.#depth + 1);
      case "depth0":
        return BigInt(this.#depth);
      case "previtem":
        return index === 0 ? new Undefined("there is no previous item") : this.#before;
      case "nextitem":
        return orElse(this.#peek(), () => new Undefined("there is no next item"));
      case "cycle":
        return new Builtin("cycle", ({ positional }) => {
          const item = positional[index % positional.length];
          if (item === undefined) throw typeError("no items for cycling given");
          return item;
        });
      case "changed":
        return new Builtin("changed", ({ positional }, costs) => {
          const seen = new Tuple(positional);
          const same = this.#changed !== undefined && equal(this.#changed, seen, costs);
          this.#changed = seen;
          return !same;
        });
    }
    return undefined;
  }

  override call({ positional: [items] }: Args): Value {
    if (this.#recurse === undefined) {
      throw typeError("The loop must have the 'recursive' marker to be called recursively.");
    }
    if (items === undefined) throw typeError("missing 1 required positional argument: 'iterable'");
    return this.#recurse(items, this.#depth + 1);
  }

  override repr(): string {
    return `<LoopContext ${this.#index + 1}/${this.length()}>`;
  }
}
