/**
 * A model that sees, whose weights were written by hand: it names the colour that most of a picture has, and says "nothing" where
 * there is none. So a test can tell whether the right picture came through, and came through whole. Not used by the runner.
 *
 * The projector has the layout of LLaVA's, or of Qwen2-VL's: one convolution averages the colour of each patch, one layer compares
 * it with eight colours. Qwen2-VL's takes four patches to a token, as many tokens as the picture needs, and its model counts rows
 * and columns as positions (M-RoPE), so that a picture takes fewer positions than cells. The model has one layer, whose heads
 * attend to everything alike and carry on what the patches say; a colour's own token ends the reply.
 */
import { Keys, type Tensor, tokenizerKeys, VALUE, vocabulary } from "./testing_gguf.ts";
import { type Fill, tensor, write } from "./testing_weights.ts";

/** What it can name: red, green and blue of each are 0 or 255. */
export const COLOURS = {
  black: [0, 0, 0],
  red: [255, 0, 0],
  green: [0, 255, 0],
  blue: [0, 0, 255],
  yellow: [255, 255, 0],
  magenta: [255, 0, 255],
  cyan: [0, 255, 255],
  white: [255, 255, 255],
} as const satisfies Readonly<Record<string, readonly [number, number, number]>>;
export type Colour = keyof typeof COLOURS;
const NAMES = Object.keys(COLOURS) as Colour[];

/** Numbers of an embedding. */
export const WIDTH = 64;
const FEED_FORWARD = 64;
const VOCABULARY = 640;
const IMAGE = 32;
const PATCH = 16;
/** Tokens that a picture takes. */
export const PICTURE_CELLS = (IMAGE / PATCH) ** 2;
/** Numbers of a token's state: the colours of patches, what attention brings, the end of a reply, and what all tokens have. */
export const SEEN = 0, ALWAYS = 63;
const HEARD = NAMES.length, END = 40;

const TEMPLATE =
  "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

type Layout = "llava" | "qwen2vl";

/** Writes the model and its projector. */
export function makeSeeingModel(
  modelPath: string,
  projectorPath: string,
  layout: Layout = "llava",
): void {
  makeNamingModel(modelPath, NAMES, layout);
  write(projectorPath, projectorKeys(layout), projectorTensors(layout));
}

/** Writes a model that says which of these most of what is shown to it is: they are the first numbers of its embeddings. */
export function makeNamingModel(
  path: string,
  names: readonly string[],
  layout: Layout = "llava",
): void {
  write(path, modelKeys(names, layout), modelTensors(names));
}

function modelKeys(names: readonly string[], layout: Layout): Keys {
  const keys = new Keys();
  const architecture = layout === "llava" ? "llama" : "qwen2vl";
  keys.string("general.architecture", architecture);
  keys.string("general.name", `names ${names.join(", ")}`);
  keys.u32("general.file_type", 0);
  keys.u32(`${architecture}.context_length`, 4096);
  keys.u32(`${architecture}.embedding_length`, WIDTH);
  keys.u32(`${architecture}.block_count`, 1);
  keys.u32(`${architecture}.feed_forward_length`, FEED_FORWARD);
  keys.u32(`${architecture}.attention.head_count`, 1);
  keys.u32(`${architecture}.attention.head_count_kv`, 1);
  keys.u32(`${architecture}.rope.dimension_count`, WIDTH);
  keys.u32(`${architecture}.vocab_size`, VOCABULARY);
  keys.f32(`${architecture}.attention.layer_norm_rms_epsilon`, 1e-5);
  if (layout === "qwen2vl") {
    keys.array("qwen2vl.rope.dimension_sections", VALUE.i32, 4);
    for (const size of [8, 12, 12, 0]) keys.entries.u32(size);
  }
  keys.string("tokenizer.chat_template", TEMPLATE);
  tokenizerKeys(keys, vocabulary(VOCABULARY, words(names)));
  return keys;
}

function words(names: readonly string[]) {
  return [...names, "nothing"].map((text) => ({ text, type: 1 }));
}

function modelTensors(names: readonly string[]): [Tensor, Fill][] {
  const firstWord = VOCABULARY - words(names).length;
  const zero: Fill = () => 0;
  const one: Fill = () => 1;
  const square = [WIDTH, WIDTH];
  const layer = (name: string, dims: number[], fill: Fill) =>
    tensor(`blk.0.${name}.weight`, dims, fill);
  return [
    tensor("token_embd.weight", [WIDTH, VOCABULARY], ([to, token]) => {
      if (to === ALWAYS) return 1;
      return to === END && token! >= firstWord ? 1000 : 0;
    }),
    layer("attn_norm", [WIDTH], one),
    // Queries of nothing: each token attends to all before it alike.
    layer("attn_q", square, zero),
    layer("attn_k", square, zero),
    layer("attn_v", square, ([from, to]) => from === to && from! < HEARD ? 1 : 0),
    layer(
      "attn_output",
      square,
      ([from, to]) => to === from! + HEARD && from! < HEARD ? 500 : 0,
    ),
    layer("ffn_norm", [WIDTH], one),
    layer("ffn_gate", [WIDTH, FEED_FORWARD], zero),
    layer("ffn_up", [WIDTH, FEED_FORWARD], zero),
    layer("ffn_down", [FEED_FORWARD, WIDTH], zero),
    tensor("output_norm.weight", [WIDTH], one),
    tensor("output.weight", [WIDTH, VOCABULARY], ([from, token]) => {
      if (token === 2) return from === END ? 200 : 0;
      const word = token! - firstWord;
      if (word === names.length) return from === ALWAYS ? 10 : 0;
      return word >= 0 && from === HEARD + word ? 10 : 0;
    }),
  ];
}

function projectorKeys(layout: Layout): Keys {
  const keys = new Keys();
  keys.string("general.architecture", "clip");
  keys.string("general.type", "mmproj");
  keys.string("general.name", "eight colours");
  keys.u32("general.file_type", 0);
  keys.bool("clip.has_vision_encoder", true);
  keys.string("clip.projector_type", layout === "llava" ? "mlp" : "qwen2vl_merger");
  keys.bool("clip.use_gelu", true);
  keys.u32("clip.vision.image_size", IMAGE);
  keys.u32("clip.vision.patch_size", PATCH);
  keys.u32("clip.vision.embedding_length", NAMES.length);
  keys.u32("clip.vision.feed_forward_length", NAMES.length);
  keys.u32("clip.vision.projection_dim", WIDTH);
  // LLaVA takes what the last layer but one gives: of one, what goes into it. Qwen2-VL's adds nothing to that.
  keys.u32("clip.vision.block_count", 1);
  keys.u32("clip.vision.attention.head_count", 1);
  keys.f32("clip.vision.attention.layer_norm_epsilon", 1e-5);
  for (const [name, value] of [["mean", 0.5], ["std", 0.5]] as const) {
    keys.array(`clip.vision.image_${name}`, VALUE.f32, 3);
    for (let channel = 0; channel < 3; channel++) keys.entries.f32(value);
  }
  return keys;
}

function projectorTensors(layout: Layout): [Tensor, Fill][] {
  const count = NAMES.length;
  const zero: Fill = () => 0;
  const square = [count, count];
  const layer = (name: string, dims: number[], fill: Fill) => tensor(`v.blk.0.${name}`, dims, fill);
  const norm = (
    name: string,
  ) => [layer(`${name}.weight`, [count], () => 1), layer(`${name}.bias`, [count], zero)];
  const kernel = [PATCH, PATCH, 3, count];
  const merged = layout === "llava" ? 1 : 4;
  const biased = layout === "llava" ? [] : ["attn_q", "attn_k", "attn_v", "attn_out"];
  return [
    // Of a patch's mean, from -1 to 1: 3 for the colour itself, 1 or less for another.
    tensor(
      "v.patch_embd.weight",
      kernel,
      ([, , channel, colour]) => (COLOURS[NAMES[colour!]!][channel!]! / 127.5 - 1) / PATCH ** 2,
    ),
    ...(layout === "llava"
      ? [tensor("v.position_embd.weight", [count, PICTURE_CELLS], zero)]
      // Of the second of two frames.
      : [tensor("v.patch_embd.weight.1", kernel, zero)]),
    ...biased.map((name) => layer(`${name}.bias`, [count], zero)),
    ...["attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"]
      .map((name) => layer(`${name}.weight`, square, zero)),
    ...norm("ln1"),
    ...norm("ln2"),
    tensor(
      "mm.0.weight",
      [merged * count, count],
      ([from, to]) => from! % count === to ? 8 / merged : 0,
    ),
    tensor("mm.0.bias", [count], () => -16),
    tensor("mm.2.weight", [count, WIDTH], ([from, to]) => to === from! + SEEN ? 100 : 0),
    tensor("mm.2.bias", [WIDTH], ([at]) => at === ALWAYS ? 1 : 0),
  ];
}

/**
 * A picture as a BMP file of 24 bits: the simplest that every decoder reads.
 * @param colourAt Of the pixel in a column and row, from the top left.
 */
export function bmp(
  width: number,
  height: number,
  colourAt: (x: number, y: number) => readonly [number, number, number],
): Uint8Array<ArrayBuffer> {
  const row = Math.ceil(3 * width / 4) * 4;
  const bytes = new Uint8Array(54 + row * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      bytes.set(colourAt(x, y).toReversed(), 54 + (height - 1 - y) * row + 3 * x);
    }
  }
  return bytes;
}

/** A picture of one colour. */
export function plain(colour: Colour, size = 48): Uint8Array<ArrayBuffer> {
  return bmp(size, size, () => COLOURS[colour]);
}
