/** The tools of a request, as far as reading calls of them needs. */

export interface Tool {
  readonly name: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
}

/** A call that a reply makes. */
export interface ParsedCall {
  readonly name: string;
  /** Of a call that was cut, what is whole of them. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Present if the reply was cut within the call, or went on as no call does: the arguments' JSON text so far. */
  readonly partial?: string;
  /** The arguments' JSON text, where it is not what the arguments would be written as. */
  readonly json?: string;
}

/**
 * How a parameter's bare text is read. `text`: it stays text. `typed`: JSON of one of the types is that. `unknown`: the schema does
 * not say which parameters there are.
 */
export type Reading =
  | { readonly kind: "text" | "unknown" }
  | { readonly kind: "typed"; readonly types: ReadonlySet<string> };

/** How far a `$ref` or a choice is followed to find out which types a value may have. */
const MAX_SCHEMA_DEPTH = 8;
export const PYTHON_WORDS: ReadonlyMap<string, unknown> = new Map([
  ["True", true],
  ["False", false],
  ["None", null],
]);
const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"];

export class Tools {
  readonly #tools: ReadonlyMap<string, Tool>;

  constructor(tools: Iterable<Tool>) {
    this.#tools = new Map([...tools].map((tool) => [tool.name, tool]));
  }

  get names(): Iterable<string> {
    return this.#tools.keys();
  }

  has(name: string): boolean {
    return this.#tools.has(name);
  }

  /** Whether some tool's name begins so. */
  hasPrefix(beginning: string): boolean {
    return [...this.#tools.keys()].some((name) => name.startsWith(beginning));
  }

  /** Units of the longest tool's name. */
  get longestName(): number {
    return Math.max(0, ...[...this.#tools.keys()].map((name) => name.length));
  }

  /** Whether a parameter's bare text is text whatever it says. */
  isText(tool: string, parameter: string): boolean {
    const types = this.#types(tool, parameter);
    return types.size === 1 && types.has("string");
  }

  /** @param parameter Absent: any that the schema does not name. */
  reading(tool: string, parameter?: string): Reading {
    if (parameter === undefined && speaksOfPatterns(this.#schema(tool))) {
      return { kind: "unknown" };
    }
    const types = this.#types(tool, parameter);
    return types.size === 1 && types.has("string") ? { kind: "text" } : { kind: "typed", types };
  }

  /** The names of a tool's parameters, in the order of its schema. */
  parameters(tool: string): string[] {
    return Object.keys(propertiesOf(this.#schema(tool)));
  }

  /**
   * A parameter's value that a format writes as bare text: text stays text where the schema wants text; else it is read as JSON
   * if it is that of an allowed type.
   */
  valueOf(tool: string, parameter: string, text: string): unknown {
    const types = this.#types(tool, parameter);
    if (types.size === 1 && types.has("string")) return text;
    // Templates write Python's words, and so models do.
    const word = PYTHON_WORDS.get(text.trim());
    const parsed = word === undefined ? lenientJson(text.trim()) : word;
    if (parsed === undefined) return text;
    return types.has(typeOf(parsed)) || (types.has("number") && typeof parsed === "number") ||
        !types.has("string")
      ? parsed
      : text;
  }

  #types(tool: string, parameter: string | undefined): Set<string> {
    const schema = this.#schema(tool);
    return parameterTypes(schema, schema, parameter, 0) ?? new Set(TYPES);
  }

  #schema(tool: string): unknown {
    return this.#tools.get(tool)?.parameters;
  }
}

/** What the schemas that hold for an object together say of one of its members; `undefined`: nothing. */
function parameterTypes(
  schema: unknown,
  root: unknown,
  name: string | undefined,
  depth: number,
): Set<string> | undefined {
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return undefined;
  const found: (Set<string> | undefined)[] = [];
  const { properties, patternProperties, additionalProperties } = schema;
  let named = false;
  if (name !== undefined && isObject(properties) && Object.hasOwn(properties, name)) {
    named = true;
    found.push(typesOf(properties[name], root, 0));
  }
  for (
    const [pattern, value] of Object.entries(isObject(patternProperties) ? patternProperties : {})
  ) {
    if (name === undefined || !matches(pattern, name)) continue;
    named = true;
    found.push(typesOf(value, root, 0));
  }
  if (!named && isObject(additionalProperties)) found.push(typesOf(additionalProperties, root, 0));
  const further = (part: unknown) => parameterTypes(part, root, name, depth + 1);
  if (typeof schema.$ref === "string") found.push(further(refer(schema.$ref, root)));
  for (const part of Array.isArray(schema.allOf) ? schema.allOf : []) found.push(further(part));
  for (const key of ["anyOf", "oneOf"]) {
    const branches = schema[key];
    if (!Array.isArray(branches)) continue;
    const types = branches.map(further);
    // A branch that does not speak of it allows all.
    if (types.every((one) => one !== undefined)) {
      found.push(types.reduce((a, b) => a.union(b), new Set<string>()));
    }
  }
  return found.filter((one) => one !== undefined)
    .reduce<Set<string> | undefined>((a, b) => a === undefined ? b : both(a, b), undefined);
}

/** Whether what a parameter is read as goes by its name where the schema does not name it. */
function speaksOfPatterns(schema: unknown): boolean {
  return JSON.stringify(schema ?? null).includes('"patternProperties"');
}

function propertiesOf(schema: unknown, root = schema, depth = 0): Record<string, unknown> {
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return {};
  const parts = [
    ...(typeof schema.$ref === "string" ? [refer(schema.$ref, root)] : []),
    ...(Array.isArray(schema.allOf) ? schema.allOf : []),
  ].map((part) => propertiesOf(part, root, depth + 1));
  return Object.assign({}, isObject(schema.properties) ? schema.properties : {}, ...parts);
}

/** The types that a schema allows, by all that it says; all where it does not say. */
function typesOf(schema: unknown, root: unknown, depth: number): Set<string> {
  const all = new Set(TYPES);
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return all;
  const of = (part: unknown) => typesOf(part, root, depth + 1);
  const found: Set<string>[] = [];
  if (typeof schema.$ref === "string") found.push(of(refer(schema.$ref, root)));
  if (typeof schema.type === "string") found.push(new Set([schema.type]));
  if (Array.isArray(schema.type)) found.push(new Set(schema.type));
  if (Array.isArray(schema.enum)) found.push(new Set(schema.enum.map(typeOf)));
  if ("const" in schema) found.push(new Set([typeOf(schema.const)]));
  for (const choices of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(choices)) found.push(new Set(choices.flatMap((choice) => [...of(choice)])));
  }
  if (Array.isArray(schema.allOf)) found.push(...schema.allOf.map(of));
  return found.reduce(both, all);
}

/** The types in both, where an integer is a number. */
function both(a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> {
  const types = a.intersection(b);
  for (const [one, other] of [[a, b], [b, a]] as const) {
    if (one.has("integer") && other.has("number")) types.add("integer");
  }
  return types;
}

/** A pattern that is none matches nothing here: the schema is judged elsewhere. */
function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, "u").test(name);
  } catch {
    return false;
  }
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

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON; also with line breaks and tabs as such inside strings, as models write them. `undefined` if it is none. */
export function lenientJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return JSON.parse(escapeControls(text));
    } catch {
      return undefined;
    }
  }
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeControls(text: string): string {
  return text.replace(
    /"(?:[^"\\]|\\.)*"/gs,
    (string) => string.replace(/[\n\r\t]/g, (char) => ESCAPES[char]!),
  );
}
