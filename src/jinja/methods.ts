/** The methods and attributes of Python's lists, tuples, dicts and numbers. */
import { bind, clampInt, needInt, type Parameter } from "./arguments.ts";
import { floatRepr } from "./decimal.ts";
import { JinjaError, typeError, valueError } from "./errors.ts";
import { equal, sorted } from "./comparison.ts";
import { Builtin, DictView, Range } from "./objects.ts";
import {
  type Args,
  type Costs,
  Dict,
  each,
  hashKey,
  listOf,
  orElse,
  PyObject,
  truthy,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";

type Methods<Self> = Readonly<
  Record<
    string,
    readonly [readonly Parameter[], (self: Self, values: Value[], costs: Costs) => Value]
  >
>;

const INDEX: readonly Parameter[] = ["value", ["start", 0n], ["stop", null]];

function indexOf(items: readonly Value[], [value, start, stop]: Value[], costs: Costs): bigint {
  const bound = (at: Value) => {
    const index = clampInt(at);
    return index < 0 ? Math.max(index + items.length, 0) : index;
  };
  const end = stop === null ? items.length : Math.min(bound(stop!), items.length);
  for (let index = bound(start!); index < end; index++) {
    if (equal(items[index]!, value!, costs)) return BigInt(index);
  }
  throw valueError("value is not in the list");
}

function countOf(items: readonly Value[], value: Value, costs: Costs): bigint {
  return BigInt(items.filter((item) => equal(item, value, costs)).length);
}

/**
 * Jinja2's immutable sandbox refuses those that change a list. Templates that were written for other engines use them, and
 * what they change is a copy that lives as long as the rendering.
 */
const LIST: Methods<Value[]> = {
  append: [["object"], (self, [value], costs) => {
    costs.charge(32);
    self.push(value!);
    return null;
  }],
  clear: [[], (self) => {
    self.length = 0;
    return null;
  }],
  copy: [[], (self, _, costs) => {
    costs.charge(32 * self.length);
    return [...self];
  }],
  count: [["value"], (self, [value], costs) => countOf(self, value!, costs)],
  extend: [["iterable"], (self, [items], costs) => {
    for (const item of listOf(items!, costs)) self.push(item);
    return null;
  }],
  index: [INDEX, indexOf],
  insert: [["index", "object"], (self, [index, value], costs) => {
    costs.charge(self.length);
    self.splice(clampInt(index!), 0, value!);
    return null;
  }],
  pop: [[["index", -1n]], (self, [index]) => {
    const at = needInt(index!);
    const place = at < 0 ? at + self.length : at;
    if (place < 0 || place >= self.length) throw new JinjaError("lookup", "pop index out of range");
    return self.splice(place, 1)[0]!;
  }],
  remove: [["value"], (self, [value], costs) => {
    const at = self.findIndex((item) => equal(item, value!, costs));
    if (at < 0) throw valueError("list.remove(x): x not in list");
    self.splice(at, 1);
    return null;
  }],
  reverse: [[], (self, _, costs) => {
    costs.charge(self.length);
    self.reverse();
    return null;
  }],
};

const TUPLE: Methods<Tuple> = {
  count: [["value"], (self, [value], costs) => countOf(self.items, value!, costs)],
  index: [INDEX, (self, values, costs) => indexOf(self.items, values, costs)],
};

const DICT: Methods<Dict> = {
  clear: [[], (self) => {
    self.map.clear();
    return null;
  }],
  copy: [[], (self, _, costs) => {
    costs.charge(64 * self.map.size);
    return new Dict(self.entries());
  }],
  get: [
    ["key", ["default", null]],
    (self, [key, fallback]) => orElse(self.get(key!), () => fallback!),
  ],
  items: [[], (self) => new DictView(self, "items")],
  keys: [[], (self) => new DictView(self, "keys")],
  values: [[], (self) => new DictView(self, "values")],
  popitem: [[], (self) => {
    const last = [...self.map.values()].at(-1);
    if (last === undefined) throw new JinjaError("lookup", "popitem(): dictionary is empty");
    self.map.delete(hashKey(last[0]));
    return new Tuple([last[0], last[1]]);
  }],
  setdefault: [["key", ["default", null]], (self, [key, fallback]) => {
    const there = self.get(key!);
    if (there === undefined) self.set(key!, fallback!);
    return there === undefined ? fallback! : there;
  }],
  fromkeys: [
    ["iterable", ["value", null]],
    (_, [keys, value], costs) =>
      new Dict(listOf(keys!, costs).map((key) => [key, value!] as const)),
  ],
};

/** Pairs of a mapping, or of whatever gives two values each time, and of the names. */
export function fillDict(dict: Dict, { positional, named }: Args, costs: Costs): void {
  const [source, ...more] = positional;
  if (more.length > 0) {
    throw typeError(`dict expected at most 1 argument, got ${positional.length}`);
  }
  if (source instanceof Dict) {
    costs.charge(64 * source.map.size);
    for (const [key, value] of [...source.entries()]) dict.set(key, value);
  } else if (source !== undefined) {
    for (const pair of each(source, costs)) {
      const items = listOf(pair, costs);
      if (items.length !== 2) {
        throw valueError("dictionary update sequence element has not length 2");
      }
      dict.set(items[0]!, items[1]!);
    }
  }
  for (const [key, value] of named) dict.set(key, value);
}

/** Methods whose arguments need more than names and defaults. */
function special(self: Value, name: string): Builtin | undefined {
  if (Array.isArray(self) && name === "sort") {
    return method("sort", (args, costs) => {
      const [key, reverse] = bind("sort", [["key", null], ["reverse", false]], args);
      if (args.positional.length > 0) throw typeError("sort() takes no positional arguments");
      const of = (item: Value) =>
        key instanceof PyObject && key.call !== undefined
          ? key.call({ positional: [item], named: new Map() }, costs)
          : item;
      const inOrder = sorted(self, of, truthy(reverse!), costs);
      self.splice(0, self.length, ...inOrder);
      return null;
    });
  }
  if (!(self instanceof Dict)) return undefined;
  if (name === "update") {
    return method("update", (args, costs) => {
      fillDict(self, args, costs);
      return null;
    });
  }
  if (name !== "pop") return undefined;
  return method("pop", ({ positional: [key, fallback] }) => {
    if (key === undefined) throw typeError("pop expected at least 1 argument, got 0");
    const value = self.get(key);
    if (value === undefined) {
      if (fallback === undefined) throw new JinjaError("lookup", "pop(): no such key");
      return fallback;
    }
    self.map.delete(hashKey(key));
    return value;
  });
}

function method(name: string, run: (args: Args, costs: Costs) => Value): Builtin {
  return new Builtin(name, run, "builtin_function_or_method");
}

function from<Self>(table: Methods<Self>, self: Self, name: string): Builtin | undefined {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found === undefined) return undefined;
  const [parameters, run] = found;
  return method(name, (args, costs) => run(self, bind(name, parameters, args, true), costs));
}

/** An attribute of a list, tuple, dict, view or number; `undefined` if it has none of that name. */
export function methodOf(self: Value, name: string): Value | undefined {
  if (Array.isArray(self)) return from(LIST, self, name) ?? special(self, name);
  if (self instanceof Dict) return from(DICT, self, name) ?? special(self, name);
  if (self instanceof Tuple) return from(TUPLE, self, name);
  if (self instanceof Range) {
    if (name === "index" || name === "count") {
      return method(name, (args, costs) => {
        const items = listOf(self, costs);
        const [value] = bind(name, ["value"], args, true);
        return name === "count"
          ? countOf(items, value!, costs)
          : indexOf(items, [value!, 0n, null], costs);
      });
    }
    return undefined;
  }
  if (self instanceof DictView) {
    if (name === "mapping") return self.dict;
    if (name === "isdisjoint" && self.kind !== "values") {
      return method(name, ({ positional: [other] }, costs) => {
        const own = new Dict(listOf(self, costs).map((item) => [item, null] as const));
        return !listOf(other ?? null, costs).some((item) => own.has(item));
      });
    }
    return undefined;
  }
  if (typeof self === "bigint" || typeof self === "boolean") return ofInt(BigInt(self), name);
  if (typeof self === "number") return ofFloat(self, name);
  return undefined;
}

function ofInt(value: bigint, name: string): Value | undefined {
  const constant = (result: Value) => method(name, () => result);
  const size = value < 0n ? -value : value;
  switch (name) {
    case "real":
    case "numerator":
      return value;
    case "imag":
      return 0n;
    case "denominator":
      return 1n;
    case "conjugate":
      return constant(value);
    case "bit_length":
      return constant(size === 0n ? 0n : BigInt(size.toString(2).length));
    case "bit_count":
      return constant(BigInt(size.toString(2).replaceAll("0", "").length));
    case "as_integer_ratio":
      return constant(new Tuple([value, 1n]));
  }
  return undefined;
}

function ofFloat(value: number, name: string): Value | undefined {
  switch (name) {
    case "real":
      return value;
    case "imag":
      return 0;
    case "conjugate":
      return method(name, () => value);
    case "is_integer":
      return method(name, () => Number.isInteger(value));
    case "hex":
    case "as_integer_ratio":
      return method(name, () => {
        throw typeError(`${floatRepr(value)}.${name}() is not supported in templates`);
      });
  }
  return undefined;
}

/** For messages: `'dict object'`, as Jinja2 names the owner of what is missing. */
export function describeOwner(value: Value): string {
  return value === null ? "None" : `${typeName(value)} object`;
}
