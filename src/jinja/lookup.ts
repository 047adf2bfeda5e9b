/** `x.name`, `x[key]` and `x[a:b]`, by the rules of Jinja2's sandbox. */
import { needInt } from "./arguments.ts";
import { repr } from "./convert.ts";
import { typeError } from "./errors.ts";
import { markupMethod } from "./markup_methods.ts";
import { describeOwner, methodOf } from "./methods.ts";
import { stringMethod } from "./string_methods.ts";
import { formatMethod } from "./string_format.ts";
import { charAt, sliceIndices, sliceText } from "./text.ts";
import { type Builtin, Range } from "./objects.ts";
import {
  type Costs,
  Dict,
  hasAstral,
  intOf,
  Markup,
  orElse,
  PyObject,
  textOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** Attributes that every object of Python's has; the sandbox shows none of them. */
const INTERNAL = new Set(
  ("class delattr dict dir doc eq format ge getattribute getstate gt hash init init_subclass le lt module ne new reduce " +
    "reduce_ex repr setattr sizeof str subclasshook len getitem iter contains call add mul mod globals code func self name " +
    "qualname").split(" ").map((name) => `__${name}__`),
);

/** Python's own attribute; `undefined` if it would raise AttributeError. */
export function ownAttribute(value: Value, name: string): Value | undefined {
  if (INTERNAL.has(name)) {
    return new Undefined(
      `access to attribute '${name}' of '${typeName(value)}' object is unsafe.`,
      "security",
    );
  }
  if (value instanceof Undefined) return value.attribute(name);
  if (typeof value === "string") return textMethod(value, name);
  if (value instanceof Markup) return markupMethod(value, name, textMethod);
  if (value instanceof PyObject) {
    const own = value.attribute(name);
    if (own !== undefined) return own;
  }
  return methodOf(value, name);
}

function textMethod(self: string, name: string): Builtin | undefined {
  return formatMethod(self, name, { attribute: getAttribute, item: getItem }) ??
    stringMethod(self, name);
}

/** `value[key]`; `undefined` where Python would raise TypeError or LookupError. */
function ownItem(value: Value, key: Value, costs: Costs): Value | undefined {
  if (value instanceof Dict || value instanceof Undefined) return value.item(key);
  const int = intOf(key);
  if (int !== undefined) {
    const index = Number(int);
    const text = textOf(value);
    if (text !== undefined) {
      costs.charge(hasAstral(text) ? 4 * text.length : text.length / 8);
      const char = charAt(text, index);
      return value instanceof Markup && char !== undefined ? new Markup(char) : char;
    }
    if (Array.isArray(value)) return value.at(index);
    if (value instanceof Tuple) return value.items.at(index);
    if (value instanceof Range) {
      const at = index < 0 ? index + value.length() : index;
      return at >= 0 && at < value.length() ? value.at(at) : undefined;
    }
  }
  return value instanceof PyObject ? value.item(key) : undefined;
}

/** `value.name`: the attribute, else the item of that name, else undefined. */
export function getAttribute(value: Value, name: string, costs: Costs): Value {
  return orElse(
    ownAttribute(value, name),
    () => orElse(ownItem(value, name, costs), () => missing(value, name, costs)),
  );
}

/** `value[key]`: the item, else the attribute of that name, else undefined. */
export function getItem(value: Value, key: Value, costs: Costs): Value {
  const item = ownItem(value, key, costs);
  if (item !== undefined) return item;
  const name = textOf(key);
  const attribute = name === undefined ? undefined : ownAttribute(value, name);
  return orElse(attribute, () => missing(value, key, costs));
}

function missing(value: Value, key: Value, costs: Costs): Undefined {
  const owner = describeOwner(value);
  const shown = repr(key, costs).slice(0, 200);
  return new Undefined(
    typeof key === "string"
      ? `'${owner}' has no attribute ${shown}`
      : `${owner} has no element ${shown}`,
  );
}

/** `value[start:stop:step]` @throws {JinjaError} `type`: nothing that can be sliced. */
export function slice(value: Value, start: Value, stop: Value, step: Value, costs: Costs): Value {
  const text = textOf(value);
  if (text !== undefined) {
    costs.charge(text.length);
    const part = sliceText(text, start, stop, step);
    return value instanceof Markup ? new Markup(part) : part;
  }
  if (value instanceof Range) {
    const indices = sliceIndices(start, stop, step, value.length());
    const by = step === null ? 1n : intOf(step)!;
    const first = indices[0] ?? needInt(start ?? 0n);
    return new Range(
      value.at(first),
      value.at(first) + BigInt(indices.length) * by * value.step,
      by * value.step,
    );
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
  if (items === undefined) {
    if (value instanceof Undefined) value.fail();
    throw typeError(
      value instanceof Dict
        ? "unhashable type: 'slice'"
        : `'${typeName(value)}' object is not subscriptable`,
    );
  }
  costs.charge(32 * items.length);
  const part = sliceIndices(start, stop, step, items.length).map((index) => items[index]!);
  return Array.isArray(value) ? part : new Tuple(part);
}
