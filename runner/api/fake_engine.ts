/**
 * A fake engine, for tests only: it says what a script tells it to. Tokens are code points; control tokens are listed.
 */
import { setImmediate } from "node:timers";
import { SecLlamaError } from "../../src/errors.ts";
import type { Budget, Work } from "../../src/budget.ts";
import { nameOfOther } from "../engine/vision/other_formats.ts";
import { Picture } from "../engine/vision/picture.ts";
import type { LongWork } from "../turns.ts";
import type {
  ChatInput,
  Engine,
  GenerateEvent,
  GenerateRequest,
  ModelInfo,
  PromptPart,
} from "../engine/types.ts";

export interface FakeScript {
  /** Pieces of the reply, one token each. */
  readonly pieces?: readonly string[];
  readonly reason?: "stop" | "length";
  readonly stopSequence?: string;
  /** Thrown after the pieces instead of "done"; after this many if a number is given. */
  readonly failure?: unknown;
  /** Never ends by itself: repeats its last piece until it is cancelled. */
  readonly endless?: boolean;
  readonly info?: Partial<ModelInfo>;
  /** What the chat template's prompts end with. */
  readonly promptTail?: string;
  /** Control tokens; each is one token. */
  readonly controlTokens?: readonly string[];
  /** The first of them that render as no text, as llama.cpp's control tokens do. */
  readonly silent?: readonly string[];
}

const FIRST_CONTROL_ID = 0x110000;

export class FakeEngine implements Engine {
  readonly info: ModelInfo;
  readonly requests: GenerateRequest[] = [];
  readonly chats: ChatInput[] = [];
  /** The files of pictures that it was to read. */
  readonly pictures: Uint8Array[] = [];
  /** Pictures that nobody has let go of. */
  picturesHeld = 0;
  /** Generations that were ended from outside. */
  cancelled = 0;
  running = 0;
  script: FakeScript;

  constructor(script: FakeScript = {}) {
    this.script = script;
    this.info = {
      architecture: "fake",
      parameterCount: 1,
      contextLength: 4096,
      slotContextLength: 4096,
      embedLength: 4096,
      embeddingLength: 4,
      layerCount: 1,
      sizeBytes: 1,
      quantization: "F32",
      hasEncoder: false,
      hasDecoder: true,
      vocabularySize: FIRST_CONTROL_ID + 100,
      capabilities: ["completion"],
      metadata: {},
      ...script.info,
    };
  }

  get #controls(): readonly string[] {
    return this.script.controlTokens ?? [];
  }

  tokenize(text: string, o: { special: boolean; bos?: boolean }): Int32Array {
    const ids: number[] = o.bos ? [1] : [];
    for (let at = 0; at < text.length;) {
      const control = o.special ? this.#controls.findIndex((one) => text.startsWith(one, at)) : -1;
      if (control >= 0) {
        ids.push(FIRST_CONTROL_ID + control);
        at += this.#controls[control]!.length;
      } else {
        const point = text.codePointAt(at)!;
        ids.push(point);
        at += point > 0xffff ? 2 : 1;
      }
    }
    return Int32Array.from(ids);
  }

  tokenizePrompt(parts: readonly PromptPart[], o: { bos?: boolean } = {}): Int32Array {
    const ids = o.bos === false ? [] : [1];
    return Int32Array.from(
      ids.concat(parts.flatMap(({ text, special, picture }) => [
        ...(picture?.tokens ?? this.tokenize(text, { special })),
      ])),
    );
  }

  *tokenizeInTurns(
    parts: readonly PromptPart[],
    o: { bos?: boolean; most?: number } = {},
  ): LongWork<Int32Array | undefined> {
    const tokens = this.tokenizePrompt(parts, o);
    yield;
    return tokens.length > (o.most ?? Infinity) ? undefined : tokens;
  }

  *countAbout(parts: readonly PromptPart[]): Work<number> {
    yield;
    return this.tokenizePrompt(parts).length;
  }

  detokenize(tokens: Iterable<number>): string {
    return [...tokens].map((id) => id >= FIRST_CONTROL_ID ? "" : String.fromCodePoint(id)).join("");
  }

  bytesOf(token: number): Uint8Array {
    const control = this.#controls[token - FIRST_CONTROL_ID];
    return new TextEncoder().encode(control ?? this.detokenize([token]));
  }

  /** The text of a prompt that was handed over as tokens, control tokens written out. */
  promptText(request: GenerateRequest): string {
    return [...request.prompt as Int32Array].map((id) =>
      id < 0
        ? `[picture ${-id}]`
        : id >= FIRST_CONTROL_ID
        ? this.#controls[id - FIRST_CONTROL_ID]
        : id === 1
        ? ""
        : String.fromCodePoint(id)
    ).join("");
  }

  /** One token, numbered from 1. Empty files are refused, and those of a format that the engine knows and does not take. */
  readPicture(bytes: Uint8Array<ArrayBuffer>): Promise<Picture> {
    if (bytes.length === 0 || nameOfOther(bytes) !== undefined) {
      return Promise.reject(new SecLlamaError("bad-request", "the picture cannot be read"));
    }
    const id = -this.pictures.push(bytes);
    this.picturesHeld++;
    return Promise.resolve(
      new Picture({
        tokens: Int32Array.of(id),
        chunks: [{ id, pointer: null, cells: 1, positions: 1 }],
        free: () => this.picturesHeld--,
      }),
    );
  }

  /** Without pieces, a failure is a refusal. */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    return {
      [Symbol.asyncIterator]: () => {
        const { pieces, failure } = this.script;
        if (pieces?.length === 0 && failure !== undefined) throw failure;
        return this.#events(request, signal);
      },
    };
  }

  async *#events(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    this.requests.push(request);
    this.running++;
    const { pieces = ["Hello", " world"], reason = "stop", stopSequence, failure, endless } =
      this.script;
    let count = 0;
    let finished = false;
    try {
      const total = request.prompt.length;
      for (const processed of request.progress ? [2, total] : []) {
        yield { type: "progress", total, cached: 2, processed };
      }
      for (let index = 0; endless || index < pieces.length; index++) {
        // A timer of 0 ms takes 4 once several came one after the other: of a long script that was most of a test's time.
        await new Promise((resolve) => endless ? setTimeout(resolve, 1) : setImmediate(resolve));
        if (signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
        const piece = pieces[Math.min(index, pieces.length - 1)]!;
        const id = this.tokenize(piece, { special: true })[0] ?? 0;
        const silent = this.script.silent?.includes(piece) ?? false;
        const bytes = new TextEncoder().encode(piece);
        count++;
        yield {
          type: "token",
          text: silent ? "" : piece,
          id,
          ...(request.logprobs === undefined ? {} : {
            logprob: { id, text: piece, bytes, logprob: -0.5 },
            top: Array.from({ length: request.logprobs }, (_, rank) => ({
              id: id + rank,
              text: rank === 0 ? piece : `${piece}${rank}`,
              bytes,
              logprob: -0.5 - rank,
            })),
          }),
        };
      }
      if (failure !== undefined) throw failure;
      finished = true;
      const prompt = [...request.prompt as Int32Array];
      yield {
        type: "done",
        reason,
        ...(stopSequence === undefined ? {} : { stopSequence }),
        promptTokens: prompt.length,
        cachedTokens: 2,
        evalTokens: count,
        promptMs: 1.5,
        evalMs: 2.25,
        context: [...prompt.filter((id) => id >= 0), 7],
      };
    } finally {
      this.running--;
      if (!finished && failure === undefined) this.cancelled++;
    }
  }

  embed(tokens: Int32Array, { signal }: { signal: AbortSignal }): Promise<Float32Array> {
    if (signal.aborted) {
      return Promise.reject(new SecLlamaError("cancelled", "the request was cancelled"));
    }
    if (tokens.length === 0) {
      return Promise.reject(new SecLlamaError("bad-request", "the input has no tokens"));
    }
    const scale = Math.hypot(tokens.length, tokens[tokens.length - 1]!, 1, 2);
    const raw = [tokens.length, tokens[tokens.length - 1]!, 1, 2];
    return Promise.resolve(Float32Array.from(raw, (value) => value / scale));
  }

  *pairInTurns(
    query: string,
    document: string,
    { most }: { most: number },
  ): LongWork<Int32Array | undefined> {
    const tokens = this.tokenize(`${query}\n${document}`, { special: false });
    yield;
    return tokens.length > most ? undefined : tokens;
  }

  /** The longer, the better. */
  rank(tokens: Int32Array, { signal }: { signal: AbortSignal }): Promise<number> {
    if (signal.aborted) {
      return Promise.reject(new SecLlamaError("cancelled", "the request was cancelled"));
    }
    return Promise.resolve(tokens.length);
  }

  *renderChat(chat: ChatInput, budget: Budget): Work<PromptPart[]> {
    this.chats.push(chat);
    const parts: PromptPart[] = [];
    for (const message of chat.messages) {
      budget.step();
      if (budget.due()) yield;
      parts.push({ text: `<|${message.role}|>`, special: true });
      parts.push({ text: message.content, special: false });
      parts.push({ text: "<|end|>", special: true });
    }
    parts.push({ text: `<|assistant|>${this.script.promptTail ?? ""}`, special: true });
    return parts;
  }

  infill(prefix: Int32Array, suffix: Int32Array): Int32Array {
    if (!this.info.capabilities.includes("insert")) {
      throw new SecLlamaError("bad-request", "the model does not support insert");
    }
    const text = `<PRE>${this.detokenize(prefix)}<SUF>${this.detokenize(suffix)}<MID>`;
    return this.tokenizePrompt([{ text, special: false }]);
  }

  steps(): number {
    return 0;
  }

  slotsBusy(): number {
    return this.running;
  }

  close(): void {}
}
