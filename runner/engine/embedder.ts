/** Embeddings and ranks: a context of its own, as pooling changes what a context puts out. Made when first needed. */
import { SecLlamaError } from "../../src/errors.ts";
import { Batch } from "./batch.ts";
import { createContext, POOLING } from "./context.ts";
import type { Library } from "./library.ts";

type Pointer = Deno.PointerValue;

interface EmbedderOptions {
  readonly library: Library;
  readonly model: Pointer;
  readonly threadpool: Pointer;
  readonly threads: number;
  /** Tokens of one text at most. */
  readonly contextLength: number;
  readonly batchSize: number;
  readonly embeddingLength: number;
  readonly adapters: readonly Pointer[];
}

export class Embedder {
  readonly #o: EmbedderOptions;
  #context: Pointer = null;
  #batch: Batch | undefined;
  #pooling: number = POOLING.none;

  constructor(options: EmbedderOptions) {
    this.#o = options;
  }

  /** Makes the context now: for a model that does nothing else, so that its memory is counted at load. */
  prepare(): void {
    if (this.#context !== null) return;
    const { library, model, threadpool, threads, contextLength, batchSize, adapters } = this.#o;
    const create = (microBatchSize: number, pooling: number) =>
      createContext(library, model, threadpool, {
        totalTokens: contextLength,
        sequences: 1,
        batchSize: microBatchSize,
        microBatchSize,
        threads,
        flashAttention: "auto",
        adapters,
        embeddings: { pooling },
      });
    // Unspecified: as the model's metadata says. A generator's says nothing; the last token has then seen all others.
    let context = create(contextLength, POOLING.unspecified);
    this.#pooling = library.llama.llama_pooling_type(context);
    let size = contextLength;
    if (this.#pooling === POOLING.none) {
      library.llama.llama_free(context);
      this.#pooling = POOLING.last;
      size = Math.min(batchSize, contextLength);
      context = create(size, POOLING.last);
    }
    this.#context = context;
    this.#batch = new Batch(size, 1);
  }

  /**
   * The embedding of one text, of length 1. Runs in a thread; nothing else may decode meanwhile. Not of a model that ranks, whose
   * output is shorter.
   * @throws {SecLlamaError} `bad-request`: too many tokens; `cancelled`; `model-failed`.
   */
  async embed(tokens: Int32Array, signal: AbortSignal): Promise<Float32Array> {
    return normalised(await this.#output(tokens, signal, this.#o.embeddingLength));
  }

  /**
   * What the head of a model that ranks says of a pair of texts: its first number. Else as {@link embed}.
   * @throws {SecLlamaError} `bad-request`: too many tokens; `cancelled`; `model-failed`, also where it is no number.
   */
  async rank(tokens: Int32Array, signal: AbortSignal): Promise<number> {
    const [score] = await this.#output(tokens, signal, 1);
    if (!Number.isFinite(score)) throw new SecLlamaError("model-failed", "the model gave no score");
    return score!;
  }

  /** The first `length` numbers that come of the tokens; the array is the model's own. */
  async #output(tokens: Int32Array, signal: AbortSignal, length: number): Promise<Float32Array> {
    if (tokens.length > this.#o.contextLength) {
      throw new SecLlamaError(
        "bad-request",
        `the text has ${tokens.length} tokens, the context has ${this.#o.contextLength}`,
      );
    }
    this.prepare();
    const { llama } = this.#o.library;
    const batch = this.#batch as Batch;
    const memory = llama.llama_get_memory(this.#context);
    if (memory !== null) llama.llama_memory_clear(memory, false);
    for (let from = 0; from < tokens.length; from += batch.capacity) {
      if (signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
      const chunk = tokens.subarray(from, from + batch.capacity);
      batch.clear();
      for (const [offset, token] of chunk.entries()) {
        batch.add(token, { position: from + offset, sequence: 0, output: true });
      }
      const status = await llama.llama_decode_in_thread(this.#context, batch.seal());
      if (status !== 0) {
        throw new SecLlamaError("model-failed", `the model refused a batch: status ${status}`);
      }
    }
    const pointer = llama.llama_get_embeddings_seq(this.#context, 0);
    if (pointer === null) throw new SecLlamaError("model-failed", "the model gave no embedding");
    return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4 * length));
  }

  free(): void {
    if (this.#context !== null) this.#o.library.llama.llama_free(this.#context);
    this.#context = null;
  }
}

/** A copy with Euclidean length 1; zeroes stay zeroes. */
function normalised(values: Float32Array): Float32Array {
  let sum = 0;
  for (const value of values) sum += value * value;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  return values.map((value) => value * scale);
}
