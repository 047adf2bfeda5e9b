/** One answer: what is asked of the model, and what comes back, line by line. */
import type { Conversation, Message, Receipt, Stats, ToolCall } from "./types.ts";

/** A message as `/api/chat` takes it. */
interface Sent {
  readonly role: string;
  readonly content: string;
  readonly images?: readonly string[];
}

/** The request for an answer to the last message of `path`. */
export function requestOf(
  { settings }: Pick<Conversation, "settings">,
  path: readonly Message[],
  model: string,
): Record<string, unknown> {
  const messages: Sent[] = path.filter(({ error }) => !error).map((message) => ({
    role: message.role,
    content: contentOf(message),
    ...(message.images?.length ? { images: message.images } : {}),
  }));
  return {
    model,
    messages: settings.system
      ? [{ role: "system", content: settings.system }, ...messages]
      : messages,
    ...(settings.options && Object.keys(settings.options).length > 0
      ? { options: settings.options }
      : {}),
    ...(settings.think === undefined ? {} : { think: settings.think }),
  };
}

/** A message with the texts that were put to it, each under its name. */
function contentOf({ content, attachments }: Message): string {
  const texts = (attachments ?? []).map(({ name, text }) => `[${name}]\n${text}\n[end of ${name}]`);
  return [...texts, content].join("\n\n");
}

/** What is known of an answer so far. */
export interface Progress {
  content: string;
  thinking: string;
  toolCalls: ToolCall[];
  /** Pieces that came: about tokens. */
  pieces: number;
  receipt?: Receipt;
  stats?: Stats;
  error?: { error: string; hint?: string };
  stopped: boolean;
  done: boolean;
}

export function newProgress(): Progress {
  return { content: "", thinking: "", toolCalls: [], pieces: 0, stopped: false, done: false };
}

/** Takes one line of a reply in. */
export function take(progress: Progress, line: Record<string, unknown>): void {
  if (line["receipt"] !== undefined) {
    progress.receipt = line["receipt"] as Receipt;
    return;
  }
  if (line["stopped"] === true) {
    progress.stopped = true;
    return;
  }
  if (typeof line["error"] === "string") {
    const hint = typeof line["hint"] === "string" ? { hint: line["hint"] } : {};
    progress.error = { error: line["error"], ...hint };
    return;
  }
  const message = Object(line["message"]) as {
    content?: unknown;
    thinking?: unknown;
    tool_calls?: unknown;
  };
  if (typeof message.content === "string") progress.content += message.content;
  if (typeof message.thinking === "string") progress.thinking += message.thinking;
  if (message.content || message.thinking) progress.pieces++;
  if (Array.isArray(message.tool_calls)) progress.toolCalls.push(...message.tool_calls);
  if (line["done"] === true) {
    progress.done = true;
    const count = number(line["eval_count"]);
    const nanoseconds = number(line["eval_duration"]);
    const promptTokens = number(line["prompt_eval_count"]);
    progress.stats = {
      ...(count === undefined ? {} : { tokens: count }),
      ...(promptTokens === undefined ? {} : { promptTokens }),
      ...(count && nanoseconds ? { perSecond: count / (nanoseconds / 1e9) } : {}),
    };
  }
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** The message that an answer becomes. */
export function answerOf(
  { content, thinking, toolCalls, error, stopped, stats, receipt }: Progress,
  ms: number,
): Partial<Message> {
  return {
    content,
    ...(thinking ? { thinking } : {}),
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
    ...(error ? { error } : {}),
    ...(stopped ? { stopped } : {}),
    stats: { ...stats, ms, ...(receipt ? { receipt } : {}) },
  };
}
