/** Contexts of llama.cpp: the KV cache and the compute buffers, and the threads that work in them. */
import { SecLlamaError } from "../../src/errors.ts";
import { CONTEXT_PARAMS, THREADPOOL_PARAMS, writeField } from "./layout.ts";
import type { Library } from "./library.ts";
import type { EngineOptions } from "./types.ts";
import { plural } from "../../src/plural.ts";

type Pointer = Deno.PointerValue;

/** `enum llama_flash_attn_type` */
const FLASH_ATTENTION = { auto: -1, off: 0, on: 1 } as const;
/** `enum ggml_type` */
const CACHE_TYPE = { f16: 1, q8_0: 8 } as const;
/** `enum llama_pooling_type` */
export const POOLING = { unspecified: -1, none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;

interface ContextOptions {
  /** Tokens of all sequences together. */
  readonly totalTokens: number;
  readonly sequences: number;
  /** Whether the sequences share one pool of cells; else each has an equal part of its own. Default false. */
  readonly shared?: boolean;
  readonly batchSize: number;
  readonly microBatchSize: number;
  /** Tokens of a batch that have an output; not for embeddings. Default: one a sequence. */
  readonly outputs?: number;
  readonly threads: number;
  readonly flashAttention: keyof typeof FLASH_ATTENTION;
  /** Default `f16`. */
  readonly cacheType?: keyof typeof CACHE_TYPE;
  /** LoRA adapters of the model, applied at their full scale. */
  readonly adapters: readonly Pointer[];
  /** For a context made after the process is locked: collecting errors would need executable memory. */
  readonly embeddings?: { pooling: number };
}

/**
 * Threads made once: llama.cpp would make new ones for each decode. They spin for a while after a step, as the
 * next is usually close, then sleep.
 */
export function createThreadpool(library: Library, threads: number): Pointer {
  const params = library.defaults.threadpoolParams(threads);
  writeField(params, THREADPOOL_PARAMS.fields.n_threads, threads);
  const pool = library.newThreadpool(params);
  if (pool === null) throw new SecLlamaError("model-failed", "the thread pool could not be made");
  return pool;
}

/** @throws {SecLlamaError} `model-failed`, with llama.cpp's own words: out of memory, mostly. */
export function createContext(
  library: Library,
  model: Pointer,
  threadpool: Pointer,
  options: ContextOptions,
): Pointer {
  const params = library.defaults.contextParams();
  const { fields } = CONTEXT_PARAMS;
  writeField(params, fields.n_ctx, options.totalTokens);
  writeField(params, fields.n_batch, options.batchSize);
  writeField(params, fields.n_ubatch, options.microBatchSize);
  writeField(params, fields.n_seq_max, options.sequences);
  writeField(params, fields.kv_unified, options.shared ? 1 : 0);
  writeField(params, fields.n_threads, options.threads);
  writeField(params, fields.n_threads_batch, options.threads);
  writeField(params, fields.flash_attn_type, FLASH_ATTENTION[options.flashAttention]);
  const cacheType = CACHE_TYPE[options.cacheType ?? "f16"];
  writeField(params, fields.type_k, cacheType);
  writeField(params, fields.type_v, cacheType);
  if (options.embeddings) {
    writeField(params, fields.embeddings, 1);
    writeField(params, fields.pooling_type, options.embeddings.pooling);
  } else {
    // The default reserves room for the logits of a whole batch.
    writeField(params, fields.n_outputs_max, options.outputs ?? options.sequences);
  }
  const create = () => library.llama.llama_init_from_model(model, params);
  const { result, errors } = options.embeddings
    ? { result: create(), errors: [] }
    : library.collectErrors(create);
  if (result === null) throw failure("the context could not be made", errors);
  const perSequence = options.shared
    ? options.totalTokens
    : Math.floor(options.totalTokens / options.sequences);
  if (library.llama.llama_n_ctx_seq(result) < perSequence) {
    library.llama.llama_free(result);
    throw failure(`the context could not be given ${plural(perSequence, "token")} a sequence`, []);
  }
  library.llama.llama_attach_threadpool(result, threadpool, threadpool);
  applyAdapters(library, result, options.adapters);
  return result;
}

function applyAdapters(library: Library, context: Pointer, adapters: readonly Pointer[]): void {
  if (adapters.length === 0) return;
  const pointers = BigUint64Array.from(adapters, (one) => Deno.UnsafePointer.value(one));
  const scales = new Float32Array(adapters.length).fill(1);
  const count = BigInt(adapters.length);
  if (library.llama.llama_set_adapters_lora(context, pointers, count, scales) !== 0) {
    library.llama.llama_free(context);
    throw failure("the adapter could not be applied", []);
  }
}

/** An error of loading, with the first thing llama.cpp complained of, cut to one line. */
export function failure(message: string, errors: readonly string[]): SecLlamaError {
  const detail = errors.at(0)?.replace(/^.*?error loading model: /, "")
    .replaceAll(/\p{Cc}+/gu, " ").slice(0, 300);
  return new SecLlamaError("model-failed", detail ? `${message}: ${detail}` : message);
}

/**
 * On a processor, flash attention is quicker for prompts and no slower for single tokens if a head fills whole vector
 * registers; with odd heads (48, say) a token takes twice as long.
 */
export function chooseFlashAttention(
  options: Pick<EngineOptions, "flashAttention" | "gpuLayers">,
  headLength: number | undefined,
): keyof typeof FLASH_ATTENTION {
  const wish = options.flashAttention ?? "auto";
  const odd = headLength !== undefined && headLength % 32 !== 0;
  return wish === "auto" && odd && (options.gpuLayers ?? 0) === 0 ? "off" : wish;
}

/** The type that was asked for, if a head fills its blocks; llama.cpp's kernels for it are those of flash attention. */
export function chooseCacheType(
  { cacheType = "f16" }: Pick<EngineOptions, "cacheType">,
  headLengths: readonly (number | undefined)[],
  flashAttention: keyof typeof FLASH_ATTENTION,
): keyof typeof CACHE_TYPE {
  const fills = headLengths.every((length) => length !== undefined && length % 32 === 0);
  return fills && flashAttention !== "off" ? cacheType : "f16";
}
