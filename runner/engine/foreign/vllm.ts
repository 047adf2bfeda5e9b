/**
 * vLLM's `/v1/completions`, asked with tokens and answered with tokens (`return_token_ids`, vLLM 0.10.2 and later). Written from
 * its documentation and run against a named fake only (tests/engine/fake_llama_server.py).
 */
import { ROUTES } from "../../../src/api/routes.ts";
import type { Sampling } from "../types.ts";
import type { Dialect, Piece } from "./dialect.ts";
import { count, counters, list, number, record } from "./fields.ts";
import { HttpError } from "./http.ts";

/** The name that it serves the one model under. */
const VLLM_MODEL = "model";

/** Of `/metrics` (vLLM's documentation, "Production Metrics"): each step of its engine changes one. */
const COUNTERS = ["iteration_tokens_total_count", "prompt_tokens_total", "generation_tokens_total"]
  .map((name) => `vllm:${name}`);

export const VLLM: Dialect = {
  healthPath: "/health",
  progress: { path: "/metrics", read: (text) => counters(text, COUNTERS) },
  path: ROUTES.openaiCompletions.path,
  body(request, prompt) {
    // None was taken: it is asked for nothing that it could see.
    if (!(prompt instanceof Int32Array)) throw new TypeError("pictures for an engine without");
    return {
      model: VLLM_MODEL,
      prompt: [...prompt],
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
      // It must make one at least; what is not wanted is left.
      ...(request.maxTokens < 0 ? {} : { max_tokens: Math.max(1, request.maxTokens) }),
      // Of another client's prompt none may show in how soon this one's is read.
      cache_salt: request.client,
      ...sampling(request.sampling),
      ...(request.grammar === undefined
        ? {}
        : { structured_outputs: { grammar: request.grammar } }),
      ...(request.logprobs === undefined
        ? {}
        : { logprobs: Math.max(1, request.logprobs), return_tokens_as_token_ids: true }),
      ...(request.logitBias === undefined ? {} : {
        logit_bias: Object.fromEntries(
          [...request.logitBias].map(([id, bias]) => [id, bias === -Infinity ? -100 : bias]),
        ),
      }),
    };
  },
  *read(event): Iterable<Piece> {
    const { choices, usage } = record(event);
    const [first] = list(choices);
    if (first !== undefined) {
      const choice = record(first);
      const tokens = list(choice["token_ids"] ?? []).map(count);
      if (tokens.length > 0) {
        const probabilities = choice["logprobs"];
        yield {
          type: "said",
          tokens,
          ...(probabilities ? logprobs(record(probabilities)) : {}),
        };
      }
      if (typeof choice["finish_reason"] === "string") {
        yield { type: "end", reason: choice["finish_reason"] === "length" ? "length" : "stop" };
      }
    } else if (usage === undefined) throw new HttpError("neither a choice nor the usage");
  },
};

function sampling(s: Sampling) {
  return {
    temperature: s.temperature,
    // 0 and -1 are all.
    top_k: s.topK === 0 ? -1 : s.topK,
    top_p: s.topP,
    min_p: s.minP,
    repetition_penalty: s.repeatPenalty,
    presence_penalty: s.presencePenalty,
    frequency_penalty: s.frequencyPenalty,
    ...(s.seed === undefined ? {} : { seed: s.seed }),
  };
}

/** Names of tokens are `token_id:N`. */
function logprobs(one: { readonly [name: string]: unknown }) {
  const last = (value: unknown) => list(value).at(-1);
  return {
    logprob: number(last(one["token_logprobs"])),
    top: Object.entries(record(last(one["top_logprobs"]) ?? {})).map(([name, logprob]) => {
      const id = /^token_id:(\d+)$/.exec(name)?.[1];
      if (id === undefined) throw new HttpError("a token without its number");
      return { id: Number(id), logprob: number(logprob) };
    }).sort((a, b) => b.logprob - a.logprob),
  };
}
