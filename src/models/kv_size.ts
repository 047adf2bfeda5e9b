/** How large a model's KV cache is, from its header: what one token of context costs in memory. */
import type { GgufHeader } from "./gguf.ts";

/** By type of the cache; of q8_0 a block of 32 values takes 34 bytes. */
const BYTES_PER_VALUE = { f16: 2, q8_0: 34 / 32 } as const;

/**
 * Bytes of cache for one token, all layers together. An upper bound: layers with a sliding window or without attention keep
 * less. 0 if the header does not say.
 */
export function kvBytesPerToken(
  header: GgufHeader,
  architecture: string,
  wanted: keyof typeof BYTES_PER_VALUE = "f16",
): number {
  const number = (key: string): number | undefined => {
    const value = header.metadata.get(`${architecture}.${key}`);
    return typeof value === "number" && value >= 0 ? value : undefined;
  };
  const layers = number("block_count") ?? 0;
  const width = number("embedding_length") ?? 0;
  const heads = number("attention.head_count");
  if (heads === undefined || heads === 0) return 0; // a list of one a layer, or a recurrent model
  const kvHeads = number("attention.head_count_kv") ?? heads;
  const keyLength = number("attention.key_length") ?? width / heads;
  const valueLength = number("attention.value_length") ?? width / heads;
  // As the engine chooses it: heads that do not fill blocks are kept as f16.
  const type = keyLength % 32 === 0 && valueLength % 32 === 0 ? wanted : "f16";
  return Math.ceil(layers * kvHeads * (keyLength + valueLength) * BYTES_PER_VALUE[type]);
}
