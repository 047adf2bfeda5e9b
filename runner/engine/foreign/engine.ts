/**
 * An engine of somebody else's behind the interface of the own one. Templates, tokens, grammars and calls of tools are the own code's
 * and the model file's, by its vocabulary alone; only tokens go to the engine (beside pictures: text), and tokens come back.
 */
import type { Picture } from "../vision/picture.ts";
import { BUSY_TEXT } from "../../../src/api/texts.ts";
import { SecLlamaError } from "../../../src/errors.ts";
import { HINTS } from "../../../src/hints.ts";
import { openLibrary } from "../library.ts";
import { loadModel, type Model } from "../model.ts";
import { checkLogitBias, checkSampling } from "../sampler.ts";
import { TextEngine } from "../text_engine.ts";
import type {
  Engine,
  EngineOptions,
  GenerateEvent,
  GenerateRequest,
  MediaKind,
  ModelInfo,
} from "../types.ts";
import { ConnectionError } from "./connection.ts";
import type { Dialect, Piece, PromptText, Senses } from "./dialect.ts";
import { ask, events, HttpError, json, wholeText } from "./http.ts";
import { givenUp, refusal } from "./errors.ts";
import { record } from "./fields.ts";
import { ForeignReply } from "./reply.ts";
import { LLAMA_SERVER } from "./llama_server.ts";
import { ForeignPictures } from "./pictures.ts";
import { Slots, type Taken } from "./slots.ts";
import { VLLM } from "./vllm.ts";
import { type EngineLife, watchEngine } from "./life.ts";

const DIALECTS: { readonly [kind: string]: Dialect } = {
  "llama-server": LLAMA_SERVER,
  vllm: VLLM,
};

const DEFAULT_QUEUE_LIMIT = 512;
const HEALTH_PAUSE_MS = 20;
/** Of an engine that ends, its connections may break before the end of what it prints is seen. */
const END_SHOWS_MS = 250;

/** Which engine, and where it listens. */
interface ForeignOptions extends EngineOptions {
  readonly kind: string;
  /** Path of its Unix socket. */
  readonly socket: string;
  /** Descriptor of what it prints, which ends when it does; absent: it is not watched. */
  readonly outputFd?: number;
  /** Told when it has ended after it was ready. */
  onEnded?(): void;
}

/**
 * Reads the model's vocabulary, and waits until the engine has loaded the model.
 * @throws {SecLlamaError} `model-failed`: the engine ended, with its last words; what {@link loadModel} throws.
 */
export async function openForeignEngine(options: ForeignOptions): Promise<Engine> {
  const dialect = DIALECTS[options.kind];
  if (!dialect) throw new SecLlamaError("bad-config", `no engine is called ${options.kind}`);
  const library = openLibrary(options.libDir, { verify: options.verifyLibraries ?? true });
  const model = loadModel(library, options.modelPath, {
    gpuLayers: 0,
    retyped: options.retyped ?? [],
    vocabularyOnly: true,
  });
  const free = () => library.llama.llama_model_free(model.pointer);
  try {
    const life = watchEngine(options.outputFd);
    await untilReady(options, dialect, life);
    const senses = await sensesOf(options.socket, dialect);
    life.forget();
    return new ForeignEngine({ options, dialect, model, life, senses, free });
  } catch (error) {
    free();
    throw error;
  }
}

async function untilReady(
  { kind, socket }: ForeignOptions,
  { healthPath }: Dialect,
  life: EngineLife,
): Promise<void> {
  for (;;) {
    try {
      const { status, body } = await ask(socket, healthPath);
      for await (const _ of body);
      if (status === 200) return;
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof HttpError)) throw error;
    }
    if (life.ended) {
      throw new SecLlamaError(
        "model-failed",
        `${kind} ended while it loaded the model${life.lastWords && `: ${life.lastWords}`}`,
        { hint: "start it by hand with this model, outside SecLlama, to see all that it says" },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, HEALTH_PAUSE_MS));
  }
}

interface ForeignParts {
  readonly options: ForeignOptions;
  readonly dialect: Dialect;
  readonly model: Model;
  readonly life: EngineLife;
  readonly senses: Senses;
  readonly free: () => void;
}

/** What its projector is for, if it has one. */
async function sensesOf(socket: string, { pictures }: Dialect): Promise<Senses> {
  const none = { sees: false, hears: false, marker: "" };
  if (pictures === undefined) return none;
  const { status, body } = await ask(socket, pictures.path);
  const text = await wholeText(body);
  return status === 200 ? pictures.read(JSON.parse(text)) : none;
}

class ForeignEngine extends TextEngine implements Engine {
  readonly info: ModelInfo;
  readonly #o: ForeignParts;
  readonly #pictures: ForeignPictures;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  #steps = 0;
  /** Requests of which something is awaited from the engine. */
  #waiting = 0;
  #probing = false;
  /** What the engine told of its work last. */
  #told: string | undefined;

  constructor(o: ForeignParts) {
    super(o.model);
    this.#o = o;
    this.#pictures = new ForeignPictures(o.senses);
    const { options, dialect, model } = o;
    const trained = model.info.contextLength;
    const slotContextLength = trained > 0
      ? Math.min(options.contextLength, trained)
      : options.contextLength;
    const embeds = dialect.embedding !== undefined && !model.generates;
    this.info = {
      ...model.info,
      slotContextLength,
      embedLength: slotContextLength,
      capabilities: [
        ...model.info.capabilities.filter((name) =>
          name !== "rerank" && (name !== "embedding" || embeds)
        ),
        ...(o.senses.sees ? ["vision" as const] : []),
        ...(o.senses.hears ? ["audio" as const] : []),
      ],
    };
    this.#slots = new Slots(options.slots, options.queueLimit ?? DEFAULT_QUEUE_LIMIT);
    void o.life.end.then(() => {
      if (!this.closed) options.onEnded?.();
    });
  }

  protected get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    return { [Symbol.asyncIterator]: () => this.#start(request, signal) };
  }

  /** What is not taken is refused now, before the first event. */
  #start(request: GenerateRequest, signal: AbortSignal): AsyncIterator<GenerateEvent> {
    this.mustBeOpen();
    if (signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
    if (!this.#o.model.generates) {
      throw new SecLlamaError("bad-request", "the model makes embeddings and cannot generate");
    }
    if (this.#slots.full) throw new SecLlamaError("busy", BUSY_TEXT);
    checkSampling(request.sampling);
    checkLogitBias(request.logitBias, this.#o.model.vocabulary.size);
    const prompt = this.promptTokens(request);
    // Now: its pictures may be let go of when this returns.
    const given = this.#pictures.place(prompt, this.#o.model.vocabulary);
    return this.#run(request, { prompt, given }, AbortSignal.any([signal, this.#closing.signal]));
  }

  async *#run(
    request: GenerateRequest,
    { prompt, given }: { prompt: Int32Array; given: Int32Array | PromptText },
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    const reply = new ForeignReply(this.#o.model, request, prompt);
    const room = this.info.slotContextLength - prompt.length;
    {
      // Given back before the last event: nobody has to ask for what comes after it.
      using slot = await this.#slots.take(request.client, signal);
      try {
        const pieces = this.#pieces(request, given, { slot, signal, reply });
        for await (const piece of this.#awaited(pieces)) {
          slot.begun();
          this.#steps++;
          yield* reply.take(piece);
          // A stop string, or all that was asked for: leaving ends the engine's work too.
          if (reply.ended) break;
          if (reply.made >= room) {
            reply.end("length");
            break;
          }
        }
      } catch (error) {
        throw await this.#inWords(error, signal);
      }
    }
    if (!reply.ended) throw await this.#inWords(new HttpError("it was cut short"), signal);
    yield* reply.last();
  }

  /** Counts those that wait for the engine: not for who reads the reply. */
  async *#awaited(pieces: AsyncGenerator<Piece>): AsyncGenerator<Piece> {
    try {
      for (;;) {
        this.#waiting++;
        const next = await pieces.next().finally(() => this.#waiting--);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await pieces.return(undefined);
    }
  }

  async *#pieces(
    request: GenerateRequest,
    given: Int32Array | PromptText,
    o: { slot: Taken; signal: AbortSignal; reply: ForeignReply },
  ): AsyncGenerator<Piece> {
    const { dialect, options } = this.#o;
    const { status, body } = await ask(options.socket, dialect.path, {
      body: dialect.body(request, given, { slot: o.slot.index, keeps: o.slot.keeps }),
      signal: o.signal,
    });
    if (status !== 200) throw await refusal(options.kind, status, body);
    for await (const event of events(body)) {
      const { error } = record(event);
      if (error !== undefined) throw givenUp(options.kind, error);
      yield* dialect.read(event, o.reply.made);
    }
  }

  async embed(
    tokens: Int32Array,
    { client, signal }: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<Float32Array> {
    this.mustBeTokens(tokens);
    const { dialect, options, model } = this.#o;
    const { embedding } = dialect;
    if (!embedding || model.generates) {
      throw new SecLlamaError("bad-request", `${options.kind} makes no embeddings of this model`);
    }
    const both = AbortSignal.any([signal, this.#closing.signal]);
    using _slot = await this.#slots.take(client, both);
    this.#waiting++;
    try {
      const { status, body } = await ask(options.socket, embedding.path, {
        body: embedding.body(model.vocabulary.wholeText(tokens)),
        signal: both,
      });
      if (status !== 200) throw await refusal(options.kind, status, body);
      const numbers = embedding.read(await json(body));
      if (numbers.length === 0) throw new HttpError("an empty embedding");
      this.#steps++;
      return normalised(numbers);
    } catch (error) {
      throw await this.#inWords(error, both);
    } finally {
      this.#waiting--;
    }
  }

  rank(): Promise<number> {
    const { kind } = this.#o.options;
    return Promise.reject(new SecLlamaError("bad-request", `${kind} ranks no texts here`));
  }

  readPicture(
    bytes: Uint8Array<ArrayBuffer>,
    { kind = "picture" }: { readonly kind?: MediaKind } = {},
  ): Promise<Picture> {
    return this.#pictures.take(bytes, kind);
  }

  /** What went wrong, in the words that clients know. */
  async #inWords(error: unknown, signal: AbortSignal): Promise<unknown> {
    if (error instanceof SecLlamaError) return error;
    if (signal.aborted) return new SecLlamaError("cancelled", "the request was cancelled");
    if (!(error instanceof ConnectionError || error instanceof HttpError)) return error;
    const { kind } = this.#o.options;
    return await this.#o.life.endsWithin(END_SHOWS_MS)
      ? new SecLlamaError("runner-died", `${kind} ended while it answered`, {
        hint: HINTS.nextRunner,
      })
      : new SecLlamaError("model-failed", `${kind} failed: ${error.message}`);
  }

  slotsBusy(): number {
    return this.#slots.busy;
  }

  /** While it works, what it tells of its work is asked for: that it answers is no step, but that it computed something is. */
  steps(): number {
    // Who reads a reply slowly keeps a slot busy, and the engine may be done with it: it has not hung.
    if (this.slotsBusy() > 0 && this.#waiting === 0) this.#steps++;
    if (this.#waiting > 0 && !this.#probing) {
      this.#probing = true;
      void this.#probe().finally(() => this.#probing = false);
    }
    return this.#steps;
  }

  async #probe(): Promise<void> {
    const { dialect: { progress }, options } = this.#o;
    try {
      const { status, body } = await ask(options.socket, progress.path, {
        signal: this.#closing.signal,
      });
      const told = status === 200 ? progress.read(await wholeText(body)) : undefined;
      if (told === undefined || told === this.#told) return;
      this.#told = told;
      this.#steps++;
    } catch { /* it says nothing: no step */ }
  }

  close(): void {
    if (this.closed) return;
    this.#closing.abort();
    void this.#o.model.vocabulary.idle().then(() => this.#o.free());
  }
}

function normalised(numbers: readonly number[]): Float32Array {
  const length = Math.hypot(...numbers) || 1;
  return Float32Array.from(numbers, (number) => number / length);
}
