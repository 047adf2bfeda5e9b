/**
 * Memory layout of the llama.cpp structs that cross the FFI boundary by value: one table a struct, for the one
 * version of the libraries that digests.ts pins. C has no reflection, so a library of another version would read
 * our bytes at other offsets; `checkLayout` therefore compares what the library calls its defaults with what this
 * table calls them, field by field, before anything else is called.
 *
 * Offsets follow from the C declarations under LP64 (`include/llama.h`, `ggml/include/ggml.h`), little-endian, and are
 * the same on x86-64 and AArch64.
 */
import { SecLlamaError } from "../../src/errors.ts";

type FieldType = "i32" | "u32" | "f32" | "u64" | "bool";

/** [offset in bytes, type, value in the library's defaults] */
type Field = readonly [offset: number, type: FieldType, expected: number];

export interface Layout {
  readonly name: string;
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

const SIZES: Readonly<Record<FieldType, number>> = { i32: 4, u32: 4, f32: 4, u64: 8, bool: 1 };

export const MODEL_PARAMS = {
  name: "llama_model_params",
  size: 80,
  fields: {
    devices: [0, "u64", 0],
    tensor_buft_overrides: [8, "u64", 0],
    n_gpu_layers: [16, "i32", -1],
    split_mode: [20, "i32", 1],
    load_mode: [24, "i32", -1],
    lazy_mode: [28, "i32", 1],
    main_gpu: [32, "i32", 0],
    tensor_split: [40, "u64", 0],
    progress_callback: [48, "u64", 0],
    progress_callback_user_data: [56, "u64", 0],
    kv_overrides: [64, "u64", 0],
    vocab_only: [72, "bool", 0],
    check_tensors: [73, "bool", 0],
    use_extra_bufts: [74, "bool", 1],
    no_host: [75, "bool", 0],
    no_alloc: [76, "bool", 0],
    load_mtp: [77, "bool", 0],
  },
} as const satisfies Layout;

export const CONTEXT_PARAMS = {
  name: "llama_context_params",
  size: 160,
  fields: {
    n_ctx: [0, "u32", 512],
    n_batch: [4, "u32", 2048],
    n_ubatch: [8, "u32", 512],
    n_seq_max: [12, "u32", 1],
    n_rs_seq: [16, "u32", 0],
    n_outputs_max: [20, "u32", 0],
    n_outputs_max_per_seq: [24, "u32", 1],
    n_threads: [28, "i32", 4],
    n_threads_batch: [32, "i32", 4],
    ctx_type: [36, "i32", 0],
    rope_scaling_type: [40, "i32", -1],
    pooling_type: [44, "i32", -1],
    attention_type: [48, "i32", -1],
    flash_attn_type: [52, "i32", -1],
    rope_freq_base: [56, "f32", 0],
    rope_freq_scale: [60, "f32", 0],
    yarn_ext_factor: [64, "f32", -1],
    yarn_attn_factor: [68, "f32", -1],
    yarn_beta_fast: [72, "f32", -1],
    yarn_beta_slow: [76, "f32", -1],
    yarn_orig_ctx: [80, "u32", 0],
    defrag_thold: [84, "f32", -1],
    cb_eval: [88, "u64", 0],
    cb_eval_user_data: [96, "u64", 0],
    type_k: [104, "i32", 1],
    type_v: [108, "i32", 1],
    abort_callback: [112, "u64", 0],
    abort_callback_data: [120, "u64", 0],
    embeddings: [128, "bool", 0],
    offload_kqv: [129, "bool", 1],
    no_perf: [130, "bool", 1],
    op_offload: [131, "bool", 1],
    swa_full: [132, "bool", 1],
    kv_unified: [133, "bool", 0],
    samplers: [136, "u64", 0],
    n_samplers: [144, "u64", 0],
    ctx_other: [152, "u64", 0],
  },
} as const satisfies Layout;

/** Defaults for one thread. */
export const THREADPOOL_PARAMS = {
  name: "ggml_threadpool_params",
  size: 528,
  fields: {
    cpumask: [0, "u64", 0],
    n_threads: [512, "i32", 1],
    prio: [516, "i32", 0],
    poll: [520, "u32", 50],
    strict_cpu: [524, "bool", 0],
    paused: [525, "bool", 0],
  },
} as const satisfies Layout;

/** Of the multimodal library (`tools/mtmd/mtmd.h`). The marker is a pointer: it is taken out before the defaults are compared. */
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

/** `llama_batch`: not read back from anywhere, filled by batch.ts. */
export const BATCH = {
  name: "llama_batch",
  size: 56,
  fields: {
    n_tokens: [0, "i32", 0],
    token: [8, "u64", 0],
    embd: [16, "u64", 0],
    pos: [24, "u64", 0],
    n_seq_id: [32, "u64", 0],
    seq_id: [40, "u64", 0],
    logits: [48, "u64", 0],
  },
} as const satisfies Layout;

/**
 * The struct as FFI passes it: all of these are wider than two registers and so travel in memory, where only their
 * size and alignment count.
 */
export function structType(size: number): { struct: "u64"[] } {
  return { struct: Array.from({ length: size / 8 }, () => "u64" as const) };
}

/** Reads a field. A u64 above 2^53 loses digits: pointers are written here, never read. */
function readField(bytes: Uint8Array, [offset, type]: Field): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case "i32":
      return view.getInt32(offset, true);
    case "u32":
      return view.getUint32(offset, true);
    case "f32":
      return view.getFloat32(offset, true);
    case "u64":
      return Number(view.getBigUint64(offset, true));
    case "bool":
      return view.getUint8(offset);
  }
}

/** Writes a field; a boolean is 0 or 1. */
export function writeField(bytes: Uint8Array, field: Field, value: number | bigint): void {
  const [offset, type] = field;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case "i32":
      return view.setInt32(offset, Number(value), true);
    case "u32":
      return view.setUint32(offset, Number(value), true);
    case "f32":
      return view.setFloat32(offset, Number(value), true);
    case "u64":
      return view.setBigUint64(offset, BigInt(value), true);
    case "bool":
      return view.setUint8(offset, Number(value));
  }
}

/**
 * Compares the defaults a library returned with the table's. `bytes` is longer than the struct (the caller
 * declares it so): what lies behind the struct, and the padding within it, must be zero.
 * @throws {SecLlamaError} `model-failed` naming the first field that differs.
 */
export function checkLayout(layout: Layout, bytes: Uint8Array): void {
  const covered = new Uint8Array(bytes.length);
  for (const [name, field] of Object.entries(layout.fields)) {
    const [offset, type, expected] = field;
    if (offset % SIZES[type] !== 0 || offset + SIZES[type] > layout.size) {
      throw mismatch(layout, `field ${name} does not lie within ${layout.size} bytes`);
    }
    const value = readField(bytes, field);
    if (value !== expected) {
      throw mismatch(layout, `${name} at ${offset} is ${value}, must be ${expected}`);
    }
    covered.fill(1, offset, offset + SIZES[type]);
  }
  for (let at = 0; at < bytes.length; at++) {
    // A threadpool's mask is one array of 512 bytes, all zero by default.
    if (covered[at] === 0 && bytes[at] !== 0) {
      throw mismatch(layout, `byte ${at} is ${bytes[at]}, must be 0`);
    }
  }
}

function mismatch(layout: Layout, detail: string): SecLlamaError {
  return new SecLlamaError(
    "model-failed",
    `the llama.cpp libraries do not match this program: ${layout.name}: ${detail}`,
    { hint: "install the pinned version of node-llama-cpp" },
  );
}
