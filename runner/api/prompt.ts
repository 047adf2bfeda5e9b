/**
 * From the prompt of a request to the tokens the engine evaluates: the chat template, fill-in-the-middle, and what is
 * cut when it is too long. Text of a user is never parsed for control tokens here, except in a raw prompt, which is
 * the client's whole prompt by definition.
 */
import { Budget, type Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { ChatMessage, Engine, PromptPart } from "../engine/types.ts";
import { parseGoTemplate, renderGoChat, renderGoInsert } from "./go_template.ts";
import type { ModelTemplate } from "./model_template.ts";
import type {
  ChatPrompt,
  InferenceRequest,
  ModelDefaults,
  TemplatePrompt,
  Think,
} from "./request.ts";

/**
 * No token of any vocabulary stands for more UTF-16 units than this, so a text of n units has at least n / 256 tokens:
 * enough to refuse or cut ten megabytes without tokenizing them.
 */
const MAX_UNITS_PER_TOKEN = 256;

/** The model, with what its Modelfile adds. */
export interface PromptModel {
  readonly engine: Engine;
  readonly defaults: ModelDefaults;
  readonly template: ModelTemplate;
}

export interface Prompt {
  readonly tokens: Int32Array;
  /** The end of the prompt's text, to see whether it opens a thought. */
  readonly tail: string;
}

/**
 * @throws {SecLlamaError} `bad-request`: the prompt is longer than the context and may not be cut, or the model has no
 * fill-in-the-middle tokens; what the engine says of the template.
 */
export function* buildPrompt(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
  limit: number = contextLimit(model.engine, request),
): Work<Prompt> {
  const { engine, template: own } = model;
  switch (request.prompt.kind) {
    case "chat":
      return yield* fitChat(
        model,
        request,
        withDefaults(request.prompt, model.defaults),
        think,
        limit,
      );
    case "raw": {
      const text = request.prompt.text;
      if (typeof text !== "string") return { tokens: fitTokens(text, request, limit), tail: "" };
      return fitParts(engine, request, [{ text, special: true }], limit);
    }
    case "insert": {
      const { prefix, suffix } = request.prompt;
      if (own.go !== undefined && own.inserts) {
        const budget = new Budget({ what: "the model's template" });
        const parts = yield* renderGoInsert(own.go, prefix, suffix, budget);
        return fitParts(engine, request, parts, limit);
      }
      return { tokens: fitTokens(engine.infill(prefix, suffix), request, limit), tail: "" };
    }
    case "template": {
      const { context, suffix, prompt } = request.prompt;
      const template = parseGoTemplate(request.prompt.template);
      const budget = new Budget({ what: "the template", field: "template" });
      const parts = suffix !== "" && prompt !== ""
        ? yield* renderGoInsert(template, prompt, suffix, budget)
        : yield* renderGoChat(
          template,
          { messages: turnOf(request.prompt, model.defaults), think },
          budget,
        );
      return fitParts(engine, request, parts, limit, context);
    }
  }
}

/** The messages of one prompt: the Modelfile's come first, where no earlier turn is given as tokens. */
function turnOf(
  { system, prompt, context }: TemplatePrompt,
  defaults: ModelDefaults,
): ChatMessage[] {
  return [
    ...(system === "" ? [] : [{ role: "system", content: system }]),
    ...(context === undefined ? defaults.messages ?? [] : []),
    { role: "user", content: prompt },
  ];
}

/** Tokens that prompt and reply may have together. */
export function contextLimit(engine: Engine, request: InferenceRequest): number {
  const slot = engine.info.slotContextLength;
  return Math.min(request.options.contextLength ?? slot, slot);
}

/** Ollama's words, which clients match on. */
function tooLong(): SecLlamaError {
  return new SecLlamaError("context-too-long", "the input length exceeds the context length");
}

/** Leaves out the oldest messages, but no system message and not the last one, until the prompt fits. */
function* fitChat(
  model: PromptModel,
  request: InferenceRequest,
  chat: ChatPrompt,
  think: Think | undefined,
  limit: number,
): Work<Prompt> {
  const { engine } = model;
  const room = limit - (chat.context?.length ?? 0);
  const budget = new Budget({ what: "the chat template", field: "messages" });
  function* attempt(from: number) {
    const parts = yield* renderFrom(model, { ...chat, think, budget }, from);
    return { parts, tokens: tokenizeIfShort(engine, parts, room, chat.context) };
  }
  let best = yield* attempt(0);
  if (request.truncate && !fits(best.tokens, room)) {
    const target = roomForPrompt(request, room);
    let low = 1, high = chat.messages.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (fits((yield* attempt(middle)).tokens, target)) high = middle;
      else low = middle + 1;
    }
    if (high > 0) best = yield* attempt(high);
  }
  return finish(engine, request, best.parts, best.tokens, limit, chat.context);
}

/** The Modelfile's messages, and its system message unless the request begins with one. */
function withDefaults(chat: ChatPrompt, defaults: ModelDefaults): ChatPrompt {
  const messages = [
    ...(chat.context === undefined ? defaults.messages ?? [] : []),
    ...chat.messages,
  ];
  if (defaults.system !== undefined && chat.messages[0]?.role !== "system") {
    messages.unshift({ role: "system", content: defaults.system });
  }
  return { ...chat, messages };
}

function renderFrom(
  { engine, template }: PromptModel,
  { think, budget, ...chat }: ChatPrompt & { think: Think | undefined; budget: Budget },
  from: number,
): Work<PromptPart[]> {
  const messages: ChatMessage[] = chat.messages.filter((message, index) =>
    index >= from || message.role === "system"
  );
  const tools = chat.tools.map(({ strict: _, ...shown }) => shown);
  if (template.go !== undefined) {
    return renderGoChat(template.go, { messages, tools, think }, budget);
  }
  return engine.renderChat({
    messages,
    ...(tools.length > 0 ? { tools } : {}),
    ...(think === undefined ? {} : { think }),
  }, budget);
}

function fitParts(
  engine: Engine,
  request: InferenceRequest,
  parts: PromptPart[],
  limit: number,
  context?: Int32Array,
): Prompt {
  const room = limit - (context?.length ?? 0);
  const tokens = tokenizeIfShort(engine, parts, room, context);
  return finish(engine, request, parts, tokens, limit, context);
}

/** Puts the context in front and cuts as a last resort. */
function finish(
  engine: Engine,
  request: InferenceRequest,
  parts: PromptPart[],
  tokens: Int32Array | undefined,
  limit: number,
  context: Int32Array | undefined,
): Prompt {
  if (tokens === undefined && !request.truncate) throw tooLong();
  const own = tokens ?? tokenize(engine, cutUnits(parts, limit * MAX_UNITS_PER_TOKEN), context);
  let all = own;
  if (context !== undefined && context.length > 0) {
    all = new Int32Array(context.length + own.length);
    all.set(context);
    all.set(own, context.length);
  }
  const tail = parts.slice(-4).map((part) => part.text.slice(-256)).join("");
  return { tokens: fitTokens(all, request, limit), tail };
}

function tokenize(engine: Engine, parts: PromptPart[], context: Int32Array | undefined) {
  return engine.tokenizePrompt(parts, context === undefined ? {} : { bos: false });
}

/** `undefined`: certainly more than `limit` tokens. */
function tokenizeIfShort(
  engine: Engine,
  parts: PromptPart[],
  limit: number,
  context: Int32Array | undefined,
): Int32Array | undefined {
  const units = parts.reduce((sum, part) => sum + part.text.length, 0);
  if (units > limit * MAX_UNITS_PER_TOKEN) return undefined;
  return tokenize(engine, parts, context);
}

function fits(tokens: Int32Array | undefined, limit: number): boolean {
  // One token must be left for the reply.
  return tokens !== undefined && tokens.length < limit;
}

/** What of the context a cut prompt may take: a quarter, or as much as the reply may have, is left. */
function roomForPrompt(request: InferenceRequest, limit: number): number {
  const wanted = request.options.maxTokens < 0 ? Infinity : Math.max(request.options.maxTokens, 1);
  return limit - Math.max(Math.min(Math.floor(limit / 4), wanted), 1);
}

/** Keeps the first `num_keep` tokens and the newest. */
function fitTokens(tokens: Int32Array, request: InferenceRequest, limit: number): Int32Array {
  if (fits(tokens, limit)) return tokens;
  if (!request.truncate) throw tooLong();
  const room = roomForPrompt(request, limit);
  if (room < 1) throw tooLong();
  const wanted = request.options.keepTokens < 0 ? room : request.options.keepTokens;
  const keep = Math.min(wanted, Math.floor(room / 2));
  const cut = new Int32Array(room);
  cut.set(tokens.subarray(0, keep));
  cut.set(tokens.subarray(tokens.length - (room - keep)), keep);
  return cut;
}

/** The last `units` UTF-16 units of the parts. */
function cutUnits(parts: PromptPart[], units: number): PromptPart[] {
  const out: PromptPart[] = [];
  let left = units;
  for (const part of parts.toReversed()) {
    const text = part.text.length > left ? part.text.slice(part.text.length - left) : part.text;
    left -= text.length;
    if (text !== "") out.unshift({ ...part, text: text.toWellFormed() });
  }
  return out;
}
