/** Python's comparisons: equality, order, membership, sorting. */
import { MAX_NESTING } from "./convert.ts";
import { JinjaError, typeError } from "./errors.ts";
import type { CompareOperator } from "./nodes.ts";
import { DictView, Range } from "./objects.ts";
import {
  type Costs,
  Dict,
  each,
  hashKey,
  intOf,
  PyObject,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

export function equal(left: Value, right: Value, costs: Costs, depth = 0): boolean {
  costs.step();
  if (left === right) return true;
  const a = textOf(left), b = textOf(right);
  if (a !== undefined || b !== undefined) return a === b;
  if (left === null || right === null) return false;
  const x = intOf(left) ?? left, y = intOf(right) ?? right;
  if (typeof x === "bigint" || typeof x === "number") {
    return (typeof y === "bigint" || typeof y === "number") && x == y;
  }
  if (typeof y === "bigint" || typeof y === "number") return false;
  if (depth > MAX_NESTING) {
    throw new JinjaError("limit", "values are nested too deeply to be compared");
  }
  const items = (p: readonly Value[], q: readonly Value[]) =>
    p.length === q.length && p.every((one, index) => equal(one, q[index]!, costs, depth + 1));
  if (Array.isArray(left)) return Array.isArray(right) && items(left, right);
  if (left instanceof Tuple) return right instanceof Tuple && items(left.items, right.items);
  if (left instanceof Dict && right instanceof Dict) {
    if (left.map.size !== right.map.size) return false;
    for (const [key, value] of left.entries()) {
      const other = right.get(key);
      if (other === undefined || !equal(value, other, costs, depth + 1)) return false;
    }
    return true;
  }
  if (left instanceof Range && right instanceof Range) {
    return items(listOfRange(left), listOfRange(right));
  }
  if (left instanceof DictView && right instanceof DictView && left.kind !== "values") {
    if (left.length() !== right.length()) return false;
    for (const item of each(left, costs)) if (!contains(right, item, costs)) return false;
    return true;
  }
  return left instanceof Undefined && right instanceof Undefined;
}

function listOfRange(range: Range): Value[] {
  return Array.from({ length: range.length() }, (_, index) => range.at(index));
}

/** `left < right`, and the like. @throws {JinjaError} `type` if they have no order. */
export function ordered(
  operator: "<" | "<=" | ">" | ">=",
  left: Value,
  right: Value,
  costs: Costs,
  depth = 0,
): boolean {
  costs.step();
  const a = textOf(left), b = textOf(right);
  if (a !== undefined && b !== undefined) return decide(operator, compareText(a, b));
  const x = intOf(left) ?? left, y = intOf(right) ?? right;
  const numeric = (value: Value) => typeof value === "bigint" || typeof value === "number";
  if (numeric(x) && numeric(y)) {
    const p = x as number, q = y as number;
    return operator === "<"
      ? p < q
      : operator === "<="
      ? p <= q
      : operator === ">"
      ? p > q
      : p >= q;
  }
  const p = Array.isArray(left) ? left : left instanceof Tuple ? left.items : undefined;
  const q = Array.isArray(right) ? right : right instanceof Tuple ? right.items : undefined;
  if (p !== undefined && q !== undefined && Array.isArray(left) === Array.isArray(right)) {
    if (depth > MAX_NESTING) {
      throw new JinjaError("limit", "values are nested too deeply to be compared");
    }
    for (let index = 0; index < Math.min(p.length, q.length); index++) {
      if (equal(p[index]!, q[index]!, costs)) continue;
      return ordered(operator, p[index]!, q[index]!, costs, depth + 1);
    }
    return decide(operator, p.length - q.length);
  }
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  throw typeError(
    `'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`,
  );
}

function decide(operator: "<" | "<=" | ">" | ">=", order: number): boolean {
  if (operator === "<") return order < 0;
  if (operator === "<=") return order <= 0;
  return operator === ">" ? order > 0 : order >= 0;
}

/** By code points: UTF-16 units would put U+FF5E before an emoji's halves. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index), y = b.charCodeAt(index);
    if (x === y) continue;
    const astral = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    return astral(x) === astral(y) ? x - y : astral(x) ? 1 : -1;
  }
  return a.length - b.length;
}

/** `item in container` @throws {JinjaError} `type` */
function contains(container: Value, item: Value, costs: Costs): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(item);
    if (part === undefined) {
      throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    }
    costs.charge(text.length);
    return text.includes(part);
  }
  if (container instanceof Dict) return container.has(item);
  if (container instanceof DictView && container.kind === "keys") return container.dict.has(item);
  if (container instanceof DictView && container.kind === "items") {
    if (!(item instanceof Tuple) || item.items.length !== 2) return false;
    hashKey(item.items[0]!);
    const value = container.dict.get(item.items[0]!);
    return value !== undefined && equal(value, item.items[1]!, costs);
  }
  const iterable = Array.isArray(container) ||
    (container instanceof PyObject && container.iterate() !== undefined);
  if (!iterable) throw typeError(`argument of type '${typeName(container)}' is not iterable`);
  for (const one of each(container, costs)) if (equal(one, item, costs)) return true;
  return false;
}

export function compare(
  operator: CompareOperator,
  left: Value,
  right: Value,
  costs: Costs,
): boolean {
  switch (operator) {
    case "==":
      return equal(left, right, costs);
    case "!=":
      return !equal(left, right, costs);
    case "in":
      return contains(right, left, costs);
    case "not in":
      return !contains(right, left, costs);
    default:
      return ordered(operator, left, right, costs);
  }
}

/** `sorted(items, key=key, reverse=reverse)` */
export function sorted(
  items: readonly Value[],
  key: (item: Value) => Value,
  reverse: boolean,
  costs: Costs,
): Value[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  // Python keeps equal items in order, also when it sorts backwards.
  keyed.sort((a, b) => {
    const [x, y] = reverse ? [b.key, a.key] : [a.key, b.key];
    if (ordered("<", x, y, costs)) return -1;
    return ordered("<", y, x, costs) ? 1 : 0;
  });
  return keyed.map(({ item }) => item);
}
