/**
 * What Ollama's templates see: its Go types of messages and tools, with their field names, JSON and `String()`.
 * Source: `template/template.go` and `api/types.go` of Ollama.
 */
import { marshal } from "./json.ts";
import { GoString, type Origin } from "./text.ts";
import {
  ANY,
  BOOL,
  elements,
  entries,
  type Field,
  fieldOf,
  FLOAT,
  type GoType,
  INT,
  int,
  type MapData,
  mapData,
  mapOf,
  pointerTo,
  slice,
  sliceOf,
  STRING,
  string,
  UINT8,
  type Value,
} from "./types.ts";
import { ROLES } from "./roles.ts";

/** A message, as far as templates look at it. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly {
    readonly id?: string;
    readonly name: string;
    readonly arguments: Readonly<Record<string, unknown>>;
  }[];
  readonly toolName?: string;
  readonly toolCallId?: string;
}

export interface TemplateTool {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
}

const free = () => {};

function struct(name: string, fields: () => readonly Field[], more: Partial<GoType> = {}): GoType {
  let known: readonly Field[] | undefined;
  return { kind: "struct", name, fields: () => known ??= fields(), ...more };
}

/** `String()` that gives the value as JSON. */
const asJson = (value: Value): GoString => marshal(value, free) ?? GoString.EMPTY;
/** A method `String`, as templates may call it. */
const withString = (type: GoType, text: (value: Value) => GoString): GoType => ({
  ...type,
  string: text,
  methods: { ...type.methods, String: (value) => string(text(value)) },
});
/** As {@link asJson}, but nil is an empty object. */
const mapAsJson = (value: Value): GoString =>
  value.data === undefined ? GoString.of("{}") : asJson(value);

const STRINGS = sliceOf(STRING);
const ANYS = sliceOf(ANY);

/** One type or several: prints, and writes as JSON, one as it is. */
const PROPERTY_TYPE: GoType = {
  ...withString(sliceOf(STRING, "api.PropertyType"), (value) => {
    const names = elements(value).map((one) => (one.data as GoString).text);
    if (names.length === 1) return (elements(value)[0]!.data) as GoString;
    return names.length === 0 ? GoString.EMPTY : joined(elements(value));
  }),
  json: (value) => {
    const all = elements(value);
    return all.length === 1 ? all[0]! : { type: STRINGS, data: value.data };
  },
};

function joined(values: readonly Value[]): GoString {
  const space = GoString.of(" ").runs;
  const runs = values.flatMap((one, at) => [
    ...(at > 0 ? space : []),
    ...(one.data as GoString).runs,
  ]);
  return GoString.ofRuns([...GoString.of("[").runs, ...runs, ...GoString.of("]").runs]);
}

export const TOOL_PROPERTY: GoType = struct("api.ToolProperty", () => [
  { name: "AnyOf", type: sliceOf(TOOL_PROPERTY), json: "anyOf", omitEmpty: true },
  { name: "Type", type: PROPERTY_TYPE, json: "type", omitEmpty: true },
  { name: "Items", type: ANY, json: "items", omitEmpty: true },
  { name: "Description", type: STRING, json: "description", omitEmpty: true },
  { name: "Enum", type: ANYS, json: "enum", omitEmpty: true },
  { name: "Properties", type: pointerTo(PROPERTIES_MAP), json: "properties", omitEmpty: true },
  { name: "Required", type: STRINGS, json: "required", omitEmpty: true },
], {
  methods: { ToTypeScriptType: (value) => string(typeScriptType(value)) },
});

/** Properties of a property, which Ollama keeps in the order of the request; its one field cannot be named. */
const PROPERTIES_MAP: GoType = struct("api.ToolPropertiesMap", () => [
  // A pointer, so that printing it shows an address.
  { name: "", type: pointerTo(mapOf(TOOL_PROPERTY)) },
], {
  methods: {
    Len: (value) => int(entries(propertiesOf(value)).length),
    ToMap: (value) => {
      const map = propertiesOf(value);
      if (map.data === undefined) return map;
      const pairs = [...(map.data as MapData).values()];
      return { ...map, data: mapData(pairs.map(({ key, data }) => [key, data])) };
    },
  },
  json: (value) => propertiesOf(value),
});

function propertiesOf(value: Value): Value {
  const data = value.type.kind === "pointer" ? undefined : (value.data as readonly unknown[])[0];
  return { type: mapOf(TOOL_PROPERTY), data };
}

const PARAMETERS: GoType = struct("template.templateToolFunctionParameters", () => [
  { name: "Type", type: STRING, json: "type" },
  { name: "Defs", type: ANY, json: "$defs", omitEmpty: true },
  { name: "Items", type: ANY, json: "items", omitEmpty: true },
  { name: "Required", type: STRINGS, json: "required", omitEmpty: true },
  { name: "Properties", type: PROPERTIES, json: "properties" },
]);
const PROPERTIES = withString(mapOf(TOOL_PROPERTY, "template.templateProperties"), mapAsJson);
const TOOL_FUNCTION: GoType = struct("template.templateToolFunction", () => [
  { name: "Name", type: STRING, json: "name" },
  { name: "Description", type: STRING, json: "description" },
  { name: "Parameters", type: PARAMETERS, json: "parameters" },
]);
const TOOL = withString(
  struct("template.templateTool", () => [
    { name: "Type", type: STRING, json: "type" },
    { name: "Items", type: ANY, json: "items", omitEmpty: true },
    { name: "Function", type: TOOL_FUNCTION, json: "function" },
  ]),
  asJson,
);
const TOOLS = withString(sliceOf(TOOL, "template.templateTools"), asJson);

const ARGUMENTS = withString(mapOf(ANY, "template.templateArgs"), mapAsJson);
const CALL_FUNCTION: GoType = struct("template.templateToolCallFunction", () => [
  { name: "Index", type: INT },
  { name: "Name", type: STRING },
  { name: "Arguments", type: ARGUMENTS },
]);
const CALL: GoType = struct("template.templateToolCall", () => [
  { name: "ID", type: STRING },
  { name: "Function", type: CALL_FUNCTION },
]);
const IMAGES = sliceOf(sliceOf(UINT8, "api.ImageData"));
const MESSAGE: GoType = struct("template.templateMessage", () => [
  { name: "Role", type: STRING },
  { name: "Content", type: STRING },
  { name: "Thinking", type: STRING },
  { name: "Images", type: IMAGES },
  { name: "ToolCalls", type: sliceOf(CALL) },
  { name: "ToolName", type: STRING },
  { name: "ToolCallID", type: STRING },
]);
const MESSAGES = sliceOf(pointerTo(MESSAGE));
const JSON_OBJECT = mapOf(ANY);
const ROOT = mapOf(ANY);

/** A property's type as TypeScript would write it: `string | number`. */
export function typeScriptType(property: Value): GoString {
  const anyOf = elements(fieldOf(property, "AnyOf")!);
  if (anyOf.length > 0) {
    return GoString.of(anyOf.map((one) => typeScriptType(one).text).join(" | "));
  }
  const types = elements(fieldOf(property, "Type")!);
  const names = types.map((one) => TYPESCRIPT[(one.data as GoString).text] ?? "any");
  return GoString.of(names.join(" | ") || "any");
}

const TYPESCRIPT: Readonly<Record<string, string>> = {
  __proto__: null as never,
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  array: "any[]",
  object: "Record<string, any>",
  null: "null",
};

type Json = Readonly<Record<string, unknown>>;

const user = (text: string) => GoString.from(text, "user");
const textOf = (value: unknown) => typeof value === "string" ? user(value) : GoString.EMPTY;
const asObject = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
const stringsOf = (value: unknown) =>
  Array.isArray(value)
    ? slice(value.filter((one) => typeof one === "string").map(user))
    : undefined;

/** A value of a request's JSON, as Go's reader makes it for an `any`. */
function anyOf(value: unknown): Value | undefined {
  switch (typeof value) {
    case "string":
      return string(user(value));
    case "number":
      return { type: FLOAT, data: value };
    case "bigint":
      // Go's reader would make it the nearest double.
      return int(value);
    case "boolean":
      return { type: BOOL, data: value };
    case "object":
      if (value === null) return undefined;
      if (Array.isArray(value)) return { type: ANYS, data: slice(value.map(anyOf)) };
      return { type: JSON_OBJECT, data: objectData(value as Json) };
    default:
      return undefined;
  }
}

const objectData = (value: Json): MapData =>
  mapData(Object.entries(value).map(([key, one]) => [user(key), anyOf(one)]));

/** Properties by name, in the order they came in. */
function properties(value: unknown): MapData | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return new Map(
    Object.entries(value).map(([name, one]) => {
      const key = user(name);
      return [key.text, { key, data: property(asObject(one)) }];
    }),
  );
}

function property(schema: Json): readonly unknown[] {
  const { anyOf: alternatives, type, items, description, enum: values, required } = schema;
  const nested = properties(schema["properties"]);
  return [
    Array.isArray(alternatives)
      ? slice(alternatives.map((one) => property(asObject(one))))
      : undefined,
    typeof type === "string" ? slice([user(type)]) : stringsOf(type),
    anyOf(items),
    textOf(description),
    Array.isArray(values) ? slice(values.map(anyOf)) : undefined,
    nested === undefined ? undefined : [nested],
    stringsOf(required),
  ];
}

function tool({ name, description, parameters }: TemplateTool): readonly unknown[] {
  const shape = asObject(parameters);
  const found = properties(shape["properties"]);
  const sorted = found && mapData([...found.values()].map(({ key, data }) => [key, data]));
  const shown = [
    textOf(shape["type"]),
    anyOf(shape["$defs"]),
    anyOf(shape["items"]),
    stringsOf(shape["required"]),
    sorted,
  ];
  const called = [user(name), user(description ?? ""), shown];
  return [GoString.of("function"), undefined, called];
}

function message(one: TemplateMessage): readonly unknown[] {
  const { role, content, thinking = "", toolCalls = [], toolName = "", toolCallId = "" } = one;
  const from: Origin = role === "assistant" ? "model" : "user";
  const calls = toolCalls.map((call, at) => [
    user(call.id ?? ""),
    [BigInt(at), user(call.name), objectData(call.arguments)],
  ]);
  return [
    ROLES.has(role) ? GoString.of(role) : user(role),
    GoString.from(content, from),
    GoString.from(thinking, from),
    undefined,
    calls.length > 0 ? slice(calls) : undefined,
    user(toolName),
    user(toolCallId),
  ];
}

/** The value of `.Messages`. */
export const messagesValue = (messages: readonly TemplateMessage[]): Value => ({
  type: MESSAGES,
  data: slice(messages.map(message)),
});

/** The value of `.Tools`; nil if there are none. */
export const toolsValue = (tools: readonly TemplateTool[]): Value => ({
  type: TOOLS,
  data: tools.length > 0 ? slice(tools.map(tool)) : undefined,
});

/** What `$` is: a map of anything. */
export function rootValue(fields: Readonly<Record<string, Value>>): Value {
  const pairs = Object.entries(fields).map(([name, value]) => [GoString.of(name), value] as const);
  return { type: ROOT, data: mapData(pairs) };
}
