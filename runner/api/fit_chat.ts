/**
 * Which messages of a conversation the context holds. The oldest are left out first, but no system message and not the last
 * one. The conversation is rendered whole if it may fit; else where an estimate says that it just fits, and again nearby: a
 * handful of times, each no larger than the context, however many messages there are.
 */
import { Budget, DEFAULT_BUDGET, type Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { ChatMessage, PromptPart } from "../engine/types.ts";
import { MAX_UNITS_PER_TOKEN } from "../engine/long_text.ts";
import { jsonSize } from "../json_work.ts";
import type { LongWork } from "../turns.ts";
import { beginning, fits, type Room, roomForPrompt, tooLong } from "./cut_prompt.ts";
import { renderGoChat } from "./go_template.ts";
import type { PromptModel } from "./prompt.ts";
import type { ChatPrompt, InferenceRequest, Think } from "./request.ts";

/** Messages of one conversation, whatever the context. */
const MAX_MESSAGES = 8192;
/** What a message costs beside its text, in units: its role, and control tokens around it. */
const MESSAGE_UNITS = 16;
/** Text with fewer units for each token of room may fit; with more it surely does not, but for odd texts. */
const HOPEFUL_UNITS_PER_TOKEN = 8;
/** Tokens for each unit, before anything is known. */
const TOKENS_PER_UNIT = 0.3;
/** Guesses, before the rest is halved. */
const GUESSES = 6;

/** A conversation and how it is to be rendered. */
interface Conversation {
  readonly model: PromptModel;
  readonly chat: ChatPrompt;
  readonly think: Think | undefined;
  readonly seen: Seen;
}

/** What is known of a conversation from an earlier attempt at the same room: it is large, and not made twice. */
export interface Seen {
  /** All of it. */
  whole?: Rendered;
}

interface Rendered {
  readonly parts: PromptPart[];
  /** undefined: more than there is room for. */
  readonly tokens: Int32Array | undefined;
}

/**
 * As much of the conversation as fits, the last messages at least.
 * @throws {SecLlamaError} `context-too-long`: there are more messages, or more system messages, than the context could hold
 * tokens; `bad-request`: what the template says.
 */
export function* fitChat(
  given: Conversation,
  request: InferenceRequest,
  { limit, context }: Room,
): LongWork<Rendered> {
  const { model: { engine } } = given;
  checkCount(given.chat.messages, limit);
  const messages = yield* cutMessages(given.chat.messages, request, limit);
  const conversation = { ...given, chat: { ...given.chat, messages } };
  const room = limit - (context?.length ?? 0);
  const budget = budgetFor(limit);
  function* attempt(from: number): LongWork<Rendered> {
    const parts = yield* renderFrom(conversation, from, budget);
    const options = { ...beginning(context), most: Math.max(room, 0) };
    return { parts, tokens: yield* engine.tokenizeInTurns(parts, options) };
  }
  const costs = yield* costsFrom(messages);
  const last = messages.length - 1;
  let low = -1;
  let ratio = TOKENS_PER_UNIT;
  let whole: Rendered | undefined;
  if (last <= 0 || costs[0]! <= room * HOPEFUL_UNITS_PER_TOKEN) {
    // Of what was cut before, an earlier attempt does not tell.
    whole = messages === given.chat.messages ? given.seen.whole : undefined;
    whole ??= yield* attempt(0);
    if (messages === given.chat.messages) given.seen.whole = whole;
    if (fits(whole.tokens, room) || last <= 0) return whole;
    if (whole.tokens !== undefined) ratio = whole.tokens.length / costs[0]!;
    // Without what stands before the first that may be left out it is the same conversation.
    low = Math.max(0, messages.findIndex(({ role }) => role !== "system"));
  }
  if (!request.truncate) {
    const about = whole === undefined
      ? costs[0]! * ratio
      : whole.tokens?.length ?? (yield* engine.countAbout(whole.parts));
    throw tooLong(about, room - 1);
  }
  const target = roomForPrompt(request, room);
  let best: Rendered | undefined;
  let high = last;
  for (let tries = 0; low + 1 < high; tries++) {
    const guess = tries < GUESSES
      ? costs.findIndex((cost) => cost * ratio <= target)
      : (low + high) >>> 1;
    const from = Math.min(Math.max(guess < 0 ? last : guess, low + 1), high - 1);
    const tried = yield* attempt(from);
    if (fits(tried.tokens, from === 0 ? room : target)) {
      best = tried;
      high = from;
    } else low = from;
    ratio = tried.tokens === undefined
      ? Math.max(ratio, 1.2 * room / costs[from]!)
      : tried.tokens.length / costs[from]!;
  }
  if (best !== undefined) return best;
  return low === last && whole !== undefined ? whole : yield* attempt(last);
}

/** The whole conversation, however long. */
export function* renderChat(conversation: Conversation): Work<PromptPart[]> {
  checkCount(conversation.chat.messages, MAX_MESSAGES);
  return yield* renderFrom(conversation, 0, budgetFor(Infinity));
}

function checkCount(messages: readonly ChatMessage[], tokens: number): void {
  const most = Math.min(MAX_MESSAGES, tokens);
  if (messages.length <= most) return;
  throw new SecLlamaError(
    "context-too-long",
    `there are ${messages.length} messages, must be at most ${most}` +
      (most === tokens ? ", as many as the context has tokens" : ""),
    // Each has a token at least.
    { field: "messages", ...(most === tokens && { tokens: { have: messages.length, most } }) },
  );
}

/**
 * Of a message that is longer than any that fits, the end.
 * @throws {SecLlamaError} `context-too-long`: it may not be cut; or the system messages, which all stay, are longer together.
 */
function* cutMessages(
  messages: readonly ChatMessage[],
  request: InferenceRequest,
  limit: number,
): Work<readonly ChatMessage[]> {
  const mostUnits = limit * MAX_UNITS_PER_TOKEN;
  const about = (units: number) => ({
    have: Math.max(Math.ceil(units * TOKENS_PER_UNIT), limit),
    most: limit - 1,
  });
  let system = 0;
  for (const { role, content } of messages) if (role === "system") system += content.length;
  if (system > mostUnits) {
    throw new SecLlamaError(
      "context-too-long",
      `the system messages have ${system} characters, more than the context could hold`,
      { field: "messages", tokens: about(system) },
    );
  }
  if (messages.every(({ content }) => content.length <= mostUnits)) return messages;
  if (!request.truncate) {
    let units = 0;
    for (const message of messages) units += yield* cost(message);
    throw tooLong(about(units).have, limit - 1);
  }
  return messages.map((message) => {
    const { content } = message;
    return content.length <= mostUnits
      ? message
      : { ...message, content: content.slice(-mostUnits).toWellFormed() };
  });
}

/** More than could fit may be written: what is too long is not refused but cut. */
function budgetFor(limit: number): Budget {
  const output = Math.min(DEFAULT_BUDGET.output, 4 * limit * MAX_UNITS_PER_TOKEN);
  return new Budget({ what: "the chat template", field: "messages" }, { output });
}

/** By index: what a prompt costs, in units of text, that begins with this message. */
function* costsFrom(messages: readonly ChatMessage[]): Work<number[]> {
  const costs: number[] = [];
  for (const message of messages) costs.push(yield* cost(message));
  let sum = 0;
  for (const [index, message] of messages.entries()) {
    if (message.role === "system") sum += costs[index]!;
  }
  for (let index = messages.length - 1; index >= 0; index--) {
    if (messages[index]!.role !== "system") sum += costs[index]!;
    costs[index] = sum;
  }
  return costs;
}

function* cost({ content, thinking, toolCalls }: ChatMessage): Work<number> {
  let calls = 0;
  for (const call of toolCalls ?? []) {
    calls += yield* jsonSize(call);
    yield;
  }
  return MESSAGE_UNITS + content.length + (thinking?.length ?? 0) + calls;
}

function* renderFrom(
  { model: { engine, template, pictures }, chat, think }: Conversation,
  from: number,
  budget: Budget,
): Work<PromptPart[]> {
  const messages = chat.messages.filter((message, index) =>
    index >= from || message.role === "system"
  ).map(({ pictures: _, ...message }) => message);
  const tools = chat.tools.map(({ strict: _, ...shown }) => shown);
  if (template.go !== undefined) {
    return pictures.place(yield* renderGoChat(template.go, { messages, tools, think }, budget));
  }
  const parts = yield* engine.renderChat({
    messages,
    ...(tools.length > 0 ? { tools } : {}),
    ...(think === undefined ? {} : { think }),
    ...(chat.addGenerationPrompt === undefined
      ? {}
      : { addGenerationPrompt: chat.addGenerationPrompt }),
    ...(chat.templateValues === undefined ? {} : { values: chat.templateValues }),
  }, budget);
  return pictures.place(parts);
}
