/** For tests: random schemas of all keywords, and values that may fit them. */

type Random = () => number;

const NAMES = ["a", "b", "c", "x_d", "é"];
const PATTERNS = [
  "^a",
  "b$",
  "^[a-c]{1,3}$",
  "^x_",
  "^(?!ab)[a-z]+$",
  "^a|b$",
  "^(?:yes|no)$",
  "\\d",
  "^\\D*$",
  "^\\S+$",
  "^\\w+$",
  "[^a]",
  "^.{2}$",
  "^(?=.*\\d)(?=.*[a-z]).{2,6}$",
  "\\bab\\b",
  "^$",
  "^(a|(b|c)?){2}$",
  '["\\\\]',
];
const FORMATS = ["date", "ipv4", "ipv6", "uuid", "email", "date-time", "int32"];
const VALUES = [
  null,
  true,
  false,
  0,
  1,
  -1,
  2,
  2.5,
  10,
  "",
  "a",
  "ab",
  "b",
  "a b",
  "\u00e9\u{1f600}",
  "12",
  [],
  [1],
  ["a", "b"],
  {},
  { a: 1 },
  { a: "b", b: null },
];
const NUMBERS = [-10, -2.5, -1, 0, 0.1, 0.5, 1, 1.25, 2, 3, 7, 10, 100, 1e20];

export class SchemaGenerator {
  readonly #random: Random;
  #definitions: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }

  #some<T>(list: readonly T[], most: number): T[] {
    const left = [...list];
    const count = Math.floor(this.#random() * (most + 1));
    const taken = new Set<T>();
    for (let at = 0; at < count; at++) taken.add(this.#pick(left));
    return list.filter((one) => taken.has(one));
  }

  #maybe(chance: number): boolean {
    return this.#random() < chance;
  }

  /** A document, in the newest dialect or in draft 7. */
  document(): Record<string, unknown> {
    const old = this.#maybe(0.2);
    const definitions = this.#maybe(0.3) ? ["one", "two"] : [];
    this.#definitions = definitions.map((name) => `#/${old ? "definitions" : "$defs"}/${name}`);
    const schema = this.schema(3, old);
    if (typeof schema === "boolean") return this.document();
    if (definitions.length > 0) {
      schema[old ? "definitions" : "$defs"] = Object.fromEntries(
        definitions.map((name) => [name, this.schema(1, old)]),
      );
    }
    if (old) schema.$schema = "http://json-schema.org/draft-07/schema#";
    return schema;
  }

  schema(depth: number, old = false): Record<string, unknown> | boolean {
    if (depth < 3 && this.#maybe(0.06)) return this.#maybe(0.7);
    const out: Record<string, unknown> = {};
    const kinds = ["object", "array", "string", "number", "values"];
    const kind = depth <= 0 ? this.#pick(kinds.slice(2)) : this.#pick(kinds);
    if (kind === "object") this.#object(out, depth, old);
    else if (kind === "array") this.#array(out, depth, old);
    else if (kind === "string") this.#string(out);
    else if (kind === "number") this.#number(out);
    else this.#values(out);
    if (this.#maybe(0.1)) this.#string(out);
    if (this.#maybe(0.1)) this.#number(out);
    if (this.#maybe(0.07)) this.#values(out);
    if (depth > 0) this.#combine(out, depth, old, kind);
    return out;
  }

  #combine(out: Record<string, unknown>, depth: number, old: boolean, kind: string): void {
    const list = () =>
      Array.from({ length: 1 + Math.floor(this.#random() * 3) }, () => {
        if (kind === "object" && this.#maybe(0.6)) {
          const branch: Record<string, unknown> = {};
          this.#object(branch, depth - 1, old);
          if (this.#maybe(0.6)) branch.required = [this.#pick(NAMES)];
          return branch;
        }
        return this.schema(depth - 1, old);
      });
    if (this.#maybe(0.1)) out.allOf = list();
    if (this.#maybe(0.12)) out.anyOf = list();
    if (this.#maybe(0.12)) out.oneOf = list();
    if (this.#maybe(0.08)) out.not = this.schema(depth - 1, old);
    if (this.#maybe(0.06)) {
      out.if = this.schema(depth - 1, old);
      if (this.#maybe(0.8)) out.then = this.schema(depth - 1, old);
      if (this.#maybe(0.6)) out.else = this.schema(depth - 1, old);
    }
    if (this.#definitions.length > 0 && this.#maybe(0.15)) {
      if (old) Object.keys(out).forEach((key) => delete out[key]);
      out.$ref = this.#pick(this.#definitions);
    }
  }

  #object(out: Record<string, unknown>, depth: number, old: boolean): void {
    if (this.#maybe(0.7)) out.type = "object";
    const child = () => this.schema(depth - 1, old);
    if (this.#maybe(0.8)) {
      out.properties = Object.fromEntries(this.#some(NAMES, 3).map((name) => [name, child()]));
    }
    if (this.#maybe(0.4)) out.required = this.#some(NAMES, 2);
    if (this.#maybe(0.4)) out.additionalProperties = this.#maybe(0.5) ? false : child();
    if (this.#maybe(0.15)) {
      out.patternProperties = Object.fromEntries(
        this.#some(PATTERNS.slice(0, 8), 2).map((one) => [one, child()]),
      );
    }
    if (this.#maybe(0.1)) {
      const names: Record<string, unknown> = {};
      if (this.#maybe(0.5)) names.enum = this.#some(NAMES, 3).concat("z");
      else this.#string(names);
      out.propertyNames = names;
    }
    if (this.#maybe(0.15)) out.minProperties = Math.floor(this.#random() * 4);
    if (this.#maybe(0.15)) out.maxProperties = Math.floor(this.#random() * 4);
    if (this.#maybe(0.1)) {
      const names = Object.fromEntries(
        this.#some(NAMES, 2).map((name) => [name, this.#some(NAMES, 2)]),
      );
      out[old ? "dependencies" : "dependentRequired"] = names;
    }
    if (this.#maybe(0.06)) {
      out[old ? "dependencies" : "dependentSchemas"] = { [this.#pick(NAMES)]: child() };
    }
  }

  #array(out: Record<string, unknown>, depth: number, old: boolean): void {
    if (this.#maybe(0.7)) out.type = "array";
    const child = () => this.schema(depth - 1, old);
    const tuple = this.#maybe(0.3);
    if (tuple) {
      out[old ? "items" : "prefixItems"] = [child(), child()].slice(this.#maybe(0.4) ? 1 : 0);
    }
    if (this.#maybe(0.6)) {
      if (!tuple) out.items = child();
      else out[old ? "additionalItems" : "items"] = this.#maybe(0.5) ? false : child();
    }
    if (this.#maybe(0.3)) out.minItems = Math.floor(this.#random() * 4);
    if (this.#maybe(0.3)) out.maxItems = Math.floor(this.#random() * 4);
    if (this.#maybe(0.15)) out.uniqueItems = true;
    if (this.#maybe(0.15)) {
      out.contains = child();
      if (!old && this.#maybe(0.4)) out.minContains = Math.floor(this.#random() * 3);
      if (!old && this.#maybe(0.4)) out.maxContains = Math.floor(this.#random() * 3);
    }
  }

  #string(out: Record<string, unknown>): void {
    if (this.#maybe(0.7)) out.type = this.#maybe(0.2) ? ["string", "null"] : "string";
    if (this.#maybe(0.3)) out.minLength = Math.floor(this.#random() * 4);
    if (this.#maybe(0.4)) out.maxLength = Math.floor(this.#random() * 6);
    // A format gives way to a pattern beside it that it contradicts, which no validator does.
    if (this.#maybe(0.4) && !("format" in out)) out.pattern = this.#pick(PATTERNS);
    else if (this.#maybe(0.2) && !("pattern" in out)) out.format = this.#pick(FORMATS);
  }

  #number(out: Record<string, unknown>): void {
    if (this.#maybe(0.8)) out.type = this.#pick(["number", "integer", ["integer", "string"]]);
    if (this.#maybe(0.4)) out[this.#pick(["minimum", "exclusiveMinimum"])] = this.#pick(NUMBERS);
    if (this.#maybe(0.4)) out[this.#pick(["maximum", "exclusiveMaximum"])] = this.#pick(NUMBERS);
    if (this.#maybe(0.2)) out.multipleOf = this.#pick([1, 2, 3, 7, 0.5, 0.25, 2.5, 100]);
  }

  #values(out: Record<string, unknown>): void {
    if (this.#maybe(0.5)) out.const = this.#pick(VALUES);
    else out.enum = this.#some(VALUES, 5).concat([this.#pick(VALUES)]);
  }

  /** Any JSON. */
  value(depth = 2): unknown {
    const kind = this.#random();
    if (depth > 0 && kind < 0.2) {
      return Array.from({ length: Math.floor(this.#random() * 4) }, () => this.value(depth - 1));
    }
    if (depth > 0 && kind < 0.45) {
      return Object.fromEntries(
        this.#some([...NAMES, "z", "q1"], 4).map((name) => [name, this.value(depth - 1)]),
      );
    }
    return kind < 0.7
      ? this.#pick(VALUES)
      : this.#pick([...NUMBERS, "abc", "a1", "2024-02-29", "yes"]);
  }

  /** A value like another one. */
  changed(value: unknown): unknown {
    if (this.#maybe(0.15)) return this.value(1);
    if (Array.isArray(value)) {
      const out = value.map((item) => this.#maybe(0.3) ? this.changed(item) : item);
      if (this.#maybe(0.2)) out.push(this.value(1));
      if (this.#maybe(0.2)) out.pop();
      return out;
    }
    if (value !== null && typeof value === "object") {
      const entries = Object.entries(value).filter(() => this.#maybe(0.85))
        .map(([name, inner]) => [name, this.#maybe(0.3) ? this.changed(inner) : inner]);
      if (this.#maybe(0.2)) entries.push([this.#pick(NAMES), this.value(1)]);
      return Object.fromEntries(entries);
    }
    if (typeof value === "string" && this.#maybe(0.5)) {
      return value + this.#pick(["a", "b", "1", " "]);
    }
    if (typeof value === "number" && this.#maybe(0.5)) return value + this.#pick([1, -1, 0.5]);
    return value;
  }
}
