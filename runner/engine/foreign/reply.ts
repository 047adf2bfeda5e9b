/** The reply of an engine of somebody else's, as the own engine would tell it. */
import type { Model } from "../model.ts";
import { StopMatcher, Utf8Joiner } from "../text_stream.ts";
import type { GenerateEvent, GenerateRequest, TokenLogprob } from "../types.ts";
import { lossyText } from "../vocabulary.ts";
import type { Piece, Said } from "./dialect.ts";
import { HttpError } from "./http.ts";

const MAX_LOGPROBS = 20;

/** A reply as it grows: its text across tokens, its stop strings, its totals. */
export class ForeignReply {
  readonly #model: Model;
  readonly #request: GenerateRequest;
  readonly #prompt: Int32Array;
  readonly #joiner = new Utf8Joiner();
  readonly #stops: StopMatcher;
  readonly #generated: number[] = [];
  readonly #startedAt = performance.now();
  #firstAt = 0;
  #cached = 0;
  #promptTokens: number;
  #end: { reason: "stop" | "length"; stopSequence?: string; made?: number } | undefined;

  constructor(model: Model, request: GenerateRequest, prompt: Int32Array) {
    this.#model = model;
    this.#request = request;
    this.#prompt = prompt;
    this.#promptTokens = prompt.length;
    this.#stops = new StopMatcher(request.stop);
  }

  /** Tokens so far. */
  get made(): number {
    return this.#generated.length;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  end(reason: "stop" | "length"): void {
    this.#end ??= { reason };
  }

  *take(piece: Piece): Iterable<GenerateEvent> {
    switch (piece.type) {
      case "progress": {
        const { type, total, cached, processed } = piece;
        this.#cached = cached;
        if (this.#request.progress) yield { type, total, cached, processed };
        return;
      }
      case "end":
        if (piece.cached !== undefined) this.#cached = piece.cached;
        if (piece.prompt !== undefined) this.#promptTokens = piece.prompt;
        this.#end ??= {
          reason: piece.reason,
          ...(piece.made === undefined ? {} : { made: piece.made }),
        };
        return;
      case "said":
        if (this.#firstAt === 0) this.#firstAt = performance.now();
        yield* this.#said(piece);
    }
  }

  *#said(said: Said): Iterable<GenerateEvent> {
    const { vocabulary } = this.#model;
    const tokens = said.text === undefined
      ? said.tokens
      : [...vocabulary.tokenize(said.text, { special: false })];
    let whole = said.text;
    for (const id of tokens) {
      if (!vocabulary.has(id)) throw new HttpError("a token that the model has not");
      if (vocabulary.endsGeneration(id)) return;
      if (this.ended) return;
      // The engine ends at what was asked for by itself, and then tells its totals.
      const { maxTokens } = this.#request;
      if (maxTokens >= 0 && this.made >= maxTokens) return this.end("length");
      this.#generated.push(id);
      const { text, stop } = this.#stops.push(
        whole ?? this.#joiner.push(vocabulary.piece(id)),
      );
      if (whole !== undefined) whole = "";
      yield { type: "token", text, id, ...this.#logprobs(id, said) };
      if (stop !== undefined) this.#end = { reason: "stop", stopSequence: stop };
    }
  }

  #logprobs(id: number, { logprob, top = [] }: Said) {
    if (this.#request.logprobs === undefined || logprob === undefined) return {};
    const describe = (one: { id: number; logprob: number }): TokenLogprob => {
      const { bytes, text } = this.#model.vocabulary.piece(one.id);
      return { ...one, bytes, text: text ?? lossyText(bytes) };
    };
    const most = Math.min(this.#request.logprobs, MAX_LOGPROBS);
    return {
      logprob: describe({ id, logprob }),
      top: top.filter((one) => this.#model.vocabulary.has(one.id)).slice(0, most).map(describe),
    };
  }

  /** What was held back, and the totals. */
  *last(): Iterable<GenerateEvent> {
    const now = performance.now();
    const { reason, stopSequence, made } = this.#end!;
    const rest = stopSequence === undefined ? this.#stops.flush() : "";
    const id = this.#generated.at(-1);
    if (rest !== "" && id !== undefined) yield { type: "token", text: rest, id, continued: true };
    const first = this.#firstAt || now;
    yield {
      type: "done",
      reason,
      ...(stopSequence === undefined ? {} : { stopSequence }),
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cached,
      evalTokens: made ?? this.made,
      promptMs: first - this.#startedAt,
      evalMs: now - first,
      context: [...this.#prompt.filter((id) => id >= 0), ...this.#generated],
    };
  }
}
