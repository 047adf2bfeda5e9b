/** What Ollama's chat and generate share: the fields of requests and the fields, in Ollama's order, of replies. */
import { errorDocument } from "../../../src/api/errors.ts";
import type { ChatMessage, ToolCall, ToolDefinition } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { type KeepAlive, parseKeepAlive } from "../duration.ts";
import { newFrom, pictureField, takeImages, takingFor } from "../images.ts";
import { parseOptions, topLogprobs } from "../options.ts";
import { picturesOf } from "../pictures.ts";
import type {
  Call,
  Format,
  InferenceRequest,
  Logprob,
  Service,
  Think,
  TokenLogprobs,
  Usage,
} from "../request.ts";
import { joinTexts } from "../text_parts.ts";
import { type Chunks, ndjson, withLast } from "../stream.ts";

const MAX_MESSAGES = 100_000;
const MAX_TOOLS = 1024;

/** The fields chat and generate have in common. */
export function commonFields(service: Service, body: Fields) {
  const options = parseOptions(body.object("options"), service.baseOptions);
  const logprobs = body.boolean("logprobs") ?? false;
  const top = topLogprobs(body) ?? 0;
  const think = parseThink(body);
  const format = parseFormat(body);
  const keepAlive = body.has("keep_alive") ? parseKeepAlive(body.raw("keep_alive")) : undefined;
  return {
    stream: body.boolean("stream") ?? true,
    renderOnly: body.boolean("_debug_render_only") ?? false,
    keepAlive,
    inference: {
      options,
      truncate: body.boolean("truncate") ?? true,
      shift: body.boolean("shift") ?? true,
      ...(logprobs ? { logprobs: top } : {}),
      ...(think === undefined ? {} : { think }),
      ...(format === undefined ? {} : { format }),
    },
  };
}

/** Ollama's answer to `_debug_render_only`: the prompt, and no reply. @param empty What stands where the reply would. */
export async function renderedOnly(
  service: Service,
  request: InferenceRequest,
  empty: Readonly<Record<string, unknown>>,
  call: Call,
): Promise<Response> {
  const sent = picturesOf(request);
  return await service.json({
    model: request.model,
    created_at: createdAt(),
    ...empty,
    done: false,
    _debug_info: {
      rendered_template: await service.promptText(request, call),
      ...(sent.length === 0 ? {} : { image_count: sent.length }),
    },
  }, call);
}

/** `think`: a boolean or a level; Ollama's "max" is our highest. */
function parseThink(body: Fields): Think | undefined {
  const value = body.raw("think");
  if (value === undefined || typeof value === "boolean") return value;
  if (value === "low" || value === "medium" || value === "high") return value;
  if (value === "max") return "high";
  throw body.fail("think", 'must be a boolean or one of "low", "medium", "high", "max"');
}

/** `format`: "json", a schema, or nothing ("" is nothing too). */
function parseFormat(body: Fields): Format | undefined {
  const value = body.raw("format");
  if (value === undefined || value === "") return undefined;
  if (value === "json") return { kind: "json" };
  if (typeof value === "object" && !Array.isArray(value)) {
    return { kind: "schema", schema: value, field: "format" };
  }
  throw body.fail("format", 'must be "json" or a JSON schema');
}

export function parseMessages(service: Service, body: Fields): ChatMessage[] {
  const list = body.objects("messages", MAX_MESSAGES) ?? [];
  const isNew = newFrom(list, (message) => message.string("role") === "assistant");
  return list.map((message, index) => {
    const role = message.requiredString("role").toLowerCase();
    if (role === "") throw message.fail("role", "must not be empty", "empty-string");
    const past = role === "tool" || index < isNew;
    const taking = takingFor(service, past);
    const images = takeImages(message, taking);
    const thinking = message.string("thinking");
    const toolCalls = message.objects("tool_calls", MAX_TOOLS)?.map(parseToolCall);
    const toolName = message.string("tool_name") ?? message.string("name");
    const toolCallId = message.string("tool_call_id");
    return {
      role,
      content: withImages(images, message.string("content") ?? "", service.sees),
      ...pictureField(taking),
      ...(thinking ? { thinking } : {}),
      ...(toolCalls?.length ? { toolCalls } : {}),
      ...(toolName ? { toolName } : {}),
      ...(toolCallId ? { toolCallId } : {}),
    };
  });
}

/** Pictures come before a message's text, as Ollama has them; what stands for those that are left out comes behind it. */
function withImages(images: readonly string[], text: string, sees: boolean): string {
  return sees ? images.join("") + text : joinTexts([text, ...images]);
}

function parseToolCall(call: Fields): ToolCall {
  const fn = call.object("function");
  if (fn === undefined) throw call.missing("function");
  const id = call.string("id");
  return {
    name: fn.requiredString("name"),
    arguments: fn.object("arguments")?.value() ?? {},
    ...(id ? { id } : {}),
  };
}

/** `tools` as Ollama and OpenAI's chat write them. */
export function parseTools(body: Fields): ToolDefinition[] {
  return (body.objects("tools", MAX_TOOLS) ?? []).map((tool) => {
    const fn = tool.object("function");
    if (fn === undefined) throw tool.missing("function");
    const name = fn.requiredString("name");
    if (name === "") throw fn.fail("name", "must not be empty", "empty-string");
    const description = fn.string("description");
    const parameters = fn.object("parameters")?.value();
    return {
      name,
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { parameters }),
    };
  });
}

/** RFC 3339 in UTC. */
export function createdAt(): string {
  return new Date().toISOString();
}

/** Ollama leaves zeroes out; so does this, for the same set of fields. */
export function metrics(usage: Usage): Record<string, number> {
  const all = {
    total_duration: usage.totalNs,
    load_duration: usage.loadNs,
    prompt_eval_count: usage.promptTokens,
    prompt_eval_duration: usage.promptNs,
    eval_count: usage.evalTokens,
    eval_duration: usage.evalNs,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0));
}

export function logprobFields(logprobs: readonly TokenLogprobs[]): Record<string, unknown> {
  if (logprobs.length === 0) return {};
  const one = ({ token, logprob, bytes }: Logprob) => ({
    token,
    logprob,
    ...(bytes.length > 0 ? { bytes } : {}),
  });
  return {
    logprobs: logprobs.map((entry) => ({
      ...one(entry),
      ...(entry.top.length > 0 ? { top_logprobs: entry.top.map(one) } : {}),
    })),
  };
}

/** Turns an error in the middle of a stream into Ollama's last line. */
export function withErrorLine(chunks: Chunks): Chunks {
  return withLast(chunks, (error) => ndjson(errorDocument(error, "ollama")));
}

/** Runs `respond`, and tells the supervisor of `keep_alive`: 0 when the reply is over, anything else now. */
export function announceKeepAlive(
  service: Service,
  value: KeepAlive | undefined,
  { client }: Pick<Call, "client">,
): () => void {
  if (value === undefined) return () => {};
  if (value !== 0) {
    service.keepAlive(value, client);
    return () => {};
  }
  let told = false;
  return () => {
    if (!told) service.keepAlive(0, client);
    told = true;
  };
}
