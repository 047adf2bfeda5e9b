/** Functions, ranges and the like: objects that Python has of its own, beside its values. */
import { JinjaError } from "./errors.ts";
import {
  type Args,
  type Costs,
  type Dict,
  type HashKey,
  PyObject,
  Tuple,
  type Value,
} from "./values.ts";

/** A function of the engine's own. */
export class Builtin extends PyObject {
  override readonly typeName: string;
  readonly name: string;
  readonly #run: (args: Args, costs: Costs) => Value;

  constructor(
    name: string,
    run: (args: Args, costs: Costs) => Value,
    typeName = "function",
  ) {
    super();
    this.name = name;
    this.#run = run;
    this.typeName = typeName;
  }

  override call(args: Args, costs: Costs): Value {
    return this.#run(args, costs);
  }

  override repr(): string {
    return this.typeName === "type" ? `<class '${this.name}'>` : `<${this.typeName} ${this.name}>`;
  }
}

/** A Python generator: each item comes once. */
export class PyIterator extends PyObject {
  override readonly typeName: string;
  readonly #items: Iterator<Value>;

  constructor(items: Iterator<Value>, typeName = "generator") {
    super();
    this.#items = items;
    this.typeName = typeName;
  }

  override truthy(): boolean {
    return true;
  }

  override iterate(): Iterator<Value> {
    return { next: () => this.#items.next() };
  }
}

export class Range extends PyObject {
  override readonly typeName = "range";
  readonly start: bigint;
  readonly stop: bigint;
  readonly step: bigint;
  readonly #length: number;

  constructor(start: bigint, stop: bigint, step: bigint) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
    const distance = step > 0n ? stop - start : start - stop;
    const size = step > 0n ? step : -step;
    const length = distance <= 0n ? 0n : (distance + size - 1n) / size;
    // Jinja2's sandbox has the same bound.
    if (length > 100_000n) {
      throw new JinjaError(
        "overflow",
        "Range too big. The sandbox blocks ranges larger than 100000",
      );
    }
    this.#length = Number(length);
  }

  override length(): number {
    return this.#length;
  }

  at(index: number): bigint {
    return this.start + BigInt(index) * this.step;
  }

  override *iterate(): Iterator<Value> {
    for (let index = 0; index < this.#length; index++) yield this.at(index);
  }

  override attribute(name: string): Value | undefined {
    return name === "start" || name === "stop" || name === "step" ? this[name] : undefined;
  }

  /** Equal ranges have the same items. */
  override hash(): HashKey {
    const [first, by] = [this.#length > 0 ? this.start : "", this.#length > 1 ? this.step : ""];
    return `\0r${this.#length},${first},${by}`;
  }

  override repr(): string {
    const step = this.step === 1n ? "" : `, ${this.step}`;
    return `range(${this.start}, ${this.stop}${step})`;
  }
}

/** `dict.keys()`, `.values()`, `.items()`: shows the dict as it is when looked at. */
export class DictView extends PyObject {
  override readonly typeName: string;
  readonly kind: "keys" | "values" | "items";
  readonly dict: Dict;

  constructor(dict: Dict, kind: "keys" | "values" | "items") {
    super();
    this.dict = dict;
    this.kind = kind;
    this.typeName = `dict_${kind}`;
  }

  override length(): number {
    return this.dict.map.size;
  }

  override *iterate(): Iterator<Value> {
    for (const [key, value] of this.dict.map.values()) {
      yield this.kind === "keys" ? key : this.kind === "values" ? value : new Tuple([key, value]);
    }
  }

  override hash(): HashKey | undefined {
    return this.kind === "values" ? this : undefined;
  }

  override repr(nested: (value: Value) => string): string {
    const items = [];
    const iterator = this.iterate();
    for (let next = iterator.next(); !next.done; next = iterator.next()) items.push(next.value);
    return `${this.typeName}([${items.map(nested).join(", ")}])`;
  }
}

/** `namespace(…)`: what a loop may assign to and a later part can read. */
export class Namespace extends PyObject {
  override readonly typeName = "Namespace";
  readonly values: Dict;

  constructor(values: Dict) {
    super();
    this.values = values;
  }

  override attribute(name: string): Value | undefined {
    return this.values.get(name);
  }

  override repr(nested: (value: Value) => string): string {
    return `<Namespace ${nested(this.values)}>`;
  }
}
