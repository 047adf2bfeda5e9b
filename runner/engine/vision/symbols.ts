/**
 * The C functions of llama.cpp's multimodal library that the engine calls, as `tools/mtmd/mtmd.h` and `mtmd-helper.h` declare
 * them, and one of our own. What takes its time runs in a thread of its own.
 */
import { structType, VISION_PARAMS } from "../layout.ts";
import { RETURN_BYTES } from "../symbols.ts";

/** `enum mtmd_input_chunk_type` */
export const CHUNK = { text: 0, image: 1, audio: 2 } as const;

/** Of `struct mtmd_helper_init_opt`. */
export const HELPER_OPTIONS_BYTES = 24;

export const VISION_SYMBOLS = {
  mtmd_helper_log_set: { parameters: ["pointer", "pointer"], result: "void" },
  mtmd_context_params_default: { parameters: [], result: structType(RETURN_BYTES) },
  mtmd_init_from_file: {
    parameters: ["buffer", "pointer", structType(VISION_PARAMS.size)],
    result: "pointer",
  },
  mtmd_free: { parameters: ["pointer"], result: "void" },
  mtmd_support_vision: { parameters: ["pointer"], result: "bool" },
  mtmd_support_audio: { parameters: ["pointer"], result: "bool" },
  mtmd_decode_use_non_causal: { parameters: ["pointer", "pointer"], result: "bool" },

  mtmd_helper_bitmap_init_from_buf_in_thread: {
    name: "mtmd_helper_bitmap_init_from_buf",
    parameters: ["pointer", "buffer", "u64", "bool", structType(HELPER_OPTIONS_BYTES)],
    result: { struct: ["pointer", "pointer"] },
    nonblocking: true,
  },
  /** Of our own, in the same library: scripts/vision/picture.cpp. */
  secllama_picture_in_thread: {
    name: "secllama_picture",
    parameters: ["buffer", "u64", "i32"],
    result: "pointer",
    nonblocking: true,
  },
  mtmd_get_audio_sample_rate: { parameters: ["pointer"], result: "i32" },
  mtmd_bitmap_get_nx: { parameters: ["pointer"], result: "u32" },
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
