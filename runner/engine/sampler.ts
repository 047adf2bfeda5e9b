/**
 * Choosing the next token, in native code: one chain of llama.cpp samplers for each request.
 *
 * Order: biases, penalties, top-k, typical, top-p, min-p, temperature, then the draw (or the greatest, at temperature 0). A grammar
 * comes first in effect, not in time: testing a whole vocabulary against it takes milliseconds, so a token is drawn
 * without it, tested alone, and drawn again among the permitted ones only if it was refused.
 */
import { SecLlamaError } from "../../src/errors.ts";
import { cString } from "./c_string.ts";
import type { LlamaSymbols } from "./symbols.ts";
import type { Sampling } from "./types.ts";

type Pointer = Deno.PointerValue;

/** sizeof(llama_token_data): i32 id, f32 logit, f32 p */
const CANDIDATE_WORDS = 3;
/** Beyond this many, partial sorting inside llama.cpp changes to a slower method. */
const FAST_TOP_K = 128;
const RANDOM_SEED = 0xffffffff;

interface SamplerOptions {
  readonly sampling: Sampling;
  readonly grammar: string | undefined;
  /** Token ids of the vocabulary, and what is added to their logits. */
  readonly logitBias: ReadonlyMap<number, number> | undefined;
  /** Tokens of one slot's context: what `repeatLastN: -1` means. */
  readonly contextLength: number;
}

/** The candidates of one draw: shared by all samplers of a model, as only one draws at a time. */
export class Candidates {
  readonly words: Int32Array<ArrayBuffer>;
  readonly logits: Float32Array<ArrayBuffer>;
  /** llama_token_data_array: pointer data, u64 size, i64 selected, bool sorted. */
  readonly array = new Uint8Array(new ArrayBuffer(32));
  readonly #view = new DataView(this.array.buffer);
  readonly #address: bigint;

  constructor(size: number) {
    this.words = new Int32Array(new ArrayBuffer(4 * CANDIDATE_WORDS * size));
    this.logits = new Float32Array(this.words.buffer);
    this.#address = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.words)));
  }

  /** All tokens with their logits. */
  fill(logits: Float32Array): void {
    for (let id = 0, at = 0; id < logits.length; id++, at += CANDIDATE_WORDS) {
      this.words[at] = id;
      this.logits[at + 1] = logits[id] as number;
      this.logits[at + 2] = 0;
    }
    this.#reset(logits.length);
  }

  one(id: number): void {
    this.words[0] = id;
    this.logits[1] = 1;
    this.logits[2] = 0;
    this.#reset(1);
  }

  #reset(size: number): void {
    this.#view.setBigUint64(0, this.#address, true);
    this.#view.setBigUint64(8, BigInt(size), true);
    this.#view.setBigInt64(16, -1n, true);
    this.#view.setUint8(24, 0);
  }

  /** The token the last sampler chose, with its logit: -Infinity if nothing was permitted. */
  selected(): { id: number; logit: number } {
    const selected = this.#view.getBigInt64(16, true);
    const size = this.#view.getBigUint64(8, true);
    if (selected < 0n || selected >= size) return { id: -1, logit: -Infinity };
    // Samplers may put another array in place of ours.
    const data = this.#view.getBigUint64(0, true);
    const entry = new Deno.UnsafePointerView(
      Deno.UnsafePointer.create(data + selected * 12n) as Deno.PointerObject,
    );
    return { id: entry.getInt32(0), logit: entry.getFloat32(4) };
  }
}

export class Sampler {
  readonly #llama: LlamaSymbols;
  readonly #candidates: Candidates;
  /** Everything up to the draw; holds the state of the penalties. */
  #filters: Pointer;
  /** The draw; holds the state of the random generator. */
  readonly #draw: Pointer;
  readonly #grammar: Pointer;
  /** Filters and draw in one, where no grammar needs them apart. */
  readonly #chain: Pointer;
  #freed = false;

  /** @throws {SecLlamaError} `bad-request`: the grammar cannot be parsed. */
  constructor(
    llama: LlamaSymbols,
    vocabulary: { pointer: Pointer; size: number },
    candidates: Candidates,
    options: SamplerOptions,
  ) {
    this.#llama = llama;
    this.#candidates = candidates;
    const { sampling, grammar } = options;
    this.#grammar = null;
    if (grammar !== undefined) {
      this.#grammar = llama.llama_sampler_init_grammar(
        vocabulary.pointer,
        cString(grammar),
        cString("root"),
      );
      if (this.#grammar === null) {
        throw new SecLlamaError("bad-request", "the grammar cannot be parsed");
      }
    }
    this.#filters = llama.llama_sampler_chain_init(1);
    addFilters(llama, this.#filters, vocabulary.size, options);
    this.#draw = sampling.temperature > 0
      ? llama.llama_sampler_init_dist(seedOf(sampling.seed))
      : llama.llama_sampler_init_greedy();
    this.#chain = llama.llama_sampler_chain_init(1);
    llama.llama_sampler_chain_add(this.#chain, this.#filters);
    llama.llama_sampler_chain_add(this.#chain, this.#draw);
  }

  /** Lets the penalties see a token of the prompt. */
  acceptPrompt(token: number): void {
    this.#llama.llama_sampler_accept(this.#filters, token);
  }

  /**
   * Draws the next token from the outputs at `index` of the last batch.
   * @returns -1 if a grammar permits no token of the vocabulary here.
   */
  sample(context: Pointer, index: number, logits: () => Float32Array): number {
    if (this.#grammar === null) {
      return this.#llama.llama_sampler_sample(this.#chain, context, index);
    }
    const llama = this.#llama;
    // A trial, on a copy of the filters so that a refused token leaves no trace in the penalties. The generator does move
    // on: drawing again with the same number would favour some tokens.
    const trial = llama.llama_sampler_clone(this.#filters);
    const chain = llama.llama_sampler_chain_init(1);
    llama.llama_sampler_chain_add(chain, trial);
    llama.llama_sampler_chain_add(chain, this.#draw);
    const token = llama.llama_sampler_sample(chain, context, index);
    llama.llama_sampler_chain_remove(chain, 1);
    llama.llama_sampler_free(chain);
    if (this.#permits(token)) {
      llama.llama_sampler_accept(this.#filters, token);
      llama.llama_sampler_accept(this.#grammar, token);
      return token;
    }
    return this.#sampleAmongPermitted(logits());
  }

  /** Takes a token that was not drawn. @returns Whether the grammar permits it; if not, nothing was done. */
  force(token: number): boolean {
    const llama = this.#llama;
    if (this.#grammar !== null) {
      if (!this.#permits(token)) return false;
      llama.llama_sampler_accept(this.#grammar, token);
    }
    llama.llama_sampler_accept(this.#filters, token);
    return true;
  }

  #permits(token: number): boolean {
    const candidates = this.#candidates;
    candidates.one(token);
    this.#llama.llama_sampler_apply(this.#grammar, candidates.array);
    return candidates.logits[1] !== -Infinity;
  }

  #sampleAmongPermitted(logits: Float32Array): number {
    const llama = this.#llama;
    const candidates = this.#candidates;
    candidates.fill(logits);
    llama.llama_sampler_apply(this.#grammar, candidates.array);
    llama.llama_sampler_apply(this.#filters, candidates.array);
    llama.llama_sampler_apply(this.#draw, candidates.array);
    const { id, logit } = candidates.selected();
    // Accepting a token that the grammar refuses ends the process.
    if (id < 0 || !(logit > -Infinity) || !this.#permits(id)) return -1;
    llama.llama_sampler_accept(this.#filters, id);
    llama.llama_sampler_accept(this.#grammar, id);
    return id;
  }

  /** Idempotent. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#llama.llama_sampler_free(this.#chain);
    if (this.#grammar !== null) this.#llama.llama_sampler_free(this.#grammar);
  }
}

function addFilters(
  llama: LlamaSymbols,
  chain: Pointer,
  vocabularySize: number,
  options: SamplerOptions,
): void {
  const { sampling } = options;
  const add = (sampler: Pointer) => llama.llama_sampler_chain_add(chain, sampler);
  if (options.logitBias !== undefined && options.logitBias.size > 0) {
    const { size } = options.logitBias;
    add(llama.llama_sampler_init_logit_bias(vocabularySize, size, biasArray(options.logitBias)));
  }
  const greedy = !(sampling.temperature > 0);
  const lookBack = sampling.repeatLastN < 0
    ? options.contextLength
    : Math.min(sampling.repeatLastN, options.contextLength);
  const penalties = lookBack > 0 &&
    (sampling.repeatPenalty !== 1 || sampling.presencePenalty !== 0 ||
      sampling.frequencyPenalty !== 0);
  if (penalties) {
    // Penalties look up every candidate. Where they only lower logits, at most `lookBack` tokens can drop out of the
    // first k, so the first k + lookBack hold all that can be chosen.
    const lowering = sampling.repeatPenalty >= 1 && sampling.presencePenalty >= 0 &&
      sampling.frequencyPenalty >= 0;
    const k = greedy ? 1 : sampling.topK;
    if (lowering && options.grammar === undefined && k > 0 && k + lookBack <= FAST_TOP_K) {
      add(llama.llama_sampler_init_top_k(k + lookBack));
    }
    add(
      llama.llama_sampler_init_penalties(
        vocabularySize,
        lookBack,
        sampling.repeatPenalty,
        sampling.frequencyPenalty,
        sampling.presencePenalty,
      ),
    );
  }
  if (greedy) return;
  if (sampling.topK > 0) add(llama.llama_sampler_init_top_k(sampling.topK));
  const typical = sampling.typicalP ?? 1;
  if (typical < 1) add(llama.llama_sampler_init_typical(typical, 1n));
  if (sampling.topP < 1) add(llama.llama_sampler_init_top_p(sampling.topP, 1n));
  if (sampling.minP > 0) add(llama.llama_sampler_init_min_p(sampling.minP, 1n));
  add(llama.llama_sampler_init_temp(sampling.temperature));
}

/** llama_logit_bias[]: i32 token, f32 bias. llama.cpp copies it. */
function biasArray(biases: ReadonlyMap<number, number>): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(8 * biases.size));
  let at = 0;
  for (const [token, bias] of biases) {
    view.setInt32(at, token, true);
    view.setFloat32(at + 4, bias, true);
    at += 8;
  }
  return new Uint8Array(view.buffer);
}

/**
 * Native code reads logits at these ids.
 * @throws {SecLlamaError} `bad-request`: an id outside of the vocabulary, a bias that is no number or Infinity.
 */
export function checkLogitBias(
  biases: ReadonlyMap<number, number> | undefined,
  vocabularySize: number,
): void {
  for (const [token, bias] of biases ?? []) {
    if (Number.isInteger(token) && token >= 0 && token < vocabularySize && bias < Infinity) {
      continue;
    }
    const field = "logitBias";
    throw new SecLlamaError("bad-request", `${field} must be of token ids and numbers`, { field });
  }
}

/** llama.cpp takes one seed for "random" and would then ask the system, which a sandbox may not offer. */
function seedOf(seed: number | undefined): number {
  const value = seed === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0] as number
    : seed >>> 0;
  return value === RANDOM_SEED ? RANDOM_SEED - 1 : value;
}

/**
 * Native code takes these values without a check of its own.
 * @throws {SecLlamaError} `bad-request` naming the field.
 */
export function checkSampling(sampling: Sampling): void {
  const refuse = (field: string, wanted: string): never => {
    throw new SecLlamaError("bad-request", `${field} must be ${wanted}`, { field });
  };
  for (const [field, value] of Object.entries(sampling)) {
    if (value !== undefined && !Number.isFinite(value)) refuse(field, "a number");
  }
  if (sampling.repeatPenalty <= 0) refuse("repeatPenalty", "greater than 0");
  for (const field of ["topK", "repeatLastN"] as const) {
    if (!Number.isInteger(sampling[field]) || sampling[field] > 0x7fffffff) {
      refuse(field, "a whole number");
    }
  }
}
