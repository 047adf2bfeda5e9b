/**
 * A JSON schema as it was sent: its parts with their places, what `$ref` refers to, and a check of every keyword's own type.
 * Reads 2020-12 and 2019-09, and of drafts 4, 6 and 7 what is written otherwise there. Keywords of no draft are notes.
 */
import type { Work } from "../../src/budget.ts";
import { jsonSize } from "../json_work.ts";
import { type Budget, Pause } from "./automaton.ts";
import { isObject, isSchema, wrongKeyword } from "./keywords.ts";
import { Inexpressible, namingWork, refuse } from "./refusal.ts";

export type Keywords = Readonly<Record<string, unknown>>;

/** One schema within the document. */
export interface SchemaNode {
  readonly id: number;
  readonly schema: Keywords | boolean;
  /** RFC 6901, as a fragment. It is for errors, and of a long one only the beginning is kept. */
  readonly pointer: string;
  /** How many parts its whole pointer has. */
  readonly depth: number;
  /** What references are relative to. */
  readonly base: string;
}

const MAX_NODES = 4000;
/** Of its JSON, about. */
const MAX_CHARS = 1_000_000;
const MAX_DEPTH = 100;
/** Steps for finding a schema below another one. */
const STEPS_PER_CHILD = 2;
/** Characters of a name or an address that are gone through for one step. */
const CHARACTERS_PER_STEP = 64;
/** Characters of a pointer that are kept: thousands of schemas may lie under one name of a megabyte. */
const MAX_POINTER = 256;

/** Keywords that hold schemas: where `$id` and `$anchor` count. */
const ONE = [
  "additionalProperties",
  "propertyNames",
  "unevaluatedProperties",
  "unevaluatedItems",
  "items",
  "additionalItems",
  "contains",
  "not",
  "if",
  "then",
  "else",
];
const LISTS = ["prefixItems", "items", "allOf", "anyOf", "oneOf"];
const MAPS = [
  "properties",
  "patternProperties",
  "dependentSchemas",
  "dependencies",
  "$defs",
  "definitions",
];

/** Before a schema is read: it is not too long to be. @throws {SecLlamaError} `bad-request` */
export function* checkLength(schema: unknown): Work<void> {
  if ((yield* jsonSize(schema, MAX_CHARS)) <= MAX_CHARS) return;
  refuse("schema", "#", `it has more than ${MAX_CHARS} characters`);
}

export class SchemaDocument {
  readonly #nodes: SchemaNode[] = [];
  readonly #known = new Map<unknown, SchemaNode>();
  readonly #root: SchemaNode;
  /** Addresses, with and without `#anchor`, that the document gives its parts. */
  #addresses: Map<string, SchemaNode> | undefined;
  /** Names of anchors that `$dynamicRef` asks for. */
  readonly #asked = new Set<string>();
  /** How many parts have each as their `$dynamicAnchor`; whole once the addresses are found. */
  readonly #anchors = new Map<string, number>();
  readonly #refIsAlone: boolean;
  readonly #rootBase: string;
  readonly #idKeyword: "$id" | "id";
  /** Whether `contains` looks at items, so that `unevaluatedItems` does not speak of them: not in 2019-09. */
  readonly containsLooks: boolean;
  readonly yes: SchemaNode;
  readonly no: SchemaNode;
  readonly #budget: Budget;

  /** @throws {SecLlamaError} `bad-request` */
  constructor(schema: unknown, budget: Budget) {
    this.#budget = budget;
    this.yes = this.#add(true, "#", "");
    this.no = this.#add(false, "#", "");
    const dialect = isObject(schema) && typeof schema.$schema === "string" ? schema.$schema : "";
    this.#refIsAlone = /draft-0[3-7]/.test(dialect);
    this.containsLooks = !dialect.includes("2019-09");
    this.#idKeyword = /draft-0[34]/.test(dialect) ? "id" : "$id";
    this.#rootBase = this.#baseOf(schema, "");
    this.#root = this.node(schema, "#", this.#rootBase);
  }

  get root(): SchemaNode {
    return this.#root;
  }

  at(id: number): SchemaNode {
    return this.#nodes[id]!;
  }

  /** The schema at a place below a node. @throws {Inexpressible} when a limit is reached. */
  child(parent: SchemaNode, ...path: readonly (string | number)[]): SchemaNode {
    let schema: unknown = parent.schema;
    let pointer = parent.pointer;
    for (const part of path) {
      this.#budget.take(STEPS_PER_CHILD + String(part).length / CHARACTERS_PER_STEP);
      schema = (schema as Record<string | number, unknown>)[part];
      pointer += `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`;
    }
    const depth = parent.depth + path.length;
    return this.node(schema, pointer, this.#baseOf(schema, parent.base), depth);
  }

  /** @param schema A schema of the document, or one made for a part of it. */
  node(
    schema: unknown,
    whole: string,
    base: string,
    depth: number = whole.split("/").length,
  ): SchemaNode {
    const pointer = whole.length > MAX_POINTER ? whole.slice(0, MAX_POINTER) : whole;
    if (typeof schema === "boolean") return schema ? this.yes : this.no;
    const known = this.#known.get(schema);
    if (known !== undefined) return known;
    if (!isObject(schema)) refuse("schema", pointer, "it must be an object, true or false");
    if (this.#nodes.length >= MAX_NODES) {
      refuse("schema", "#", `it has more than ${MAX_NODES} parts`);
    }
    if (depth > 2 * MAX_DEPTH) {
      refuse("schema", "#", `it nests deeper than ${MAX_DEPTH}`);
    }
    if (typeof schema.multipleOf === "bigint") {
      refuse("multipleOf", pointer, "steps above 2^53 are not kept exactly");
    }
    const shown = this.#static(withDoubles(schema), pointer, base);
    const node = this.#add(shown, pointer, base, depth);
    this.#known.set(schema, node);
    this.#check(node);
    return node;
  }

  #add(schema: Keywords | boolean, pointer: string, base: string, depth = 1): SchemaNode {
    const node = { id: this.#nodes.length, schema, pointer, base, depth };
    this.#nodes.push(node);
    return node;
  }

  /**
   * A schema whose references that depend on the way to them are such that do not: the document is all that there is, so that
   * an anchor that is there once is always the one meant, and the root of a document without parts of an own `$id`.
   */
  #static(schema: Keywords, pointer: string, base: string): Keywords {
    const { $dynamicRef, $recursiveRef, ...rest } = schema;
    const references: string[] = [];
    if ($dynamicRef !== undefined) {
      if (typeof $dynamicRef !== "string") refuse("$dynamicRef", pointer, "it must be a string");
      const [, name] = /^#([^/]+)$/.exec($dynamicRef) ?? [];
      if (name !== undefined) {
        this.#asked.add(name);
        if (this.#addresses !== undefined) this.#checkAnchors();
      } else if (/#[^/]/.test($dynamicRef)) {
        refuse("$dynamicRef", pointer, "an anchor of another address is not read: say $ref");
      }
      references.push($dynamicRef);
    }
    if ($recursiveRef !== undefined) {
      if ($recursiveRef !== "#") refuse("$recursiveRef", pointer, 'it must be "#"');
      if (base !== this.#rootBase) {
        refuse("$recursiveRef", pointer, "it is not read in a part with an $id: say $ref");
      }
      references.push("#");
    }
    if (references.length === 0) return schema;
    const { allOf } = rest;
    const more = references.map(($ref) => ({ $ref }));
    return { ...rest, allOf: [...Array.isArray(allOf) ? allOf : [], ...more] };
  }

  #idOf(schema: Keywords): string | undefined {
    const id = schema[this.#idKeyword];
    return typeof id === "string" ? id : undefined;
  }

  #baseOf(schema: unknown, base: string): string {
    const id = isObject(schema) ? this.#idOf(schema) : undefined;
    return id === undefined || id.startsWith("#") ? base : resolve(id.replace(/#$/, ""), base);
  }

  #check({ schema, pointer }: SchemaNode): void {
    if (typeof schema === "boolean") return;
    for (const [keyword, value] of Object.entries(schema)) {
      const why = wrongKeyword(keyword, value);
      if (why !== undefined) refuse(keyword, pointer, why);
    }
  }

  /** Whether what stands beside a node's `$ref` is to be ignored, as drafts up to 7 have it. */
  ignoresBeside({ schema }: SchemaNode): boolean {
    return this.#refIsAlone && typeof schema === "object" && "$ref" in schema;
  }

  /** What a node's `$ref` refers to. @throws {Pause} the first time that addresses are asked for; {@link SecLlamaError}. */
  target(node: SchemaNode): SchemaNode {
    const reference = (node.schema as Keywords).$ref as string;
    const fail = (why: string) => refuse("$ref", node.pointer, why);
    this.#budget.take((reference.length + node.base.length) / CHARACTERS_PER_STEP);
    const hash = reference.indexOf("#");
    const [address, fragment] = hash < 0
      ? [reference, ""]
      : [reference.slice(0, hash), reference.slice(hash + 1)];
    const base = resolve(address, node.base);
    let from: SchemaNode | undefined = this.#root;
    if (base !== this.#root.base) from = this.#address(base);
    if (from === undefined) {
      return fail("it refers outside of the schema, where nothing is fetched");
    }
    if (fragment === "") return from;
    if (!fragment.startsWith("/")) {
      return this.#address(`${base}#${fragment}`) ??
        fail("it refers to something that is not defined");
    }
    const path: string[] = [];
    for (const part of fragment.split("/").slice(1)) {
      try {
        path.push(decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"));
      } catch {
        return fail("it is no JSON pointer");
      }
    }
    let at: unknown = from.schema;
    let nested = from.base;
    for (const part of path) {
      if (at === null || typeof at !== "object" || !Object.hasOwn(at, part)) {
        return fail("it refers to something that is not defined");
      }
      at = (at as Record<string, unknown>)[part];
      nested = this.#baseOf(at, nested);
    }
    if (!isSchema(at)) return fail("what it refers to is no schema");
    return this.node(at, pointerOf(from.pointer, path), nested, from.depth + path.length);
  }

  #address(address: string): SchemaNode | undefined {
    if (this.#addresses === undefined) {
      throw new Pause(namingWork("$ref", "#", this.#findAddresses()));
    }
    return this.#addresses.get(address);
  }

  *#findAddresses(): Work<void> {
    const found = new Map<string, SchemaNode>();
    yield* this.#walk(this.#root, found, 0);
    this.#checkAnchors();
    this.#addresses = found;
  }

  #checkAnchors(): void {
    for (const name of this.#asked) {
      if ((this.#anchors.get(name) ?? 0) < 2) continue;
      refuse("$dynamicRef", "#", `"#${name}" is the anchor of more than one part`);
    }
  }

  *#walk(node: SchemaNode, found: Map<string, SchemaNode>, depth: number): Work<void> {
    const { schema } = node;
    if (typeof schema === "boolean") return;
    if (depth > MAX_DEPTH) refuse("schema", "#", `it nests deeper than ${MAX_DEPTH}`);
    // Each address that is found is a text of its own.
    this.#budget.take(node.base.length / CHARACTERS_PER_STEP);
    const id = this.#idOf(schema);
    if (id !== undefined && !id.startsWith("#")) found.set(node.base, node);
    const dynamic = schema.$dynamicAnchor;
    if (typeof dynamic === "string") {
      this.#anchors.set(dynamic, (this.#anchors.get(dynamic) ?? 0) + 1);
    }
    for (const anchor of [schema.$anchor, dynamic, id?.startsWith("#") ? id.slice(1) : undefined]) {
      if (typeof anchor === "string") found.set(`${node.base}#${anchor}`, node);
    }
    yield;
    for (const path of places(schema)) {
      const value = path.reduce<unknown>((at, part) => (at as Keywords)[part], schema);
      if (isObject(value)) yield* this.#walk(this.child(node, ...path), found, depth + 1);
    }
  }
}

/** Keywords whose whole number is kept as it is written; others are computed with. */
const EXACT = ["const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/** A schema whose own counts are doubles: nothing has so many. */
function withDoubles(schema: Keywords): Keywords {
  const long = Object.entries(schema).filter(([keyword, value]) =>
    typeof value === "bigint" && !EXACT.includes(keyword)
  );
  if (long.length === 0) return schema;
  return { ...schema, ...Object.fromEntries(long.map(([name, value]) => [name, Number(value)])) };
}

/** Where a schema's own parts are. */
function* places(schema: Keywords): Generator<readonly (string | number)[], void, void> {
  for (const keyword of ONE) if (keyword in schema) yield [keyword];
  for (const keyword of LISTS) {
    const list = schema[keyword];
    if (Array.isArray(list)) { for (const at of list.keys()) yield [keyword, at]; }
  }
  for (const keyword of MAPS) {
    const map = schema[keyword];
    if (isObject(map)) { for (const name of Object.keys(map)) yield [keyword, name]; }
  }
}

/** RFC 3986, 5; a base that is no address is joined as one below "schema:/". */
function resolve(reference: string, base: string): string {
  if (reference === "") return base;
  return URL.parse(reference, base === "" ? "schema:///" : base)?.href ?? reference;
}

function pointerOf(from: string, path: readonly string[]): string {
  return [from, ...path.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"))].join("/");
}

/** @throws {Inexpressible} for a number that was not read as it was written. */
export function checkExact(value: unknown): void {
  if (
    typeof value === "number" &&
    (Math.abs(value) > 2 ** 53 && Number.isInteger(value) || !Number.isFinite(value))
  ) {
    throw new Inexpressible("whole numbers above 2^53 with an exponent are not kept exactly");
  }
  if (value !== null && typeof value === "object") Object.values(value).forEach(checkExact);
}
