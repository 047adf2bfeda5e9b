/** The tools of a request, as far as reading calls of them needs. */
import { parseExact } from "../exact_json.ts";
import { escapeControls } from "./json_string.ts";
import { pythonLiteral } from "./python_literal.ts";
import {
  hasParts,
  parameterTypes,
  propertyNames,
  requiredNames,
  typeOf,
} from "./parameter_types.ts";

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

const PYTHON_WORDS: ReadonlyMap<string, unknown> = new Map([
  ["True", true],
  ["False", false],
  ["None", null],
]);

/** Names, of which a request may have ten thousands: each unit of a reply may be asked of them. */
export class Names {
  readonly #sorted: readonly string[];
  /** Units of the longest. */
  readonly longest: number;

  constructor(names: Iterable<string>) {
    this.#sorted = [...names].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
    this.longest = this.#sorted.reduce((most, name) => Math.max(most, name.length), 0);
  }

  /** Whether one begins so. */
  hasPrefix(beginning: string): boolean {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < beginning) low = middle + 1;
      else high = middle;
    }
    return this.#sorted[low]?.startsWith(beginning) ?? false;
  }
}

export class Tools {
  readonly #tools: ReadonlyMap<string, Tool>;
  /** What was found out once. */
  readonly #known = new Map<string, ReadonlySet<string>>();
  readonly #parameters = new Map<string, readonly string[]>();
  readonly #names: Names;

  constructor(tools: Iterable<Tool>) {
    this.#tools = new Map([...tools].map((tool) => [tool.name, tool]));
    this.#names = new Names(this.#tools.keys());
  }

  get names(): Iterable<string> {
    return this.#tools.keys();
  }

  has(name: string): boolean {
    return this.#tools.has(name);
  }

  /** Whether some tool's name begins so. */
  hasPrefix(beginning: string): boolean {
    return this.#names.hasPrefix(beginning);
  }

  /** Units of the longest tool's name. */
  get longestName(): number {
    return this.#names.longest;
  }

  /** Whether a parameter's bare text is text whatever it says. */
  isText(tool: string, parameter: string): boolean {
    const types = this.#types(tool, parameter);
    return types.size === 1 && types.has("string");
  }

  /** @param parameter Absent: any that the schema does not name. */
  reading(tool: string, parameter?: string): Reading {
    if (parameter === undefined && hasParts(this.#schema(tool))) {
      return { kind: "unknown" };
    }
    const types = this.#types(tool, parameter);
    return types.size === 1 && types.has("string") ? { kind: "text" } : { kind: "typed", types };
  }

  /** The names of a tool's parameters, in the order of its schema. */
  parameters(tool: string): readonly string[] {
    let names = this.#parameters.get(tool);
    if (names === undefined) {
      this.#parameters.set(tool, names = propertyNames(this.#schema(tool)));
    }
    return names;
  }

  /** Of them, those that must be there. */
  required(tool: string): readonly string[] {
    return requiredNames(this.#schema(tool));
  }

  /**
   * A parameter's value that a format writes as bare text: text stays text where the schema wants text; else it is read as JSON
   * if it is that of an allowed type.
   */
  valueOf(tool: string, parameter: string, text: string): unknown {
    const types = this.#types(tool, parameter);
    if (types.size === 1 && types.has("string")) return text;
    let parsed = bareJson(text.trim());
    if (parsed === undefined && !types.has("string")) parsed = loosely(text.trim(), types);
    if (parsed === undefined) return text;
    return types.has(typeOf(parsed)) || (types.has("number") && typeOf(parsed) === "integer") ||
        !types.has("string")
      ? parsed
      : text;
  }

  #types(tool: string, parameter: string | undefined): ReadonlySet<string> {
    const key = JSON.stringify([tool, parameter]);
    let types = this.#known.get(key);
    if (types === undefined) {
      this.#known.set(key, types = parameterTypes(this.#schema(tool), parameter));
    }
    return types;
  }

  #schema(tool: string): unknown {
    return this.#tools.get(tool)?.parameters;
  }
}

/** What is no JSON, as the value of one of the types that it can only be meant for; else `undefined`. */
function loosely(text: string, types: ReadonlySet<string>): unknown {
  const word = text.toLowerCase();
  if (types.has("boolean") && (word === "true" || word === "false")) return word === "true";
  if (word === "null" || word === "none") return null;
  // Templates print a list as Python does, Qwen3-Coder's among them, and so models write it.
  if (/^[[{]/.test(text) && (types.has("array") || types.has("object"))) {
    return pythonLiteral(text);
  }
  const number = /^([+-]?)(\d+(?:\.\d+)?)$/.exec(text);
  if (number === null || !(types.has("number") || types.has("integer"))) return undefined;
  return parseExact(`${number[1] === "-" ? "-" : ""}${number[2]!.replace(/^0+(?=\d)/, "")}`);
}

/** JSON that stands bare, or one of Python's words: templates write those, and so models do. `undefined` if it is neither. */
export function bareJson(text: string): unknown {
  const word = PYTHON_WORDS.get(text);
  return word === undefined ? lenientJson(text) : word;
}

/** JSON; also with line breaks and tabs as such inside strings, as models write them. `undefined` if it is none. */
export function lenientJson(text: string): unknown {
  try {
    return parseExact(text);
  } catch {
    try {
      return parseExact(escapeControls(text));
    } catch {
      return undefined;
    }
  }
}
