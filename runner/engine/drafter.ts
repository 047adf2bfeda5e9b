/**
 * A second, smaller model of the same vocabulary that guesses what the first one will say: a Modelfile's DRAFT. It writes a few tokens
 * ahead, each its most likely one, and the first model reads them in one step. As with guesses from the text (guesser.ts) it is a guess
 * about speed only: what the sampler draws from the first model's outputs is what counts.
 *
 * One sequence: it follows whichever request generates alone.
 */
import { SecLlamaError } from "../../src/errors.ts";
import { Batch } from "./batch.ts";
import { chooseCacheType, chooseFlashAttention, createContext } from "./context.ts";
import type { Library } from "./library.ts";
import { loadModel, type Model } from "./model.ts";
import type { LlamaSymbols } from "./symbols.ts";
import type { EngineOptions } from "./types.ts";
import type { Vocabulary } from "./vocabulary.ts";

type Pointer = Deno.PointerValue;

/** Tokens of a prompt that are read between two steps. */
const CHUNK = 128;
/** Enough for the speed of prompts to be measured, and for every page of the weights to be touched. */
const WARM_UP_TOKENS = 32;
/** By so many tokens two vocabularies may differ in length: some are padded. As llama.cpp has it (SPEC_VOCAB_MAX_SIZE_DIFFERENCE). */
const PADDING = 128;
/** Tokens whose bytes are compared, so many over the whole vocabulary. */
const COMPARED = 256;

/** What each older guess counts, of the newer one's weight. */
const DECAY = 0.95;
/** Right guesses that are taken for granted before the first was made: without them none would be. */
const CREDIT = 3;
/** Steps in which nothing was worth a guess, after which it is tried again. */
const RETRY_STEPS = 400;

interface DrafterOptions {
  readonly llama: LlamaSymbols;
  /** Of the second model, with one sequence. */
  readonly context: Pointer;
  /** Tokens that it has room for. */
  readonly contextLength: number;
  /** Of its own: its size is how much of a prompt is read at a time. */
  readonly batch: Batch;
  /** Milliseconds that it takes to read a token of a prompt, by the first one that it read. */
  readonly readMs: number;
  /** Tokens that both models know. */
  readonly vocabularySize: number;
  /** Frees the model. */
  readonly onFreed: () => void;
}

/** The model that is to guess, and for whom. */
interface OpenOptions extends Pick<EngineOptions, "flashAttention" | "cacheType" | "gpuLayers"> {
  readonly library: Library;
  readonly path: string;
  /** Of the first model. */
  readonly vocabulary: Vocabulary;
  readonly threadpool: Pointer;
  readonly threads: number;
  /** Tokens of context that a request has. */
  readonly contextLength: number;
}

/**
 * Loads the second model and reads a first batch with it.
 * @throws {SecLlamaError} `model-failed` with llama.cpp's reason; `bad-model`: it cannot guess for the first one.
 */
export function openDrafter(o: OpenOptions): Drafter {
  const { library, vocabulary } = o;
  const { llama } = library;
  const model = loadModel(library, o.path, { gpuLayers: o.gpuLayers ?? 0 });
  try {
    mustFit(model, vocabulary);
    const trained = model.info.contextLength;
    const contextLength = trained > 0 ? Math.min(o.contextLength, trained) : o.contextLength;
    const flashAttention = chooseFlashAttention(o, model.headLengths[0]);
    const batch = new Batch(Math.min(CHUNK, contextLength), 1);
    const context = createContext(library, model.pointer, o.threadpool, {
      totalTokens: contextLength,
      sequences: 1,
      batchSize: batch.capacity,
      microBatchSize: batch.capacity,
      outputs: 1,
      threads: o.threads,
      flashAttention,
      cacheType: chooseCacheType(o, model.headLengths, flashAttention),
      adapters: [],
    });
    return new Drafter({
      llama,
      context,
      contextLength,
      batch,
      vocabularySize: Math.min(vocabulary.size, model.vocabulary.size),
      readMs: warmUp(llama, context, batch, Math.max(0, vocabulary.bos)),
      onFreed: () => void model.vocabulary.idle().then(() => llama.llama_model_free(model.pointer)),
    });
  } catch (error) {
    llama.llama_model_free(model.pointer);
    throw error;
  }
}

/** @throws {SecLlamaError} `bad-model`. */
function mustFit({ canTakeBack, generates, vocabulary }: Model, first: Vocabulary): void {
  const refuse = (why: string): never => {
    throw new SecLlamaError("bad-model", `the draft model ${why}`);
  };
  if (!generates) refuse("makes no text");
  if (!canTakeBack) refuse("cannot take a token back");
  if (Math.abs(vocabulary.size - first.size) > PADDING) refuse("has another vocabulary");
  const most = Math.min(vocabulary.size, first.size);
  const bytes = (of: Vocabulary, id: number) => of.piece(id).bytes.join();
  for (let at = 0; at < COMPARED; at++) {
    const id = Math.floor(at * most / COMPARED);
    if (bytes(vocabulary, id) !== bytes(first, id)) refuse("has another vocabulary");
  }
}

/** @returns Milliseconds for each token of a prompt. @throws {SecLlamaError} `model-failed`: llama.cpp refuses. */
function warmUp(llama: LlamaSymbols, context: Pointer, batch: Batch, token: number): number {
  const count = Math.min(WARM_UP_TOKENS, batch.capacity);
  batch.clear();
  for (let position = 0; position < count; position++) {
    batch.add(token, { position, sequence: 0, output: position === count - 1 });
  }
  const started = performance.now();
  const status = llama.llama_decode(context, batch.seal());
  const ms = performance.now() - started;
  llama.llama_memory_clear(llama.llama_get_memory(context), true);
  if (status === 0) return ms / count;
  llama.llama_free(context);
  throw new SecLlamaError("model-failed", `the draft model refused a batch: status ${status}`);
}

export class Drafter {
  readonly #o: DrafterOptions;
  readonly #greedy: Pointer;
  /** Tokens in its cache, in their order. */
  #cells: number[] = [];
  #right = CREDIT;
  #wrong = 0;
  #refused = 0;
  #broken = false;
  /** Whose text it is. */
  #client: string | undefined;
  /** The text that it followed last, which may have grown, and how many leading cells are known to be of it. */
  #text: readonly number[] = [];
  #known = 0;

  constructor(options: DrafterOptions) {
    this.#o = options;
    this.#greedy = options.llama.llama_sampler_init_greedy();
  }

  /** How likely a guess is right if the one before it is, from 0 to 1, as far as the last ones say. */
  get chance(): number {
    return (this.#right + 0.5) / (this.#right + this.#wrong + 1);
  }

  /**
   * Turns to this client's texts. What it has of another's is forgotten: how soon it could follow would tell whether their texts begin
   * alike.
   */
  turnTo(client: string): void {
    if (client !== this.#client) this.#forget(0);
    this.#client = client;
  }

  /** About how long it would take to read what it has not read of this text, ms. */
  behindMs(text: readonly number[]): number {
    return (text.length - this.#shared(text)) * this.#o.readMs;
  }

  /** Whether it has room for this text and so many guesses, and can read it. */
  canFollow(text: readonly number[], count: number): boolean {
    return !this.#broken && text.length + count <= this.#o.contextLength;
  }

  /** Nothing was worth a guess in this step. What was found of it long ago may have changed. */
  refuse(): void {
    if (++this.#refused % RETRY_STEPS !== 0) return;
    this.#right = CREDIT;
    this.#wrong = 0;
  }

  /** Notes how many of the last guesses were right; the one behind them was wrong, if there was one. */
  record(guessed: number, right: number): void {
    for (let at = 0; at < guessed && at <= right; at++) {
      this.#right = DECAY * this.#right + Number(at < right);
      this.#wrong = DECAY * this.#wrong + Number(at >= right);
    }
  }

  /**
   * Reads a part of what it has not read, if that is much; else all of it, and says how it may go on.
   * @param text All tokens so far, with the one that is decoded next.
   * @returns At most `count` tokens; none where there is more to be read.
   */
  async guess(text: readonly number[], count: number): Promise<number[]> {
    const { batch, vocabularySize } = this.#o;
    this.#forget(this.#shared(text));
    const start = this.#cells.length;
    const unread = text.slice(start, start + batch.capacity);
    if (unread.some((token) => token < 0 || token >= vocabularySize)) return [];
    const isAll = start + unread.length === text.length;
    if (!await this.#decode(unread, isAll)) return [];
    if (!isAll) return [];
    const guessed: number[] = [];
    for (;;) {
      const token = this.#o.llama.llama_sampler_sample(this.#greedy, this.#o.context, -1);
      if (token < 0 || token >= vocabularySize) break;
      guessed.push(token);
      // The last one is read with what follows it, if it is right.
      if (guessed.length === count || !await this.#decode([token], true)) break;
    }
    return guessed;
  }

  free(): void {
    this.#o.llama.llama_sampler_free(this.#greedy);
    this.#o.llama.llama_free(this.#o.context);
    this.#o.onFreed();
  }

  /** Leading tokens of the text that are in the cache; the last one is read again, as its output is wanted. */
  #shared(text: readonly number[]): number {
    const most = Math.min(this.#cells.length, text.length - 1);
    let shared = this.#text === text ? Math.min(this.#known, most) : 0;
    while (shared < most && this.#cells[shared] === text[shared]) shared++;
    this.#text = text;
    this.#known = shared;
    return shared;
  }

  #forget(from: number): void {
    if (from === this.#cells.length) return;
    const { llama, context } = this.#o;
    llama.llama_memory_seq_rm(llama.llama_get_memory(context), 0, from, -1);
    this.#cells.length = from;
  }

  /** @returns Whether it was read; what cannot be read once is not tried again. */
  async #decode(tokens: readonly number[], output: boolean): Promise<boolean> {
    const { batch, llama, context } = this.#o;
    batch.clear();
    for (const [offset, token] of tokens.entries()) {
      const position = this.#cells.length + offset;
      batch.add(token, { position, sequence: 0, output: output && offset === tokens.length - 1 });
    }
    if (await llama.llama_decode_in_thread(context, batch.seal()) !== 0) {
      this.#broken = true;
      return false;
    }
    this.#cells.push(...tokens);
    return true;
  }
}
