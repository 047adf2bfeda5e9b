/** llama.cpp's own server, `/completion` and `/embedding` (tools/server/README.md of the pinned source). */
import type { Sampling } from "../types.ts";
import type { Dialect, Piece } from "./dialect.ts";
import { count, counters, list, number, record } from "./fields.ts";

/** In the order of the own engine's. */
const SAMPLERS = ["penalties", "top_k", "typ_p", "top_p", "min_p", "temperature"];

/** Of `/metrics`; `/health` is answered by another thread than the one that computes. */
const COUNTERS = ["n_decode_total", "prompt_tokens_total", "tokens_predicted_total"]
  .map((name) => `llamacpp:${name}`);

/** Its marker is drawn at each start. An older server's is the same everywhere, and anybody can write it. */
const MARKER_CHARS = 32;

export const LLAMA_SERVER: Dialect = {
  healthPath: "/health",
  progress: { path: "/metrics", read: (text) => counters(text, COUNTERS) },
  path: "/completion",
  body(request, prompt, { slot, keeps }) {
    return {
      prompt: prompt instanceof Int32Array
        ? [...prompt]
        : { prompt_string: prompt.text, multimodal_data: prompt.files },
      n_predict: request.maxTokens,
      stream: true,
      id_slot: slot,
      // What a slot holds of another client's must not show in how soon this one's is read.
      cache_prompt: keeps,
      return_tokens: true,
      return_progress: request.progress === true,
      ...sampling(request.sampling),
      ...(request.grammar === undefined ? {} : { grammar: request.grammar }),
      ...(request.logprobs === undefined ? {} : { n_probs: Math.max(1, request.logprobs) }),
      ...(request.logitBias === undefined ? {} : {
        logit_bias: [...request.logitBias].map(([id, bias]) => [
          id,
          bias === -Infinity ? false : bias,
        ]),
      }),
    };
  },
  *read(event, made): Iterable<Piece> {
    const piece = record(event);
    if (piece["prompt_progress"] !== undefined) {
      const progress = record(piece["prompt_progress"]);
      yield {
        type: "progress",
        total: count(progress["total"]),
        cached: count(progress["cache"]),
        processed: count(progress["processed"]),
      };
      return;
    }
    const tokens = list(piece["tokens"] ?? []).map(count);
    if (piece["stop"] === true) {
      const timings = record(piece["timings"] ?? {});
      yield {
        type: "end",
        reason: piece["stop_type"] === "limit" ? "length" : "stop",
        ...(timings["cache_n"] === undefined ? {} : { cached: count(timings["cache_n"]) }),
        ...(piece["tokens_evaluated"] === undefined ? {} : {
          prompt: count(piece["tokens_evaluated"]),
        }),
        made: count(piece["tokens_predicted"]),
      };
      return;
    }
    if (tokens.length === 0) return;
    // Tokens that are no whole character are not told; their text comes with the one that completes it.
    const predicted = piece["tokens_predicted"];
    const skipped = predicted === undefined ? 0 : count(predicted) - made - tokens.length;
    const probabilities = piece["completion_probabilities"];
    yield {
      type: "said",
      tokens,
      ...(skipped > 0 ? { text: String(piece["content"] ?? "") } : {}),
      ...(probabilities === undefined ? {} : logprobs(record(list(probabilities)[0]))),
    };
  },
  pictures: {
    path: "/props",
    read(answer) {
      const { modalities, media_marker: marker } = record(answer);
      const { vision, audio } = record(modalities ?? {});
      const isMarker = typeof marker === "string" && marker.length >= MARKER_CHARS;
      return isMarker
        ? { sees: vision === true, hears: audio === true, marker }
        : { sees: false, hears: false, marker: "" };
    },
  },
  embedding: {
    path: "/embedding",
    body: (tokens) => ({ content: [...tokens], embd_normalize: 2 }),
    read(answer) {
      const rows = list(record(list(answer)[0])["embedding"]);
      return list(rows[0]).map(number);
    },
  },
};

function sampling(s: Sampling) {
  return {
    samplers: SAMPLERS,
    temperature: s.temperature,
    top_k: s.topK,
    top_p: s.topP,
    min_p: s.minP,
    typical_p: s.typicalP ?? 1,
    repeat_penalty: s.repeatPenalty,
    repeat_last_n: s.repeatLastN,
    presence_penalty: s.presencePenalty,
    frequency_penalty: s.frequencyPenalty,
    ...(s.seed === undefined ? {} : { seed: s.seed }),
  };
}

function logprobs(one: { readonly [name: string]: unknown }) {
  const ranked = (value: unknown) => {
    const { id, logprob } = record(value);
    return { id: count(id), logprob: number(logprob) };
  };
  return {
    logprob: number(one["logprob"]),
    top: list(one["top_logprobs"] ?? []).map(ranked),
  };
}
