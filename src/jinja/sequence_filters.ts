/** Jinja2's filters on lists, mappings and other things that can be gone through. */
import { needInt } from "./arguments.ts";
import { typeError } from "./errors.ts";
import {
  attributeGetter,
  attributesGetter,
  type Filter,
  filter,
  type FilterEnv,
  filterError,
} from "./filter_types.ts";
import { equal, ordered, sorted } from "./comparison.ts";
import { add } from "./operators.ts";
import { DictView, PyIterator, Range } from "./objects.ts";
import {
  type Args,
  Dict,
  each,
  GroupTuple,
  type HashKey,
  hashKey,
  iterate,
  lengthOf,
  listOf,
  orElse,
  PyObject,
  textOf,
  truthy,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** The items backwards; `undefined` if Python's `reversed` does not take it. */
function backwards(value: Value, env: FilterEnv): Value[] | undefined {
  const reversible = textOf(value) !== undefined || Array.isArray(value) ||
    [Dict, DictView, Tuple, Range, Undefined].some((kind) => value instanceof kind);
  return reversible ? listOf(value, env.costs).reverse() : undefined;
}

function first(value: Value, env: FilterEnv): Value {
  const next = iterate(value, env.costs).next();
  return next.done ? new Undefined("No first item, sequence was empty.") : next.value;
}

function last(value: Value, env: FilterEnv): Value {
  const items = backwards(value, env);
  if (items === undefined) throw typeError(`'${typeName(value)}' object is not reversible`);
  return orElse(items[0], () => new Undefined("No last item, sequence was empty."));
}

function reverse(value: Value, env: FilterEnv): Value {
  const text = textOf(value);
  if (text !== undefined) {
    env.costs.charge(16 * text.length);
    return [...text].reverse().join("");
  }
  const items = backwards(value, env);
  if (items !== undefined) return new PyIterator(items[Symbol.iterator](), "list_reverseiterator");
  if (!canIterate(value)) throw filterError("argument must be iterable");
  return listOf(value, env.costs).reverse();
}

function canIterate(value: Value): boolean {
  return textOf(value) !== undefined || Array.isArray(value) ||
    (value instanceof PyObject && value.iterate() !== undefined);
}

function* batch(value: Value, size: number, fill: Value, env: FilterEnv): Generator<Value> {
  let row: Value[] = [];
  for (const item of each(value, env.costs)) {
    if (row.length === size) {
      yield row;
      row = [];
    }
    row.push(item);
  }
  if (row.length === 0) return;
  if (fill !== null && row.length < size) {
    env.costs.charge(32 * (size - row.length));
    while (row.length < size) row.push(fill);
  }
  yield row;
}

function* slices(value: Value, count: number, fill: Value, env: FilterEnv): Generator<Value> {
  const items = listOf(value, env.costs);
  if (count === 0) throw typeError("integer division or modulo by zero");
  const size = Math.floor(items.length / count);
  const extra = items.length % count;
  let offset = 0;
  for (let index = 0; index < count; index++) {
    env.costs.charge(256);
    const start = offset + index * size;
    if (index < extra) offset++;
    const part = items.slice(start, offset + (index + 1) * size);
    if (fill !== null && index >= extra) part.push(fill);
    yield part;
  }
}

function dictSort(value: Value, given: Value[], env: FilterEnv): Value {
  const [caseSensitive, by, backward] = given;
  if (by !== "key" && by !== "value") {
    throw filterError('You can only sort by either "key" or "value"');
  }
  if (!(value instanceof Dict)) {
    if (value instanceof Undefined) value.fail();
    throw typeError("dictsort wants a mapping");
  }
  const pairs = [...value.entries()].map(([key, item]) => new Tuple([key, item]));
  const get = attributeGetter(by === "key" ? 0n : 1n, env, { ignoreCase: !truthy(caseSensitive!) });
  return sorted(pairs, get, truthy(backward!), env.costs);
}

function* unique(value: Value, given: Value[], env: FilterEnv): Generator<Value> {
  const [caseSensitive, attribute] = given;
  const get = attributeGetter(attribute!, env, { ignoreCase: !truthy(caseSensitive!) });
  const seen = new Set<HashKey>();
  for (const item of each(value, env.costs)) {
    const key = hashKey(get(item));
    if (seen.has(key)) continue;
    seen.add(key);
    yield item;
  }
}

function extreme(sign: "<" | ">", value: Value, given: Value[], env: FilterEnv): Value {
  const [caseSensitive, attribute] = given;
  const get = attributeGetter(attribute!, env, { ignoreCase: !truthy(caseSensitive!) });
  let best: Value | undefined;
  let bestKey: Value | undefined;
  for (const item of each(value, env.costs)) {
    const key = get(item);
    if (bestKey !== undefined && !ordered(sign, key, bestKey, env.costs)) continue;
    best = item;
    bestKey = key;
  }
  return orElse(best, () => new Undefined("No aggregated item, sequence was empty."));
}

function groupBy(value: Value, given: Value[], env: FilterEnv): Value {
  const [attribute, fallback, caseSensitive] = given;
  const ignoreCase = !truthy(caseSensitive!);
  const get = attributeGetter(attribute!, env, { fallback: fallback!, ignoreCase });
  const show = attributeGetter(attribute!, env, { fallback: fallback! });
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(listOf(value, env.costs), get, false, env.costs)) {
    const key = get(item);
    const group = groups.at(-1);
    if (group !== undefined && equal(group.key, key, env.costs)) group.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map(({ key, items }) =>
    new GroupTuple([ignoreCase ? show(items[0]!) : key, items])
  );
}

function sum(value: Value, [attribute, start]: Value[], env: FilterEnv): Value {
  if (textOf(start!) !== undefined) {
    throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
  }
  const get = attributeGetter(attribute!, env);
  let total: Value = start!;
  for (const item of each(value, env.costs)) total = add(total, get(item), env.costs);
  return total;
}

/** The function that `map` applies: an attribute's lookup, or a filter by name. */
function mapper({ positional, named }: Args, env: FilterEnv): (item: Value) => Value {
  const [name, ...rest] = positional;
  if (name === undefined) {
    const attribute = named.get("attribute");
    if (attribute === undefined) throw filterError("map requires a filter argument");
    const unknown = [...named.keys()].find((key) => key !== "attribute" && key !== "default");
    if (unknown !== undefined) throw filterError(`Unexpected keyword argument '${unknown}'`);
    return attributeGetter(attribute, env, { fallback: orElse(named.get("default"), () => null) });
  }
  return (item) => env.filter(textOf(name) ?? "", item, { positional: rest, named });
}

function* mapped(value: Value, args: Args, env: FilterEnv): Generator<Value> {
  if (!truthy(value)) return;
  const run = mapper(args, env);
  for (const item of each(value, env.costs)) yield run(item);
}

/** `select`, `reject` and the two that look at an attribute. */
function selecting(wanted: boolean, byAttribute: boolean): Filter {
  function* run(value: Value, args: Args, env: FilterEnv): Generator<Value> {
    if (!truthy(value)) return;
    const { positional, named } = args;
    if (byAttribute && positional.length === 0) {
      throw filterError("Missing parameter for attribute name");
    }
    const get = byAttribute ? attributeGetter(positional[0]!, env) : (item: Value) => item;
    const [test, ...rest] = positional.slice(byAttribute ? 1 : 0);
    for (const item of each(value, env.costs)) {
      const seen = get(item);
      const passes = test === undefined
        ? truthy(seen)
        : env.test(textOf(test) ?? "", seen, { positional: rest, named });
      if (passes === wanted) yield item;
    }
  }
  return (value, args, env) => new PyIterator(run(value, args, env));
}

const SORT_KEYS: [string, Value][] = [["case_sensitive", false], ["attribute", null]];

export const SEQUENCE_FILTERS: Readonly<Record<string, Filter>> = {
  first: filter("first", [], (value, _, env) => first(value, env)),
  last: filter("last", [], (value, _, env) => last(value, env)),
  length: filter("length", [], (value, _, env) => BigInt(lengthOf(value, env.costs))),
  list: filter("list", [], (value, _, env) => listOf(value, env.costs)),
  reverse: filter("reverse", [], (value, _, env) => reverse(value, env)),
  batch: filter(
    "batch",
    ["linecount", ["fill_with", null]],
    (value, [size, fill], env) => new PyIterator(batch(value, needInt(size!), fill!, env)),
  ),
  slice: filter(
    "slice",
    ["slices", ["fill_with", null]],
    (value, [count, fill], env) => new PyIterator(slices(value, needInt(count!), fill!, env)),
  ),
  items: filter("items", [], (value) => {
    function* pairs(): Generator<Value> {
      if (value instanceof Undefined) return;
      if (!(value instanceof Dict)) throw typeError("Can only get item pairs from a mapping.");
      for (const [key, item] of value.entries()) yield new Tuple([key, item]);
    }
    return new PyIterator(pairs());
  }),
  dictsort: filter(
    "dictsort",
    [["case_sensitive", false], ["by", "key"], ["reverse", false]],
    dictSort,
  ),
  sort: filter("sort", [["reverse", false], ...SORT_KEYS], (value, given, env) => {
    const [backward, caseSensitive, attribute] = given;
    const get = attributesGetter(attribute!, env, !truthy(caseSensitive!));
    return sorted(listOf(value, env.costs), get, truthy(backward!), env.costs);
  }),
  unique: filter(
    "unique",
    SORT_KEYS,
    (value, given, env) => new PyIterator(unique(value, given, env)),
  ),
  min: filter("min", SORT_KEYS, (value, given, env) => extreme("<", value, given, env)),
  max: filter("max", SORT_KEYS, (value, given, env) => extreme(">", value, given, env)),
  groupby: filter(
    "groupby",
    ["attribute", ["default", null], ["case_sensitive", false]],
    groupBy,
  ),
  sum: filter("sum", [["attribute", null], ["start", 0n]], sum),
  random: filter("random", [], (value, _, env) => {
    const items = listOf(value, env.costs);
    const item = items[Math.floor(Math.random() * items.length)];
    return orElse(item, () => new Undefined("No random item, sequence was empty."));
  }),
  map: (value, args, env) => new PyIterator(mapped(value, args, env)),
  select: selecting(true, false),
  reject: selecting(false, false),
  selectattr: selecting(true, true),
  rejectattr: selecting(false, true),
};
