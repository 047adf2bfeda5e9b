/**
 * Python's values. An `int` is a bigint, a `float` a number, a `str` a string, a `list` an array; all others are objects
 * of a class here. JavaScript's `undefined` is never a value: it stands for "not there".
 */
import type { Budget } from "../budget.ts";
import { JinjaError, typeError } from "./errors.ts";

export type Value = null | boolean | bigint | number | string | Value[] | PyObject;

/** Arguments of a call. */
export interface Args {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/**
 * What is told of each call, iteration and conversion before it is done: a `Budget`. A unit is a letter of text that is
 * copied; an item of a list, and a letter that is looked at by itself, count as 32, which is a step.
 */
export type Costs = Pick<Budget, "step" | "charge">;

/** Everything that is no JavaScript primitive and no array. */
export abstract class PyObject {
  /** `type(x).__name__` */
  abstract readonly typeName: string;

  /** An attribute; `undefined` if Python would raise AttributeError. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }

  /** `x[key]`; `undefined` if Python would raise LookupError or TypeError. */
  item(_key: Value): Value | undefined {
    return undefined;
  }

  /** `len(x)`; `undefined` if it has none. */
  length(): number | undefined {
    return undefined;
  }

  truthy(): boolean {
    const length = this.length();
    return length === undefined || length > 0;
  }

  /** What {@link hashKey} makes of it; `undefined` if Python cannot hash it. */
  hash(): HashKey | undefined {
    return this;
  }

  /** `undefined` if it cannot be iterated over. */
  iterate(): Iterator<Value> | undefined {
    return undefined;
  }

  /** `undefined` if it cannot be called. */
  call?(args: Args, costs: Costs): Value;

  /** Python's `repr`. `nested` makes that of a value inside. */
  repr(_nested: (value: Value) => string): string {
    return `<${this.typeName} object>`;
  }
}

export class Tuple extends PyObject {
  override readonly typeName = "tuple";
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }

  override length(): number {
    return this.items.length;
  }

  override iterate(): Iterator<Value> {
    return this.items[Symbol.iterator]();
  }

  override hash(): HashKey {
    return `\0t${this.items.map(tupleKey).join(",")}`;
  }

  override repr(nested: (value: Value) => string): string {
    const inside = this.items.map(nested).join(", ");
    return `(${inside}${this.items.length === 1 ? "," : ""})`;
  }
}

/** The named tuple that `groupby` makes. */
export class GroupTuple extends Tuple {
  override attribute(name: string): Value | undefined {
    return name === "grouper" ? this.items[0] : name === "list" ? this.items[1] : undefined;
  }
}

/** A key as JavaScript's Map compares it: equal in Python (`1`, `1.0` and `True` are) is one key. */
export type HashKey = string | bigint | number | null | PyObject;

/** @throws {JinjaError} `type` if Python cannot hash it. */
export function hashKey(value: Value): HashKey {
  switch (typeof value) {
    case "string":
      return value.charCodeAt(0) === 0 ? `\0s${value}` : value;
    case "bigint":
      return value;
    case "boolean":
      return value ? 1n : 0n;
    case "number":
      return Number.isInteger(value) ? BigInt(value) : value;
  }
  if (value === null) return null;
  if (Array.isArray(value)) throw typeError("unhashable type: 'list'");
  if (value instanceof Markup) return hashKey(value.text);
  if (value instanceof Undefined) return "\0u";
  const own = value.hash();
  if (own === undefined) throw typeError(`unhashable type: '${value.typeName}'`);
  return own;
}

const identities = new WeakMap<PyObject, number>();
let lastIdentity = 0;

function tupleKey(value: Value): string {
  const key = hashKey(value);
  if (typeof key === "string") return `${key.length}:${key}`;
  if (!(key instanceof PyObject)) return String(key);
  let identity = identities.get(key);
  if (identity === undefined) identities.set(key, identity = ++lastIdentity);
  return `o${identity}`;
}

export class Dict extends PyObject {
  override readonly typeName = "dict";
  readonly map = new Map<HashKey, readonly [key: Value, value: Value]>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    for (const [key, value] of entries) this.set(key, value);
  }

  get(key: Value): Value | undefined {
    return this.map.get(hashKey(key))?.[1];
  }

  has(key: Value): boolean {
    return this.map.has(hashKey(key));
  }

  /** A key that is there keeps its place and its first spelling. */
  set(key: Value, value: Value): void {
    const hash = hashKey(key);
    this.map.set(hash, [this.map.get(hash)?.[0] ?? key, value]);
  }

  entries(): Iterable<readonly [Value, Value]> {
    return this.map.values();
  }

  override item(key: Value): Value | undefined {
    try {
      return this.get(key);
    } catch (error) {
      // A key that Python cannot hash, also within a tuple.
      if (error instanceof JinjaError && error.kind === "type") return undefined;
      throw error;
    }
  }

  override hash(): undefined {}

  override length(): number {
    return this.map.size;
  }

  override *iterate(): Iterator<Value> {
    for (const [key] of this.map.values()) yield key;
  }

  override repr(nested: (value: Value) => string): string {
    const pairs = [...this.map.values()].map(([key, value]) => `${nested(key)}: ${nested(value)}`);
    return `{${pairs.join(", ")}}`;
  }
}

/** Text that is safe in HTML, as the filters `escape` and `safe` make it: what is added to it is escaped. */
export class Markup extends PyObject {
  override readonly typeName = "Markup";
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }

  override truthy(): boolean {
    return this.text !== "";
  }
}

/** What a name, a key or an attribute is that is not there. It prints as nothing; any use fails. */
export class Undefined extends PyObject {
  override readonly typeName = "Undefined";
  readonly #message: string;
  readonly #kind: "undefined" | "security";

  constructor(message: string, kind: "undefined" | "security" = "undefined") {
    super();
    this.#message = message;
    this.#kind = kind;
  }

  fail(): never {
    throw new JinjaError(this.#kind, this.#message);
  }

  override attribute(name: string): Value | undefined {
    return name.startsWith("__") ? undefined : this.fail();
  }

  override item(): never {
    this.fail();
  }

  override length(): number {
    return 0;
  }

  override iterate(): Iterator<Value> {
    return [][Symbol.iterator]();
  }

  override call(): never {
    this.fail();
  }

  override repr(): string {
    return "Undefined";
  }
}

/** The value, null too; the other one where there is none. */
export function orElse(value: Value | undefined, other: () => Value): Value {
  return value === undefined ? other() : value;
}

/** `type(x).__name__` */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float";
    case "string":
      return "str";
  }
  return Array.isArray(value) ? "list" : value.typeName;
}

/** The text of a `str`, marked safe or not. */
export function textOf(value: Value): string | undefined {
  return typeof value === "string" ? value : value instanceof Markup ? value.text : undefined;
}

/** An `int`, which `True` and `False` are too. */
export function intOf(value: Value): bigint | undefined {
  return typeof value === "bigint" ? value : typeof value === "boolean" ? BigInt(value) : undefined;
}

export function truthy(value: Value): boolean {
  if (value === null) return false;
  switch (typeof value) {
    case "boolean":
      return value;
    case "bigint":
      return value !== 0n;
    case "number":
      return value !== 0;
    case "string":
      return value !== "";
  }
  return Array.isArray(value) ? value.length > 0 : value.truthy();
}

/** `len(x)` @throws {JinjaError} `type` if it has none. */
export function lengthOf(value: Value, costs: Costs): number {
  const text = textOf(value);
  if (text !== undefined) {
    costs.charge(text.length);
    return codePointLength(text);
  }
  if (Array.isArray(value)) return value.length;
  const length = value instanceof PyObject ? value.length() : undefined;
  if (length === undefined) throw typeError(`object of type '${typeName(value)}' has no len()`);
  return length;
}

const SURROGATE = /[\ud800-\udfff]/;

export function hasAstral(text: string): boolean {
  return SURROGATE.test(text);
}

export function codePointLength(text: string): number {
  if (!hasAstral(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** `iter(x)`, each item a step. @throws {JinjaError} `type` if it cannot be iterated over. */
export function iterate(value: Value, costs: Costs): Iterator<Value> {
  const text = textOf(value);
  let inner: Iterator<Value> | undefined;
  if (text !== undefined) inner = text[Symbol.iterator]();
  else if (Array.isArray(value)) inner = value[Symbol.iterator]();
  else if (value instanceof PyObject) inner = value.iterate();
  if (inner === undefined) throw typeError(`'${typeName(value)}' object is not iterable`);
  const items = inner;
  return {
    next() {
      costs.step();
      return items.next();
    },
  };
}

/** `list(x)` */
export function listOf(value: Value, costs: Costs): Value[] {
  const items: Value[] = [];
  const iterator = iterate(value, costs);
  for (let next = iterator.next(); !next.done; next = iterator.next()) items.push(next.value);
  return items;
}

/** Items one by one, for `for … of`. */
export function* each(value: Value, costs: Costs): Generator<Value> {
  const iterator = iterate(value, costs);
  for (let next = iterator.next(); !next.done; next = iterator.next()) yield next.value;
}
