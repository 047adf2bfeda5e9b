/** Loading a model file, and what its metadata says of it. */
import { fileCapabilities, POOLING_RANK } from "../../src/api/capabilities.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { templateAbilities } from "../../src/templates/mod.ts";
import { cString, readCString } from "./c_string.ts";
import { failure } from "./context.ts";
import { MODEL_PARAMS, writeField } from "./layout.ts";
import { overrideTable } from "./overrides.ts";
import type { Library } from "./library.ts";
import type { LlamaSymbols } from "./symbols.ts";
import type { EngineOptions, ModelInfo } from "./types.ts";
import { Vocabulary } from "./vocabulary.ts";

type Pointer = Deno.PointerValue;

/** `enum llama_load_mode`: the file is mapped, read-only, and shared with whoever else maps it. */
const LOAD_MODE_MMAP = 1;
/** Metadata values longer than this (a chat template is not one of them) are cut. */
const MAX_METADATA_BYTES = 4096;
const GUESSED_FILE_TYPE = 1024;

/** `enum llama_ftype`, as quantizations are written in file names. */
const FILE_TYPES: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4",
  39: "NVFP4",
  40: "Q1_0",
  41: "Q2_0",
};

export interface Model {
  readonly pointer: Pointer;
  /** LoRA adapters, freed with the model; every context must be given them. */
  readonly adapters: readonly Pointer[];
  readonly vocabularyPointer: Pointer;
  readonly vocabulary: Vocabulary;
  /** All but the context of a slot and the GPU, which are the engine's to decide. */
  readonly info: Omit<ModelInfo, "slotContextLength" | "embedLength" | "gpu">;
  /** Dimensions of one attention head's keys and of its values, if the metadata says. */
  readonly headLengths: readonly [keys: number | undefined, values: number | undefined];
  /** Whether it can generate; else it only embeds, or judges pairs of texts. */
  readonly generates: boolean;
  /** How the file wants a query and a document put together, with `{query}` and `{document}` in their places. */
  readonly rerankTemplate: string | undefined;
  /** Whether its memory can forget the last tokens: one that keeps a state in place of cells cannot. */
  readonly canTakeBack: boolean;
}

/**
 * Maps the file and makes its weights ready.
 * @throws {SecLlamaError} `model-failed` with llama.cpp's reason; `bad-model` for a kind of model that is not supported.
 */
export function loadModel(
  library: Library,
  path: string,
  options: {
    gpuLayers: number;
    adapterPaths?: readonly string[];
    retyped?: EngineOptions["retyped"];
    onLoading?: EngineOptions["onLoading"];
    /** Not its weights: for one that somebody else's engine computes. */
    vocabularyOnly?: boolean;
  },
): Model {
  const params = library.defaults.modelParams();
  const { fields } = MODEL_PARAMS;
  writeField(params, fields.n_gpu_layers, options.gpuLayers);
  if (options.gpuLayers === 0) writeField(params, fields.load_mode, LOAD_MODE_MMAP);
  if (options.vocabularyOnly) writeField(params, fields.vocab_only, 1);
  const overrides = overrideTable(options.retyped ?? []);
  if (overrides !== undefined) {
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(overrides));
    writeField(params, fields.kv_overrides, address);
  }
  const { llama } = library;
  const progress = progressCallback(options.onLoading);
  if (progress !== undefined) {
    const address = Deno.UnsafePointer.value(progress.pointer);
    writeField(params, fields.progress_callback, address);
  }
  let loaded;
  try {
    loaded = library.collectErrors(() => llama.llama_model_load_from_file(cString(path), params));
  } finally {
    progress?.close();
  }
  const { result, errors } = loaded;
  if (result === null) throw failure("the model could not be loaded", errors);
  try {
    // Before any context is made: its compute graph is measured with them.
    const adapters = (options.adapterPaths ?? []).map((one) => loadAdapter(library, result, one));
    const described = describe(llama, result);
    return {
      ...described,
      ...(options.vocabularyOnly ? { info: bySaying(described.info) } : {}),
      adapters,
    };
  } catch (error) {
    llama.llama_model_free(result);
    throw error;
  }
}

/** `llama_progress_callback`, which says whether to go on. It is called on the thread that loads. */
function progressCallback(onLoading: EngineOptions["onLoading"]) {
  if (onLoading === undefined) return undefined;
  return new Deno.UnsafeCallback(
    { parameters: ["f32", "pointer"], result: "bool" },
    (share) => {
      // Nothing may be thrown into native code, and a model is loaded whether or not somebody watches.
      try {
        onLoading(share);
      } catch { /* it goes on */ }
      return true;
    },
  );
}

/** @throws {SecLlamaError} `model-failed` with llama.cpp's reason: not an adapter, or one of another model. */
function loadAdapter(library: Library, model: Pointer, path: string): Pointer {
  const { result, errors } = library.collectErrors(() =>
    library.llama.llama_adapter_lora_init(model, cString(path))
  );
  if (result === null) throw failure("the adapter could not be loaded", errors);
  return result;
}

function describe(llama: LlamaSymbols, pointer: Pointer): Omit<Model, "adapters"> {
  if (llama.llama_model_has_encoder(pointer)) {
    throw new SecLlamaError("bad-model", "models with an encoder are not supported");
  }
  if (llama.llama_model_is_diffusion(pointer)) {
    throw new SecLlamaError("bad-model", "diffusion models are not supported");
  }
  const vocabularyPointer = llama.llama_model_get_vocab(pointer);
  const vocabulary = new Vocabulary(llama, vocabularyPointer);
  const metadata = readMetadata(llama, pointer);
  const architecture = metadata["general.architecture"] ?? "unknown";
  const chatTemplate = readCString(llama.llama_model_chat_template(pointer, null));
  const pooling = metadata[`${architecture}.pooling_type`];
  const ranks = pooling === String(POOLING_RANK);
  const generates = !ranks && metadata[`${architecture}.attention.causal`] !== "false";
  const rerankTemplate = readCString(llama.llama_model_chat_template(pointer, cString("rerank")));
  const name = metadata["general.name"];
  return {
    pointer,
    vocabularyPointer,
    vocabulary,
    headLengths: [
      headLength(metadata, architecture, "key"),
      headLength(metadata, architecture, "value"),
    ],
    generates,
    rerankTemplate: rerankTemplate === "" ? undefined : rerankTemplate,
    canTakeBack: !llama.llama_model_is_recurrent(pointer) && !llama.llama_model_is_hybrid(pointer),
    info: {
      ...(name === undefined ? {} : { name }),
      architecture,
      parameterCount: Number(llama.llama_model_n_params(pointer)),
      contextLength: llama.llama_model_n_ctx_train(pointer),
      embeddingLength: llama.llama_model_n_embd_out(pointer),
      layerCount: llama.llama_model_n_layer(pointer),
      sizeBytes: Number(llama.llama_model_size(pointer)),
      quantization: FILE_TYPES[llama.llama_model_ftype(pointer) & ~GUESSED_FILE_TYPE] ?? "unknown",
      ...(chatTemplate === "" ? {} : { chatTemplate }),
      hasEncoder: false,
      hasDecoder: generates,
      vocabularySize: vocabulary.size,
      capabilities: fileCapabilities({
        byTemplate: templateAbilities(chatTemplate),
        embeds: pooling !== undefined,
        generates,
        ranks,
        fillsGaps: vocabulary.infill !== undefined,
      }),
      metadata,
    },
  };
}

/** Without its weights llama.cpp tells no dimensions: those that the metadata says. */
function bySaying(info: Model["info"]): Model["info"] {
  const said = (key: string) => Number(info.metadata[`${info.architecture}.${key}`]) || 0;
  return {
    ...info,
    contextLength: said("context_length"),
    embeddingLength: said("embedding_length_out") || said("embedding_length"),
    layerCount: said("block_count"),
    quantization: FILE_TYPES[Number(info.metadata["general.file_type"]) & ~GUESSED_FILE_TYPE] ??
      "unknown",
  };
}

function headLength(
  metadata: Readonly<Record<string, string>>,
  architecture: string,
  of: "key" | "value",
): number | undefined {
  const number = (key: string) => Number(metadata[`${architecture}.${key}`]);
  const length = number(`attention.${of}_length`) ||
    number("embedding_length") / number("attention.head_count");
  return Number.isInteger(length) ? length : undefined;
}

function readMetadata(llama: LlamaSymbols, pointer: Pointer): Record<string, string> {
  const buffer = new Uint8Array(MAX_METADATA_BYTES);
  const size = BigInt(buffer.length);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const text = (length: number) =>
    decoder.decode(buffer.subarray(0, Math.min(length, buffer.length - 1)));
  const metadata: Record<string, string> = Object.create(null);
  const count = llama.llama_model_meta_count(pointer);
  for (let index = 0; index < count; index++) {
    const keyLength = llama.llama_model_meta_key_by_index(pointer, index, buffer, size);
    if (keyLength < 0) continue;
    const key = text(keyLength);
    const length = llama.llama_model_meta_val_str_by_index(pointer, index, buffer, size);
    if (length >= 0) metadata[key] = text(length);
  }
  return metadata;
}
