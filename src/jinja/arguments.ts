/** Arguments of a call to the parameters of a function, by Python's rules. */
import { JinjaError, typeError } from "./errors.ts";
import { type Args, type Costs, intOf, textOf, typeName, Undefined, type Value } from "./values.ts";

/** A name that must be given, or one with its default. */
export type Parameter = string | readonly [name: string, fallback: Value];

/**
 * The values of the parameters, in their order.
 * @param positionalOnly None may be given by name.
 * @throws {JinjaError} `type`: too many, too few, unknown, or given twice.
 */
export function bind(
  name: string,
  parameters: readonly Parameter[],
  { positional, named }: Args,
  positionalOnly = false,
): Value[] {
  if (positionalOnly && named.size > 0) throw typeError(`${name}() takes no keyword arguments`);
  if (positional.length > parameters.length) {
    throw typeError(
      `${name}() takes at most ${parameters.length} arguments (${positional.length} given)`,
    );
  }
  let used = 0;
  const values = parameters.map((parameter, index) => {
    const [own, fallback] = typeof parameter === "string" ? [parameter, undefined] : parameter;
    const byName = named.get(own);
    if (byName !== undefined) used++;
    if (index < positional.length) {
      if (byName !== undefined) {
        throw typeError(`${name}() got multiple values for argument '${own}'`);
      }
      return positional[index]!;
    }
    const value = byName === undefined ? fallback : byName;
    if (value === undefined) throw typeError(`${name}() missing required argument '${own}'`);
    return value;
  });
  if (used < named.size) {
    const names = parameters.map((one) => typeof one === "string" ? one : one[0]);
    const unknown = [...named.keys()].find((one) => !names.includes(one));
    throw typeError(`${name}() got an unexpected keyword argument '${unknown}'`);
  }
  return values;
}

export function needText(value: Value, what = "argument"): string {
  const text = textOf(value);
  if (text === undefined) throw typeError(`${what} must be str, not ${typeName(value)}`);
  return text;
}

/** An index, count or width. @throws {JinjaError} `type` unless an int; `overflow` beyond 2 ** 53. */
export function needInt(value: Value): number {
  const int = intOf(value);
  if (int === undefined) {
    if (value instanceof Undefined) value.fail();
    throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`);
  }
  const number = Number(int);
  if (!Number.isSafeInteger(number)) {
    throw new JinjaError("overflow", "Python int too large to convert to C ssize_t");
  }
  return number;
}

/** An index that is cut to what a text or list can have. */
export function clampInt(value: Value): number {
  const int = intOf(value);
  if (int === undefined) {
    throw typeError("slice indices must be integers or None or have an __index__ method");
  }
  return Number(int);
}

/** A function with its parameters, as a call runs it. */
export function withParameters(
  name: string,
  parameters: readonly Parameter[],
  run: (values: Value[], costs: Costs) => Value,
  positionalOnly = false,
): (args: Args, costs: Costs) => Value {
  return (args, costs) => run(bind(name, parameters, args, positionalOnly), costs);
}
