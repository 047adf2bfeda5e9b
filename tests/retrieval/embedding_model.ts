/**
 * Word vectors as a model file that llama.cpp loads like any embedding model: BERT's architecture with one layer that adds nothing,
 * its tokenizer with whole words, and the mean of the tokens as what it puts out.
 *
 * BERT brings every token to one length (layer norm), while here frequent words must be short. So each vector has more
 * dimensions than it shows: one that makes its sum zero, and two that make its length that of all others. The last norm
 * takes them away again.
 */
import { constantTensor, floatTensor, Metadata, type Tensor } from "../support/gguf_writer.ts";
import type { WordVectors } from "./word_vectors.ts";

/** `tokenizer.ggml.token_type`. */
const TOKEN = { normal: 1, control: 3 } as const;
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] as const;
const HIDDEN = 3;
const CONTEXT_LENGTH = 512;
const FEED_FORWARD = 32;

/** The bytes of the file. */
export function makeEmbeddingModel({ dimensions, vectors }: WordVectors): Uint8Array<ArrayBuffer> {
  const width = Math.ceil((dimensions + HIDDEN) / 32) * 32;
  const shown = [...vectors].map(([word, vector]) => ({ text: `▁${word}`, vector }));
  const nothing = new Float64Array(dimensions);
  const tokens = [...SPECIAL.map((text) => ({ text, vector: nothing })), ...shown];
  const sums = tokens.map(({ vector }) => vector.reduce((sum, value) => sum + value, 0));
  const sizes = tokens.map(({ vector }, i) =>
    vector.reduce((sum, value) => sum + value * value, sums[i]! ** 2)
  );
  const most = 1.01 * Math.max(...sizes, 1e-6);
  const embeddings = new Float32Array(tokens.length * width);
  for (const [i, { vector }] of tokens.entries()) {
    const row = embeddings.subarray(i * width, (i + 1) * width);
    row.set(vector);
    row[dimensions] = -sums[i]!;
    row[dimensions + 1] = Math.sqrt((most - sizes[i]!) / 2);
    row[dimensions + 2] = -row[dimensions + 1]!;
  }
  const visible = Float32Array.from({ length: width }, (_, i) => i < dimensions ? 1 : 0);
  const norm = (name: string, weight = new Float32Array(width).fill(1)): Tensor[] => [
    floatTensor(`${name}.weight`, [width], weight),
    constantTensor(`${name}.bias`, [width], 0),
  ];
  const zero = (name: string, dims: readonly number[]) =>
    constantTensor(`blk.0.${name}.weight`, dims, 0);
  return metadata(tokens.map(({ text }) => text), width).file([
    floatTensor("token_embd.weight", [width, tokens.length], embeddings),
    constantTensor("token_types.weight", [width, 1], 0),
    constantTensor("position_embd.weight", [width, CONTEXT_LENGTH], 0),
    ...norm("token_embd_norm"),
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => zero(name, [width, width])),
    ...norm("blk.0.attn_output_norm"),
    zero("ffn_up", [width, FEED_FORWARD]),
    zero("ffn_down", [FEED_FORWARD, width]),
    ...norm("blk.0.layer_output_norm", visible),
  ]);
}

function metadata(tokens: readonly string[], width: number): Metadata {
  const keys = new Metadata();
  keys.string("general.architecture", "bert");
  keys.string("general.name", "word vectors");
  keys.u32("general.file_type", 0);
  keys.u32("bert.context_length", CONTEXT_LENGTH);
  keys.u32("bert.embedding_length", width);
  keys.u32("bert.block_count", 1);
  keys.u32("bert.feed_forward_length", FEED_FORWARD);
  keys.u32("bert.attention.head_count", 1);
  keys.f32("bert.attention.layer_norm_epsilon", 1e-12);
  keys.boolean("bert.attention.causal", false);
  keys.u32("bert.pooling_type", 1);
  keys.string("tokenizer.ggml.model", "bert");
  keys.u32("tokenizer.ggml.token_type_count", 1);
  keys.u32("tokenizer.ggml.padding_token_id", 0);
  keys.u32("tokenizer.ggml.unknown_token_id", 1);
  keys.u32("tokenizer.ggml.cls_token_id", 2);
  keys.u32("tokenizer.ggml.bos_token_id", 2);
  keys.u32("tokenizer.ggml.seperator_token_id", 3);
  keys.strings("tokenizer.ggml.tokens", tokens);
  keys.i32s(
    "tokenizer.ggml.token_type",
    tokens.map((_, i) => i < SPECIAL.length ? TOKEN.control : TOKEN.normal),
  );
  keys.f32s("tokenizer.ggml.scores", tokens.map((_, i) => -i));
  return keys;
}
