/** Makes GGUF files for tests: valid by default, and wrong in exactly the ways a test asks for. */
import { concat, utf8 } from "../bytes.ts";
import { VALUE } from "./gguf_types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Little-endian integers. */
export const u32 = (n: number): Bytes => new Uint8Array(new Uint32Array([n]).buffer);
export const u64 = (n: number | bigint): Bytes =>
  new Uint8Array(new BigUint64Array([BigInt(n)]).buffer);
export const str = (text: string): Bytes => concat(u64(utf8(text).length), utf8(text));

/** A key and its value, as they stand in the file. */
export const key = (name: string, type: number, value: Bytes): Bytes =>
  concat(str(name), u32(type), value);
export const keyU32 = (name: string, n: number) => key(name, VALUE.u32, u32(n));
export const keyStr = (name: string, text: string) => key(name, VALUE.string, str(text));
export const keyArray = (name: string, type: number, count: number | bigint, ...values: Bytes[]) =>
  key(name, VALUE.array, concat(u32(type), u64(count), ...values));

/** A tensor's entry. */
export const tensor = (
  name: string,
  shape: (number | bigint)[],
  type: number,
  offset: number | bigint,
) => concat(str(name), u32(shape.length), ...shape.map((n) => u64(n)), u32(type), u64(offset));

export interface GgufParts {
  magic?: string;
  version?: number;
  keys?: Bytes[];
  tensors?: Bytes[];
  keyCount?: number | bigint;
  tensorCount?: number | bigint;
  alignment?: number;
  dataBytes?: number;
  /** Varies the content, and so the digest. */
  fill?: number;
}

/** The keys of a tiny llama that {@link makeGguf} writes when none are given. */
export function usualKeys(replace: Record<string, Bytes | null> = {}): Bytes[] {
  const keys: Record<string, Bytes> = {
    "general.architecture": keyStr("general.architecture", "llama"),
    "general.file_type": keyU32("general.file_type", 0),
    "llama.block_count": keyU32("llama.block_count", 1),
    "llama.context_length": keyU32("llama.context_length", 64),
    "llama.embedding_length": keyU32("llama.embedding_length", 8),
    "llama.attention.head_count": keyU32("llama.attention.head_count", 2),
    "tokenizer.ggml.model": keyStr("tokenizer.ggml.model", "llama"),
    "tokenizer.ggml.tokens": keyArray(
      "tokenizer.ggml.tokens",
      VALUE.string,
      2,
      str("a"),
      str("b"),
    ),
  };
  return Object.entries({ ...keys, ...replace }).flatMap(([, value]) => value ? [value] : []);
}

/** A GGUF file: 8 × 4 floats in one tensor, unless told otherwise. */
export function makeGguf(parts: GgufParts = {}): Bytes {
  const keys = parts.keys ?? usualKeys();
  const tensors = parts.tensors ?? [tensor("token_embd.weight", [8, 4], 0, 0)];
  const header = concat(
    utf8(parts.magic ?? "GGUF"),
    u32(parts.version ?? 3),
    u64(parts.tensorCount ?? tensors.length),
    u64(parts.keyCount ?? keys.length),
    ...keys,
    ...tensors,
  );
  const alignment = parts.alignment ?? 32;
  const padding = (alignment - header.length % alignment) % alignment;
  const data = new Uint8Array(parts.dataBytes ?? 128).fill(parts.fill ?? 7);
  return concat(header, new Uint8Array(padding), data);
}
