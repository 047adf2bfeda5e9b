/**
 * From the prompt of a request to the tokens the engine evaluates: the chat template, fill-in-the-middle, and what is
 * cut when it is too long. Text of a user is never parsed for control tokens here, except in a raw prompt, which is
 * the client's whole prompt by definition.
 */
import { Budget, type Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { Pictures } from "./pictures.ts";
import type { ChatMessage, Engine, PromptPart } from "../engine/types.ts";
import type { LongWork } from "../turns.ts";
import {
  beginning,
  finish,
  firstTokens,
  fitTokens,
  isTooLong,
  lastTokens,
  type Room,
} from "./cut_prompt.ts";
import { fitChat, renderChat, type Seen } from "./fit_chat.ts";
import { parseGoTemplate, renderGoChat, renderGoInsert } from "./go_template.ts";
import type { ModelTemplate } from "./model_template.ts";
import type {
  ChatPrompt,
  Cut,
  InferenceRequest,
  ModelDefaults,
  TemplatePrompt,
  Think,
} from "./request.ts";

/** UTF-16 units of a prompt whose tokens are only counted: a million tokens of text. */
const MAX_COUNTED_UNITS = 4 * 1024 * 1024;

/** The model, with what its Modelfile adds. */
export interface PromptModel {
  readonly engine: Engine;
  readonly defaults: ModelDefaults;
  readonly template: ModelTemplate;
  /** Those of the request. */
  readonly pictures: Pictures;
}

interface Prompt {
  readonly tokens: Int32Array;
  /** The end of the prompt's text, to see whether it opens a thought. */
  readonly tail: string;
  /** Something was left out for want of room. */
  readonly cut?: Cut;
}

/**
 * The prompt, as much of it as the context holds. What is left out is said; a prompt that may not be cut is refused with the
 * number of its tokens.
 * @throws {SecLlamaError} `context-too-long`: the prompt is longer than the context and may not be cut; `bad-request`: the
 * model has no fill-in-the-middle tokens, or what the engine says of the template.
 */
export function* buildPrompt(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
): LongWork<Prompt> {
  const whole = { ...request, truncate: false };
  const seen: Seen = {};
  try {
    return yield* fitPrompt(model, whole, think, seen);
  } catch (error) {
    if (!request.truncate || !isTooLong(error)) throw error;
  }
  const asked = yield* countAsked(model, request, think, seen);
  const prompt = yield* fitPrompt(model, request, think, seen);
  const kept = prompt.tokens.length;
  return { ...prompt, cut: { ...(asked === undefined ? {} : { prompt: asked }), kept } };
}

/** Tokens of a prompt that is too long; undefined: of one that is too long to be counted, or no conversation. */
function* countAsked(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
  { whole }: Seen,
): LongWork<number | undefined> {
  const { prompt } = request;
  if (prompt.kind === "raw" && typeof prompt.text !== "string") return prompt.text.length;
  if (prompt.kind !== "chat") return undefined;
  try {
    return whole === undefined
      ? yield* countPrompt(model, request, think)
      : yield* countParts(model.engine, whole.parts);
  } catch (error) {
    // Longer than is counted: the refusal or the reply says what there is to say. What is no fault of the request's is one of ours.
    if (error instanceof SecLlamaError && error.code !== "internal") return undefined;
    throw error;
  }
}

function* fitPrompt(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
  seen: Seen,
): LongWork<Prompt> {
  const { engine, template: own } = model;
  const limit = contextLimit(engine, request);
  const { prompt } = request;
  switch (prompt.kind) {
    case "chat": {
      const chat = withDefaults(prompt, model.defaults);
      const room = { limit, context: chat.context };
      const rendered = yield* fitChat({ model, chat, think, seen }, request, room);
      const tokens = yield* finish(engine, request, rendered, room);
      return { tokens, tail: tailOf(rendered.parts) };
    }
    case "raw": {
      const { text } = prompt;
      if (typeof text !== "string") return { tokens: fitTokens(text, request, limit), tail: "" };
      const room = { limit, context: undefined };
      const parts = model.pictures.place([{ text, special: true }]);
      return yield* fitParts(engine, request, parts, room);
    }
    case "insert": {
      const { prefix, suffix } = prompt;
      if (own.go === undefined || !own.inserts) {
        return {
          tokens: fitTokens(yield* infill(engine, prompt, limit), request, limit),
          tail: "",
        };
      }
      const budget = new Budget({ what: "the model's template" });
      const parts = yield* renderGoInsert(own.go, prefix, suffix, budget);
      return yield* fitParts(engine, request, parts, { limit, context: undefined });
    }
    case "template": {
      const { context } = prompt;
      const parts = model.pictures.place(yield* renderOwn(prompt, model.defaults, think));
      return yield* fitParts(engine, request, parts, { limit, context });
    }
  }
}

/**
 * How many tokens a conversation has: exactly, if the context holds it.
 * @throws {SecLlamaError} `too-large` beyond {@link MAX_COUNTED_UNITS}; what the engine says of the template.
 */
export function* countPrompt(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
): LongWork<number> {
  return yield* countParts(model.engine, yield* wholeChat(model, request, think));
}

function* countParts(engine: Engine, parts: PromptPart[]): LongWork<number> {
  mustBeCountable(parts.reduce((sum, { text }) => sum + text.length, 0), "conversation");
  const tokens = yield* engine.tokenizeInTurns(parts, { most: engine.info.slotContextLength });
  return tokens?.length ?? (yield* engine.countAbout(parts));
}

/**
 * The whole prompt as text, of a conversation what the template makes of it; `<__media__>` is a picture, as llama-server writes one.
 * @throws {SecLlamaError} As {@link countPrompt}; `bad-request`: a gap is to be filled, and no template says how.
 */
export function* promptText(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
): LongWork<string> {
  const parts = yield* wholePrompt(model, request, think);
  mustBeCountable(parts.reduce((sum, { text }) => sum + text.length, 0), "prompt");
  return parts.map(({ text, picture }) => picture ? "<__media__>" : text).join("");
}

function* wholePrompt(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
): LongWork<readonly PromptPart[]> {
  const { prompt } = request;
  switch (prompt.kind) {
    case "chat":
      return yield* wholeChat(model, request, think);
    case "template":
      return model.pictures.place(yield* renderOwn(prompt, model.defaults, think));
    case "raw":
      return typeof prompt.text === "string"
        ? model.pictures.place([{ text: prompt.text, special: true }])
        : [{ text: model.engine.detokenize(prompt.text), special: true }];
    case "insert": {
      const { go, inserts } = model.template;
      if (go === undefined || !inserts) {
        throw new SecLlamaError("bad-request", "the model has no template with a place for suffix");
      }
      const budget = new Budget({ what: "the model's template" });
      return yield* renderGoInsert(go, prompt.prefix, prompt.suffix, budget);
    }
  }
}

function* wholeChat(
  model: PromptModel,
  request: InferenceRequest,
  think: Think | undefined,
): LongWork<PromptPart[]> {
  if (request.prompt.kind !== "chat") {
    throw new SecLlamaError("internal", "only conversations are rendered");
  }
  const chat = withDefaults(request.prompt, model.defaults);
  const parts = yield* renderChat({ model, chat, think, seen: {} });
  mustBeCountable(parts.reduce((sum, { text }) => sum + text.length, 0), "conversation");
  return parts;
}

function mustBeCountable(units: number, what: string): void {
  if (units <= MAX_COUNTED_UNITS) return;
  throw new SecLlamaError(
    "too-large",
    `the ${what} has ${units} characters, must have at most ${MAX_COUNTED_UNITS}`,
    { hint: "count it in parts" },
  );
}

/**
 * The tokens of a text that need not be a prompt.
 * @throws {SecLlamaError} `too-large`.
 */
export function* textTokens(
  engine: Engine,
  text: string,
  { special, bos }: { special: boolean; bos: boolean },
): LongWork<Int32Array> {
  mustBeCountable(text.length, "text");
  // A model that begins its prompts with no token begins this with none either.
  const begin = bos ? {} : { bos: false };
  return (yield* engine.tokenizeInTurns([{ text, special }], begin))!;
}

/** Tokens that prompt and reply may have together. */
export function contextLimit(engine: Engine, request: InferenceRequest): number {
  const slot = engine.info.slotContextLength;
  return Math.min(request.options.contextLength ?? slot, slot);
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

/** What the request's own template makes of its one prompt. */
function* renderOwn(
  given: TemplatePrompt,
  defaults: ModelDefaults,
  think: Think | undefined,
): Work<PromptPart[]> {
  const { suffix, prompt } = given;
  const template = parseGoTemplate(given.template);
  const budget = new Budget({ what: "the template", field: "template" });
  return suffix !== "" && prompt !== ""
    ? yield* renderGoInsert(template, prompt, suffix, budget)
    : yield* renderGoChat(template, { messages: turnOf(given, defaults), think }, budget);
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

function* fitParts(
  engine: Engine,
  request: InferenceRequest,
  parts: PromptPart[],
  room: Room,
): LongWork<Prompt> {
  const { limit, context } = room;
  const tokens = yield* engine.tokenizeInTurns(parts, {
    ...beginning(context),
    most: Math.max(limit - (context?.length ?? 0), 0),
  });
  return {
    tokens: yield* finish(engine, request, { parts, tokens }, room),
    tail: tailOf(parts),
  };
}

/** Of texts that are too long, no more than what is next to the gap and could fit. */
function* infill(
  engine: Engine,
  { prefix, suffix }: { prefix: string; suffix: string },
  limit: number,
): LongWork<Int32Array> {
  const [before, after] = [[{ text: prefix, special: false }], [{ text: suffix, special: false }]];
  const options = { bos: false, most: limit };
  return engine.infill(
    (yield* engine.tokenizeInTurns(before, options)) ?? (yield* lastTokens(engine, before, limit)),
    (yield* engine.tokenizeInTurns(after, options)) ??
      (yield* firstTokens(engine, after, { count: limit, bos: false })),
  );
}

function tailOf(parts: readonly PromptPart[]): string {
  return parts.slice(-4).map((part) => part.text.slice(-256)).join("");
}
