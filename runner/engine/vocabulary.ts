/** The model's vocabulary: text to tokens and back. Every call is native, and safe while a decode runs. */
import { runAtOnce, type Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { isStructural } from "./control_text.ts";
import type { LongWork } from "../turns.ts";
import { readCString } from "./c_string.ts";
import {
  estimateTokens,
  LONG_TEXT_UNITS,
  MAX_UNITS_PER_TOKEN,
  ThreadTokenizer,
  UNCUT_UNITS,
} from "./long_text.ts";
import { joined, PromptTokenizer, type SpecialToken, type TextTokenizer } from "./prompt_tokens.ts";
import type { LlamaSymbols } from "./symbols.ts";
import { TextCuts } from "./text_cuts.ts";
import type { PromptPart } from "./types.ts";

/** `enum llama_token_attr` */
const ATTRIBUTE = {
  unknown: 1,
  control: 1 << 3,
  userDefined: 1 << 4,
  stripsBefore: 1 << 7,
  stripsAfter: 1 << 8,
} as const;
/** `enum llama_vocab_type` */
const SENTENCE_PIECE = 1;
const NONE = 0;

/** A text with more units for each token that there is room for is looked at before it is tokenized as a whole. */
const DOUBTFUL_UNITS_PER_TOKEN = 4;

/** A token's bytes, and their text if they are whole UTF-8 by themselves. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly text: string | undefined;
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const laxDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

export class Vocabulary {
  readonly size: number;
  readonly bos: number;
  readonly eos: number;
  readonly addBos: boolean;
  /** Tokens for filling in the middle, if the model has them. */
  readonly infill: { prefix: number; suffix: number; middle: number } | undefined;
  /** Texts of control tokens, which must never arise from a user's text. */
  readonly controlTexts: readonly string[];
  /** Texts of user-defined tokens, which llama.cpp recognises in any text, control tokens parsed or not. */
  readonly userDefinedTexts: readonly string[];

  /** Control tokens, and of the user-defined ones those that structure a prompt. */
  readonly structural: ReadonlySet<number>;

  readonly #llama: LlamaSymbols;
  readonly #pointer: Deno.PointerValue;
  readonly #pieces: (Piece | undefined)[];
  readonly #endOfGeneration = new Set<number>();
  readonly #addsSpace: boolean;
  /** Tokens before, between and behind two texts that are judged together, as llama-server places them. */
  readonly pairMarks: {
    readonly begin: readonly number[];
    readonly between: readonly number[];
    readonly end: readonly number[];
  };
  /** The token that ends a text to be embedded, or -1. */
  readonly textEnd: number;
  readonly #prompts: PromptTokenizer;
  readonly #thread: ThreadTokenizer;
  readonly #isSentencePiece: boolean;
  /** Made for the first long text. */
  #cuts: TextCuts | undefined;
  #buffer = new Uint8Array(256);

  constructor(llama: LlamaSymbols, pointer: Deno.PointerValue) {
    this.#llama = llama;
    this.#pointer = pointer;
    const type = llama.llama_vocab_type(pointer);
    if (type === NONE) throw new SecLlamaError("bad-model", "the model has no vocabulary");
    this.size = llama.llama_vocab_n_tokens(pointer);
    this.bos = llama.llama_vocab_bos(pointer);
    this.eos = llama.llama_vocab_eos(pointer);
    this.addBos = llama.llama_vocab_get_add_bos(pointer) && this.bos >= 0;
    const infill = {
      prefix: llama.llama_vocab_fim_pre(pointer),
      suffix: llama.llama_vocab_fim_suf(pointer),
      middle: llama.llama_vocab_fim_mid(pointer),
    };
    this.infill = Object.values(infill).every((id) => id >= 0) ? infill : undefined;
    const separator = llama.llama_vocab_get_add_sep(pointer) ? llama.llama_vocab_sep(pointer) : -1;
    const addsEos = llama.llama_vocab_get_add_eos(pointer);
    this.textEnd = separator >= 0 ? separator : addsEos ? this.eos : -1;
    const ending = addsEos ? this.eos >= 0 ? this.eos : llama.llama_vocab_sep(pointer) : -1;
    const tokens = (...ids: number[]) => ids.filter((id) => this.has(id));
    this.pairMarks = {
      begin: this.addBos ? tokens(this.bos) : [],
      between: tokens(ending, separator),
      end: tokens(ending),
    };
    this.#pieces = new Array(this.size);
    const specials: SpecialToken[] = [];
    for (let id = 0; id < this.size; id++) {
      const attributes = llama.llama_vocab_get_attr(pointer, id);
      if (llama.llama_vocab_is_eog(pointer, id)) this.#endOfGeneration.add(id);
      const isControl = (attributes & (ATTRIBUTE.control | ATTRIBUTE.unknown)) !== 0;
      if (!isControl && (attributes & ATTRIBUTE.userDefined) === 0) continue;
      const text = this.textOf(id);
      if (text === "") continue;
      specials.push({
        id,
        text,
        isUserDefined: !isControl,
        stripsBefore: (attributes & ATTRIBUTE.stripsBefore) !== 0,
        stripsAfter: (attributes & ATTRIBUTE.stripsAfter) !== 0,
      });
    }
    const texts = (isUserDefined: boolean) =>
      specials.filter((one) => one.isUserDefined === isUserDefined).map((one) => one.text);
    this.controlTexts = texts(false);
    this.userDefinedTexts = texts(true);
    this.structural = new Set(
      specials.filter((one) => !one.isUserDefined || isStructural(one.text)).map(({ id }) => id),
    );
    this.#prompts = new PromptTokenizer(specials);
    this.#thread = new ThreadTokenizer(llama, pointer);
    this.#isSentencePiece = type === SENTENCE_PIECE;
    this.#addsSpace = this.#isSentencePiece &&
      this.#tokenize("a", false)[0] !== this.#tokenize("\na", false).at(-1);
  }

  /** As the vocabulary file writes the token: "▁the", "<0x0A>", "<|im_end|>". "" for an id that is no token. */
  textOf(id: number): string {
    if (!this.has(id)) return "";
    return readCString(this.#llama.llama_vocab_get_text(this.#pointer, id));
  }

  has(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.size;
  }

  /** Whether the token ends the reply: end of sequence, of turn, of message. */
  endsGeneration(id: number): boolean {
    return this.#endOfGeneration.has(id);
  }

  /** Control tokens show as their text, except those that only begin or end something. */
  piece(id: number): Piece {
    const cached = this.#pieces[id];
    if (cached) return cached;
    const bytes = this.#pieceBytes(id);
    let text: string | undefined;
    try {
      text = strictDecoder.decode(bytes);
    } catch { /* part of a character */ }
    return this.#pieces[id] = { bytes, text };
  }

  #pieceBytes(id: number): Uint8Array {
    if (id === this.bos || id === this.eos || this.endsGeneration(id)) return new Uint8Array(0);
    const write = () =>
      this.#llama.llama_token_to_piece(
        this.#pointer,
        id,
        this.#buffer,
        this.#buffer.length,
        0,
        true,
      );
    let length = write();
    if (length < 0) {
      this.#buffer = new Uint8Array(-length);
      length = write();
    }
    return this.#buffer.slice(0, Math.max(0, length));
  }

  /** Text of tokens; broken UTF-8 shows as U+FFFD, an id that is no token as nothing. */
  detokenize(tokens: Iterable<number>): string {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let text = "";
    for (const id of tokens) {
      if (this.has(id)) text += decoder.decode(this.piece(id).bytes, { stream: true });
    }
    return text + decoder.decode();
  }

  /** @param options.special Text of control tokens becomes those tokens. */
  tokenize(text: string, options: { special: boolean; bos?: boolean }): Int32Array {
    const tokens = this.#tokenize(text, options.special);
    return options.bos === true ? this.#withBos(tokens) : tokens;
  }

  /** Parts to tokens, as one text. BOS is never doubled. */
  tokenizePrompt(
    parts: readonly PromptPart[],
    options: { bos?: boolean; always?: boolean } = {},
  ): Int32Array {
    const { bos = this.addBos, always = false } = options;
    // Here nothing is another thread's, so that all it yields is turns.
    const work = this.#prompts.tokenize(parts, this.#textTokenizer(Infinity), { always });
    const tokens = runAtOnce(work as Work<Int32Array>);
    return bos ? this.#withBos(tokens) : tokens;
  }

  /**
   * As {@link tokenizePrompt}, in turns; long texts in another thread.
   * @param options.most Tokens that there is room for.
   * @returns undefined: more than `most`, which shows without tokenizing all of it.
   */
  *tokenizeInTurns(
    parts: readonly PromptPart[],
    options: { bos?: boolean; most?: number } = {},
  ): LongWork<Int32Array | undefined> {
    const { bos = this.addBos, most = Infinity } = options;
    const units = parts.reduce((sum, { text }) => sum + text.length, 0);
    if (units > most * MAX_UNITS_PER_TOKEN) return undefined;
    if (units > Math.max(LONG_TEXT_UNITS, most * DOUBTFUL_UNITS_PER_TOKEN)) {
      if ((yield* this.countAbout(parts, most)) > most) return undefined;
    }
    const tokens = yield* this.#prompts.tokenize(parts, this.#textTokenizer(LONG_TEXT_UNITS));
    if (tokens.length > most) return undefined;
    return bos ? this.#withBos(tokens) : tokens;
  }

  /** About how many tokens a prompt of any length has, rather too few; once it is more than `most`, that is enough. */
  *countAbout(parts: readonly PromptPart[], most = Infinity): Work<number> {
    const whole = parts.map(({ text }) => text).join("");
    return yield* estimateTokens(whole, most, (text) => this.#tokenize(text, true).length);
  }

  /** Settles when no other thread reads the vocabulary. Nothing may be begun after it was asked for. */
  idle(): Promise<void> {
    return this.#thread.idle();
  }

  /** @param longUnits Texts of more are another thread's. */
  #textTokenizer(longUnits: number): TextTokenizer {
    const tokenize = (text: string, special: boolean) => this.#tokenize(text, special);
    const atOnce = (text: string) => this.#continue(text);
    const long = (text: string, how: { special: boolean; isFirst: boolean }) =>
      this.#long(text, how);
    return {
      *tokenize(text, special) {
        return text.length > longUnits
          ? yield* long(text, { special, isFirst: true })
          : tokenize(text, special);
      },
      *continue(text) {
        return text.length > longUnits
          ? yield* long(text, { special: false, isFirst: false })
          : atOnce(text);
      },
    };
  }

  /** In another thread, a part after another. @param how.isFirst No other text is in front of it. */
  *#long(text: string, how: { special: boolean; isFirst: boolean }): LongWork<Int32Array> {
    const all: Int32Array[] = [];
    for (const [index, part] of (yield* this.#parts(text)).entries()) {
      const tokens = how.isFirst && index === 0
        ? yield* this.#thread.tokenize(part, how.special)
        : yield* this.#longContinue(part, how.special);
      all.push(tokens);
    }
    return all.length === 1 ? all[0]! : joined(all);
  }

  /** As `#continue` does it. */
  *#longContinue(text: string, special: boolean): LongWork<Int32Array> {
    if (!this.#addsSpace) return yield* this.#thread.tokenize(text, special);
    const lineFeed = this.#tokenize("\n", false);
    const tokens = yield* this.#thread.tokenize("\n" + text, special);
    return lineFeed.every((id, index) => tokens[index] === id)
      ? tokens.subarray(lineFeed.length)
      : yield* this.#thread.tokenize(text, special);
  }

  *#parts(text: string): Work<string[]> {
    if (!this.#isSentencePiece || text.length <= UNCUT_UNITS) return [text];
    const { size } = this;
    const specials = [...this.controlTexts, ...this.userDefinedTexts];
    this.#cuts ??= yield* TextCuts.of({ size, specials, textOf: (id) => this.textOf(id) });
    return yield* this.#cuts.parts(text);
  }

  /** A whole text, with the tokens that the model was trained to see at its ends; none is doubled. */
  wholeText(tokens: Int32Array): Int32Array {
    const begun = this.addBos ? this.#withBos(tokens) : tokens;
    const end = this.textEnd;
    return end < 0 || begun.at(-1) === end ? begun : Int32Array.from([...begun, end]);
  }

  #withBos(tokens: Int32Array): Int32Array {
    if (this.bos < 0 || tokens[0] === this.bos) return tokens;
    const out = new Int32Array(tokens.length + 1);
    out[0] = this.bos;
    out.set(tokens, 1);
    return out;
  }

  /**
   * Tokens of text that follows other text. SentencePiece vocabularies put a space before whatever a call begins with:
   * behind a line feed they do not, and its tokens are then cut off.
   */
  #continue(text: string): Int32Array {
    if (!this.#addsSpace) return this.#tokenize(text, false);
    const lineFeed = this.#tokenize("\n", false);
    const tokens = this.#tokenize("\n" + text, false);
    if (lineFeed.every((id, index) => tokens[index] === id)) {
      return tokens.subarray(lineFeed.length);
    }
    return this.#tokenize(text, false);
  }

  #tokenize(text: string, special: boolean): Int32Array {
    if (text === "") return new Int32Array(0);
    const bytes = encoder.encode(text);
    const call = (tokens: Int32Array<ArrayBuffer>) =>
      this.#llama.llama_tokenize(
        this.#pointer,
        bytes,
        bytes.length,
        tokens,
        tokens.length,
        false,
        special,
      );
    // One token a byte is the common upper bound, and a space may be put in front.
    let tokens = new Int32Array(bytes.length + 2);
    let count = call(tokens);
    if (count < 0 && count > -0x7fffffff) {
      tokens = new Int32Array(-count);
      count = call(tokens);
    }
    if (count < 0) throw new SecLlamaError("bad-request", "the text cannot be tokenized");
    return tokens.slice(0, count);
  }
}

/** Text of bytes, with U+FFFD for what is no UTF-8. */
export function lossyText(bytes: Uint8Array): string {
  return laxDecoder.decode(bytes);
}
