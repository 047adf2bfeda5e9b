/** The first batches of a model: they touch every page of the weights, and measure. */
import { SecLlamaError } from "../../src/errors.ts";
import type { Batch } from "./batch.ts";
import type { PromptChunker } from "./prompt_chunker.ts";
import type { LlamaSymbols } from "./symbols.ts";

/** Enough for the speed of prompts to be measured, and for every page of the weights to be touched. */
const WARM_UP_TOKENS = 32;

interface WarmUpOptions {
  /** Any that the vocabulary has. */
  readonly token: number;
  readonly batch: Batch;
  readonly promptChunker: PromptChunker;
  readonly threads: number;
}

/**
 * Runs a first prompt, and a token with one thread alone.
 * @returns Milliseconds that one thread takes for one token; Infinity: there is no other.
 * @throws {SecLlamaError} `model-failed`: llama.cpp refuses.
 */
export function warmUp(
  llama: LlamaSymbols,
  context: Deno.PointerValue,
  { token, batch, promptChunker, threads }: WarmUpOptions,
): number {
  const memory = llama.llama_get_memory(context);
  const decode = (count: number): number => {
    batch.clear();
    for (let position = 0; position < count; position++) {
      batch.add(token, { position, sequence: 0, output: position === count - 1 });
    }
    const started = performance.now();
    const status = llama.llama_decode(context, batch.seal());
    const ms = performance.now() - started;
    if (status !== 0) {
      throw new SecLlamaError("model-failed", `the model refused a batch: status ${status}`);
    }
    llama.llama_memory_clear(memory, true);
    return ms;
  };
  const count = Math.min(WARM_UP_TOKENS, batch.capacity);
  promptChunker.record({ promptTokens: count, decodeTokens: 0, ms: decode(count) });
  if (threads === 1) return Infinity;
  llama.llama_set_n_threads(context, 1, 1);
  const aloneMs = Math.min(decode(1), decode(1));
  llama.llama_set_n_threads(context, threads, threads);
  return aloneMs;
}
