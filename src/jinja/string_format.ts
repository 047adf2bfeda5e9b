/** `text.format(…)`, as Jinja2's sandbox runs it: fields are looked up as the template itself would. */
import { JinjaError, typeError, valueError } from "./errors.ts";
import { repr, str } from "./convert.ts";
import { formatValue } from "./format_spec.ts";
import { needText } from "./arguments.ts";
import { Builtin } from "./objects.ts";
import { type Args, type Costs, Dict, type Value } from "./values.ts";

const FIELD = /^([^.[]*)((?:\.[^.[]+|\[[^\]]+\])*)$/s;
const STEP = /\.([^.[]+)|\[([^\]]+)\]/gs;

/** How a field's `.name` and `[key]` are looked up. */
interface Lookup {
  attribute(value: Value, name: string, costs: Costs): Value;
  item(value: Value, key: Value, costs: Costs): Value;
}

/** The methods `format` and `format_map` of a text; `undefined` for any other name. */
export function formatMethod(self: string, name: string, lookup: Lookup): Builtin | undefined {
  const format = (args: Args, costs: Costs) => new Formatter(args, costs, lookup).format(self, 2);
  if (name === "format") return new Builtin(name, format);
  if (name !== "format_map") return undefined;
  return new Builtin(name, ({ positional, named }, costs) => {
    const [mapping, ...more] = positional;
    if (named.size > 0 || more.length > 0 || !(mapping instanceof Dict)) {
      throw typeError("format_map() takes exactly one argument, a mapping");
    }
    const fields = new Map([...mapping.entries()].map(([key, value]) => [needText(key), value]));
    return format({ positional: [], named: fields }, costs);
  });
}

class Formatter {
  readonly #args: Args;
  readonly #costs: Costs;
  readonly #lookup: Lookup;
  /** The next of `{}`; `undefined`: fields are numbered by hand. */
  #next: number | undefined;
  #numbered = false;

  constructor(args: Args, costs: Costs, lookup: Lookup) {
    this.#lookup = lookup;
    this.#args = args;
    this.#costs = costs;
  }

  /**
   * @throws {JinjaError} `value`: the format is not one; `lookup`: a field that was not given.
   */
  format(template: string, depth: number): string {
    if (depth < 0) throw valueError("Max string recursion exceeded");
    let out = "";
    for (let at = 0; at < template.length;) {
      const char = template[at]!;
      if (char !== "{" && char !== "}") {
        const next = template.slice(at).search(/[{}]/);
        const end = next < 0 ? template.length : at + next;
        out += template.slice(at, end);
        at = end;
      } else if (template[at + 1] === char) {
        out += char;
        at += 2;
      } else if (char === "}") {
        throw valueError("Single '}' encountered in format string");
      } else {
        const end = closing(template, at);
        out += this.#field(template.slice(at + 1, end), depth);
        at = end + 1;
      }
      this.#costs.step();
    }
    this.#costs.charge(out.length);
    return out;
  }

  #field(text: string, depth: number): string {
    const match = /^((?:[^!:[]|\[[^\]]*\])*)(?:!([^:]*))?(?::(.*))?$/s.exec(text);
    if (match === null) throw valueError("expected ':' after conversion specifier");
    const [, path = "", conversion, spec = ""] = match;
    let value = this.#lookUp(path);
    if (conversion !== undefined) value = this.#convert(value, conversion);
    return formatValue(value, this.format(spec, depth - 1), this.#costs);
  }

  #convert(value: Value, conversion: string): string {
    switch (conversion) {
      case "s":
        return str(value, this.#costs);
      case "r":
        return repr(value, this.#costs);
      case "a":
        return repr(value, this.#costs).replace(
          /[^\0-\x7f]/gu,
          (point) => `\\u${point.codePointAt(0)!.toString(16).padStart(4, "0")}`,
        );
    }
    throw valueError(`Unknown conversion specifier '${conversion}'`);
  }

  #lookUp(path: string): Value {
    const match = FIELD.exec(path);
    if (match === null) {
      throw valueError("Only '.' or '[' may follow ']' in format field specifier");
    }
    let value = this.#first(match[1]!);
    for (const [, attribute, item] of match[2]!.matchAll(STEP)) {
      if (attribute !== undefined) value = this.#lookup.attribute(value, attribute, this.#costs);
      else {value = this.#lookup.item(
          value,
          /^\d+$/.test(item!) ? BigInt(item!) : item!,
          this.#costs,
        );}
    }
    return value;
  }

  #first(name: string): Value {
    const { positional, named } = this.#args;
    let index: number | undefined;
    if (name === "") {
      if (this.#numbered) {
        throw valueError(
          "cannot switch from manual field specification to automatic field numbering",
        );
      }
      index = this.#next ?? 0;
      this.#next = index + 1;
    } else if (/^\d+$/.test(name)) {
      if (this.#next !== undefined) {
        throw valueError(
          "cannot switch from automatic field numbering to manual field specification",
        );
      }
      this.#numbered = true;
      index = Number(name);
    }
    const value = index === undefined ? named.get(name) : positional[index];
    if (value !== undefined) return value;
    throw new JinjaError(
      "lookup",
      index === undefined
        ? `'${name}'`
        : `Replacement index ${index} out of range for positional args tuple`,
    );
  }
}

/** Index of the brace that closes the one at `open`. */
function closing(template: string, open: number): number {
  let depth = 0;
  for (let at = open; at < template.length; at++) {
    if (template[at] === "{") depth++;
    else if (template[at] === "}" && --depth === 0) return at;
  }
  throw valueError("expected '}' before end of string");
}
