/** Embeddings: texts or tokens to vectors of length 1. */
import type { Engine } from "../engine/types.ts";
import type { LongWork, Turns } from "../turns.ts";
import { firstTokens, tooLong } from "./cut_prompt.ts";
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
  { engine, turns }: { readonly engine: Engine; readonly turns: Turns },
  request: EmbedRequest,
  call: Call,
  loadNs: number,
): Promise<EmbedReply> {
  const { embedLength, embedEnd = 0, contextLength } = engine.info;
  const room = Math.min(embedLength, contextLength, request.contextLength ?? Infinity);
  const limit = Math.max(1, room - embedEnd);
  const prompts = await turns.run(tokenize(engine, request, limit), call);
  const promptTokens = prompts.reduce((sum, tokens) => sum + tokens.length, 0);
  call.used?.({ prompt: promptTokens, reply: 0 });
  let vectors: Float32Array[];
  // All are handed over at once, so that the engine can batch them; the first failure ends the others.
  const failed = new AbortController();
  const signal = AbortSignal.any([call.signal, failed.signal]);
  try {
    vectors = await Promise.all(prompts.map(async (tokens) => {
      const vector = await engine.embed(tokens, { client: call.client, signal });
      return shorten(vector, request.dimensions);
    }));
  } finally {
    failed.abort();
  }
  return { vectors, promptTokens, totalNs: elapsedNs(call), loadNs };
}

/** The tokens of each input, of one that is too long the first. */
function* tokenize(
  engine: Engine,
  { inputs, truncate }: EmbedRequest,
  limit: number,
): LongWork<Int32Array[]> {
  const prompts: Int32Array[] = [];
  for (const input of inputs) {
    const parts = typeof input === "string" ? [{ text: input, special: false }] : undefined;
    let tokens = parts === undefined
      ? input as Int32Array
      : yield* engine.tokenizeInTurns(parts, { most: limit });
    if (tokens === undefined || tokens.length > limit) {
      if (!truncate) {
        throw tooLong(tokens?.length ?? (yield* engine.countAbout(parts!)), limit);
      }
      tokens = parts === undefined
        ? tokens!.subarray(0, limit)
        : yield* firstTokens(engine, parts, { count: limit });
    }
    prompts.push(tokens);
    yield;
  }
  return prompts;
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
