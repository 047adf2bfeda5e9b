/** Jinja2's filters on numbers and on anything. */
import { needInt } from "./arguments.ts";
import { toFloat, toInt } from "./convert.ts";
import { roundFloat, roundInt } from "./decimal.ts";
import { JinjaError, typeError } from "./errors.ts";
import { type Filter, filter, filterError } from "./filter_types.ts";
import { jsonText } from "./json.ts";
import { getAttribute, ownAttribute } from "./lookup.ts";
import { binary } from "./operators.ts";
import { pformat } from "./pprint.ts";
import { fileSize } from "./text_filters.ts";
import { intOf, textOf, truthy, typeName, Undefined, type Value } from "./values.ts";

function orDefault(convert: () => Value, fallback: Value): Value {
  try {
    return convert();
  } catch (error) {
    if (error instanceof JinjaError && (error.kind === "type" || error.kind === "value")) {
      return fallback;
    }
    throw error;
  }
}

function round(value: Value, precision: Value, method: Value): Value {
  if (method !== "common" && method !== "ceil" && method !== "floor") {
    throw filterError("method must be common, ceil or floor");
  }
  if (value instanceof Undefined) value.fail();
  const int = intOf(value);
  if (method === "common") {
    const digits = needInt(precision);
    if (int !== undefined) return roundInt(int, digits);
    if (typeof value === "number") return roundFloat(value, digits);
    throw typeError(`type ${typeName(value)} doesn't define __round__ method`);
  }
  const costs = { step() {}, charge() {} };
  const unit = binary("**", 10n, precision, costs);
  const scaled = binary("*", value, unit, costs);
  const whole = typeof scaled === "number"
    ? BigInt(method === "ceil" ? Math.ceil(scaled) : Math.floor(scaled))
    : scaled;
  return binary("/", whole, unit, costs);
}

export const VALUE_FILTERS: Readonly<Record<string, Filter>> = {
  abs: filter("abs", [], (value) => {
    if (value instanceof Undefined) throw typeError("bad operand type for abs(): 'Undefined'");
    const int = intOf(value);
    if (int !== undefined) return int < 0n ? -int : int;
    if (typeof value === "number") return Math.abs(value);
    throw typeError(`bad operand type for abs(): '${typeName(value)}'`);
  }),
  attr: filter("attr", ["name"], (value, [name], env) => {
    const text = textOf(name!);
    if (text === undefined) throw typeError("attribute name must be string");
    if (value instanceof Undefined || ownAttribute(value, text) !== undefined) {
      return getAttribute(value, text, env.costs);
    }
    return new Undefined(`'${typeName(value)} object' has no attribute '${text}'`);
  }),
  default: filter(
    "default",
    [["default_value", ""], ["boolean", false]],
    (value, [fallback, boolean]) =>
      value instanceof Undefined || (truthy(boolean!) && !truthy(value)) ? fallback! : value,
  ),
  int: filter("int", [["default", 0n], ["base", 10n]], (value, [fallback, base]) =>
    orDefault(
      () => orDefaultInt(value, needInt(base!)),
      fallback!,
    )),
  float: filter(
    "float",
    [["default", 0]],
    (value, [fallback]) => orDefault(() => toFloat(value), fallback!),
  ),
  round: filter(
    "round",
    [["precision", 0n], ["method", "common"]],
    (value, [precision, method]) => round(value, precision!, method!),
  ),
  filesizeformat: filter(
    "filesizeformat",
    [["binary", false]],
    (value, [binaryUnits]) => fileSize(toFloat(value), truthy(binaryUnits!)),
  ),
  pprint: filter("pprint", [], (value, _, env) => pformat(value, env.costs)),
  tojson: filter(
    "tojson",
    [["ensure_ascii", false], ["indent", null], ["separators", null], ["sort_keys", false]],
    (value, [ascii, indent, separators, sort], env) =>
      jsonText(value, {
        ascii: truthy(ascii!),
        indent: indent!,
        separators: separators!,
        sort: truthy(sort!),
      }, env.costs),
  ),
};

/** `int(x)`, and `int(float(x))` of what that does not read: "42.23". */
function orDefaultInt(value: Value, base: number): Value {
  try {
    return toInt(value, base);
  } catch (error) {
    if (!(error instanceof JinjaError) || (error.kind !== "type" && error.kind !== "value")) {
      throw error;
    }
    return toInt(toFloat(value));
  }
}
