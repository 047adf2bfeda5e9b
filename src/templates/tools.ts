/** Tools in the form that a template takes. */
import type { Needs } from "./needs.ts";
import type { Tool } from "./types.ts";

type Schema = Readonly<Record<string, unknown>>;

/** How deep schemas are gone into; what is deeper stays as it is. */
const MAX_DEPTH = 32;

export function toolsFor(tools: readonly Tool[], needs: Needs): Tool[] {
  return tools.map((tool) => {
    const filled = needs.toolParts === "any" ? tool : {
      ...tool,
      description: tool.description ?? "",
      parameters: tool.parameters ?? { type: "object", properties: {} },
    };
    if (needs.toolTypes === "any" || !isObject(filled.parameters)) return filled;
    const isFilled = needs.toolTypes === "filled";
    return { ...filled, parameters: singleTypes(filled.parameters, 0, isFilled) };
  });
}

/** Each parameter with one type. Said to the template alone: what a call must be is told by the tool itself. */
function singleTypes(schema: Schema, depth: number, isFilled: boolean): Schema {
  if (depth > MAX_DEPTH) return schema;
  const { properties, items, description, additionalProperties: others } = schema;
  const type = typeOf(schema, depth);
  const fills = isFilled && depth > 0;
  return {
    ...schema,
    type,
    ...(fills ? { description: typeof description === "string" ? description : "" } : {}),
    // A map's values are written as parameters are.
    ...(isObject(others)
      ? { additionalProperties: singleTypes(others, depth + 1, isFilled) }
      : fills && type === "object"
      ? { additionalProperties: { type: "string" } }
      : {}),
    ...(isObject(properties)
      ? {
        properties: Object.fromEntries(
          Object.entries(properties).map(([key, value]) => [
            key,
            singleTypes(isObject(value) ? value : {}, depth + 1, isFilled),
          ]),
        ),
      }
      : {}),
    ...(isObject(items) ? { items: singleTypes(items, depth + 1, isFilled) } : {}),
  };
}

const TYPES = ["string", "number", "integer", "boolean", "array", "object"];
/** Names that schemas written by hand have in their place. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  __proto__: null as never,
  int: "integer",
  long: "integer",
  float: "number",
  double: "number",
  decimal: "number",
  bool: "boolean",
  list: "array",
  tuple: "array",
  dict: "object",
  map: "object",
};

/** A type that the template knows: of one that it does not, some call themselves without end. */
function nameOf(type: string): string {
  return TYPES.includes(type) ? type : OTHER_NAMES[type.toLowerCase()] ?? "string";
}

function typeOf(schema: Schema, depth: number): string {
  if (typeof schema["type"] === "string") return nameOf(schema["type"]);
  const types = Array.isArray(schema["type"])
    ? schema["type"].filter((one): one is string => typeof one === "string" && one !== "null")
    : [];
  if (types.length > 0) return nameOf(types[0]!);
  const values = Array.isArray(schema["enum"]) ? schema["enum"] : [schema["const"]];
  const value = values.find((one) => one !== null && one !== undefined);
  if (value !== undefined) {
    if (Array.isArray(value)) return "array";
    const isWhole = typeof value === "bigint" || Number.isInteger(value);
    return isWhole ? "integer" : typeof value;
  }
  const choices = schema["anyOf"] ?? schema["oneOf"] ?? schema["allOf"];
  if (Array.isArray(choices) && depth < MAX_DEPTH) {
    const found = choices.filter(isObject).map((one) => typeOf(one, depth + 1))
      .find((type) => type !== "null");
    if (found !== undefined) return found;
  }
  return isObject(schema["properties"]) ? "object" : "string";
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
