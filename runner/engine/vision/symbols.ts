/**
 * The C functions of llama.cpp's multimodal library that the engine calls, as `tools/mtmd/mtmd.h` and `mtmd-helper.h` declare
 * them, and the layout of the one struct that crosses by value. What takes its time runs in a thread of its own.
 */
import type { Layout } from "../layout.ts";
import { structType } from "../layout.ts";
import { RETURN_BYTES } from "../symbols.ts";

/** `struct mtmd_context_params`. The marker is a pointer: it is taken out before the defaults are compared. */
export const VISION_PARAMS = {
  name: "mtmd_context_params",
  size: 96,
  fields: {
    use_gpu: [0, "bool", 1],
    device: [8, "u64", 0],
    print_timings: [16, "bool", 1],
    n_threads: [20, "i32", 4],
    image_marker: [24, "u64", 0],
    media_marker: [32, "u64", 0],
    flash_attn_type: [40, "i32", -1],
    warmup: [44, "bool", 1],
    image_min_tokens: [48, "i32", -1],
    image_max_tokens: [52, "i32", -1],
    cb_eval: [56, "u64", 0],
    cb_eval_user_data: [64, "u64", 0],
    batch_max_tokens: [72, "i32", 1024],
    progress_callback: [80, "u64", 0],
    progress_callback_user_data: [88, "u64", 0],
  },
} as const satisfies Layout;

/** `enum mtmd_input_chunk_type` */
export const CHUNK = { text: 0, image: 1, audio: 2 } as const;

/** `struct mtmd_helper_init_opt`: of video only, which is not built. */
const helperOptions = structType(24);

export const VISION_SYMBOLS = {
  mtmd_helper_log_set: { parameters: ["pointer", "pointer"], result: "void" },
  mtmd_context_params_default: { parameters: [], result: structType(RETURN_BYTES) },
  mtmd_init_from_file: {
    parameters: ["buffer", "pointer", structType(VISION_PARAMS.size)],
    result: "pointer",
  },
  mtmd_free: { parameters: ["pointer"], result: "void" },
  mtmd_support_vision: { parameters: ["pointer"], result: "bool" },
  mtmd_decode_use_non_causal: { parameters: ["pointer", "pointer"], result: "bool" },

  mtmd_helper_bitmap_init_from_buf_in_thread: {
    name: "mtmd_helper_bitmap_init_from_buf",
    parameters: ["pointer", "buffer", "u64", "bool", helperOptions],
    result: { struct: ["pointer", "pointer"] },
    nonblocking: true,
  },
  mtmd_bitmap_free: { parameters: ["pointer"], result: "void" },

  mtmd_input_chunks_init: { parameters: [], result: "pointer" },
  mtmd_input_chunks_size: { parameters: ["pointer"], result: "u64" },
  mtmd_input_chunks_get: { parameters: ["pointer", "u64"], result: "pointer" },
  mtmd_input_chunks_free: { parameters: ["pointer"], result: "void" },
  mtmd_input_chunk_get_type: { parameters: ["pointer"], result: "i32" },
  mtmd_input_chunk_get_tokens_text: { parameters: ["pointer", "buffer"], result: "pointer" },
  mtmd_input_chunk_get_n_tokens: { parameters: ["pointer"], result: "u64" },
  mtmd_input_chunk_get_n_pos: { parameters: ["pointer"], result: "i32" },
  mtmd_tokenize_in_thread: {
    name: "mtmd_tokenize",
    parameters: ["pointer", "pointer", "buffer", "buffer", "u64"],
    result: "i32",
    nonblocking: true,
  },

  mtmd_encode_chunk_in_thread: {
    name: "mtmd_encode_chunk",
    parameters: ["pointer", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  mtmd_get_output_embd: { parameters: ["pointer"], result: "pointer" },
  mtmd_helper_decode_image_chunk_in_thread: {
    name: "mtmd_helper_decode_image_chunk",
    parameters: [
      "pointer",
      "pointer",
      "pointer",
      "pointer",
      "i32",
      "i32",
      "i32",
      "buffer",
      "pointer",
      "pointer",
    ],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

export type VisionSymbols = Deno.StaticForeignLibraryInterface<typeof VISION_SYMBOLS>;
