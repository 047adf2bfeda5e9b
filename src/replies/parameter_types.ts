/**
 * What a tool's schema says of the types that its parameters may have: always all that they may have, at times more. Client's
 * schemas are walked: each part of one once, few parts in all, and a pattern is never run.
 */
import { isObject } from "./values.ts";

/** Parts of a schema that are looked at for one parameter; behind that it says nothing. */
const MAX_PARTS = 1000;
const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"] as const;
/** Keywords that let a property without a name of its own have one in another part of the schema. */
const PARTS = ["$ref", "allOf", "anyOf", "oneOf", "patternProperties"] as const;

type Schema = Readonly<Record<string, unknown>>;

/** Whether a schema's parameters without a name of their own are not alike for a reader, who sees their names. */
export function hasParts(schema: unknown): boolean {
  return isObject(schema) && PARTS.some((key) => Object.hasOwn(schema, key));
}

/** The types that a parameter may have. @param name Absent: any that the schema does not name. */
export function parameterTypes(schema: unknown, name: string | undefined): Set<string> {
  return new Walk(schema, name).parameter(schema) ?? new Set(TYPES);
}

/** The names of an object's properties, in the order of its schema. */
export function propertyNames(root: unknown): string[] {
  const names = together(root).flatMap(({ properties }) =>
    isObject(properties) ? Object.keys(properties) : []
  );
  return [...new Set(names)];
}

/** The names of those that must be there. */
export function requiredNames(root: unknown): string[] {
  const names = together(root).flatMap(({ required }) => Array.isArray(required) ? required : []);
  return [...new Set(names.filter((name) => typeof name === "string"))];
}

/** The parts of a schema that all hold. */
function together(root: unknown): Schema[] {
  const seen = new Set<Schema>();
  const look = (schema: unknown): void => {
    if (!isObject(schema) || seen.has(schema) || seen.size >= MAX_PARTS) return;
    seen.add(schema);
    if (typeof schema.$ref === "string") look(refer(schema.$ref, root));
    for (const part of Array.isArray(schema.allOf) ? schema.allOf : []) look(part);
  };
  look(root);
  return [...seen];
}

/** Of one parameter. What is met again while it is looked at says nothing. */
class Walk {
  readonly #root: unknown;
  readonly #name: string | undefined;
  readonly #parameter = new Map<Schema, Set<string> | undefined>();
  readonly #types = new Map<Schema, Set<string>>();

  constructor(root: unknown, name: string | undefined) {
    this.#root = root;
    this.#name = name;
  }

  get #full(): boolean {
    return this.#parameter.size + this.#types.size >= MAX_PARTS;
  }

  /** What the schemas that hold for an object together say of its member; `undefined`: nothing. */
  parameter(schema: unknown): Set<string> | undefined {
    if (!isObject(schema)) return undefined;
    if (this.#parameter.has(schema) || this.#full) return this.#parameter.get(schema);
    this.#parameter.set(schema, undefined);
    const types = this.#parameterOf(schema);
    this.#parameter.set(schema, types);
    return types;
  }

  #parameterOf(schema: Schema): Set<string> | undefined {
    const name = this.#name;
    const { properties, patternProperties, additionalProperties } = schema;
    let found: Set<string> | undefined;
    const add = (types: Set<string> | undefined) => {
      if (types !== undefined) found = found === undefined ? types : both(found, types);
    };
    if (name !== undefined && isObject(properties) && Object.hasOwn(properties, name)) {
      add(this.#typesOf(properties[name]));
    } else if (patternProperties === undefined && isObject(additionalProperties)) {
      add(this.#typesOf(additionalProperties));
    }
    if (typeof schema.$ref === "string") add(this.parameter(refer(schema.$ref, this.#root)));
    for (const part of Array.isArray(schema.allOf) ? schema.allOf : []) add(this.parameter(part));
    for (const key of ["anyOf", "oneOf"]) {
      const branches = schema[key];
      if (!Array.isArray(branches)) continue;
      let types: Set<string> | undefined = new Set<string>();
      for (const branch of branches) {
        const one = this.parameter(branch);
        // A branch that does not speak of it allows all.
        if (one === undefined) types = undefined;
        if (one === undefined || types === undefined) break;
        types = types.union(one);
      }
      add(types);
    }
    return found;
  }

  /** The types that a schema allows, by all that it says; all where it does not say. */
  #typesOf(schema: unknown): Set<string> {
    if (!isObject(schema) || this.#full) return new Set(TYPES);
    const known = this.#types.get(schema);
    if (known !== undefined) return known;
    this.#types.set(schema, new Set(TYPES));
    const types = this.#typesOfParts(schema);
    this.#types.set(schema, types);
    return types;
  }

  #typesOfParts(schema: Schema): Set<string> {
    let found = new Set<string>(TYPES);
    const add = (types: ReadonlySet<string>) => found = both(found, types);
    if (typeof schema.$ref === "string") add(this.#typesOf(refer(schema.$ref, this.#root)));
    if (typeof schema.type === "string") add(new Set([schema.type]));
    if (Array.isArray(schema.type)) add(new Set(schema.type));
    if (Array.isArray(schema.enum)) add(new Set(schema.enum.map(typeOf)));
    if ("const" in schema) add(new Set([typeOf(schema.const)]));
    for (const choices of [schema.anyOf, schema.oneOf]) {
      if (!Array.isArray(choices)) continue;
      let types = new Set<string>();
      for (const choice of choices) {
        types = types.union(this.#typesOf(choice));
        if (TYPES.every((type) => types.has(type))) break;
      }
      add(types);
    }
    for (const part of Array.isArray(schema.allOf) ? schema.allOf : []) add(this.#typesOf(part));
    return found;
  }
}

/** The types in both, where an integer is a number. */
function both(a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> {
  const types = a.intersection(b);
  for (const [one, other] of [[a, b], [b, a]] as const) {
    if (one.has("integer") && other.has("number")) types.add("integer");
  }
  return types;
}

function refer(pointer: string, root: unknown): unknown {
  let at = root;
  for (const step of pointer.replace(/^#\/?/, "").split("/")) {
    if (step === "") continue;
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    at = isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

export function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value === "bigint" ? "integer" : typeof value;
}
