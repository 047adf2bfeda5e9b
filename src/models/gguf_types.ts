/**
 * The tables of the GGUF format: tensor types, value types and the names of quantisations. Data only.
 *
 * Source: ggml.h and llama.h of the llama.cpp release that node-llama-cpp pins; a test compares the tensor types with
 * the installed library.
 */

interface TensorType {
  readonly name: string;
  /** Elements in a block. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

const t = (name: string, block: number, bytes: number): TensorType => ({ name, block, bytes });

/** `ggml_type` → layout. The gaps are types that were removed from ggml. */
export const TENSOR_TYPES: ReadonlyMap<number, TensorType> = new Map([
  [0, t("F32", 1, 4)],
  [1, t("F16", 1, 2)],
  [2, t("Q4_0", 32, 18)],
  [3, t("Q4_1", 32, 20)],
  [6, t("Q5_0", 32, 22)],
  [7, t("Q5_1", 32, 24)],
  [8, t("Q8_0", 32, 34)],
  [9, t("Q8_1", 32, 36)],
  [10, t("Q2_K", 256, 84)],
  [11, t("Q3_K", 256, 110)],
  [12, t("Q4_K", 256, 144)],
  [13, t("Q5_K", 256, 176)],
  [14, t("Q6_K", 256, 210)],
  [15, t("Q8_K", 256, 292)],
  [16, t("IQ2_XXS", 256, 66)],
  [17, t("IQ2_XS", 256, 74)],
  [18, t("IQ3_XXS", 256, 98)],
  [19, t("IQ1_S", 256, 50)],
  [20, t("IQ4_NL", 32, 18)],
  [21, t("IQ3_S", 256, 110)],
  [22, t("IQ2_S", 256, 82)],
  [23, t("IQ4_XS", 256, 136)],
  [24, t("I8", 1, 1)],
  [25, t("I16", 1, 2)],
  [26, t("I32", 1, 4)],
  [27, t("I64", 1, 8)],
  [28, t("F64", 1, 8)],
  [29, t("IQ1_M", 256, 56)],
  [30, t("BF16", 1, 2)],
  [34, t("TQ1_0", 256, 54)],
  [35, t("TQ2_0", 256, 66)],
  [39, t("MXFP4", 32, 17)],
  [40, t("NVFP4", 64, 36)],
  [41, t("Q1_0", 128, 18)],
  [42, t("Q2_0", 64, 18)],
]);

/** `gguf_type` of a metadata value. */
export const VALUE = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** Bytes of a value of fixed size. Strings and arrays are absent. */
export const VALUE_BYTES: ReadonlyMap<number, number> = new Map([
  [VALUE.u8, 1],
  [VALUE.i8, 1],
  [VALUE.u16, 2],
  [VALUE.i16, 2],
  [VALUE.u32, 4],
  [VALUE.i32, 4],
  [VALUE.f32, 4],
  [VALUE.bool, 1],
  [VALUE.u64, 8],
  [VALUE.i64, 8],
  [VALUE.f64, 8],
]);

/** `llama_ftype` (the value of `general.file_type`) → the name that users know. */
export const FILE_TYPES: ReadonlyMap<number, string> = new Map([
  [0, "F32"],
  [1, "F16"],
  [2, "Q4_0"],
  [3, "Q4_1"],
  [7, "Q8_0"],
  [8, "Q5_0"],
  [9, "Q5_1"],
  [10, "Q2_K"],
  [11, "Q3_K_S"],
  [12, "Q3_K_M"],
  [13, "Q3_K_L"],
  [14, "Q4_K_S"],
  [15, "Q4_K_M"],
  [16, "Q5_K_S"],
  [17, "Q5_K_M"],
  [18, "Q6_K"],
  [19, "IQ2_XXS"],
  [20, "IQ2_XS"],
  [21, "Q2_K_S"],
  [22, "IQ3_XS"],
  [23, "IQ3_XXS"],
  [24, "IQ1_S"],
  [25, "IQ4_NL"],
  [26, "IQ3_S"],
  [27, "IQ3_M"],
  [28, "IQ2_S"],
  [29, "IQ2_M"],
  [30, "IQ4_XS"],
  [31, "IQ1_M"],
  [32, "BF16"],
  [36, "TQ1_0"],
  [37, "TQ2_0"],
  [38, "MXFP4"],
]);
