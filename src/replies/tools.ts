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

/** How far a `$ref` or a choice is followed to find out which types a value may have. */
const MAX_SCHEMA_DEPTH = 8;
const PYTHON_WORDS: ReadonlyMap<string, unknown> = new Map([
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
    if (parsed === undefined || (word !== undefined && types.has("string"))) return text;
    return types.has(typeOf(parsed)) || (types.has("number") && typeof parsed === "number") ||
        !types.has("string")
      ? parsed
      : text;
  }

  #types(tool: string, parameter: string): Set<string> {
    const schema = this.#schema(tool);
    const properties = propertiesOf(schema);
    const own = Object.hasOwn(properties, parameter) ? properties[parameter] : undefined;
    return own === undefined ? new Set(TYPES) : typesOf(own, schema, 0);
  }

  #schema(tool: string): unknown {
    return this.#tools.get(tool)?.parameters;
  }
}

function propertiesOf(schema: unknown): Record<string, unknown> {
  return isObject(schema) && isObject(schema.properties) ? schema.properties : {};
}

/** The types that a schema allows; all where it does not say. */
function typesOf(schema: unknown, root: unknown, depth: number): Set<string> {
  const all = new Set(TYPES);
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return all;
  if (typeof schema.$ref === "string") return typesOf(refer(schema.$ref, root), root, depth + 1);
  if (typeof schema.type === "string") return new Set([schema.type]);
  if (Array.isArray(schema.type)) return new Set(schema.type);
  if (Array.isArray(schema.enum)) return new Set(schema.enum.map(typeOf));
  if ("const" in schema) return new Set([typeOf(schema.const)]);
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) {
    return new Set(choices.flatMap((choice) => [...typesOf(choice, root, depth + 1)]));
  }
  if (Array.isArray(schema.allOf)) {
    return schema.allOf.map((part) => typesOf(part, root, depth + 1))
      .reduce((a, b) => a.intersection(b), all);
  }
  return all;
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
