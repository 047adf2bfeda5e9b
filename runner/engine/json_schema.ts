/**
 * JSON schema to a GBNF grammar, so that a reply is JSON of the wanted shape.
 *
 * What it keeps to: type, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, enum, const, anyOf,
 * oneOf, allOf (merged), $ref within the document, minLength, maxLength, propertyNames, whole minimum and maximum, the
 * formats date, time, date-time and uuid, and `pattern` where it can be converted (pattern_grammar.ts). What it does not:
 * bounds that are fractions, multipleOf, `not`, `if`, uniqueItems; such a schema permits more than it says. Properties
 * come in the schema's order.
 *
 * Schemas come from strangers: everything that could make a grammar large or slow is counted.
 */
import { SecLlamaError } from "../../src/errors.ts";
import { integerRange, literal, numberRange, stringsExcept } from "./gbnf.ts";
import { COMMON, FORMATS, writeGrammar } from "./json_rules.ts";
import { patternGrammar } from "./pattern_grammar.ts";

export { jsonGrammar } from "./json_rules.ts";

/** Tunables. */
const LIMITS = {
  /** Schemas within schemas. */
  depth: 48,
  /** Schemas, properties and enum values in all. */
  nodes: 3000,
  /** Branches of unions in all: each may be open at the same time. */
  branches: 200,
  /** Copies that counted repetitions make, in all. */
  repetitions: 5000,
  /** One repetition's count; a longer maximum counts as none. */
  repetition: 1000,
  grammarBytes: 256 * 1024,
  /** Of a property beside which others are permitted. */
  nameLength: 200,
} as const;

type Schema = Readonly<Record<string, unknown>>;

/**
 * The grammar of JSON that fits a schema.
 * @throws {SecLlamaError} `bad-request` naming what is wrong or too large.
 */
export function schemaGrammar(schema: unknown): string {
  return new Converter(schema).grammar();
}

function refuse(detail: string): never {
  throw new SecLlamaError("bad-request", `the JSON schema ${detail}`, { field: "format" });
}

class Converter {
  readonly #root: unknown;
  readonly #rules = new Map<string, string>(Object.entries(COMMON));
  /** Rules of schemas that were referred to, by their pointer. */
  readonly #references = new Map<string, string>();
  /** Rule → rules it may begin with, where nothing comes before: a circle would never end. */
  readonly #leading = new Map<string, string[]>();
  #names = 0;
  #nodes = 0;
  #branches = 0;
  #repetitions = 0;
  #bytes = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  grammar(): string {
    const body = this.#reference("#", 0);
    this.#refuseCircles();
    this.#rules.set("root", body);
    return writeGrammar(this.#rules);
  }

  #add(body: string): string {
    const name = `r${this.#names++}`;
    this.#set(name, body);
    return name;
  }

  #set(name: string, body: string): void {
    this.#bytes += body.length;
    if (this.#bytes > LIMITS.grammarBytes) refuse("is too large");
    this.#rules.set(name, body);
  }

  #node(depth: number, count = 1): void {
    if (depth > LIMITS.depth) refuse(`nests deeper than ${LIMITS.depth}`);
    this.#nodes += count;
    if (this.#nodes > LIMITS.nodes) refuse(`has more than ${LIMITS.nodes} parts`);
  }

  /** The name of the rule for a schema. */
  #convert(schema: unknown, depth: number): string {
    this.#node(depth);
    if (schema === true) return "value";
    if (schema === false) refuse("permits nothing");
    if (!isSchema(schema)) refuse("holds something that is no schema");
    if (typeof schema.$ref === "string") return this.#reference(schema.$ref, depth);
    if ("const" in schema) return this.#add(constant(schema.const));
    if (Array.isArray(schema.enum)) {
      this.#node(depth, schema.enum.length);
      if (schema.enum.length === 0) refuse("has an empty enum");
      return this.#add(schema.enum.map(constant).join(" | "));
    }
    for (const union of ["anyOf", "oneOf"]) {
      const branches = schema[union];
      if (Array.isArray(branches)) return this.#union(branches, depth);
    }
    if (Array.isArray(schema.allOf)) {
      return this.#convert(this.#merge(schema, schema.allOf, depth), depth + 1);
    }
    if (Array.isArray(schema.type)) {
      return this.#union(schema.type.map((type) => ({ ...schema, type })), depth);
    }
    return this.#convertType(schema, depth);
  }

  #convertType(schema: Schema, depth: number): string {
    const type = schema.type ?? impliedType(schema);
    switch (type) {
      case undefined:
        return "value";
      case "object":
        return this.#object(schema, depth);
      case "array":
        return this.#array(schema, depth);
      case "string":
        return this.#string(schema);
      case "integer": {
        const above = bound(schema, "exclusiveMinimum");
        const below = bound(schema, "exclusiveMaximum");
        const range = integerRange(
          bound(schema, "minimum") ?? (above === undefined ? undefined : above + 1),
          bound(schema, "maximum") ?? (below === undefined ? undefined : below - 1),
        );
        return range === undefined ? "integer" : this.#add(range);
      }
      case "number": {
        const range = numberRange(
          bound(schema, "minimum") ?? bound(schema, "exclusiveMinimum"),
          bound(schema, "maximum") ?? bound(schema, "exclusiveMaximum"),
        );
        return range === undefined ? "number" : this.#add(range);
      }
      case "boolean":
        return "boolean";
      case "null":
        return "null";
      default:
        return refuse("has an unknown type");
    }
  }

  #union(branches: readonly unknown[], depth: number): string {
    this.#branches += branches.length;
    if (branches.length === 0) refuse("has an empty union");
    if (this.#branches > LIMITS.branches) refuse(`has more than ${LIMITS.branches} branches`);
    const names = [...new Set(branches.map((branch) => this.#convert(branch, depth + 1)))];
    const name = this.#add(names.join(" | "));
    this.#leading.set(name, names);
    return name;
  }

  /** The schema and those of its `allOf` as one: properties and requirements add up, else the later word counts. */
  #merge(schema: Schema, parts: readonly unknown[], depth: number): Schema {
    const { allOf: _, ...rest } = schema;
    const merged: Record<string, unknown> = {};
    const properties: Record<string, unknown> = Object.create(null);
    const required = new Set<unknown>();
    for (const part of [...parts, rest]) {
      this.#node(depth);
      const resolved = isSchema(part) && typeof part.$ref === "string"
        ? this.#lookUp(part.$ref)
        : part;
      if (!isSchema(resolved)) refuse("has an allOf that cannot be merged");
      Object.assign(merged, resolved);
      if (isSchema(resolved.properties)) {
        for (const [key, value] of Object.entries(resolved.properties)) properties[key] = value;
      }
      if (Array.isArray(resolved.required)) resolved.required.forEach((key) => required.add(key));
    }
    if (Object.keys(properties).length > 0) merged.properties = properties;
    if (required.size > 0) merged.required = [...required];
    return merged;
  }

  #reference(pointer: string, depth: number): string {
    const known = this.#references.get(pointer);
    if (known !== undefined) return known;
    const name = `r${this.#names++}`;
    this.#references.set(pointer, name);
    const target = this.#convert(this.#lookUp(pointer), depth + 1);
    this.#set(name, target);
    this.#leading.set(name, [target]);
    return name;
  }

  /** RFC 6901, within the document. */
  #lookUp(pointer: string): unknown {
    if (pointer !== "#" && !pointer.startsWith("#/")) refuse("refers outside of itself");
    let at: unknown = this.#root;
    for (const part of pointer.split("/").slice(1)) {
      let key: string;
      try {
        key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      } catch {
        return refuse("has a broken $ref");
      }
      at = at !== null && typeof at === "object" && Object.hasOwn(at, key)
        ? (at as Record<string, unknown>)[key]
        : refuse("refers to something that it does not define");
    }
    return at;
  }

  #object(schema: Schema, depth: number): string {
    const { properties, additional } = namedProperties(schema);
    const { propertyNames } = schema;
    if (properties.length === 0 && (additional === undefined || additional === true)) {
      return "object";
    }
    const required = new Set(Array.isArray(schema.required) ? schema.required : []);
    this.#node(depth, properties.length);
    // Properties not listed come behind those listed, under other names.
    let extra = "";
    if (additional === true || isSchema(additional)) {
      const names = properties.map(([name]) => JSON.stringify(name).slice(1, -1));
      if (names.some((name) => name.length > LIMITS.nameLength)) refuse("has a very long name");
      const key = names.length > 0
        ? this.#add(stringsExcept(names))
        : isSchema(propertyNames)
        ? this.#string(propertyNames)
        : "string";
      const value = this.#convert(additional, depth + 1);
      extra = this.#add(`${key} ":" ws ${value}`);
    }
    // Two chains, built from the end: `first` while no property is written yet, `next` with a comma to come.
    let next = extra === "" ? `""` : this.#add(`("," ws ${extra})*`);
    let first = extra === "" ? `""` : this.#add(`(${extra} ${next})?`);
    for (const [name, value] of properties.toReversed()) {
      const pair = this.#add(
        `${literal(JSON.stringify(name))} ":" ws ${this.#convert(value, depth + 1)}`,
      );
      const optional = !required.has(name);
      const [nextBefore, firstBefore] = [next, first];
      next = this.#add(`"," ws ${pair} ${nextBefore}` + (optional ? ` | ${nextBefore}` : ""));
      first = this.#add(`${pair} ${nextBefore}` + (optional ? ` | ${firstBefore}` : ""));
    }
    return this.#add(`"{" ws ${first} ws "}"`);
  }

  #array(schema: Schema, depth: number): string {
    const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
    if (prefix.length > 0) {
      const items = prefix.map((item) => this.#convert(item, depth + 1));
      return this.#add(`"[" ws ${items.join(` "," ws `)} ws "]"`);
    }
    const item = schema.items === undefined ? "value" : this.#convert(schema.items, depth + 1);
    const { least, most } = this.#counts(schema, "minItems", "maxItems");
    if (most === 0) return this.#add(`"[" ws "]"`);
    const more = this.#add(`"," ws ${item}`);
    const rest = this.#repeat(more, Math.max(0, least - 1), most === undefined ? most : most - 1);
    const items = `${item} ${rest}`;
    return this.#add(`"[" ws ${least === 0 ? `(${items})?` : items} ws "]"`);
  }

  #string(schema: Schema): string {
    const longest = bound(schema, "maxLength");
    const pattern = typeof schema.pattern === "string"
      ? patternGrammar(schema.pattern, {
        add: (body) => this.#add(body),
        repeat: (item, least, most) => this.#repeat(item, least, most),
        ...(longest === undefined ? {} : { longest }),
      })
      : undefined;
    // A pattern says how long a text is only if it speaks of all of it.
    if (pattern !== undefined && (pattern.anchored || longest === undefined)) {
      return this.#add(`"\\"" ${pattern.body} "\\""`);
    }
    const format = typeof schema.format === "string" && Object.hasOwn(FORMATS, schema.format)
      ? FORMATS[schema.format]
      : undefined;
    if (format !== undefined) return this.#add(format);
    const { least, most } = this.#counts(schema, "minLength", "maxLength");
    if (least === 0 && most === undefined) return "string";
    return this.#add(`"\\"" ${this.#repeat("char", least, most)} "\\""`);
  }

  #counts(
    schema: Schema,
    minimum: string,
    maximum: string,
  ): { least: number; most: number | undefined } {
    const least = Math.max(0, bound(schema, minimum) ?? 0);
    const most = bound(schema, maximum);
    if (least > LIMITS.repetition) refuse(`has a ${minimum} above ${LIMITS.repetition}`);
    if (most !== undefined && most < least) refuse(`has a ${maximum} below its ${minimum}`);
    return { least, most: most !== undefined && most > LIMITS.repetition ? undefined : most };
  }

  /** A rule of its own for each repetition: llama.cpp multiplies the counts of those that share one. */
  #repeat(item: string, least: number, most: number | undefined): string {
    if (least === 0 && most === undefined) return `${item}*`;
    if (most === 0) return `""`;
    this.#repetitions += most ?? least;
    if (this.#repetitions > LIMITS.repetitions) refuse("repeats too much");
    return this.#add(`${item}{${least},${most ?? ""}}`);
  }

  #refuseCircles(): void {
    const state = new Map<string, "open" | "done">();
    const visit = (name: string): void => {
      if (state.get(name) === "done") return;
      if (state.get(name) === "open") refuse("refers to itself without end");
      state.set(name, "open");
      this.#leading.get(name)?.forEach(visit);
      state.set(name, "done");
    };
    for (const name of this.#leading.keys()) visit(name);
  }
}

function isSchema(value: unknown): value is Schema {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The properties that a schema names in any way, and what others may be. */
function namedProperties(schema: Schema): {
  properties: [name: string, value: unknown][];
  additional: unknown;
} {
  const properties = isSchema(schema.properties) ? Object.entries(schema.properties) : [];
  const { additionalProperties: additional, propertyNames, required } = schema;
  const known = new Set(properties.map(([name]) => name));
  const names: unknown = isSchema(propertyNames) ? propertyNames.enum : undefined;
  const others = Array.isArray(names) ? names : Array.isArray(required) ? required : [];
  if (additional !== false) {
    for (const name of others) {
      if (typeof name !== "string" || known.has(name)) continue;
      known.add(name);
      properties.push([name, additional ?? true]);
    }
  }
  return { properties, additional: Array.isArray(names) ? false : additional };
}

function constant(value: unknown): string {
  return literal(JSON.stringify(value));
}

/** The type of a schema that names none, from the words it uses. */
function impliedType(schema: Schema): string | undefined {
  if ("properties" in schema || "additionalProperties" in schema) return "object";
  if ("items" in schema || "prefixItems" in schema) return "array";
  if (["minLength", "maxLength", "format", "pattern"].some((word) => word in schema)) {
    return "string";
  }
  return undefined;
}

/** A whole number of the schema, if it is one. */
function bound(schema: Schema, name: string): number | undefined {
  const value = schema[name];
  return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
}
