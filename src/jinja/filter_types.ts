/** What filters and tests are, and what they share. */
import { bind, type Parameter } from "./arguments.ts";
import { JinjaError } from "./errors.ts";
import { getItem } from "./lookup.ts";
import { type Args, type Costs, intOf, textOf, Undefined, type Value } from "./values.ts";

export interface FilterEnv {
  readonly costs: Costs;
  /** Inside `{% autoescape true %}`. */
  readonly autoescape: boolean;
  /** @throws {JinjaError} `runtime`: there is no such filter, or test. */
  filter(name: string, value: Value, args: Args): Value;
  test(name: string, value: Value, args: Args): boolean;
}

export type Filter = (value: Value, args: Args, env: FilterEnv) => Value;
export type Test = (value: Value, args: Args, env: FilterEnv) => boolean;

/** A filter whose parameters, besides the value, are these. */
export function filter(
  name: string,
  parameters: readonly Parameter[],
  run: (value: Value, given: Value[], env: FilterEnv) => Value,
): Filter {
  return (value, args, env) => run(value, bind(name, parameters, args), env);
}

export function filterError(message: string): JinjaError {
  return new JinjaError("runtime", message);
}

/** Looks up `"a.b.0"` in each item; `null` leaves the item as it is. */
export function attributeGetter(
  attribute: Value,
  env: FilterEnv,
  o: { fallback?: Value; ignoreCase?: boolean } = {},
): (item: Value) => Value {
  const path = attributePath(attribute);
  return (item) => {
    let value = item;
    for (const part of path) {
      value = getItem(value, part, env.costs);
      if (value instanceof Undefined && o.fallback !== undefined && o.fallback !== null) {
        value = o.fallback;
      }
    }
    return o.ignoreCase ? lowered(value) : value;
  };
}

/** The same for `"a,b.c"`: a list of what each names. */
export function attributesGetter(
  attribute: Value,
  env: FilterEnv,
  ignoreCase: boolean,
): (item: Value) => Value {
  const text = textOf(attribute);
  const names = text === undefined ? [attribute] : text.split(",");
  const getters = names.map((name) => attributeGetter(name, env, { ignoreCase }));
  return (item) => getters.map((get) => get(item));
}

function attributePath(attribute: Value): Value[] {
  if (attribute === null) return [];
  const text = textOf(attribute);
  if (text === undefined) return [intOf(attribute) ?? attribute];
  return text.split(".").map((part) => /^\d+$/.test(part) ? BigInt(part) : part);
}

function lowered(value: Value): Value {
  const text = textOf(value);
  return text === undefined ? value : text.toLowerCase();
}
