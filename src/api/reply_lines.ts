/**
 * What the lines of a reply come to (`/api/chat`, streamed, with the proxy's own lines around it). The page reads them to show an
 * answer, the proxy to keep it: one reader, so that both have the same answer.
 *
 * | line                             | of                                            |
 * |----------------------------------|-----------------------------------------------|
 * | `{"receipt": {…}}`               | the proxy, first: what protected it           |
 * | `{"message": {…}, "done": …}`    | the model                                     |
 * | `{"error", "code", "hint"}`      | whoever failed                                |
 * | `{"stopped": true}`              | the proxy: this user stopped it               |
 * | `{"saved": {"id": "7"}}`         | the proxy, last: the message that it now is   |
 */

/** What protected a reply: the gateway's words. */
export interface Receipt {
  readonly status?: number;
  readonly encryption?: string;
  readonly isolation?: string;
  readonly truncated?: { readonly prompt?: number; readonly kept: number } | null;
  /** Names the host's signed word on this exchange, and what proves later what it was (receipt.ts). */
  readonly id?: string;
  readonly secret?: string;
}

/** How an answer was made. */
export interface Stats {
  /** Tokens of the answer, and of what was asked. */
  readonly tokens?: number;
  readonly promptTokens?: number;
  /** Tokens of the answer a second. */
  readonly perSecond?: number;
  /** From the question to the end, ms. */
  readonly ms?: number;
  readonly receipt?: Receipt;
  readonly stopped?: true;
  /** It broke off: whoever made it ended, and not it. */
  readonly broken?: true;
  /** It was cut at the most tokens that were asked for, or that fit. */
  readonly cut?: true;
}

/** A call that a model asks for. */
export interface ToolCall {
  readonly function: { readonly name: string; readonly arguments: unknown };
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
  /** The id under which the history has it. */
  saved?: string;
  stopped: boolean;
  done: boolean;
}

/** Nothing yet. */
export function newProgress(): Progress {
  return { content: "", thinking: "", toolCalls: [], pieces: 0, stopped: false, done: false };
}

/** Takes one line in. */
export function takeLine(progress: Progress, line: Record<string, unknown>): void {
  const { receipt, error, hint, saved } = line;
  if (receipt !== undefined) progress.receipt = Object(receipt) as Receipt;
  else if (line["stopped"] === true) progress.stopped = true;
  else if (saved !== undefined) progress.saved = String(Object(saved).id);
  else if (typeof error === "string") {
    progress.error = { error, ...(typeof hint === "string" ? { hint } : {}) };
  } else takeMessage(progress, line);
}

function takeMessage(progress: Progress, line: Record<string, unknown>): void {
  const { content, thinking, tool_calls: calls } = Object(line["message"]) as Record<
    string,
    unknown
  >;
  if (typeof content === "string") progress.content += content;
  if (typeof thinking === "string") progress.thinking += thinking;
  if ([content, thinking].some((part) => typeof part === "string" && part !== "")) {
    progress.pieces++;
  }
  if (Array.isArray(calls)) {
    progress.toolCalls.push(...calls.filter((call) => typeof Object(call).function === "object"));
  }
  if (line["done"] !== true) return;
  progress.done = true;
  const [tokens, duration, promptTokens] = ["eval_count", "eval_duration", "prompt_eval_count"]
    .map((name) => number(line[name]));
  progress.stats = {
    ...(tokens === undefined ? {} : { tokens }),
    ...(promptTokens === undefined ? {} : { promptTokens }),
    // Durations are nanoseconds.
    ...(tokens && duration ? { perSecond: tokens / (duration / 1e9) } : {}),
    ...(line["done_reason"] === "length" ? { cut: true as const } : {}),
  };
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** How it was made, `ms` after the question. */
export function statsOf({ stats, receipt, stopped, done }: Progress, ms: number): Stats {
  return {
    ...stats,
    ms,
    ...(receipt ? { receipt } : {}),
    ...(stopped ? { stopped: true as const } : done ? {} : { broken: true as const }),
  };
}
