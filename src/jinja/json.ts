/** Python's `json.dumps`, as the filter `tojson` of Hugging Face's transformers calls it. */
import { MAX_NESTING } from "./convert.ts";
import { floatRepr } from "./decimal.ts";
import { JinjaError, typeError, valueError } from "./errors.ts";
import { needInt, needText } from "./arguments.ts";
import { ordered } from "./comparison.ts";
import { type Costs, Dict, intOf, listOf, textOf, Tuple, typeName, type Value } from "./values.ts";

interface JsonOptions {
  readonly ascii: boolean;
  /** `null`: one line; a number of spaces, or a text. */
  readonly indent: Value;
  /** `null`, or the two of items and of keys. */
  readonly separators: Value;
  readonly sort: boolean;
}

/** @throws {JinjaError} `type`: a value that JSON has not; `limit`: nested too deeply. */
export function jsonText(value: Value, o: JsonOptions, costs: Costs): string {
  const indent = o.indent === null
    ? undefined
    : textOf(o.indent) ?? " ".repeat(indentWidth(o.indent, costs));
  const [item, key] = o.separators === null
    ? [indent === undefined ? ", " : ",", ": "]
    : listOf(o.separators, costs).map((one) => needText(one));
  if (item === undefined || key === undefined) throw valueError("not enough values to unpack");
  return new Writer(o, indent, item, key, costs).write(value, 0);
}

function indentWidth(value: Value, costs: Costs): number {
  const width = Math.max(needInt(value), 0);
  costs.charge(width);
  return width;
}

class Writer {
  readonly #o: JsonOptions;
  readonly #indent: string | undefined;
  readonly #item: string;
  readonly #key: string;
  readonly #costs: Costs;

  constructor(
    o: JsonOptions,
    indent: string | undefined,
    item: string,
    key: string,
    costs: Costs,
  ) {
    this.#o = o;
    this.#indent = indent;
    this.#item = item;
    this.#key = key;
    this.#costs = costs;
  }

  write(value: Value, depth: number): string {
    this.#costs.step();
    if (depth > MAX_NESTING) throw new JinjaError("limit", "a value is nested too deeply for JSON");
    const text = textOf(value);
    if (text !== undefined) return this.#string(text);
    if (value === null) return "null";
    if (typeof value === "boolean") return value ? "true" : "false";
    if (typeof value === "bigint") return value.toString();
    if (typeof value === "number") return jsonFloat(value);
    if (value instanceof Dict) return this.#object(value, depth);
    const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
    if (items !== undefined) {
      return this.#enclosed("[", items.map((one) => this.write(one, depth + 1)), "]", depth);
    }
    throw typeError(`Object of type ${typeName(value)} is not JSON serializable`);
  }

  #object(value: Dict, depth: number): string {
    let entries = [...value.entries()];
    if (this.#o.sort) {
      entries = entries.toSorted(([a], [b]) =>
        ordered("<", a, b, this.#costs) ? -1 : ordered("<", b, a, this.#costs) ? 1 : 0
      );
    }
    const members = entries.map(([key, item]) =>
      this.#string(keyText(key)) + this.#key + this.write(item, depth + 1)
    );
    return this.#enclosed("{", members, "}", depth);
  }

  #enclosed(open: string, parts: string[], close: string, depth: number): string {
    if (parts.length === 0) return open + close;
    let before = "", between = this.#item, after = "";
    if (this.#indent !== undefined) {
      this.#costs.charge(this.#indent.length * (depth + 2) * (parts.length + 1));
      before = `\n${this.#indent.repeat(depth + 1)}`;
      between = this.#item + before;
      after = `\n${this.#indent.repeat(depth)}`;
    }
    const out = open + before + parts.join(between) + after + close;
    this.#costs.charge(out.length);
    return out;
  }

  #string(text: string): string {
    this.#costs.charge(text.length);
    // JavaScript escapes lone surrogates, as Python does not: they are no text that could be fed to a model.
    const quoted = JSON.stringify(text);
    if (!this.#o.ascii) return quoted;
    return quoted.replace(
      /[\x7f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  }
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value < 0 ? "-Infinity" : "Infinity";
  return floatRepr(value);
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null) return "null";
  if (typeof key === "boolean") return key ? "true" : "false";
  if (typeof key === "number") return jsonFloat(key);
  const int = intOf(key);
  if (int !== undefined) return int.toString();
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}
