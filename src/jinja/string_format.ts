/** `text.format(…)`, as Jinja2's sandbox runs it: fields are looked up as the template itself would. */
import { JinjaError, valueError } from "./errors.ts";
import { repr, str } from "./convert.ts";
import { formatValue } from "./format_spec.ts";
import { getAttribute, getItem } from "./lookup.ts";
import type { Args, Costs, Value } from "./values.ts";

const FIELD = /^([^.[]*)((?:\.[^.[]+|\[[^\]]+\])*)$/s;
const STEP = /\.([^.[]+)|\[([^\]]+)\]/gs;

/** @throws {JinjaError} `value`: the format is not one; `lookup`: a field that was not given. */
export function formatMethod(template: string, args: Args, costs: Costs): string {
  return new Formatter(args, costs).format(template, 2);
}

class Formatter {
  readonly #args: Args;
  readonly #costs: Costs;
  /** The next of `{}`; `undefined`: fields are numbered by hand. */
  #next: number | undefined;
  #numbered = false;

  constructor(args: Args, costs: Costs) {
    this.#args = args;
    this.#costs = costs;
  }

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
      if (attribute !== undefined) value = getAttribute(value, attribute, this.#costs);
      else value = getItem(value, /^\d+$/.test(item!) ? BigInt(item!) : item!, this.#costs);
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
