/** Whether a value that a schema names itself, in `enum` or `const`, fits the rest of the schema. */
import { accepts, type Automaton, type Budget } from "./automaton.ts";
import { isMultiple } from "./decimal.ts";
import { boundsOf, isWhole, isWithin } from "./bounds.ts";
import type { Reading } from "./pattern.ts";
import { naming, refuse } from "./refusal.ts";
import { textOf } from "./terms.ts";
import type { Keywords, SchemaDocument, SchemaNode } from "./schema_document.ts";

const MAX_CHECKS = 200_000;
/** UTF-16 units of values that are written for one step of the budget, and characters of a text that is held to a pattern. */
const UNITS_PER_STEP = 32;
const CHARACTERS_PER_STEP = 8;
const MAX_DEPTH = 200;

export type TypeName = "null" | "boolean" | "number" | "string" | "array" | "object";

export function typeOf(value: unknown): TypeName {
  if (value === null) return "null";
  if (typeof value === "bigint") return "number";
  return Array.isArray(value) ? "array" : typeof value as TypeName;
}

function hasType(value: unknown, type: string): boolean {
  return type === "integer" ? isWhole(value) : type === typeOf(value);
}

/** Code points. */
export function lengthOf(text: string): number {
  return [...text].length;
}

export class ValueChecker {
  readonly #document: SchemaDocument;
  readonly #budget: Budget;
  readonly #pattern: (source: string, reading: Reading, node: SchemaNode) => Automaton;
  readonly #format: (name: string, node: SchemaNode) => Automaton | undefined;
  #checks = 0;
  readonly #listed = new WeakMap<readonly unknown[], ReadonlySet<string>>();

  constructor(
    document: SchemaDocument,
    budget: Budget,
    texts: {
      pattern(source: string, reading: Reading, node: SchemaNode): Automaton;
      format(name: string, node: SchemaNode): Automaton | undefined;
    },
  ) {
    this.#document = document;
    this.#budget = budget;
    this.#pattern = texts.pattern;
    this.#format = texts.format;
  }

  /**
   * Whether `value` fits.
   * @param reading "must": by every reading of its patterns, "may": by any.
   */
  fits(node: SchemaNode, value: unknown, reading: Reading, depth = 0): boolean {
    const { schema } = node;
    if (typeof schema === "boolean") return schema;
    if (++this.#checks > MAX_CHECKS) refuse("enum", "#", "its values take too long to check");
    if (depth > MAX_DEPTH) refuse("$ref", node.pointer, "it refers to itself without end");
    this.#take(1, node);
    const child = (...path: (string | number)[]) => this.#document.child(node, ...path);
    const fits = (inner: SchemaNode, at: unknown, how = reading) =>
      this.fits(inner, at, how, depth + 1);
    const opposite = reading === "must" ? "may" : "must";
    if (typeof schema.$ref === "string") {
      if (!fits(this.#document.target(node), value)) return false;
      if (this.#document.ignoresBeside(node) && reading === "may") return true;
    }
    const list = (keyword: string) =>
      (schema[keyword] as unknown[] | undefined ?? []).map((_, at) => child(keyword, at));
    if (!list("allOf").every((inner) => fits(inner, value))) return false;
    if ("anyOf" in schema && !list("anyOf").some((inner) => fits(inner, value))) return false;
    if ("oneOf" in schema && !this.#oneOf(list("oneOf"), value, reading, depth)) return false;
    if ("not" in schema && fits(child("not"), value, opposite)) return false;
    if ("if" in schema) {
      const [yes, maybe] = [fits(child("if"), value, "must"), fits(child("if"), value, "may")];
      const holds = (keyword: string) => !(keyword in schema) || fits(child(keyword), value);
      const [then, otherwise] = [holds("then"), holds("else")];
      const fine = yes === maybe
        ? (yes ? then : otherwise)
        : reading === "must"
        ? then && otherwise
        : then || otherwise;
      if (!fine) return false;
    }
    if ("const" in schema && !this.#isOneOf([schema.const], value, node)) return false;
    if (Array.isArray(schema.enum) && !this.#isOneOf(schema.enum, value, node)) return false;
    const types = schema.type === undefined ? undefined : [schema.type].flat() as string[];
    if (types !== undefined && !types.some((type) => hasType(value, type))) return false;
    if (typeof value === "number" || typeof value === "bigint") return this.#number(schema, value);
    if (typeof value === "string") return this.#string(node, schema, value, reading);
    if (Array.isArray(value)) return this.#array(node, schema, value, reading, depth);
    if (value !== null && typeof value === "object") {
      return this.#object(node, schema, value as Keywords, reading, depth);
    }
    return true;
  }

  #take(steps: number, { pointer }: SchemaNode): void {
    naming("enum", pointer, () => this.#budget.take(steps));
  }

  #text(value: unknown, node: SchemaNode): string {
    const text = textOf(value);
    this.#take(text.length / UNITS_PER_STEP, node);
    return text;
  }

  /** Whether a value is one of a list's: of a list that is asked about for each of thousands of values. */
  #isOneOf(list: readonly unknown[], value: unknown, node: SchemaNode): boolean {
    let texts = this.#listed.get(list);
    if (texts === undefined) {
      texts = new Set(list.map((one) => this.#text(one, node)));
      this.#listed.set(list, texts);
    }
    return texts.has(this.#text(value, node));
  }

  #accepts(automaton: Automaton, text: string, node: SchemaNode): boolean {
    this.#take((1 + text.length) / CHARACTERS_PER_STEP, node);
    return accepts(automaton, text);
  }

  #oneOf(branches: readonly SchemaNode[], value: unknown, reading: Reading, depth: number) {
    const must = branches.filter((inner) => this.fits(inner, value, "must", depth + 1)).length;
    const may = branches.filter((inner) => this.fits(inner, value, "may", depth + 1)).length;
    return reading === "must" ? must === 1 && may === 1 : must <= 1 && may >= 1;
  }

  #number(schema: Keywords, value: number | bigint): boolean {
    const { least, most } = boundsOf(schema);
    if (!isWithin(value, least, most)) return false;
    const step = schema.multipleOf;
    return typeof step !== "number" || isMultiple(value, step);
  }

  #string(node: SchemaNode, schema: Keywords, value: string, reading: Reading): boolean {
    const length = lengthOf(value);
    if (length < count(schema.minLength, 0) || length > count(schema.maxLength, Infinity)) {
      return false;
    }
    if (
      typeof schema.pattern === "string" &&
      !this.#accepts(this.#pattern(schema.pattern, reading, node), value, node)
    ) {
      return false;
    }
    const format = typeof schema.format === "string"
      ? this.#format(schema.format, node)
      : undefined;
    return format === undefined || this.#accepts(format, value, node);
  }

  #array(
    node: SchemaNode,
    schema: Keywords,
    value: readonly unknown[],
    reading: Reading,
    depth: number,
  ): boolean {
    if (
      value.length < count(schema.minItems, 0) || value.length > count(schema.maxItems, Infinity)
    ) return false;
    if (schema.uniqueItems === true && this.#hasTwice(value, node)) return false;
    const { prefix, rest } = itemsOf(this.#document, node);
    const fits = (inner: SchemaNode, at: unknown) => this.fits(inner, at, reading, depth + 1);
    if (!value.every((item, at) => fits(prefix[at] ?? rest ?? this.#document.yes, item))) {
      return false;
    }
    if ("unevaluatedItems" in schema) {
      const seen = this.#seenItems(node, value, reading, depth);
      const child = this.#document.child(node, "unevaluatedItems");
      if (!value.every((item, at) => seen.has(at) || fits(child, item))) return false;
    }
    if (!("contains" in schema)) return true;
    const contains = this.#document.child(node, "contains");
    const found = (how: Reading) =>
      value.filter((item) => this.fits(contains, item, how, depth + 1)).length;
    const [lower, upper] = reading === "must"
      ? [found("must"), found("may")]
      : [found("may"), found("must")];
    return lower >= count(schema.minContains, 1) && upper <= count(schema.maxContains, Infinity);
  }

  #hasTwice(list: readonly unknown[], node: SchemaNode): boolean {
    return new Set(list.map((one) => this.#text(one, node))).size < list.length;
  }

  #object(
    node: SchemaNode,
    schema: Keywords,
    value: Keywords,
    reading: Reading,
    depth: number,
  ): boolean {
    const names = Object.keys(value);
    if (
      names.length < count(schema.minProperties, 0) ||
      names.length > count(schema.maxProperties, Infinity)
    ) {
      return false;
    }
    const has = (name: string) => Object.hasOwn(value, name);
    if (!(schema.required as string[] | undefined ?? []).every(has)) return false;
    const child = (...path: string[]) => this.#document.child(node, ...path);
    const fits = (inner: SchemaNode, at: unknown) => this.fits(inner, at, reading, depth + 1);
    for (const { name, names, schema } of dependenciesOf(this.#document, node)) {
      if (!has(name)) continue;
      if (names !== undefined && !names.every(has)) return false;
      if (schema !== undefined && !fits(schema, value)) return false;
    }
    if ("unevaluatedProperties" in schema) {
      const seen = this.#seenNames(node, value, reading, depth);
      const inner = child("unevaluatedProperties");
      if (!names.every((name) => seen.has(name) || fits(inner, value[name]))) return false;
    }
    const patterns = Object.keys(schema.patternProperties ?? {});
    return names.every((name) => {
      if ("propertyNames" in schema && !fits(child("propertyNames"), name)) return false;
      let known = Object.hasOwn(schema.properties ?? {}, name);
      if (known && !fits(child("properties", name), value[name])) return false;
      for (const pattern of patterns) {
        if (!this.#accepts(this.#pattern(pattern, "may", node), name, node)) continue;
        known ||= this.#accepts(this.#pattern(pattern, "must", node), name, node);
        if (!fits(child("patternProperties", pattern), value[name])) return false;
      }
      return known || !("additionalProperties" in schema) ||
        fits(child("additionalProperties"), value[name]);
    });
  }

  /** The names that what holds of a schema looks at, but for what `unevaluatedProperties` of its own does. */
  #seenNames(node: SchemaNode, value: Keywords, reading: Reading, depth: number): Set<string> {
    const names = Object.keys(value);
    const seen = new Set<string>();
    for (
      const { node: { schema }, node: at, isOwn } of this.#holding(node, value, reading, depth)
    ) {
      const { properties, patternProperties } = schema as Keywords;
      const all = "additionalProperties" in (schema as Keywords) ||
        (!isOwn && "unevaluatedProperties" in (schema as Keywords));
      const patterns = Object.keys(patternProperties ?? {});
      for (const name of names) {
        const isSeen = all || Object.hasOwn(properties ?? {}, name) ||
          patterns.some((one) => this.#accepts(this.#pattern(one, reading, at), name, at));
        if (isSeen) seen.add(name);
      }
    }
    return seen;
  }

  #seenItems(
    node: SchemaNode,
    value: readonly unknown[],
    reading: Reading,
    depth: number,
  ): Set<number> {
    const seen = new Set<number>();
    for (const { node: at, isOwn } of this.#holding(node, value, reading, depth)) {
      const schema = at.schema as Keywords;
      const { prefix, rest } = itemsOf(this.#document, at);
      const all = rest !== undefined || (!isOwn && "unevaluatedItems" in schema);
      const contains = "contains" in schema && this.#document.containsLooks
        ? this.#document.child(at, "contains")
        : undefined;
      value.forEach((item, index) => {
        const isSeen = all || index < prefix.length ||
          (contains !== undefined && this.fits(contains, item, reading, depth + 1));
        if (isSeen) seen.add(index);
      });
    }
    return seen;
  }

  /** A schema and those in it that hold of the same value. */
  *#holding(
    node: SchemaNode,
    value: Keywords | readonly unknown[],
    reading: Reading,
    depth: number,
    isOwn = true,
  ): Generator<{ node: SchemaNode; isOwn: boolean }, void, void> {
    const { schema } = node;
    if (typeof schema === "boolean") return;
    yield { node, isOwn };
    const child = (...path: (string | number)[]) => this.#document.child(node, ...path);
    const fits = (inner: SchemaNode) => this.fits(inner, value, reading, depth + 1);
    const inside: SchemaNode[] = [];
    if (typeof schema.$ref === "string") inside.push(this.#document.target(node));
    for (const keyword of ["allOf", "anyOf", "oneOf"]) {
      const list = (schema[keyword] as unknown[] | undefined ?? []).map((_, at) =>
        child(keyword, at)
      );
      inside.push(...list.filter((one) => keyword === "allOf" || fits(one)));
    }
    if ("if" in schema) {
      const holds = fits(child("if"));
      // By the other reading it may not hold.
      const fails = !this.fits(child("if"), value, reading === "must" ? "may" : "must", depth + 1);
      if (holds) inside.push(child("if"));
      if (holds && "then" in schema) inside.push(child("then"));
      if (fails && "else" in schema) inside.push(child("else"));
    }
    if (!Array.isArray(value)) {
      for (const { name, schema } of dependenciesOf(this.#document, node)) {
        if (schema !== undefined && Object.hasOwn(value, name)) inside.push(schema);
      }
    }
    if (depth > MAX_DEPTH) refuse("$ref", node.pointer, "it refers to itself without end");
    for (const one of inside) yield* this.#holding(one, value, reading, depth + 1, false);
  }
}

function count(value: unknown, absent: number): number {
  return typeof value === "number" ? value : absent;
}

/** A tuple's items and what follows them, as 2020-12 and as older drafts write them. */
export function itemsOf(
  document: SchemaDocument,
  node: SchemaNode,
): { prefix: readonly SchemaNode[]; rest: SchemaNode | undefined; keyword: string } {
  const schema = node.schema as Keywords;
  const list = (keyword: string) =>
    (schema[keyword] as unknown[]).map((_, at) => document.child(node, keyword, at));
  const rest = (keyword: string) => keyword in schema ? document.child(node, keyword) : undefined;
  if (Array.isArray(schema.items)) {
    return { prefix: list("items"), rest: rest("additionalItems"), keyword: "items" };
  }
  const prefix = Array.isArray(schema.prefixItems) ? list("prefixItems") : [];
  return { prefix, rest: rest("items"), keyword: prefix.length > 0 ? "prefixItems" : "items" };
}

/** What the presence of a property asks for. */
export function dependenciesOf(document: SchemaDocument, node: SchemaNode) {
  const schema = node.schema as Keywords;
  const out: { name: string; keyword: string; names?: readonly string[]; schema?: SchemaNode }[] =
    [];
  for (const keyword of ["dependentRequired", "dependentSchemas", "dependencies"]) {
    for (const [name, value] of Object.entries(schema[keyword] ?? {})) {
      if (Array.isArray(value)) out.push({ name, keyword, names: value });
      else out.push({ name, keyword, schema: document.child(node, keyword, name) });
    }
  }
  return out;
}
