/**
 * What Ollama's templates see of tools and messages: structs with Go's field names, which print as JSON with the names of
 * the API, keys of maps sorted as Go sorts them.
 */
import type { ChatMessage, ToolDefinition } from "../engine/types.ts";

/** A struct: `fields` are what a template may name, `json` is how it prints. */
export class GoStruct {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly #json: unknown;

  constructor(fields: Readonly<Record<string, unknown>>, json: unknown) {
    this.fields = fields;
    this.#json = json;
  }

  toJSON(): unknown {
    return this.#json;
  }
}

type Json = Readonly<Record<string, unknown>>;

export function goTools(tools: readonly ToolDefinition[]): GoStruct[] {
  return tools.map(({ name, description = "", parameters }) => {
    const shape = asObject(parameters);
    const properties = goProperties(shape["properties"]);
    const Parameters = struct([
      ["Type", "type", shape["type"] ?? "object"],
      ["Defs", "$defs", sorted(shape["$defs"]), "omit"],
      ["Items", "items", sorted(shape["items"]), "omit"],
      ["Required", "required", shape["required"], "omit"],
      ["Properties", "properties", properties],
    ]);
    const Function = struct([
      ["Name", "name", name],
      ["Description", "description", description],
      ["Parameters", "parameters", Parameters],
    ]);
    return struct([["Type", "type", "function"], ["Function", "function", Function]]);
  });
}

function goProperties(value: unknown): Record<string, unknown> {
  const entries = Object.entries(asObject(value)).sort(byKey);
  return Object.fromEntries(entries.map(([name, one]) => [name, goProperty(asObject(one))]));
}

function goProperty(property: Json): GoStruct {
  const anyOf = property["anyOf"];
  return struct([
    [
      "AnyOf",
      "anyOf",
      Array.isArray(anyOf) ? anyOf.map((one) => goProperty(asObject(one))) : [],
      "omit",
    ],
    ["Type", "type", property["type"], "omit"],
    ["Items", "items", sorted(property["items"]), "omit"],
    ["Description", "description", property["description"] ?? "", "omit"],
    ["Enum", "enum", property["enum"], "omit"],
    [
      "Properties",
      "properties",
      property["properties"] === undefined ? undefined : goProperties(property["properties"]),
      "omit",
    ],
    ["Required", "required", property["required"], "omit"],
  ]);
}

/** Messages of the same role that follow each other are one, as Ollama joins them; results of tools stay apart. */
export function goMessages(messages: readonly ChatMessage[]): GoStruct[] {
  const joined: ChatMessage[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    if (last?.role === message.role && message.role !== "tool") {
      joined[joined.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` };
    } else joined.push(message);
  }
  return joined.map((message) =>
    struct([
      ["Role", "role", message.role],
      ["Content", "content", message.content],
      ["Thinking", "thinking", message.thinking ?? "", "omit"],
      ["Images", "images", [], "omit"],
      ["ToolCalls", "tool_calls", (message.toolCalls ?? []).map(goCall), "omit"],
      ["ToolName", "tool_name", message.toolName ?? "", "omit"],
      ["ToolCallID", "tool_call_id", message.toolCallId ?? "", "omit"],
    ])
  );
}

function goCall(call: NonNullable<ChatMessage["toolCalls"]>[number], index: number): GoStruct {
  const Function = struct([
    ["Index", "index", index],
    ["Name", "name", call.name],
    ["Arguments", "arguments", sorted(call.arguments)],
  ]);
  return struct([["ID", "id", call.id ?? "", "omit"], ["Function", "function", Function]]);
}

/** A property's type as TypeScript would write it: `string | number`. */
export function toTypeScriptType(value: unknown): string {
  if (!(value instanceof GoStruct)) return "any";
  const { AnyOf, Type } = value.fields;
  if (Array.isArray(AnyOf) && AnyOf.length > 0) return AnyOf.map(toTypeScriptType).join(" | ");
  const types = Array.isArray(Type) ? Type : Type === undefined ? [] : [Type];
  return types.map((type) => TYPESCRIPT[String(type)] ?? "any").join(" | ") || "any";
}

const TYPESCRIPT: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  array: "any[]",
  object: "Record<string, any>",
  null: "null",
};

type Row = readonly [go: string, json: string, value: unknown, omitEmpty?: "omit"];

function struct(rows: readonly Row[]): GoStruct {
  const shown = rows.filter(([, , value, omit]) => omit === undefined || !isEmpty(value));
  return new GoStruct(
    Object.fromEntries(rows.map(([go, , value]) => [go, value])),
    Object.fromEntries(shown.map(([, json, value]) => [json, value])),
  );
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" ||
    (Array.isArray(value) && value.length === 0);
}

/** JSON with the keys of every object in order. Requests are not nested deeper than the body's limit. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(byKey).map(([key, one]) => [key, sorted(one)]),
  );
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}
