/**
 * A model whose weights are a script, so that an agent's whole loop runs without a real model: it asks for a tool, reads what
 * the tool said, and ends. A GGUF file like any other, for the real engine in the real sandbox.
 *
 * One layer whose attention and feed-forward are zero: the next token depends on the last one only, so a chain of tokens that
 * are in the vocabulary once each is a script. The chat template ends the prompt with a control token, `<|g_NAME|>`, that
 * begins the chain NAME. Its vocabulary is Llama 2's own, so that prompts have as many tokens as they would have for a model
 * of that family; it claims to be trained with 131,072 tokens of context.
 */
import tokenizer from "llama-tokenizer-js";
import { constantTensor, Metadata, wholeTensor } from "./gguf_writer.ts";

/** Random signs of this many dimensions are nearly at right angles to each other. */
const WIDTH = 256;
const HEAD_LENGTH = 32;
const FEED_FORWARD = 32;
const CONTEXT_LENGTH = 131_072;
/** Logits are WIDTH times this for the next token, and some sixteenth of it for the others. */
const CERTAINTY = 0.25;
const END = 2;
const TOKEN = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

export interface ScriptedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What a script says: a text, or calls; `endless`: and then goes on for ever. */
export interface Script {
  readonly text?: string;
  readonly calls?: readonly ScriptedCall[];
  readonly endless?: boolean;
}

export interface ScriptedModelOptions {
  /** By name, letters, digits, `_` and `-`. `text` and `after` must be among them: see {@link chatTemplate}. */
  readonly scripts: Readonly<Record<string, Script>>;
  /** Scripts `call_NAME`, each chosen if the request has the tool NAME and says nothing else. In order. */
  readonly tools: readonly string[];
  /** Whether each reply begins with a thought. */
  readonly thinks?: boolean;
}

interface Token {
  readonly text: string;
  readonly type: number;
  readonly score: number;
}

/** The bytes of the file; the same options give the same bytes. */
export function makeScriptedModel(options: ScriptedModelOptions): Uint8Array<ArrayBuffer> {
  const vocabulary = new Vocabulary();
  for (const control of ["<|im_start|>", "<|im_end|>"]) vocabulary.add(control, TOKEN.control);
  const next = new Map<number, number>();
  /** The last tokens of all scripts look alike to the model, so that "the end" follows on one thing only. */
  const lasts = new Set<number>();
  for (const [name, script] of Object.entries(options.scripts)) {
    let last = vocabulary.add(`<|g_${name}|>`, TOKEN.control);
    const follow = (token: number) => {
      next.set(last, token);
      last = token;
    };
    for (const token of vocabulary.pieces(written(script, options.thinks ?? false))) follow(token);
    if (script.endless) {
      const circle = [" round", " and", " about"].map((word) => vocabulary.piece(word, name));
      for (const token of circle) follow(token);
      next.set(last, circle[0]!);
    } else lasts.add(last);
  }
  const embeddings = randomSigns(vocabulary.tokens.length);
  const row = (token: number) => embeddings.subarray(token * WIDTH, (token + 1) * WIDTH);
  const [first] = lasts;
  for (const last of lasts) row(last).set(row(first!));
  const output = new Int8Array(embeddings.length);
  // Added: what a circle comes back to follows on two tokens.
  for (const [token, follower] of next) {
    row(token).forEach((sign, i) => output[follower * WIDTH + i]! += sign);
  }
  output.set(row(first!), END * WIDTH);
  return metadata(vocabulary.tokens, chatTemplate(options)).file([
    wholeTensor("token_embd.weight", { width: WIDTH, values: embeddings, scale: 1 }),
    constantTensor("blk.0.attn_norm.weight", [WIDTH], 1),
    ...["q", "k", "v"].map((name) =>
      constantTensor(`blk.0.attn_${name}.weight`, [WIDTH, HEAD_LENGTH], 0)
    ),
    constantTensor("blk.0.attn_output.weight", [HEAD_LENGTH, WIDTH], 0),
    constantTensor("blk.0.ffn_norm.weight", [WIDTH], 1),
    constantTensor("blk.0.ffn_gate.weight", [WIDTH, FEED_FORWARD], 0),
    constantTensor("blk.0.ffn_up.weight", [WIDTH, FEED_FORWARD], 0),
    constantTensor("blk.0.ffn_down.weight", [FEED_FORWARD, WIDTH], 0),
    constantTensor("output_norm.weight", [WIDTH], 1),
    wholeTensor("output.weight", { width: WIDTH, values: output, scale: CERTAINTY }),
  ]);
}

function written({ text = "", calls = [] }: Script, thinks: boolean): string {
  const asked = calls.map(({ name, arguments: given }) =>
    `<tool_call>\n${JSON.stringify({ name, arguments: given })}\n</tool_call>`
  );
  const thought = thinks ? "<think>\nLet me see.\n</think>\n\n" : "";
  return thought + [text, ...asked].filter((part) => part !== "").join("\n");
}

/**
 * Which script is to run. `USE:NAME` in a user's message chooses NAME, the last such word counting; after a tool's result it
 * is `after`; else a call of the first tool of the list that the request has; else `text`.
 */
function chatTemplate({ scripts, tools, thinks = false }: ScriptedModelOptions): string {
  const names = Object.keys(scripts).toSorted((a, b) => a.length - b.length);
  const thought = thinks
    ? "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    : "";
  return `
{%- set ns = namespace(script='', asked='') -%}
{%- for m in messages if m.role == 'user' -%}
  {%- for name in ${JSON.stringify(names)} -%}
    {%- if 'USE:' + name in m.content -%}{%- set ns.asked = name -%}{%- endif -%}
  {%- endfor -%}
{%- endfor -%}
{%- if messages[-1].role == 'tool' -%}{%- set ns.script = 'after' -%}
{%- elif ns.asked -%}{%- set ns.script = ns.asked -%}
{%- else -%}
  {%- for name in ${JSON.stringify(tools)} -%}{%- for tool in tools or [] -%}
    {%- if tool.function.name == name and not ns.script -%}{%- set ns.script = 'call_' + name -%}{%- endif -%}
  {%- endfor -%}{%- endfor -%}
{%- endif -%}
{%- if tools -%}
<|im_start|>system
# Tools
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each function call return <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>
{% endif -%}
{%- for m in messages -%}
<|im_start|>{{ m.role }}
${thought}{{ m.content }}
{%- for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{%- endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
<|g_{{ ns.script or 'text' }}|>{%- endif -%}
`;
}

/** Llama 2's tokens, and those of the scripts, of which none occurs twice: llama.cpp ends on a vocabulary with doubles. */
class Vocabulary {
  readonly tokens: Token[] = tokenizer.vocabById.map((text: string, id: number) => {
    if (id === 0) return { text, type: TOKEN.unknown, score: 0 };
    if (id < 3) return { text, type: TOKEN.control, score: 0 };
    return id < 259
      ? { text, type: TOKEN.byte, score: 0 }
      : { text, type: TOKEN.normal, score: 259 - id };
  });
  readonly #known = new Set(this.tokens.map(({ text }) => text));

  add(text: string, type: number): number {
    if (this.#known.has(text)) throw new Error(`the token ${text} is there twice`);
    this.#known.add(text);
    // A score below all others: the text of a prompt is not taken apart into the pieces of a script.
    this.tokens.push({ text, type, score: -1e6 - this.tokens.length });
    return this.tokens.length - 1;
  }

  /** New tokens that are the text together, each of a few characters and as many more as make it new. */
  pieces(text: string): number[] {
    const parts: string[] = [];
    let part = "";
    for (const char of text.replaceAll(" ", "\u2581")) {
      part += char;
      if (part.length < 5 || this.#known.has(part) || parts.includes(part)) continue;
      parts.push(part);
      part = "";
    }
    // What is left over joins the piece before it, or more of them.
    while (part !== "" && parts.length > 0 && (part.length < 5 || this.#known.has(part))) {
      part = parts.pop()! + part;
    }
    if (part !== "") parts.push(part);
    return parts.map((one) => this.add(one, TOKEN.normal));
  }

  /** A new token that begins with a word. @param mark Makes it new. */
  piece(word: string, mark: string): number {
    return this.add(`${word} (${mark})`.replaceAll(" ", "\u2581"), TOKEN.normal);
  }
}

/** Rows of 1 and -1, seeded. */
function randomSigns(rows: number): Int8Array {
  const out = new Int8Array(rows * WIDTH);
  let state = 12345;
  for (let at = 0; at < out.length; at++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[at] = state & 0x10000 ? 1 : -1;
  }
  return out;
}

function metadata(tokens: readonly Token[], template: string): Metadata {
  const out = new Metadata();
  out.string("general.architecture", "llama");
  out.string("general.name", "scripted");
  out.u32("general.file_type", 7);
  out.u32("llama.context_length", CONTEXT_LENGTH);
  out.u32("llama.embedding_length", WIDTH);
  out.u32("llama.block_count", 1);
  out.u32("llama.feed_forward_length", FEED_FORWARD);
  out.u32("llama.attention.head_count", 1);
  out.u32("llama.attention.head_count_kv", 1);
  out.u32("llama.rope.dimension_count", HEAD_LENGTH);
  out.u32("llama.attention.key_length", HEAD_LENGTH);
  out.u32("llama.attention.value_length", HEAD_LENGTH);
  out.u32("llama.vocab_size", tokens.length);
  out.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
  out.f32("llama.rope.freq_base", 1e6);
  out.string("tokenizer.ggml.model", "llama");
  out.string("tokenizer.ggml.pre", "default");
  out.strings("tokenizer.ggml.tokens", tokens.map(({ text }) => text));
  out.f32s("tokenizer.ggml.scores", tokens.map(({ score }) => score));
  out.i32s("tokenizer.ggml.token_type", tokens.map(({ type }) => type));
  out.u32("tokenizer.ggml.bos_token_id", 1);
  out.u32("tokenizer.ggml.eos_token_id", END);
  out.u32("tokenizer.ggml.unknown_token_id", 0);
  out.string("tokenizer.chat_template", template);
  return out;
}
