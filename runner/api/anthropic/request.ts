/** The request of Anthropic's messages API: blocks to chat messages. */
import { exactText } from "../../../src/exact_json.ts";
import { resultText } from "../read_ahead.ts";
import type { ChatMessage, ToolCall } from "../../engine/types.ts";
import { clientTool } from "./client_tools.ts";
import type { Fields } from "../fields.ts";
import {
  FILE_HINT,
  newFrom,
  pictureField,
  takeBlock,
  type Taking,
  takingFor,
  TEXT_ONLY,
} from "../images.ts";
import { parseStop } from "../options.ts";
import type { Format, InferenceRequest, Service, Think, ToolChoice } from "../request.ts";
import { joinTexts } from "../text_parts.ts";

const INT32_MAX = 2 ** 31 - 1;
const MAX_LIST = 100_000;

/** `needsLimit`: `max_tokens` is required, as it is for messages and is not for counting. */
export function parseMessagesRequest(
  service: Service,
  body: Fields,
  needsLimit: boolean,
): InferenceRequest {
  const model = service.checkModel(body.string("model"));
  const maxTokens = body.integer("max_tokens", { min: 1, max: INT32_MAX });
  if (needsLimit && maxTokens === undefined) throw body.missing("max_tokens");
  const list = body.objects("messages", MAX_LIST);
  if (list === undefined || list.length === 0) {
    const fault = list === undefined ? "missing" : "empty-array";
    throw body.fail("messages", "must be an array of at least one message", fault);
  }
  const messages: ChatMessage[] = [];
  const system = blocksText(body, "system");
  if (system !== "") messages.push({ role: "system", content: system });
  const isNew = newFrom(list, (message) => message.string("role") === "assistant");
  for (const [index, message] of list.entries()) {
    messages.push(...parseMessage(service, message, index < isNew));
  }
  const choice = parseToolChoice(body);
  const tools = parseTools(body);
  const base = service.baseOptions;
  const think = parseThinking(body);
  const format = parseFormat(body);
  return {
    model,
    prompt: {
      kind: "chat",
      messages,
      tools: choice === undefined ? [] : tools,
      toolChoice: choice ?? "auto",
      ...(body.object("tool_choice")?.boolean("disable_parallel_tool_use")
        ? { oneCall: true }
        : {}),
    },
    options: {
      ...base,
      sampling: {
        ...base.sampling,
        temperature: body.number("temperature", { min: 0, max: 1 }) ?? 1,
        topP: body.number("top_p", { min: 0, max: 1 }) ?? base.sampling.topP,
        topK: body.integer("top_k", { min: 0, max: INT32_MAX }) ?? base.sampling.topK,
      },
      maxTokens: maxTokens ?? -1,
      stop: parseStop(body, "stop_sequences") ?? base.stop,
    },
    truncate: false,
    think,
    ...(format === undefined ? {} : { format }),
  };
}

/** Whether a part of the prompt is to be cached: of others, this API tells nothing of a cache. */
export function asksForCache(body: Fields): boolean {
  const marked = (value: unknown): boolean =>
    Array.isArray(value)
      ? value.some(marked)
      : typeof value === "object" && value !== null && Object.hasOwn(value, "cache_control");
  const contents = (body.objects("messages", MAX_LIST) ?? []).map((one) => one.raw("content"));
  return [body.value(), body.raw("system"), body.raw("tools"), ...contents].some(marked);
}

/** This API does not think unless it is asked to. */
function parseThinking(body: Fields): Think {
  const type = body.object("thinking")?.string("type");
  const effort = body.object("output_config")?.string("effort");
  if (type === undefined || type === "disabled") return false;
  if (effort === "low" || effort === "medium" || effort === "high") return effort;
  // Efforts and kinds of thinking grow in number: what is more than "high" is high, what is unknown just thinks.
  return effort === "xhigh" || effort === "max" ? "high" : true;
}

/** Structured output: `output_config.format`, or `output_format`, its older name. */
function parseFormat(body: Fields): Format | undefined {
  const format = body.object("output_config")?.object("format") ?? body.object("output_format");
  if (format === undefined) return undefined;
  format.oneOf("type", ["json_schema"]);
  const schema = format.object("schema")?.value();
  if (schema === undefined) throw format.missing("schema");
  return { kind: "schema", schema, field: format.at("schema") };
}

function parseToolChoice(body: Fields): ToolChoice | undefined {
  const choice = body.object("tool_choice");
  switch (choice?.oneOf("type", ["auto", "any", "tool", "none"])) {
    case "none":
      return undefined;
    case "any":
      return "required";
    case "tool":
      return { name: choice!.requiredString("name") };
    default:
      return "auto";
  }
}

/** A type of Anthropic's, which are words; what else stands there may be a part of a conversation. */
function namedType(type: string): string {
  return /^[a-z][a-z0-9_]{0,63}$/.test(type) ? `"${type}" ` : "";
}

function parseTools(body: Fields) {
  return (body.objects("tools", 1024) ?? []).map((tool) => {
    const type = tool.string("type");
    const known = type === undefined || type === "custom" ? undefined : clientTool(type);
    if (type !== undefined && type !== "custom" && known === undefined) {
      throw tool.fail(
        "type",
        `${namedType(type)}is not offered here: tools that run on the server are not supported. ` +
          'Give a tool that you run yourself, with "name" and "input_schema"',
        "unsupported",
      );
    }
    const name = tool.requiredString("name");
    if (name === "") throw tool.fail("name", "must not be empty", "empty-string");
    if (known !== undefined) return { name, ...known };
    const description = tool.string("description");
    const parameters = tool.object("input_schema")?.value();
    const strict = tool.boolean("strict") ?? false;
    return {
      name,
      ...(strict ? { strict } : {}),
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { parameters }),
    };
  });
}

/** One message; results of tools become messages of their own, before the user's text. */
function parseMessage(service: Service, message: Fields, past: boolean): ChatMessage[] {
  const take = (past: boolean): Taking => takingFor(service, past);
  const role = message.oneOf("role", ["user", "assistant", "system"]);
  if (role === undefined) throw message.missing("role");
  const value = message.raw("content");
  if (value === undefined) throw message.missing("content");
  if (typeof value === "string") return [{ role, content: value.toWellFormed() }];
  let taking = take(past);
  let content = "", thinking = "";
  let toolCalls: ToolCall[] = [];
  const results: ChatMessage[] = [];
  const hasAny = () =>
    content !== "" || thinking !== "" || toolCalls.length > 0 ||
    pictureField(taking).pictures !== undefined;
  const flush = () => {
    results.push({
      role,
      content,
      ...pictureField(taking),
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
    });
    [content, thinking, toolCalls, taking] = ["", "", [], take(past)];
  };
  for (const block of message.objects("content", MAX_LIST)!) {
    const type = block.requiredString("type");
    switch (type) {
      case "tool_use":
      case "server_tool_use":
      case "mcp_tool_use":
        toolCalls.push({
          id: block.requiredString("id"),
          name: block.requiredString("name"),
          arguments: block.object("input")?.value() ?? {},
        });
        break;
      case "tool_result": {
        const given = take(true);
        results.push({
          role: "tool",
          content: blocksText(block, "content", given),
          ...pictureField(given),
          toolCallId: block.requiredString("tool_use_id"),
        });
        break;
      }
      case "thinking":
        thinking += block.string("thinking") ?? "";
        break;
      case "redacted_thinking":
        break;
      default:
        if (!type.endsWith("_tool_result")) {
          content = joinTexts([content, blockText(block, taking)]);
          break;
        }
        // A tool that Anthropic's servers ran within the assistant's turn: the rest of it comes behind the result.
        if (hasAny()) flush();
        results.push({
          role: "tool",
          content: serverResult(block),
          toolCallId: block.requiredString("tool_use_id"),
        });
    }
  }
  if (hasAny() || results.length === 0) flush();
  return results;
}

/** What a server's tool found, as text: its own blocks as JSON, without what only that server can read. */
function serverResult(block: Fields): string {
  const value = block.raw("content");
  const isText = Array.isArray(value) && value.every((part) => part?.type === "text");
  if (value === undefined || typeof value === "string" || isText) {
    return blocksText(block, "content");
  }
  return typeof value === "object" && value !== null ? resultText(value) : exactText(value);
}

/** Text of a field that is a string or an array of blocks. */
function blocksText(fields: Fields, name: string, taking: Taking = TEXT_ONLY): string {
  const value = fields.raw(name);
  if (value === undefined) return "";
  if (typeof value === "string") return value.toWellFormed();
  if (!Array.isArray(value)) throw fields.fail(name, "must be a string or an array of blocks");
  return joinTexts(fields.objects(name, MAX_LIST)!.map((block) => blockText(block, taking)));
}

/** A block's text, or what stands for it there. */
function blockText(block: Fields, taking: Taking): string {
  const type = block.requiredString("type");
  if (type === "text") return block.requiredString("text");
  if (type === "search_result") {
    const from = [block.string("title") ?? "", block.string("source") ?? ""];
    return joinTexts([...from, blocksText(block, "content")].filter((text) => text !== ""));
  }
  const plain = type === "document" && block.object("source")?.string("type") === "text";
  const instead = plain ? undefined : takeBlock(block, type, taking);
  if (instead !== undefined) return instead;
  if (type === "document") {
    const source = block.object("source");
    if (source?.string("type") === "text") return source.requiredString("data");
    throw block.fail("source", `must be plain text: ${FILE_HINT}`);
  }
  throw block.fail("type", "is not a block this server supports");
}
