/**
 * Prompts that are too long: what is cut, as the last resort, and what a prompt of any length costs to find out. Nothing here
 * tokenizes more than it needs.
 */
import { CONTEXT_TOO_LONG_TEXT } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { Engine, PromptPart } from "../engine/types.ts";
import type { LongWork } from "../turns.ts";
import type { InferenceRequest } from "./request.ts";

/** UTF-16 units for each token wanted, in turn, until there are as many tokens. */
const UNITS_PER_TOKEN = [8, 64, 512];

export interface Room {
  /** Tokens that prompt and reply may have together. */
  readonly limit: number;
  /** Tokens that stand before the prompt's own (Ollama's `context`). */
  readonly context: Int32Array | undefined;
}

/**
 * Ollama's words, which clients match on; the other dialects say both numbers.
 * @param have The prompt's tokens, or about as many.
 * @param most What it may have.
 */
export function tooLong(have: number, most: number): SecLlamaError {
  const tokens = { have: Math.max(Math.ceil(have), most + 1), most };
  return new SecLlamaError("context-too-long", CONTEXT_TOO_LONG_TEXT, { tokens });
}

/** Whether it is an error of a prompt's length, for which a prompt may be cut. */
export function isTooLong(error: unknown): boolean {
  return error instanceof SecLlamaError && error.code === "context-too-long";
}

/** One token must be left for the reply. */
export function fits(tokens: Int32Array | undefined, limit: number): boolean {
  return tokens !== undefined && tokens.length < limit;
}

/** What of the context a cut prompt may take: a quarter, or as much as the reply may have, is left. */
export function roomForPrompt(request: InferenceRequest, limit: number): number {
  const wanted = request.options.maxTokens < 0 ? Infinity : Math.max(request.options.maxTokens, 1);
  return limit - Math.max(Math.min(Math.floor(limit / 4), wanted), 1);
}

/** How a prompt that stands behind `context` begins. */
export function beginning(context: Int32Array | undefined): { bos?: boolean } {
  return context === undefined ? {} : { bos: false };
}

/**
 * Puts the context in front and keeps, of what is too long, the first `num_keep` tokens and the newest.
 * @param tokens Of the parts; undefined: more than the room.
 * @throws {SecLlamaError} `context-too-long`: it may not be cut.
 */
export function* finish(
  engine: Engine,
  request: InferenceRequest,
  prompt: { readonly parts: readonly PromptPart[]; readonly tokens: Int32Array | undefined },
  { limit, context }: Room,
): LongWork<Int32Array> {
  const { parts, tokens } = prompt;
  // A picture is read as a whole.
  const whole = parts.some(({ picture }) => picture) ? { ...request, truncate: false } : request;
  if (tokens !== undefined) return fitTokens(joined(context, tokens), whole, limit);
  const cut = cutting(whole, limit);
  if (cut === undefined) {
    const about = yield* engine.countAbout(parts);
    throw tooLong((context?.length ?? 0) + about, limit - 1);
  }
  const { keep, room } = cut;
  const head = joined(
    context?.subarray(0, keep),
    yield* firstTokens(engine, parts, {
      count: keep - Math.min(keep, context?.length ?? 0),
      ...beginning(context),
    }),
  );
  const tail = yield* lastTokens(engine, parts, room - keep);
  return joined(head, tail);
}

/** Keeps the first `num_keep` tokens and the newest. */
export function fitTokens(
  tokens: Int32Array,
  request: InferenceRequest,
  limit: number,
): Int32Array {
  if (fits(tokens, limit)) return tokens;
  const cut = cutting(request, limit);
  if (cut === undefined) throw tooLong(tokens.length, limit - 1);
  const { keep, room } = cut;
  return joined(tokens.subarray(0, keep), tokens.subarray(tokens.length - (room - keep)));
}

/** How it is cut; undefined: it may not be, or there is no room at all. */
function cutting(
  request: InferenceRequest,
  limit: number,
): { keep: number; room: number } | undefined {
  const room = roomForPrompt(request, limit);
  if (!request.truncate || room < 1) return undefined;
  const wanted = request.options.keepTokens < 0 ? room : request.options.keepTokens;
  return { keep: Math.min(wanted, Math.floor(room / 2)), room };
}

function joined(first: Int32Array | undefined, second: Int32Array): Int32Array {
  if (first === undefined || first.length === 0) return second;
  const all = new Int32Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

/** The first tokens of a prompt; fewer if it has no more. */
export function* firstTokens(
  engine: Engine,
  parts: readonly PromptPart[],
  { count, ...bos }: { count: number; bos?: boolean },
): LongWork<Int32Array> {
  if (count === 0) return new Int32Array(0);
  let tokens = new Int32Array(0);
  for (const units of UNITS_PER_TOKEN) {
    tokens = whole(yield* engine.tokenizeInTurns(firstUnits(parts, count * units), bos));
    if (tokens.length >= count) break;
  }
  return tokens.subarray(0, count);
}

/** The last tokens of a prompt; fewer if it has no more. */
export function* lastTokens(
  engine: Engine,
  parts: readonly PromptPart[],
  count: number,
): LongWork<Int32Array> {
  let tokens = new Int32Array(0);
  for (const units of UNITS_PER_TOKEN) {
    const end = lastUnits(parts, count * units);
    tokens = whole(yield* engine.tokenizeInTurns(end, { bos: false }));
    if (tokens.length >= count) break;
  }
  return tokens.subarray(Math.max(0, tokens.length - count));
}

/** There is no limit to what may be undefined. */
function whole(tokens: Int32Array | undefined): Int32Array<ArrayBuffer> {
  return tokens as Int32Array<ArrayBuffer>;
}

/** The first `units` UTF-16 units of the parts. */
function firstUnits(parts: readonly PromptPart[], units: number): PromptPart[] {
  const out: PromptPart[] = [];
  let left = units;
  for (const part of parts) {
    if (left <= 0) break;
    out.push({ ...part, text: part.text.slice(0, left).toWellFormed() });
    left -= part.text.length;
  }
  return out;
}

/** The last `units` UTF-16 units of the parts. */
function lastUnits(parts: readonly PromptPart[], units: number): PromptPart[] {
  const out: PromptPart[] = [];
  let left = units;
  for (let at = parts.length - 1; at >= 0 && left > 0; at--) {
    const part = parts[at]!;
    const { text } = part;
    out.push({ ...part, text: text.slice(Math.max(0, text.length - left)).toWellFormed() });
    left -= text.length;
  }
  return out.reverse();
}
