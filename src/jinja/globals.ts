/** The functions that a chat template may call: Jinja2's own, and those that transformers adds. `lipsum` is left out. */
import { bind, needInt, needText } from "./arguments.ts";
import { str } from "./convert.ts";
import { JinjaError, typeError } from "./errors.ts";
import { fillDict } from "./methods.ts";
import { strftime } from "./strftime.ts";
import { Builtin, Namespace, Range } from "./objects.ts";
import { type Args, type Costs, Dict, PyObject, type Value } from "./values.ts";

/** `cycler("a", "b")`: each `next()` gives the next one. */
class Cycler extends PyObject {
  override readonly typeName = "Cycler";
  readonly #items: readonly Value[];
  #at = 0;

  constructor(items: readonly Value[]) {
    super();
    if (items.length === 0) throw new JinjaError("runtime", "at least one item has to be provided");
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return this.#items[this.#at]!;
      case "pos":
        return BigInt(this.#at);
      case "next":
        return new Builtin("next", () => {
          const item = this.#items[this.#at]!;
          this.#at = (this.#at + 1) % this.#items.length;
          return item;
        });
      case "reset":
        return new Builtin("reset", () => {
          this.#at = 0;
          return null;
        });
    }
    return undefined;
  }
}

/** `joiner(", ")`: nothing at the first call, the separator at each further one. */
class Joiner extends PyObject {
  override readonly typeName = "Joiner";
  readonly #separator: Value;
  #used = false;

  constructor(separator: Value) {
    super();
    this.#separator = separator;
  }

  override call(): Value {
    if (this.#used) return this.#separator;
    this.#used = true;
    return "";
  }
}

function range({ positional, named }: Args): Value {
  if (named.size > 0) throw typeError("range() takes no keyword arguments");
  if (positional.length < 1 || positional.length > 3) {
    throw typeError(`range expected 1 to 3 arguments, got ${positional.length}`);
  }
  const [first, second, third] = positional.map((value) => BigInt(needInt(value)));
  if (third === 0n) throw new JinjaError("value", "range() arg 3 must not be zero");
  return second === undefined ? new Range(0n, first!, 1n) : new Range(first!, second, third ?? 1n);
}

function dict(args: Args, costs: Costs): Dict {
  const made = new Dict();
  fillDict(made, args, costs);
  return made;
}

/** @param now The time that `strftime_now` tells. */
export function makeGlobals(now: () => Date): ReadonlyMap<string, Value> {
  const functions: readonly Builtin[] = [
    new Builtin("range", range),
    new Builtin("dict", dict, "type"),
    new Builtin("namespace", (args, costs) => new Namespace(dict(args, costs)), "type"),
    new Builtin("cycler", (args) => new Cycler(args.positional), "type"),
    new Builtin("joiner", (args) => new Joiner(bind("joiner", [["sep", ", "]], args)[0]!), "type"),
    new Builtin("raise_exception", (args, costs) => {
      const [message] = bind("raise_exception", ["message"], args);
      throw new JinjaError("raised", str(message!, costs));
    }),
    new Builtin("strftime_now", (args) => {
      const [format] = bind("strftime_now", ["format"], args);
      return strftime(needText(format!), now());
    }),
  ];
  return new Map(functions.map((one) => [one.name, one]));
}
