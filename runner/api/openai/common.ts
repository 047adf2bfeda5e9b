/** What the OpenAI endpoints share: sampling fields, messages, tools and the shape of usage. */
import { errorDocument } from "../../../src/api/errors.ts";
import type { PromptProgress, ToolDefinition } from "../../engine/types.ts";
import type { Fields } from "../fields.ts";
import { argumentsText } from "../../../src/replies/draft.ts";
import { takePart, type Taking, TEXT_ONLY } from "../images.ts";
import { applySeed, localSampling, MAX_STOP_CHARS, parseStop } from "../options.ts";
import type {
  Format,
  GenerationOptions,
  InferenceRequest,
  Logprob,
  NamedToolCall,
  Service,
  Think,
  TokenLogprobs,
  ToolChoice,
  Usage,
} from "../request.ts";
import { type Chunks, sse, withLast } from "../stream.ts";
import { joinTexts } from "../text_parts.ts";

/**
 * How an API writes a format and a choice: chat completions within a member of its own (`json_schema`, `function`), responses
 * flat. Both are read everywhere, but an error names the path that the API has.
 */
type Shape = "nested" | "flat";

export const INT32_MAX = 2 ** 31 - 1;
export const MAX_LIST = 100_000;
export const MAX_TOOLS = 1024;

/**
 * Sampling fields under OpenAI's names. Temperature and top_p are 1 where neither the request nor the Modelfile says
 * anything, as its API has it. `limits`: the names of the field for the reply's length, the first one given counts; -1 is
 * what clients of local servers send for "no limit".
 */
export function samplingFields(
  service: Service,
  body: Fields,
  limits: readonly string[],
): GenerationOptions {
  const base = service.baseOptions;
  const stated = service.defaults.options;
  const sampling = {
    ...base.sampling,
    temperature: body.number("temperature", { min: 0, max: 2 }) ??
      (stated?.["temperature"] === undefined ? 1 : base.sampling.temperature),
    topP: body.number("top_p", { min: 0, max: 1 }) ??
      (stated?.["top_p"] === undefined ? 1 : base.sampling.topP),
    presencePenalty: body.number("presence_penalty", { min: -2, max: 2 }) ??
      base.sampling.presencePenalty,
    frequencyPenalty: body.number("frequency_penalty", { min: -2, max: 2 }) ??
      base.sampling.frequencyPenalty,
    ...localSampling(body),
  };
  const logitBias = logitBiasField(service, body);
  applySeed(sampling, body, "seed");
  const given = limits.map((name) =>
    body.raw(name) === -1 ? -1 : body.integer(name, { min: 1, max: INT32_MAX })
  );
  return {
    ...base,
    sampling,
    maxTokens: given.find((one) => one !== undefined) ?? base.maxTokens,
    stop: stopField(body) ?? base.stop,
    ...(logitBias === undefined ? {} : { logitBias }),
  };
}

/** Each costs a little at every token. */
const MAX_BIASES = 1024;
/** What `false` comes to in llama-server's way of writing: the token does not come. */
const NEVER = -Infinity;

/**
 * `logit_bias`: OpenAI's object of token ids, or llama-server's pairs of id and bias, where `false` forbids the token.
 * @throws {SecLlamaError} `bad-request`: an id that is none of the model's, a bias out of range.
 */
function logitBiasField(service: Service, body: Fields): ReadonlyMap<number, number> | undefined {
  const name = "logit_bias";
  const value = body.raw(name);
  if (value === undefined) return undefined;
  const pairs = Array.isArray(value)
    ? body.array(name, MAX_BIASES)!
    : Object.entries(body.object(name)!.value());
  if (pairs.length > MAX_BIASES) {
    throw body.fail(name, `must have at most ${MAX_BIASES} tokens`, "array-too-long");
  }
  const biases = new Map<number, number>();
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw body.fail(name, "must be an object, or an array of pairs of token id and bias", "type");
    }
    const id = typeof pair[0] === "string" && /^\d{1,9}$/.test(pair[0]) ? +pair[0] : pair[0];
    if (!Number.isInteger(id) || id < 0 || id >= service.vocabularySize) {
      throw body.fail(name, "must be about token ids of this model");
    }
    const bias = pair[1] === false ? NEVER : pair[1];
    if (typeof bias !== "number" || (bias !== NEVER && !(Math.abs(bias) <= 100))) {
      throw body.fail(name, "must hold numbers from -100 to 100");
    }
    biases.set(id, bias);
  }
  return biases.size === 0 ? undefined : biases;
}

const MAX_GRAMMAR_CHARS = 64 * 1024;

/**
 * llama-server's `json_schema` and `grammar`, beside `response_format`.
 * @throws {SecLlamaError} `bad-request`: two fields that say what the reply must be, or a grammar that is too large.
 */
export function replyFormat(body: Fields, name: string): Format | undefined {
  const format = formatField(body.object(name), "nested");
  const schema = body.object("json_schema")?.value();
  // An empty text is none, as llama-server's own clients send it.
  const source = body.string("grammar") || undefined;
  if (schema !== undefined && format !== undefined) {
    throw body.fail("json_schema", `cannot stand beside ${name}`);
  }
  if (source === undefined) {
    return schema === undefined ? format : { kind: "schema", schema, field: "json_schema" };
  }
  if (schema !== undefined || format !== undefined) {
    throw body.fail("grammar", `cannot stand beside json_schema or ${name}`);
  }
  if (source.length > MAX_GRAMMAR_CHARS) {
    throw body.fail(
      "grammar",
      `must have at most ${MAX_GRAMMAR_CHARS} characters`,
      "string-too-long",
    );
  }
  return { kind: "grammar", source, field: "grammar" };
}

/** What llama-server tells of a reply's speed, in its words. `usage`: of all choices together. */
export function wireTimings(usage: Usage) {
  const evaluated = usage.promptTokens - usage.cachedTokens;
  const speed = (name: string, count: number, ns: number) => ({
    [`${name}_n`]: count,
    [`${name}_ms`]: ns / 1e6,
    [`${name}_per_token_ms`]: count === 0 ? 0 : ns / 1e6 / count,
    [`${name}_per_second`]: ns === 0 ? 0 : count * 1e9 / ns,
  });
  return {
    cache_n: usage.cachedTokens,
    ...speed("prompt", evaluated, usage.promptNs),
    ...speed("predicted", usage.evalTokens, usage.evalNs),
  };
}

/** llama-server's fields of a stream that tells how it goes. */
export function telemetryFields(body: Fields): Pick<InferenceRequest, "progress" | "timings"> {
  if (!(body.boolean("stream") ?? false)) return {};
  return {
    ...(body.boolean("return_progress") ? { progress: true } : {}),
    ...(body.boolean("timings_per_token") ? { timings: true } : {}),
  };
}

/** `prompt_progress`, as llama-server writes it. */
export function wireProgress({ total, cached, processed, ms }: PromptProgress & { ms: number }) {
  return { total, cache: cached, processed, time_ms: Math.round(ms) };
}

function stopField(body: Fields): readonly string[] | undefined {
  const value = body.raw("stop");
  if (typeof value !== "string") return parseStop(body);
  if (value.length > MAX_STOP_CHARS) {
    throw body.fail("stop", `must be at most ${MAX_STOP_CHARS} characters`);
  }
  return value === "" ? [] : [value.toWellFormed()];
}

/** OpenAI's scale of effort has more steps than templates know. */
export function thinkOfEffort(fields: Fields, name: string): Think | undefined {
  const effort = fields.oneOf(name, [
    "none",
    "minimal",
    "low",
    "medium",
    "high",
    "xhigh",
    "ultra",
    "max",
  ]);
  switch (effort) {
    case undefined:
      return undefined;
    case "none":
      return false;
    case "minimal":
      return "low";
    case "xhigh":
    case "ultra":
    case "max":
      return "high";
    default:
      return effort;
  }
}

/** `response_format` of chat, or the like-shaped `text.format` of responses. */
export function formatField(format: Fields | undefined, shape: Shape): Format | undefined {
  const type = format?.oneOf("type", ["text", "json_object", "json_schema"]);
  if (format === undefined || type === undefined || type === "text") return undefined;
  const nested = format.object("json_schema");
  const holder = nested ?? format;
  const schema = holder.object("schema")?.value();
  // Other local servers take a schema with "json_object" too, and their clients send it.
  if (type === "json_object" && schema === undefined) return { kind: "json" };
  if (schema === undefined) {
    throw nested === undefined && shape === "nested"
      ? format.missing("json_schema")
      : holder.missing("schema");
  }
  return { kind: "schema", schema, field: holder.at("schema") };
}

interface ToolSelection {
  readonly choice: ToolChoice;
  /** Whether the model is shown the tool of this name. */
  allows(name: string): boolean;
}

/** `tool_choice`; `undefined` for "none". */
export function toolChoiceField(body: Fields, shape: Shape): ToolSelection | undefined {
  const all = (choice: ToolChoice): ToolSelection => ({ choice, allows: () => true });
  const value = body.raw("tool_choice");
  if (value === undefined || value === "auto") return all("auto");
  if (value === "none") return undefined;
  if (value === "required") return all("required");
  const wrong = () => body.fail("tool_choice", 'must be "none", "auto", "required" or a function');
  if (typeof value === "string") throw wrong();
  const given = body.object("tool_choice")!;
  if (given.string("type") !== "allowed_tools") {
    // The tools that OpenAI's servers run are chosen by their type alone.
    if (!given.has("function") && !given.has("name")) throw wrong();
    return all({ name: nameOf(given, shape) });
  }
  const allowed = given.object("allowed_tools") ?? given;
  const names = new Set(
    (allowed.objects("tools", MAX_TOOLS) ?? []).map((tool) => nameOf(tool, shape)),
  );
  const mode = allowed.oneOf("mode", ["auto", "required"]) ?? "auto";
  return { choice: mode, allows: (name) => names.has(name) };
}

/** The name of a function that a choice is of, in either shape. */
function nameOf(chosen: Fields, shape: Shape): string {
  const nested = chosen.object("function");
  const name = (nested ?? chosen).string("name");
  if (name !== undefined) return name;
  throw nested === undefined && shape === "nested"
    ? chosen.missing("function")
    : (nested ?? chosen).missing("name");
}

/** `parallel_tool_calls`: one call at most if it is false. */
export function parallelField(body: Fields): { oneCall?: true } {
  return body.boolean("parallel_tool_calls") === false ? { oneCall: true } : {};
}

/** Text of a message's `content`: a string, or parts. Those that are not text are taken as `taking` says. */
export function contentText(message: Fields, name: string, taking: Taking = TEXT_ONLY): string {
  const value = message.raw(name);
  if (value === undefined) return "";
  if (typeof value === "string") return value.toWellFormed();
  if (!Array.isArray(value)) throw message.fail(name, "must be a string or an array of parts");
  return joinTexts(
    message.objects(name, MAX_LIST)!.map((part) => {
      const type = part.requiredString("type");
      if (/^(input_|output_)?text$/.test(type)) return part.requiredString("text");
      if (type === "refusal") return part.requiredString("refusal");
      return takePart(part, type, taking);
    }),
  );
}

interface WireToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

export function wireToolCall(call: NamedToolCall): WireToolCall {
  return {
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: argumentsText(call) },
  };
}

export function wireUsage(usage: Usage) {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.evalTokens,
    total_tokens: usage.promptTokens + usage.evalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.thinkingTokens },
  };
}

/** `logprobs` of chat and responses. */
export function wireLogprobs(logprobs: readonly TokenLogprobs[]) {
  const one = ({ token, logprob, bytes }: Logprob) => ({ token, logprob, bytes });
  return logprobs.map((entry) => ({ ...one(entry), top_logprobs: entry.top.map(one) }));
}

/** Turns an error in the middle of a stream into an event, which the SDKs throw. */
export function withErrorEvent(chunks: Chunks): Chunks {
  return withLast(chunks, (error) => sse(errorDocument(error, "openai")));
}

export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** A tool definition from the object that holds its name. */
export function toolDefinition(fields: Fields): ToolDefinition {
  const name = fields.requiredString("name");
  if (name === "") throw fields.fail("name", "must not be empty", "empty-string");
  const description = fields.string("description");
  const parameters = fields.object("parameters")?.value();
  const strict = fields.boolean("strict") ?? false;
  return {
    name,
    ...(strict ? { strict } : {}),
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
  };
}
