/**
 * Makes GGUFs of the llama architecture with random weights, to measure and test with: the same in every way that counts for
 * time and memory as a trained model of that size, and free of anyone's licence. They speak nonsense. Not used by the
 * runner.
 */

interface Shape {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  /** Whether the output matrix is the embedding matrix. */
  readonly tied: boolean;
  /** Standard deviation of the weights: that of a model at its start, or more, to have opinions. */
  readonly deviation: number;
}

export const SHAPES: Readonly<Record<string, Shape>> = {
  "tiny": {
    width: 64,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    feedForward: 128,
    vocabulary: 640,
    tied: false,
    deviation: 0.3,
  },
  "one layer": {
    width: 64,
    layers: 1,
    heads: 2,
    kvHeads: 1,
    feedForward: 128,
    vocabulary: 640,
    tied: false,
    deviation: 0.3,
  },
  "15M": {
    width: 288,
    layers: 6,
    heads: 6,
    kvHeads: 6,
    feedForward: 768,
    vocabulary: 32000,
    tied: true,
    deviation: 0.02,
  },
  "135M": {
    width: 576,
    layers: 30,
    heads: 9,
    kvHeads: 3,
    feedForward: 1536,
    vocabulary: 49152,
    tied: true,
    deviation: 0.02,
  },
  "1B": {
    width: 2048,
    layers: 22,
    heads: 32,
    kvHeads: 4,
    feedForward: 5632,
    vocabulary: 32000,
    tied: false,
    deviation: 0.02,
  },
};

/** Context the model claims to be trained with, where none is asked for. */
const CONTEXT_LENGTH = 4096;
export const ALIGNMENT = 32;

/** ggml's number, `general.file_type`, elements and bytes of a block. */
const TYPES = {
  f32: { ggml: 0, fileType: 0, elements: 1, bytes: 4 },
  f16: { ggml: 1, fileType: 1, elements: 1, bytes: 2 },
  q4_0: { ggml: 2, fileType: 2, elements: 32, bytes: 18 },
  q8_0: { ggml: 8, fileType: 7, elements: 32, bytes: 34 },
} as const;
export type TypeName = keyof typeof TYPES;

export interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: TypeName;
}

/** GGUF's value types. */
export const VALUE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

class Writer {
  #bytes = new Uint8Array(1 << 20);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  #room(count: number): number {
    while (this.#at + count > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#at += count;
    return this.#at - count;
  }
  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }
  u64(value: number): void {
    const at = this.#room(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }
  f32(value: number): void {
    const at = this.#room(4);
    this.#view.setFloat32(at, value, true);
  }
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }
  pad(to: number): void {
    this.#room((to - this.#at % to) % to);
  }
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

function tensors(shape: Shape, type: TypeName): Tensor[] {
  const { width, layers, heads, kvHeads, feedForward, vocabulary } = shape;
  const kvWidth = width / heads * kvHeads;
  const list: Tensor[] = [{ name: "token_embd.weight", dims: [width, vocabulary], type }];
  for (let layer = 0; layer < layers; layer++) {
    const add = (name: string, dims: number[], of: TypeName = type) =>
      list.push({ name: `blk.${layer}.${name}.weight`, dims, type: of });
    add("attn_norm", [width], "f32");
    add("attn_q", [width, width]);
    add("attn_k", [width, kvWidth]);
    add("attn_v", [width, kvWidth]);
    add("attn_output", [width, width]);
    add("ffn_norm", [width], "f32");
    add("ffn_gate", [width, feedForward]);
    add("ffn_up", [width, feedForward]);
    add("ffn_down", [feedForward, width]);
  }
  list.push({ name: "output_norm.weight", dims: [width], type: "f32" });
  if (!shape.tied) list.push({ name: "output.weight", dims: [width, vocabulary], type });
  return list;
}

export function byteLength({ dims, type }: Tensor): number {
  const { elements, bytes } = TYPES[type];
  return dims.reduce((product, dim) => product * dim, 1) / elements * bytes;
}

/** A token's text and `enum llama_token_type`: 1 normal, 3 control, 4 user-defined. */
interface TestToken {
  readonly text: string;
  readonly type: number;
}

interface GgufOptions {
  /** `general.name`. */
  readonly name?: string;
  /** Context that it claims to be trained with. */
  readonly contextLength?: number;
  /** In place of the last tokens. */
  readonly tokens?: readonly TestToken[];
  /** After each token comes the next of the vocabulary; all that is computed for it is as large as else. Default false. */
  readonly counts?: boolean;
}

/** Bytes, printable characters, then made-up words: enough to tokenize any text. */
export function vocabulary(size: number, last: readonly TestToken[]): TestToken[] {
  const list: TestToken[] = [{ text: "<unk>", type: 2 }, { text: "<s>", type: 3 }, {
    text: "</s>",
    type: 3,
  }];
  for (let byte = 0; byte < 256; byte++) {
    list.push({ text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, type: 6 });
  }
  for (let code = 0x21; code < 0x7f; code++) {
    list.push({ text: String.fromCharCode(code), type: 1 });
  }
  list.push({ text: "▁", type: 1 });
  while (list.length < size) list.push({ text: `▁w${list.length.toString(36)}`, type: 1 });
  list.splice(size - last.length, last.length, ...last);
  return list;
}

/** The keys of a file. */
export class Keys {
  readonly entries = new Writer();
  count = 0;

  #key(text: string, valueType: number): void {
    this.count++;
    this.entries.string(text);
    this.entries.u32(valueType);
  }
  u32(text: string, value: number): void {
    this.#key(text, VALUE.u32);
    this.entries.u32(value);
  }
  string(text: string, value: string): void {
    this.#key(text, VALUE.string);
    this.entries.string(value);
  }
  f32(text: string, value: number): void {
    this.#key(text, VALUE.f32);
    this.entries.f32(value);
  }
  bool(text: string, value: boolean): void {
    this.#key(text, VALUE.bool);
    this.entries.raw(Uint8Array.of(value ? 1 : 0));
  }
  /** The elements are written to `entries` afterwards. */
  array(text: string, valueType: number, length: number): void {
    this.#key(text, VALUE.array);
    this.entries.u32(valueType);
    this.entries.u64(length);
  }
}

export function tokenizerKeys(keys: Keys, tokens: readonly TestToken[]): void {
  keys.string("tokenizer.ggml.model", "llama");
  keys.string("tokenizer.ggml.pre", "default");
  keys.array("tokenizer.ggml.tokens", VALUE.string, tokens.length);
  for (const { text } of tokens) keys.entries.string(text);
  keys.array("tokenizer.ggml.scores", VALUE.f32, tokens.length);
  for (const index of tokens.keys()) keys.entries.f32(-index);
  keys.array("tokenizer.ggml.token_type", VALUE.i32, tokens.length);
  for (const token of tokens) keys.entries.u32(token.type);
  keys.u32("tokenizer.ggml.bos_token_id", 1);
  keys.u32("tokenizer.ggml.eos_token_id", 2);
  keys.u32("tokenizer.ggml.unknown_token_id", 0);
}

function modelKeys(shape: Shape, size: string, type: TypeName, options: GgufOptions): Keys {
  const keys = new Keys();
  keys.string("general.architecture", "llama");
  keys.string("general.name", options.name ?? `random ${size}`);
  keys.u32("general.file_type", TYPES[type].fileType);
  keys.u32("llama.context_length", options.contextLength ?? CONTEXT_LENGTH);
  keys.u32("llama.embedding_length", shape.width);
  keys.u32("llama.block_count", shape.layers);
  keys.u32("llama.feed_forward_length", shape.feedForward);
  keys.u32("llama.attention.head_count", shape.heads);
  keys.u32("llama.attention.head_count_kv", shape.kvHeads);
  keys.u32("llama.rope.dimension_count", shape.width / shape.heads);
  keys.u32("llama.vocab_size", shape.vocabulary);
  keys.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
  keys.f32("llama.rope.freq_base", 10000);
  tokenizerKeys(keys, vocabulary(shape.vocabulary, options.tokens ?? []));
  return keys;
}

export function header(keys: Keys, list: readonly Tensor[]): Uint8Array {
  const out = new Writer();
  out.raw(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(list.length);
  out.u64(keys.count);
  out.raw(keys.entries.take());
  let offset = 0;
  for (const tensor of list) {
    out.string(tensor.name);
    out.u32(tensor.dims.length);
    for (const dim of tensor.dims) out.u64(dim);
    out.u32(TYPES[tensor.type].ggml);
    out.u64(offset);
    offset += Math.ceil(byteLength(tensor) / ALIGNMENT) * ALIGNMENT;
  }
  out.pad(ALIGNMENT);
  return out.take();
}

/** Some megabytes of random blocks of one type, of which tensors are cut. */
function pool(type: TypeName, deviation: number): Uint8Array {
  const { bytes } = TYPES[type];
  const count = 65536;
  const out = new Uint8Array(count * bytes);
  const view = new DataView(out.buffer);
  // xorshift32: fast, seeded, good enough for weights.
  let state = 0x9e3779b9;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let block = 0; block < count; block++) {
    const at = block * bytes;
    if (type === "f32") view.setFloat32(at, 1, true);
    else if (type === "f16") view.setFloat16(at, (random() / 2 ** 31 - 1) * deviation * 1.73, true);
    else {
      for (let byte = 2; byte < bytes; byte++) out[at + byte] = random() >>> 24;
      // The scale that gives uniform levels the wanted deviation.
      view.setFloat16(at, deviation / (type === "q8_0" ? 73.9 : 4.6), true);
    }
  }
  return out;
}

/**
 * Writes a model; the same arguments give the same bytes.
 * @returns The number of parameters.
 * @throws {RangeError} For a size that is not one of the table.
 */
export function makeRandomGguf(
  size: string,
  type: TypeName,
  path: string,
  options: GgufOptions = {},
): number {
  const { counts = false } = options;
  const listed = SHAPES[size];
  if (!listed) throw new RangeError(`size is ${size}, must be one of ${Object.keys(SHAPES)}`);
  const shape = counts ? { ...listed, tied: false } : listed;
  const list = tensors(shape, type);
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const write = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  };
  write(header(modelKeys(shape, size, type, options), list));
  const pools = new Map<TypeName, Uint8Array>();
  let start = 0;
  let embeddings = 0;
  for (const tensor of list) {
    const blocks = pools.get(tensor.type) ?? pool(tensor.type, shape.deviation);
    pools.set(tensor.type, blocks);
    let left = byteLength(tensor);
    const padding = (ALIGNMENT - left % ALIGNMENT) % ALIGNMENT;
    // Each tensor begins at another block of the pool.
    start = (start + 7919 * TYPES[tensor.type].bytes) % blocks.length;
    start -= start % TYPES[tensor.type].bytes;
    if (counts && tensor.name === "token_embd.weight") embeddings = start;
    if (counts && tensor.name === "output.weight") {
      // The row of a token is the embedding of the one before it.
      const row = left / shape.vocabulary;
      start = (embeddings + blocks.length - row % blocks.length) % blocks.length;
    }
    if (counts && /attn_output|ffn_down/.test(tensor.name)) {
      write(new Uint8Array(left + padding));
      continue;
    }
    for (let at = start; left > 0; at = 0) {
      const piece = blocks.subarray(at, Math.min(blocks.length, at + left));
      write(piece);
      left -= piece.length;
    }
    write(new Uint8Array(padding));
  }
  return list.reduce((sum, { dims }) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
}

/**
 * Writes a LoRA adapter of rank 4 for a model of this size: what it adds to the queries of each layer is as large as
 * `strength` says, and nothing at 0.
 */
export function makeAdapter(size: string, strength: number, path: string): void {
  const shape = SHAPES[size];
  if (!shape) throw new RangeError(`size is ${size}, must be one of ${Object.keys(SHAPES)}`);
  const rank = 4;
  const keys = new Keys();
  keys.string("general.architecture", "llama");
  keys.string("general.type", "adapter");
  keys.string("adapter.type", "lora");
  keys.f32("adapter.lora.alpha", rank);
  const list: Tensor[] = [];
  for (let layer = 0; layer < shape.layers; layer++) {
    const name = `blk.${layer}.attn_q.weight`;
    list.push({ name: `${name}.lora_a`, dims: [shape.width, rank], type: "f32" });
    list.push({ name: `${name}.lora_b`, dims: [rank, shape.width], type: "f32" });
  }
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const write = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  };
  write(header(keys, list));
  for (const { name, dims } of list) {
    const values = new Float32Array(dims[0]! * dims[1]!);
    for (const index of values.keys()) {
      values[index] = name.endsWith("lora_a") ? Math.sin(index) : strength * Math.cos(index);
    }
    write(new Uint8Array(values.buffer));
  }
}
