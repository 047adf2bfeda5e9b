/**
 * The C functions the engine calls, as `include/llama.h`, `ggml/include/ggml-backend.h` and `ggml-cpu.h` declare them.
 * `size_t` is u64, `enum` i32, every handle a pointer.
 */
import { BATCH, CONTEXT_PARAMS, MODEL_PARAMS, structType } from "./layout.ts";

/** Bytes declared for a returned struct: more than it has, so that a larger one is noticed, not written past. */
export const RETURN_BYTES = 1024;

const modelParams = structType(MODEL_PARAMS.size);
const contextParams = structType(CONTEXT_PARAMS.size);
const batch = structType(BATCH.size);
const returned = structType(RETURN_BYTES);

export const BASE_SYMBOLS = {
  ggml_set_abort_callback: { parameters: ["pointer"], result: "pointer" },
  ggml_threadpool_params_default: { parameters: ["i32"], result: returned },
  ggml_backend_dev_name: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_reg_get_proc_address: { parameters: ["pointer", "buffer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

export const GGML_SYMBOLS = {
  ggml_backend_load_all_from_path: { parameters: ["buffer"], result: "void" },
  ggml_backend_dev_by_type: { parameters: ["i32"], result: "pointer" },
  ggml_backend_reg_by_name: { parameters: ["buffer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

export const LLAMA_SYMBOLS = {
  llama_log_set: { parameters: ["pointer", "pointer"], result: "void" },
  llama_backend_init: { parameters: [], result: "void" },

  llama_model_default_params: { parameters: [], result: returned },
  llama_context_default_params: { parameters: [], result: returned },
  llama_model_load_from_file: { parameters: ["buffer", modelParams], result: "pointer" },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_adapter_lora_init: { parameters: ["pointer", "buffer"], result: "pointer" },
  llama_set_adapters_lora: {
    parameters: ["pointer", "buffer", "u64", "buffer"],
    result: "i32",
  },
  llama_init_from_model: { parameters: ["pointer", contextParams], result: "pointer" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_attach_threadpool: { parameters: ["pointer", "pointer", "pointer"], result: "void" },

  llama_set_abort_callback: { parameters: ["pointer", "pointer", "pointer"], result: "void" },
  llama_set_n_threads: { parameters: ["pointer", "i32", "i32"], result: "void" },
  llama_n_ctx_seq: { parameters: ["pointer"], result: "u32" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_pooling_type: { parameters: ["pointer"], result: "i32" },
  llama_memory_seq_rm: { parameters: ["pointer", "i32", "i32", "i32"], result: "bool" },
  llama_memory_seq_add: { parameters: ["pointer", "i32", "i32", "i32", "i32"], result: "void" },
  llama_memory_can_shift: { parameters: ["pointer"], result: "bool" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_decode: { parameters: ["pointer", batch], result: "i32" },
  llama_decode_in_thread: {
    name: "llama_decode",
    parameters: ["pointer", batch],
    result: "i32",
    nonblocking: true,
  },
  llama_get_logits_ith: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_get_embeddings_seq: { parameters: ["pointer", "i32"], result: "pointer" },

  llama_tokenize_in_thread: {
    name: "llama_tokenize",
    parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"],
    result: "i32",
    nonblocking: true,
  },
  llama_model_get_vocab: { parameters: ["pointer"], result: "pointer" },
  llama_model_n_ctx_train: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd_out: { parameters: ["pointer"], result: "i32" },
  llama_model_n_layer: { parameters: ["pointer"], result: "i32" },
  llama_model_size: { parameters: ["pointer"], result: "u64" },
  llama_model_n_params: { parameters: ["pointer"], result: "u64" },
  llama_model_ftype: { parameters: ["pointer"], result: "i32" },
  llama_model_is_recurrent: { parameters: ["pointer"], result: "bool" },
  llama_model_is_hybrid: { parameters: ["pointer"], result: "bool" },
  llama_model_has_encoder: { parameters: ["pointer"], result: "bool" },
  llama_model_is_diffusion: { parameters: ["pointer"], result: "bool" },
  llama_model_chat_template: { parameters: ["pointer", "buffer"], result: "pointer" },
  llama_model_meta_count: { parameters: ["pointer"], result: "i32" },
  llama_model_meta_key_by_index: {
    parameters: ["pointer", "i32", "buffer", "u64"],
    result: "i32",
  },
  llama_model_meta_val_str_by_index: {
    parameters: ["pointer", "i32", "buffer", "u64"],
    result: "i32",
  },

  llama_vocab_n_tokens: { parameters: ["pointer"], result: "i32" },
  llama_vocab_type: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_text: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_vocab_get_attr: { parameters: ["pointer", "i32"], result: "i32" },
  llama_vocab_is_eog: { parameters: ["pointer", "i32"], result: "bool" },
  llama_vocab_bos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_eos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_sep: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_pre: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_suf: { parameters: ["pointer"], result: "i32" },
  llama_vocab_fim_mid: { parameters: ["pointer"], result: "i32" },
  llama_vocab_get_add_bos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_eos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_sep: { parameters: ["pointer"], result: "bool" },
  llama_tokenize: {
    parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"],
    result: "i32",
  },
  llama_token_to_piece: {
    parameters: ["pointer", "i32", "buffer", "i32", "i32", "bool"],
    result: "i32",
  },

  // The one field of llama_sampler_chain_params is a bool, passed like an u8.
  llama_sampler_chain_init: { parameters: ["u8"], result: "pointer" },
  llama_sampler_chain_add: { parameters: ["pointer", "pointer"], result: "void" },
  llama_sampler_chain_remove: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_sampler_init_greedy: { parameters: [], result: "pointer" },
  llama_sampler_init_dist: { parameters: ["u32"], result: "pointer" },
  llama_sampler_init_top_k: { parameters: ["i32"], result: "pointer" },
  llama_sampler_init_top_p: { parameters: ["f32", "u64"], result: "pointer" },
  llama_sampler_init_min_p: { parameters: ["f32", "u64"], result: "pointer" },
  llama_sampler_init_typical: { parameters: ["f32", "u64"], result: "pointer" },
  llama_sampler_init_temp: { parameters: ["f32"], result: "pointer" },
  llama_sampler_init_penalties: {
    parameters: ["i32", "i32", "f32", "f32", "f32"],
    result: "pointer",
  },
  llama_sampler_init_logit_bias: { parameters: ["i32", "i32", "buffer"], result: "pointer" },
  llama_sampler_init_grammar: { parameters: ["pointer", "buffer", "buffer"], result: "pointer" },
  llama_sampler_sample: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  llama_sampler_apply: { parameters: ["pointer", "buffer"], result: "void" },
  llama_sampler_accept: { parameters: ["pointer", "i32"], result: "void" },
  llama_sampler_clone: { parameters: ["pointer"], result: "pointer" },
  llama_sampler_free: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Not exported by a library we link: found by `ggml_backend_reg_get_proc_address`. */
export const THREADPOOL_NEW = { parameters: ["buffer"], result: "pointer" } as const;
export const THREADPOOL_FREE = { parameters: ["pointer"], result: "void" } as const;

export type LlamaSymbols = Deno.StaticForeignLibraryInterface<typeof LLAMA_SYMBOLS>;
