/** One request on its way: its prompt, its sampler, and the events it has for its consumer. Decodes nothing itself. */
import { SecLlamaError } from "../../src/errors.ts";
import { EventQueue } from "./event_queue.ts";
import { Guesser } from "./guesser.ts";
import { type RankedToken, rankLogprobs } from "./logprobs.ts";
import type { Sampler } from "./sampler.ts";
import { ThoughtGuard } from "./thought.ts";
import { StopMatcher, Utf8Joiner } from "./text_stream.ts";
import type { ContextShift, GenerateEvent, GenerateRequest, TokenLogprob } from "./types.ts";
import type { Picture, PictureChunk } from "./vision/picture.ts";
import { lossyText, type Vocabulary } from "./vocabulary.ts";

const MAX_LOGPROBS = 20;
/** Events a consumer may leave unread before its slot pauses. */
const MAX_UNREAD_EVENTS = 256;

type Ending = { reason: "stop" | "length"; stopSequence?: string };

interface GenerationHooks {
  /** The consumer is gone, by the signal or by leaving the iteration. */
  onCancel(generation: Generation): void;
  /** The consumer took an event. */
  onTake(): void;
}

export class Generation {
  readonly client: string;
  readonly prompt: Int32Array;
  /** The tokens to be in the cache before the next is drawn: the prompt, and what was generated before it had to wait. */
  pending: Int32Array;
  /** Order in which requests first took a slot; undefined before. */
  turn: number | undefined;
  readonly events: EventQueue<GenerateEvent>;
  cancelled = false;
  /** Set when the slot takes it on. */
  cachedTokens = 0;
  startedAt = 0;
  /** Generated tokens, without the one that ended it. */
  readonly generated: number[] = [];

  readonly #request: GenerateRequest;
  /** Held until it has ended: a step may be at work on them. */
  readonly #pictures: readonly Picture[];
  readonly #vocabulary: Vocabulary;
  readonly #sampler: Sampler;
  readonly #joiner = new Utf8Joiner();
  readonly #stops: StopMatcher;
  readonly #thought: ThoughtGuard | undefined;
  readonly #signal: AbortSignal;
  readonly #hooks: GenerationHooks;
  #guesser: Guesser | undefined;
  #evalTokens = 0;
  /** Tokens of the prompt that were told to be read. */
  #told = -1;
  #firstTokenAt = 0;
  readonly #onAbort: () => void;

  constructor(
    o: {
      request: GenerateRequest;
      prompt: Int32Array;
      sampler: Sampler;
      vocabulary: Vocabulary;
      signal: AbortSignal;
      hooks: GenerationHooks;
    },
  ) {
    this.#request = o.request;
    this.#pictures = (o.request.pictures ?? []).map((picture) => picture.hold());
    this.client = o.request.client;
    this.prompt = o.prompt;
    this.pending = o.prompt;
    this.#sampler = o.sampler;
    this.#vocabulary = o.vocabulary;
    this.#stops = new StopMatcher(o.request.stop);
    const { thought } = o.request;
    this.#thought = thought === undefined ? undefined : new ThoughtGuard(thought);
    this.#signal = o.signal;
    this.#hooks = o.hooks;
    this.#onAbort = () => this.#cancel();
    this.events = new EventQueue({
      onReturn: () => this.#cancel(),
      onTake: () => o.hooks.onTake(),
    });
    o.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  #cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.#hooks.onCancel(this);
  }

  get hasPictures(): boolean {
    return this.#pictures.length > 0;
  }

  /** How it goes on past the context, if it does. */
  get shift(): ContextShift | undefined {
    return this.hasPictures ? undefined : this.#request.shift;
  }

  /** The piece of a picture with this id. */
  chunk(id: number): PictureChunk | undefined {
    for (const { chunks } of this.#pictures) {
      const found = chunks.find((chunk) => chunk.id === id);
      if (found) return found;
    }
    return undefined;
  }

  /** Whether the consumer has fallen so far behind that its slot should pause. */
  get congested(): boolean {
    return this.events.length >= MAX_UNREAD_EVENTS;
  }

  /** Tokens that it may still generate. */
  get tokensLeft(): number {
    const { maxTokens } = this.#request;
    return maxTokens < 0 ? Infinity : maxTokens - this.generated.length;
  }

  /** What guesses its tokens, with all so far. */
  guesser(): Guesser {
    const { prompt, generated } = this;
    const guesser = this.#guesser ??= new Guesser(prompt);
    for (let at = guesser.tokens.length - prompt.length; at < generated.length; at++) {
      guesser.push(generated[at]!);
    }
    return guesser;
  }

  /** Tells how much of the prompt is in the cache, if that was asked for and it is more than was told. */
  tellProgress(cells: number): void {
    if (this.#request.progress !== true || this.generated.length > 0) return;
    const total = this.prompt.length;
    const processed = Math.min(cells, total);
    if (processed <= this.#told) return;
    this.#told = processed;
    this.events.push({ type: "progress", total, cached: this.cachedTokens, processed });
  }

  /** Whether the prompt is all that was asked for. */
  get wantsNoTokens(): boolean {
    return this.#request.maxTokens === 0;
  }

  /**
   * Draws a token from the outputs at `index` of the last batch and tells the consumer.
   * @param logits The outputs themselves, read only if they are needed.
   * @returns The token to be decoded next, or how the generation ended.
   */
  draw(context: Deno.PointerValue, index: number, logits: () => Float32Array): number | Ending {
    const due = this.#thought?.due(this.generated.length);
    const put = due !== undefined && this.#sampler.force(due);
    const token = put ? due : this.#sampler.sample(context, index, logits);
    if (this.#firstTokenAt === 0) this.#firstTokenAt = performance.now();
    this.#evalTokens++;
    if (token < 0) return { reason: "stop" };
    if (this.#vocabulary.endsGeneration(token)) return { reason: "stop" };
    const logprobs = this.#request.logprobs === undefined
      ? undefined
      : this.#logprobs(token, logits());
    this.generated.push(token);
    if (this.#thought !== undefined) {
      this.#thought.see(this.#vocabulary.piece(token).text ?? "\ufffd", put);
    }
    const { text, stop } = this.#stops.push(this.#joiner.push(this.#vocabulary.piece(token)));
    this.events.push({ type: "token", text, id: token, ...logprobs });
    if (stop !== undefined) return { reason: "stop", stopSequence: stop };
    const { maxTokens } = this.#request;
    if (maxTokens >= 0 && this.generated.length >= maxTokens) return { reason: "length" };
    return token;
  }

  #logprobs(
    token: number,
    logits: Float32Array,
  ): { logprob: TokenLogprob; top: TokenLogprob[] } {
    const ranked = rankLogprobs(logits, token, Math.min(this.#request.logprobs ?? 0, MAX_LOGPROBS));
    const describe = ({ id, logprob }: RankedToken): TokenLogprob => {
      const { bytes, text } = this.#vocabulary.piece(id);
      return { id, logprob, bytes, text: text ?? lossyText(bytes) };
    };
    return {
      logprob: describe({ id: token, logprob: ranked.logprob }),
      top: ranked.top.map(describe),
    };
  }

  /** Sends what is held back, then the totals, and ends the events. */
  finish(ending: Ending): void {
    const now = performance.now();
    const rest = ending.stopSequence === undefined ? this.#stops.flush() : "";
    const last = this.generated.at(-1);
    if (rest !== "" && last !== undefined) {
      this.events.push({ type: "token", text: rest, id: last, continued: true });
    }
    const promptEnd = this.#firstTokenAt === 0 ? now : this.#firstTokenAt;
    this.events.push({
      type: "done",
      reason: ending.reason,
      ...(ending.stopSequence === undefined ? {} : { stopSequence: ending.stopSequence }),
      promptTokens: this.prompt.length,
      cachedTokens: this.cachedTokens,
      evalTokens: this.#evalTokens,
      promptMs: promptEnd - this.startedAt,
      evalMs: now - promptEnd,
      // A picture cannot be given back as tokens.
      context: [...this.prompt, ...this.generated].filter((token) => token >= 0),
    });
    this.events.end();
    this.#free();
  }

  fail(error: SecLlamaError): void {
    this.events.fail(error);
    this.#free();
  }

  /** Ends a cancelled generation. */
  abandon(): void {
    this.fail(new SecLlamaError("cancelled", "the request was cancelled"));
  }

  #free(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#sampler.free();
    for (const picture of this.#pictures) picture[Symbol.dispose]();
  }
}
