/**
 * Rerankers whose weights were written by hand: the more words a document shares with the query, the larger its score, which
 * {@link expectedScore} computes by itself. Two families, as rerankers have two forms: Qwen3's (causal, the last token judges,
 * two labels, softmax) and BERT's (every token sees every other, the first judges, one number). Not used by the runner.
 *
 * Each word has an axis of its own. One layer attends to all tokens alike, so it brings their mean, whose square is larger if
 * words come twice. The norm behind it then leaves less of the axis that only the judging token has.
 */
import { Keys, type Tensor, VALUE, vocabulary } from "./testing_gguf.ts";
import { type Fill, tensor, write } from "./testing_weights.ts";

export type RerankerFamily = "qwen3" | "bert";

/** What they know; all else is nothing to them. */
export const WORDS = ["cat", "dog", "mat", "sun", "sea", "red", "key", "lock"] as const;
const WIDTH = 32;
const EPS = 1e-6;
/** The axis of the token that judges, and how far out on it it is. */
const JUDGE = 31, JUDGE_SIZE = 2;
/** How much the head makes of what is left of that axis. */
const HEAD = 0.3;
const CONTEXT = 256;

interface Form {
  readonly tokens: readonly { text: string; type: number }[];
  /** The token that judges. */
  readonly judge: number;
}

function formOf(family: RerankerFamily): Form {
  const words = WORDS.map((word) => ({ text: `▁${word}`, type: 1 }));
  // SentencePiece makes a word of its beginnings, one letter after another.
  const beginnings = new Set(
    WORDS.flatMap((word) => [...word].map((_, at) => `▁${word.slice(0, at)}`)),
  );
  beginnings.delete("▁");
  const parts = [...beginnings].map((text) => ({ text, type: 1 }));
  if (family === "qwen3") return { tokens: vocabulary(640, [...parts, ...words]), judge: 2 };
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map((text) => ({ text, type: 3 }));
  return { tokens: [...special, ...words], judge: 2 };
}

/** A token's state before anything is read. */
function embedding({ tokens, judge }: Form, token: number, at: number): number {
  if (token === judge) return at === JUDGE ? JUDGE_SIZE : 0;
  const word = token - (tokens.length - WORDS.length);
  return word >= 0 && at === word ? 1 : 0;
}

/**
 * Writes one.
 * @param template `tokenizer.chat_template.rerank`: how query and document are put together.
 */
export function makeReranker(family: RerankerFamily, path: string, template?: string): void {
  const keys = new Keys();
  const form = formOf(family);
  keys.string("general.architecture", family);
  keys.string("general.name", `${family} counts words that come twice`);
  keys.u32("general.file_type", 0);
  keys.u32(`${family}.context_length`, CONTEXT);
  keys.u32(`${family}.embedding_length`, WIDTH);
  keys.u32(`${family}.block_count`, 1);
  keys.u32(`${family}.feed_forward_length`, WIDTH);
  keys.u32(`${family}.attention.head_count`, 1);
  keys.u32(`${family}.pooling_type`, 4);
  if (family === "qwen3") qwenKeys(keys);
  else bertKeys(keys);
  if (template !== undefined) keys.string("tokenizer.chat_template.rerank", template);
  const { tokens } = form;
  keys.array("tokenizer.ggml.tokens", VALUE.string, tokens.length);
  for (const { text } of tokens) keys.entries.string(text);
  keys.array("tokenizer.ggml.token_type", VALUE.i32, tokens.length);
  for (const { type } of tokens) keys.entries.u32(type);
  keys.array("tokenizer.ggml.scores", VALUE.f32, tokens.length);
  for (const index of tokens.keys()) keys.entries.f32(-index);
  write(path, keys, family === "qwen3" ? qwenTensors(form) : bertTensors(form));
}

function qwenKeys(keys: Keys): void {
  keys.u32("qwen3.attention.head_count_kv", 1);
  keys.u32("qwen3.rope.dimension_count", WIDTH);
  keys.u32("qwen3.attention.key_length", WIDTH);
  keys.u32("qwen3.attention.value_length", WIDTH);
  keys.f32("qwen3.attention.layer_norm_rms_epsilon", EPS);
  keys.array("qwen3.classifier.output_labels", VALUE.string, 2);
  keys.entries.string("yes");
  keys.entries.string("no");
  keys.string("tokenizer.ggml.model", "llama");
  keys.string("tokenizer.ggml.pre", "default");
  keys.u32("tokenizer.ggml.bos_token_id", 1);
  keys.u32("tokenizer.ggml.eos_token_id", 2);
  keys.u32("tokenizer.ggml.unknown_token_id", 0);
  keys.bool("tokenizer.ggml.add_bos_token", false);
  keys.bool("tokenizer.ggml.add_eos_token", true);
}

function bertKeys(keys: Keys): void {
  keys.bool("bert.attention.causal", false);
  keys.f32("bert.attention.layer_norm_epsilon", EPS);
  keys.string("tokenizer.ggml.model", "bert");
  keys.u32("tokenizer.ggml.token_type_count", 1);
  keys.u32("tokenizer.ggml.padding_token_id", 0);
  keys.u32("tokenizer.ggml.unknown_token_id", 1);
  keys.u32("tokenizer.ggml.cls_token_id", 2);
  keys.u32("tokenizer.ggml.bos_token_id", 2);
  keys.u32("tokenizer.ggml.seperator_token_id", 3);
}

const zero: Fill = () => 0;
const one: Fill = () => 1;
const identity: Fill = ([from, to]) => from === to ? 1 : 0;
const SQUARE = [WIDTH, WIDTH];

/** Only words are carried on: the judge's own axis is not. */
const words: Fill = ([from, to]) => from === to && from! < WORDS.length ? 1 : 0;

function attention(): [Tensor, Fill][] {
  return [
    tensor("blk.0.attn_q.weight", SQUARE, zero),
    tensor("blk.0.attn_k.weight", SQUARE, zero),
    tensor("blk.0.attn_v.weight", SQUARE, words),
    tensor("blk.0.attn_output.weight", SQUARE, identity),
    tensor("blk.0.ffn_up.weight", SQUARE, zero),
    tensor("blk.0.ffn_down.weight", SQUARE, zero),
  ];
}

function qwenTensors(form: Form): [Tensor, Fill][] {
  const norm = (name: string) => tensor(`${name}.weight`, [WIDTH], one);
  return [
    tensor(
      "token_embd.weight",
      [WIDTH, form.tokens.length],
      ([at, token]) => embedding(form, token!, at!),
    ),
    ...attention(),
    tensor("blk.0.ffn_gate.weight", SQUARE, zero),
    ...["attn_norm", "attn_q_norm", "attn_k_norm", "ffn_norm"].map((name) => norm(`blk.0.${name}`)),
    norm("output_norm"),
    tensor(
      "cls.output.weight",
      [WIDTH, 2],
      ([at, label]) => at === JUDGE ? label === 0 ? -HEAD : HEAD : 0,
    ),
  ];
}

function bertTensors(form: Form): [Tensor, Fill][] {
  const norm = (name: string): [Tensor, Fill][] => [
    tensor(`${name}.weight`, [WIDTH], one),
    tensor(`${name}.bias`, [WIDTH], zero),
  ];
  return [
    tensor(
      "token_embd.weight",
      [WIDTH, form.tokens.length],
      ([at, token]) => embedding(form, token!, at!),
    ),
    tensor("token_types.weight", [WIDTH, 1], zero),
    tensor("position_embd.weight", [WIDTH, CONTEXT], zero),
    ...norm("token_embd_norm"),
    ...attention(),
    ...norm("blk.0.attn_output_norm"),
    ...norm("blk.0.layer_output_norm"),
    tensor("cls.output.weight", [WIDTH, 1], ([at]) => at === JUDGE ? -HEAD : 0),
    tensor("cls.output.bias", [1], () => HEAD * Math.sqrt(WIDTH)),
  ];
}

/**
 * What it must say of these tokens, in 64-bit floats and none of llama.cpp's code.
 * @param tokens All, those at the ends too.
 */
export function expectedScore(family: RerankerFamily, tokens: Iterable<number>): number {
  const form = formOf(family);
  const states = [...tokens].map((token) =>
    Array.from({ length: WIDTH }, (_, at) => embedding(form, token, at))
  );
  const isBert = family === "bert";
  const norm = (state: readonly number[]) => {
    const mean = isBert ? sum(state) / WIDTH : 0;
    const centred = state.map((value) => value - mean);
    const size = Math.sqrt(sum(centred.map((value) => value * value)) / WIDTH + EPS);
    return centred.map((value) => value / size);
  };
  const normed = states.map(norm);
  const brought = Array.from(
    { length: WIDTH },
    (_, at) => at < WORDS.length ? sum(normed.map((state) => state[at]!)) / normed.length : 0,
  );
  // BERT norms before it begins and behind each step, Qwen3 in front of each.
  const own = isBert ? normed[0]! : states.at(-1)!;
  const once = norm(own.map((value, at) => value + brought[at]!));
  const left = (isBert ? norm(once) : once)[JUDGE]!;
  if (isBert) return HEAD * Math.sqrt(WIDTH) - HEAD * left;
  return 1 / (1 + Math.exp(2 * HEAD * left));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
