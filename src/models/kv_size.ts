/** How large a model's KV cache is, from its header: what one token of context costs in memory. */
import type { GgufHeader } from "./gguf.ts";

/** llama.cpp's default type of the cache, f16. */
const BYTES_PER_VALUE = 2;

/**
 * Bytes of cache for one token, all layers together. An upper bound: layers with a sliding window or without attention keep
 * less. 0 if the header does not say.
 */
export function kvBytesPerToken(header: GgufHeader, architecture: string): number {
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
  return Math.ceil(layers * kvHeads * (keyLength + valueLength) * BYTES_PER_VALUE);
}
