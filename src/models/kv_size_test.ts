import assert from "node:assert/strict";
import type { GgufHeader, GgufValue } from "./gguf.ts";
import { kvBytesPerToken } from "./kv_size.ts";

function header(values: Record<string, GgufValue>): GgufHeader {
  const metadata = new Map(Object.entries(values).map(([k, v]) => [`llama.${k}`, v]));
  return { metadata } as unknown as GgufHeader;
}

Deno.test("kv size: two values of 16 bits for each layer, head and dimension", () => {
  const shape = { "block_count": 22, "embedding_length": 2048, "attention.head_count": 32 };
  // Llama's 1 B: 4 KV heads of 64.
  const grouped = header({ ...shape, "attention.head_count_kv": 4 });
  assert.equal(kvBytesPerToken(grouped, "llama"), 22 * 4 * (64 + 64) * 2);
  assert.equal(kvBytesPerToken(header(shape), "llama"), 22 * 32 * (64 + 64) * 2);
  const odd = header({ ...shape, "attention.key_length": 192, "attention.value_length": 128 });
  assert.equal(kvBytesPerToken(odd, "llama"), 22 * 32 * (192 + 128) * 2);
  assert.equal(kvBytesPerToken(grouped, "llama", "q8_0"), 22 * 4 * (64 + 64) * 34 / 32);
  const third = header({ ...shape, "attention.key_length": 48 });
  assert.equal(kvBytesPerToken(third, "llama", "q8_0"), kvBytesPerToken(third, "llama"));
});

Deno.test("kv size: 0 where the header does not say", () => {
  assert.equal(kvBytesPerToken(header({ "block_count": 22 }), "llama"), 0);
  assert.equal(kvBytesPerToken(header({ "attention.head_count": 0 }), "llama"), 0);
});
