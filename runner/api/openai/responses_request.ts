/** The request of POST /v1/responses: input items to chat messages. */
import { exactText } from "../../../src/exact_json.ts";
import { parseArguments } from "./call_arguments.ts";
import { resultText } from "../read_ahead.ts";
import { topLogprobs } from "../options.ts";
import type { ChatMessage, ToolCall } from "../../engine/types.ts";
import { Fields } from "../fields.ts";
import { newFrom, pictureField, takingFor, TEXT_ONLY } from "../images.ts";
import { nameToolMessages } from "../tool_names.ts";
import type { ChatPrompt, InferenceRequest, Service } from "../request.ts";
import {
  contentText,
  formatField,
  MAX_LIST,
  parallelField,
  samplingFields,
  thinkOfEffort,
  toolChoiceField,
} from "./common.ts";
import { customArguments, ResponsesTools } from "./responses_tools.ts";

/** What OpenAI keeps for its users, and nobody keeps here. */
const STATEFUL = ["conversation", "prompt"];

/** What is remembered of the same client. */
interface Memory {
  item(id: string): Readonly<Record<string, unknown>> | undefined;
  conversation(responseId: string): readonly ChatMessage[] | undefined;
}

interface ResponsesRequest extends InferenceRequest {
  readonly prompt: ChatPrompt;
  /** All turns without the instructions, which are not carried over to the next response. */
  readonly turns: readonly ChatMessage[];
  readonly tools: ResponsesTools;
}

/** What the items of a conversation refer to. */
interface Known {
  readonly memory: Memory;
  /** Whether the model sees, and hears. */
  readonly sees: boolean;
  readonly hears: boolean;
  readonly tools: ResponsesTools;
}

export function parseResponsesRequest(
  service: Service,
  body: Fields,
  memory: Memory,
): ResponsesRequest {
  const model = service.checkModel(body.string("model"));
  for (const name of STATEFUL) {
    if (body.has(name)) {
      const wanted = "is not supported, send the whole conversation as input";
      throw body.fail(name, wanted, "unsupported");
    }
  }
  if (body.boolean("background")) {
    throw body.fail("background", "is not supported, it must be false", "unsupported");
  }
  const instructions = body.string("instructions");
  const system = instructions ? [{ role: "system", content: instructions }] : [];
  const tools = new ResponsesTools(body);
  const turns = nameToolMessages([
    ...earlierTurns(body, memory),
    ...parseInput(body, { memory, tools, sees: service.sees, hears: service.hears }),
  ]);
  const choice = toolChoiceField(body, "flat");
  const reasoning = body.object("reasoning");
  const think = reasoning === undefined ? undefined : thinkOfEffort(reasoning, "effort");
  const format = formatField(body.object("text")?.object("format"), "flat");
  const wantsLogprobs = (body.strings("include", { maxLength: 64, maxChars: 256 }) ?? [])
    .includes("message.output_text.logprobs");
  const top = topLogprobs(body);
  const logprobs = top ?? (wantsLogprobs ? 0 : undefined);
  return {
    turns,
    tools,
    model,
    prompt: {
      kind: "chat",
      messages: [...system, ...turns],
      tools: choice === undefined
        ? []
        : tools.definitions.filter(({ name }) => choice.allows(tools.wireName(name).name)),
      toolChoice: typeof choice?.choice === "object"
        ? {
          name: tools.modelName(
            choice.choice.name,
            body.object("tool_choice")?.string("namespace"),
          ),
        }
        : choice?.choice ?? "auto",
      ...parallelField(body),
    },
    options: samplingFields(service, body, ["max_output_tokens"]),
    truncate: body.oneOf("truncation", ["auto", "disabled"]) === "auto",
    ignored: [...tools.leftOut].map((kind) => `tools.${kind}`),
    ...(think === undefined ? {} : { think }),
    ...(format === undefined ? {} : { format }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

function earlierTurns(body: Fields, memory: Memory): readonly ChatMessage[] {
  const id = body.string("previous_response_id");
  if (id === undefined) return [];
  const turns = memory.conversation(id);
  if (turns === undefined) {
    throw body.fail(
      "previous_response_id",
      "is of no response that is remembered, send the whole conversation as input",
    );
  }
  return turns;
}

function parseInput(body: Fields, { memory, ...known }: Known): ChatMessage[] {
  const input = body.raw("input");
  if (typeof input === "string") return [{ role: "user", content: input.toWellFormed() }];
  const items = body.objects("input", MAX_LIST);
  if (items === undefined || items.length === 0) {
    const fault = items === undefined ? "missing" : "empty-array";
    throw body.fail("input", "must be a string or an array of at least one item", fault);
  }
  const turns = new Turns();
  const whole = items.map((item) => resolve(item, memory));
  const isNew = newFrom(whole, isReply);
  for (const [index, item] of whole.entries()) {
    addItem(turns, item, { ...known, past: index < isNew });
  }
  return turns.finish();
}

/** Output items as the one turn that they are in the conversation. */
export function turnsOf(
  items: readonly Readonly<Record<string, unknown>>[],
  tools: ResponsesTools,
): ChatMessage[] {
  const turns = new Turns();
  const how = { tools, sees: false, hears: false, past: true };
  for (const item of items) addItem(turns, Fields.of(item, "output"), how);
  return turns.finish();
}

/** What an item refers to, if that is all it does. */
function resolve(item: Fields, memory: Memory): Fields {
  const type = item.string("type");
  const refers = type === "item_reference" || (type === undefined && !item.has("role"));
  if (!refers || !item.has("id")) return item;
  const found = memory.item(item.requiredString("id"));
  if (found === undefined) {
    throw item.fail("id", "is of no item that is remembered, send the item itself");
  }
  return Fields.of(found, item.path);
}

/** Of a history that OpenAI's servers made: they say that something was done, and not what came of it. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "web_search_call",
  "file_search_call",
  "image_generation_call",
  "mcp_list_tools",
  "mcp_approval_request",
  "mcp_approval_response",
]);

/** Calls of tools that OpenAI defines and a client runs: the tool's name, and the field that says what was to be done. */
const CLIENT_CALLS: ReadonlyMap<string, readonly [name: string, done: string]> = new Map([
  ["local_shell_call", ["local_shell", "action"]],
  ["shell_call", ["shell", "action"]],
  ["apply_patch_call", ["apply_patch", "operation"]],
]);

/** Of a reply, beside its messages. */
const OF_REPLIES: ReadonlySet<string> = new Set([
  ...CLIENT_CALLS.keys(),
  "function_call",
  "custom_tool_call",
  "reasoning",
  "mcp_call",
  "code_interpreter_call",
  "web_search_call",
  "file_search_call",
  "image_generation_call",
]);

/** Whether an item is of a reply. */
function isReply(item: Fields): boolean {
  return item.string("role") === "assistant" || OF_REPLIES.has(item.string("type") ?? "");
}

/** One item; an assistant's thought, text and calls come as items of their own and become one message. */
function addItem(
  turns: Turns,
  item: Fields,
  { tools, past, ...senses }: {
    tools: ResponsesTools;
    sees: boolean;
    hears: boolean;
    past: boolean;
  },
): void {
  const type = item.string("type") ?? (item.has("role") ? "message" : undefined);
  switch (type) {
    case "message": {
      const role = item.requiredString("role").toLowerCase();
      if (role === "assistant") {
        return turns.text(contentText(item, "content", { ...TEXT_ONLY, past }));
      }
      const taking = takingFor(senses, past);
      return turns.other({
        role: role === "developer" ? "system" : role,
        content: contentText(item, "content", taking),
        ...pictureField(taking),
      });
    }
    case "function_call":
      return turns.call({
        id: item.requiredString("call_id"),
        name: tools.modelName(item.requiredString("name"), item.string("namespace")),
        arguments: parseArguments(item),
      });
    case "custom_tool_call":
      return turns.call({
        id: item.requiredString("call_id"),
        name: tools.modelName(item.requiredString("name"), item.string("namespace")),
        arguments: customArguments(item.string("input") ?? ""),
      });
    case "function_call_output":
    case "custom_tool_call_output": {
      const taking = takingFor(senses, true);
      return turns.other({
        role: "tool",
        content: contentText(item, "output", taking),
        ...pictureField(taking),
        toolCallId: item.requiredString("call_id"),
      });
    }
    case "reasoning": {
      const parts = [...item.objects("content", MAX_LIST) ?? []];
      if (parts.length === 0) parts.push(...item.objects("summary", MAX_LIST) ?? []);
      return turns.thought(parts.map((part) => part.string("text") ?? "").join("\n\n"));
    }
    case "mcp_call":
      return turns.ran({
        id: item.requiredString("id"),
        name: item.requiredString("name"),
        arguments: parseArguments(item),
      }, item.string("output") ?? item.string("error") ?? "");
    case "code_interpreter_call":
      return turns.ran({
        id: item.requiredString("id"),
        name: "code_interpreter",
        arguments: { code: item.string("code") ?? "" },
      }, outputText(item.raw("outputs") ?? []));
    case "local_shell_call":
    case "shell_call":
    case "apply_patch_call": {
      const [name, done] = CLIENT_CALLS.get(type)!;
      item.object(done);
      const asked = (item.raw(done) ?? {}) as Record<string, unknown>;
      return turns.call({ id: item.requiredString("call_id"), name, arguments: asked });
    }
    case "local_shell_call_output":
    case "shell_call_output":
    case "apply_patch_call_output":
      return turns.other({
        role: "tool",
        content: outputText(item.raw("output") ?? item.raw("status") ?? ""),
        toolCallId: item.string("call_id") ?? item.requiredString("id"),
      });
    default:
      if (LEFT_OUT.has(type ?? "")) return;
      throw item.fail("type", "is not an item this server supports");
  }
}

class Turns {
  readonly #messages: ChatMessage[] = [];
  #open: { content: string; thinking: string; toolCalls: ToolCall[] } | undefined;

  #assistant() {
    return this.#open ??= { content: "", thinking: "", toolCalls: [] };
  }

  thought(text: string): void {
    // A thought begins a new turn of the assistant.
    if (this.#open !== undefined) this.#close();
    this.#assistant().thinking = text;
  }

  text(content: string): void {
    const turn = this.#assistant();
    turn.content += turn.content === "" ? content : `\n${content}`;
  }

  call(call: ToolCall): void {
    this.#assistant().toolCalls.push(call);
  }

  /** A call that OpenAI's servers answered within the turn. */
  ran(call: ToolCall & { readonly id: string }, result: string): void {
    this.call(call);
    this.other({ role: "tool", content: result, toolCallId: call.id });
  }

  other(message: ChatMessage): void {
    this.#close();
    this.#messages.push(message);
  }

  finish(): ChatMessage[] {
    this.#close();
    return this.#messages;
  }

  #close(): void {
    const turn = this.#open;
    if (turn === undefined) return;
    this.#open = undefined;
    this.#messages.push({
      role: "assistant",
      content: turn.content,
      ...(turn.thinking === "" ? {} : { thinking: turn.thinking }),
      ...(turn.toolCalls.length === 0 ? {} : { toolCalls: turn.toolCalls }),
    });
  }
}

/** What a tool put out: text, or JSON. */
function outputText(outputs: unknown): string {
  if (typeof outputs === "string") return outputs.toWellFormed();
  return typeof outputs === "object" && outputs !== null ? resultText(outputs) : exactText(outputs);
}
