/**
 * The tools of `/v1/responses`, of which Codex brings every kind, and the functions that a model knows instead. The members of
 * a `namespace` become functions under unique names, and a call of one comes back with `namespace` and `name` apart; a
 * `custom` tool becomes a function of one string, and its call a `custom_tool_call`; tools that only a server could run are
 * left out, as no model is told of what nobody can do.
 */
import { exactText } from "../../../src/exact_json.ts";
import type { ToolCall, ToolDefinition } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { MAX_TOOLS, toolDefinition } from "./common.ts";

/** The one argument of a custom tool. */
const INPUT = "input";
const INPUT_SCHEMA = {
  type: "object",
  properties: { [INPUT]: { type: "string" } },
  required: [INPUT],
  additionalProperties: false,
};

/** Run by OpenAI's servers, or kinds that only its models know. */
const HOSTED: ReadonlySet<string> = new Set([
  "apply_patch",
  "code_interpreter",
  "computer",
  "computer_use_preview",
  "file_search",
  "image_generation",
  "local_shell",
  "mcp",
  "shell",
  "tool_search",
  "web_search",
  "web_search_2025_08_26",
  "web_search_preview",
  "web_search_preview_2025_03_11",
]);

/** What a client calls a tool. */
export interface WireName {
  readonly name: string;
  readonly namespace?: string;
  /** A custom tool: its input is a text, not JSON. */
  readonly custom?: true;
}

export class ResponsesTools {
  readonly definitions: ToolDefinition[] = [];
  /** Kinds of tools that were left out. */
  readonly leftOut = new Set<string>();
  /** By the model's name of the function. */
  readonly #wire = new Map<string, WireName>();
  /** By the client's names, the model's. */
  readonly #flat = new Map<string, string>();

  /** @throws {SecLlamaError} `bad-request`: a tool of no known kind, or too many with those of namespaces. */
  constructor(body: Fields) {
    for (const tool of body.objects("tools", MAX_TOOLS) ?? []) {
      this.#add(tool);
      if (this.definitions.length <= MAX_TOOLS) continue;
      throw body.fail(
        "tools",
        `has more than ${MAX_TOOLS} tools with those of its namespaces`,
        "array-too-long",
      );
    }
  }

  #add(tool: Fields): void {
    const type = tool.requiredString("type");
    if (HOSTED.has(type)) {
      this.leftOut.add(type);
      return;
    }
    switch (type) {
      case "function":
        return this.#define(toolDefinition(tool), { name: tool.requiredString("name") });
      case "custom":
        return this.#custom(tool, undefined);
      case "namespace": {
        const namespace = tool.requiredString("name");
        if (namespace === "") throw tool.fail("name", "must not be empty");
        for (const member of tool.objects("tools", MAX_TOOLS) ?? []) {
          const kind = member.requiredString("type");
          if (HOSTED.has(kind)) {
            this.leftOut.add(kind);
            continue;
          }
          if (kind === "custom") this.#custom(member, namespace);
          else if (kind !== "function") throw member.fail("type", 'must be "function" or "custom"');
          else {
            const definition = toolDefinition(member);
            const { name } = definition;
            const flat = flatName(namespace, name);
            this.#define({ ...definition, name: flat }, { name, namespace });
          }
        }
        return;
      }
      default:
        throw tool.fail("type", 'must be "function", "custom" or "namespace"');
    }
  }

  #custom(tool: Fields, namespace: string | undefined): void {
    const { name, description = "" } = toolDefinition(tool);
    const format = tool.object("format");
    const syntax = format?.string("syntax");
    const definition = format?.string("definition");
    const grammar = definition === undefined
      ? ""
      : `\n\nThe input is text in this ${syntax ?? ""} grammar:\n${definition}`;
    this.#define({
      name: flatName(namespace, name),
      description: description + grammar,
      parameters: INPUT_SCHEMA,
    }, { name, custom: true, ...(namespace === undefined ? {} : { namespace }) });
  }

  /** A name that two tools have is the second one's with a number. */
  #define(definition: ToolDefinition, wire: WireName): void {
    let { name } = definition;
    for (let n = 2; this.#wire.has(name); n++) name = `${definition.name}_${n}`;
    this.#wire.set(name, wire);
    const key = wireKey(wire.name, wire.namespace);
    if (!this.#flat.has(key)) this.#flat.set(key, name);
    this.definitions.push({ ...definition, name });
  }

  /** What the client calls a function of the model's. */
  wireName(name: string): WireName {
    return this.#wire.get(name) ?? { name };
  }

  /** What the model calls a tool of the client's; of a tool that is gone by now, what it would. */
  modelName(name: string, namespace: string | undefined): string {
    return this.#flat.get(wireKey(name, namespace)) ?? flatName(namespace, name);
  }
}

/** The arguments of a custom tool's call, from the client's text. */
export function customArguments(input: string): ToolCall["arguments"] {
  return { [INPUT]: input };
}

/** The client's text of a custom tool's call. What is not as its schema says is passed on as it is. */
export function customInput(call: ToolCall): string {
  const input = call.arguments[INPUT];
  return typeof input === "string" ? input : exactText(call.arguments);
}

/** What of a custom tool's arguments is its input: `{"input":"…"}`, whose JSON text grows. */
export class CustomInput {
  #json = "";
  #state: "before" | "in" | "after" = "before";

  /** What is new of the input. */
  push(json: string): string {
    this.#json += json;
    if (this.#state === "before" && this.#json.startsWith(INPUT_BEGIN)) {
      this.#json = this.#json.slice(INPUT_BEGIN.length);
      this.#state = "in";
    }
    if (this.#state !== "in") return "";
    // Plain text and whole escapes.
    const text = /^(?:[^"\\]|\\u[\da-fA-F]{4}|\\[^u])*/.exec(this.#json)![0];
    this.#json = this.#json.slice(text.length);
    if (this.#json.startsWith('"')) this.#state = "after";
    return JSON.parse(`"${text}"`);
  }
}
const INPUT_BEGIN = `{"${INPUT}":"`;

function wireKey(name: string, namespace: string | undefined): string {
  return JSON.stringify([namespace, name]);
}

function flatName(namespace: string | undefined, name: string): string {
  if (namespace === undefined) return name;
  return namespace.endsWith("_") ? `${namespace}${name}` : `${namespace}__${name}`;
}
