/** Embeddings: texts or tokens to vectors of length 1. */
import { SecLlamaError } from "../../src/errors.ts";
import type { Engine } from "../engine/types.ts";
import { elapsedNs } from "./timing.ts";
import type { Call, EmbedReply, EmbedRequest } from "./request.ts";

/** Inputs of one request. */
export const MAX_EMBED_INPUTS = 2048;

/**
 * One vector for each input, in their order.
 *
 * @throws {SecLlamaError} `bad-request`: an input longer than the context that may not be cut, or one without tokens.
 */
export async function embed(
  engine: Engine,
  request: EmbedRequest,
  call: Call,
  loadNs: number,
): Promise<EmbedReply> {
  const limit = Math.min(engine.info.slotContextLength, engine.info.contextLength);
  let promptTokens = 0;
  const prompts = request.inputs.map((input) => {
    const tokens = typeof input === "string"
      ? engine.tokenizePrompt([{ text: cut(input, limit, request.truncate), special: false }])
      : input;
    if (tokens.length > limit && !request.truncate) throw tooLong();
    const fitting = tokens.subarray(0, limit);
    promptTokens += fitting.length;
    return fitting;
  });
  const vectors: Float32Array[] = [];
  // All are handed over at once, so that the engine can batch them; the first failure ends the others.
  const failed = new AbortController();
  const signal = AbortSignal.any([call.signal, failed.signal]);
  try {
    const whole = await Promise.all(prompts.map((tokens) => engine.embed(tokens, signal)));
    for (const vector of whole) vectors.push(shorten(vector, request.dimensions));
  } finally {
    failed.abort();
  }
  return { vectors, promptTokens, totalNs: elapsedNs(call), loadNs };
}

function tooLong(): SecLlamaError {
  return new SecLlamaError("context-too-long", "the input length exceeds the context length");
}

/** See MAX_UNITS_PER_TOKEN in prompt.ts: more than this cannot matter. */
function cut(text: string, limit: number, truncate: boolean): string {
  const units = limit * 256;
  if (text.length <= units) return text;
  if (!truncate) throw tooLong();
  return text.slice(0, units).toWellFormed();
}

/** The leading elements, normalised again: what Matryoshka embeddings are made for. */
function shorten(vector: Float32Array, dimensions: number | undefined): Float32Array {
  if (dimensions === undefined || dimensions >= vector.length) return vector;
  const head = vector.slice(0, dimensions);
  let squares = 0;
  for (const value of head) squares += value * value;
  const scale = 1 / Math.max(Math.sqrt(squares), 1e-12);
  return head.map((value) => value * scale);
}
