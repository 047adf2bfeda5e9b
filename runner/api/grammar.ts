/** The grammar a reply must follow, from `format` and from a tool the request insists on. */
import { SecLlamaError } from "../../src/errors.ts";
import { jsonGrammar, schemaGrammar } from "../grammar/schema_grammar.ts";
import type { ToolDefinition } from "../engine/types.ts";
import type { InferenceRequest } from "./request.ts";
import type { ThinkTags } from "./think.ts";

/** How the reply begins, if with a thought. */
export interface Thought {
  /** Absent: the model does not think. */
  readonly tags: ThinkTags | undefined;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean;
}

/** @throws {SecLlamaError} `bad-request` naming the field whose schema cannot be made a grammar. */
export function buildGrammar(request: InferenceRequest, thought: Thought): string | undefined {
  const grammar = toolGrammar(request) ?? formatGrammar(request);
  if (grammar === undefined || thought.tags === undefined) return grammar;
  return afterThought(grammar, thought.tags, thought.opensThought);
}

function formatGrammar({ format }: InferenceRequest): string | undefined {
  if (format === undefined) return undefined;
  return format.kind === "json" ? jsonGrammar() : convert(format.schema, format.field);
}

/** `{"name": …, "arguments": {…}}` of one of the tools, if one must be called. */
function toolGrammar({ prompt }: InferenceRequest): string | undefined {
  if (prompt.kind !== "chat" || prompt.toolChoice === "auto") return undefined;
  const { tools, toolChoice } = prompt;
  const wanted = toolChoice === "required"
    ? tools
    : tools.filter((tool) => tool.name === toolChoice.name);
  if (wanted.length === 0) {
    throw new SecLlamaError("bad-request", "tool_choice must be one of the tools", {
      field: "tool_choice",
    });
  }
  const calls = wanted.map((tool) => ({
    type: "object",
    properties: { name: { const: tool.name }, arguments: objectSchema(tool.parameters) },
    required: ["name", "arguments"],
    additionalProperties: false,
  }));
  return convert({ ...definitions(wanted), anyOf: calls }, "tools");
}

/** What `$ref`s of the tools' schemas refer to, which is looked up from the root. */
function definitions(tools: readonly ToolDefinition[]): Record<string, unknown> {
  const found: Record<string, Record<string, unknown>> = { $defs: {}, definitions: {} };
  for (const tool of tools) {
    const schema = tool.parameters as Record<string, unknown> | undefined;
    for (const key of Object.keys(found)) Object.assign(found[key]!, schema?.[key]);
  }
  return found;
}

/** Arguments are an object, also where a schema leaves that out. */
function objectSchema(parameters: unknown): unknown {
  return { type: "object", ...(parameters as Record<string, unknown> | undefined) };
}

function convert(schema: unknown, field: string): string {
  try {
    return schemaGrammar(schema);
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    throw new SecLlamaError(error.code, `${field}: ${error.message}`, { field, cause: error });
  }
}

/** The grammar with a thought in front: allowed, or where the prompt has opened one, required. */
function afterThought(grammar: string, tags: ThinkTags, open: boolean): string {
  // No rule refers to `root`, so the name is free once its own line has another.
  const answer = grammar.replace(/^root ::=/m, "answer ::=");
  const thought = `${upTo(tags.close)} [ \\t\\n]*`;
  const root = open ? thought : `([ \\t\\n]* ${quote(tags.open)} ${thought})?`;
  return `root ::= ${root} answer\n${answer}`;
}

/** Any text without `tag`, then `tag`. */
function upTo(tag: string): string {
  const ways = [...tag].map((char, index) =>
    (index === 0 ? "" : quote(tag.slice(0, index)) + " ") + `[^${escapeClass(char)}]`
  );
  return `(${ways.join(" | ")})* ${quote(tag)}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function escapeClass(char: string): string {
  return /[\]\\^-]/.test(char) ? `\\${char}` : char;
}
