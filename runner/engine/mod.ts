/**
 * The engine: one model, loaded once, that many requests share. It drives llama.cpp by FFI; everything it will ever open
 * is open when `loadEngine` returns, so the process may give up the right to open more.
 *
 * It knows tokens and text, not HTTP; and it trusts its caller, but neither the model file nor the text.
 */
import { BUSY_TEXT } from "../../src/api/texts.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { Batch } from "./batch.ts";
import {
  chooseCacheType,
  chooseFlashAttention,
  createContext,
  createThreadpool,
} from "./context.ts";
import { AdaptiveThreads } from "./adaptive_threads.ts";
import { type Drafter, openDrafter } from "./drafter.ts";
import { Embedder } from "./embedder.ts";
import { Generation } from "./generation.ts";
import { BatchPolicy } from "./batch_policy.ts";
import { MeasuredDraftCosts, MeasuredGuessCosts, MOST_GUESSES } from "./guess_costs.ts";
import { type Library, openLibrary } from "./library.ts";
import { loadModel, type Model } from "./model.ts";
import { Candidates, checkLogitBias, checkSampling, Sampler } from "./sampler.ts";
import { PromptChunker } from "./prompt_chunker.ts";
import { Scheduler } from "./scheduler.ts";
import { StopSignal } from "./stop_signal.ts";
import { TextEngine } from "./text_engine.ts";
import { warmUp } from "./warm_up.ts";
import { openVision, type Vision } from "./vision/vision.ts";
import type { Picture } from "./vision/picture.ts";
import type { Engine, EngineOptions, GenerateEvent, GenerateRequest, ModelInfo } from "./types.ts";

export * from "./types.ts";
export type { Aside, LongWork } from "../turns.ts";
export { Picture, type PictureChunk } from "./vision/picture.ts";
export type { DraftCosts, GuessCosts } from "./guess_costs.ts";

type Pointer = Deno.PointerValue;

const DEFAULT_BATCH_SIZE = 512;
const DEFAULT_QUEUE_LIMIT = 512;
/** llama.cpp rounds a sequence's share of the cache up to this. */
const CONTEXT_GRANULE = 256;
/** Tokens of a text that a model embeds which is made to generate: that takes a cache of its own. */
const GENERATOR_EMBED_TOKENS = 4096;
/** Below this, threads wait for each other longer than they work. */
const ONE_THREAD_BYTES = 8 * 1024 * 1024;

/**
 * Loads the libraries and the model, makes the contexts and the threads, and runs a first batch through them.
 *
 * @example One prompt, as text
 * ```ts
 * import { DEFAULT_SAMPLING } from "./types.ts";
 *
 * const files = { libDir: "/opt/secllama/lib", modelPath: "/models/demo.gguf" };
 * const engine = await loadEngine({ ...files, contextLength: 2048, slots: 1, threads: 2 });
 * const prompt = [{ text: "Where are my keys?", special: false }];
 * const request = { prompt, client: "me", maxTokens: 32, stop: [], sampling: DEFAULT_SAMPLING };
 * for await (const event of engine.generate(request, new AbortController().signal)) {
 *   if (event.type === "token") console.log(event.text);
 * }
 * engine.close();
 * ```
 * @throws {SecLlamaError} `model-failed`: a library is not the pinned one, or llama.cpp's reason why the model is refused;
 * `bad-model`: a kind of model that is not supported.
 */
// deno-lint-ignore require-await -- an interface for callers; a failure must be a rejection
export async function loadEngine(options: EngineOptions): Promise<Engine> {
  for (const name of ["contextLength", "slots", "threads"] as const) {
    if (!Number.isInteger(options[name]) || options[name] < 1) {
      throw new SecLlamaError("bad-config", `${name} is ${options[name]}, must be 1 or more`);
    }
  }
  const library = openLibrary(options.libDir, { verify: options.verifyLibraries ?? true });
  const gpuLayers = options.gpuLayers ?? 0;
  // llama.cpp would go on without a word, on the processor.
  if (gpuLayers !== 0 && library.gpuDevice() === null) {
    throw new SecLlamaError("model-failed", `${library.set.gpu ?? "llama.cpp"} found no GPU`);
  }
  const model = loadModel(library, options.modelPath, {
    gpuLayers,
    adapterPaths: options.adapterPaths ?? [],
    retyped: options.retyped ?? [],
    onLoading: options.onLoading,
  });
  try {
    return new LlamaEngine(library, model, options);
  } catch (error) {
    library.llama.llama_model_free(model.pointer);
    throw error;
  }
}

class LlamaEngine extends TextEngine implements Engine {
  readonly info: ModelInfo;
  readonly #library: Library;
  readonly #model: Model;
  readonly #candidates: Candidates;
  readonly #scheduler: Scheduler;
  readonly #embedder: Embedder;
  readonly #vision: Vision | undefined;

  constructor(library: Library, model: Model, options: EngineOptions) {
    super(model);
    this.#library = library;
    this.#model = model;
    const { vocabulary } = model;
    const trained = model.info.contextLength;
    const slotContextLength = trained > 0
      ? Math.min(options.contextLength, trained)
      : options.contextLength;
    const gpu = (options.gpuLayers ?? 0) === 0 ? null : library.gpuDevice();
    const { slots } = options;
    const batchSize = Math.max(options.batchSize ?? DEFAULT_BATCH_SIZE, slots);
    const threads = model.info.sizeBytes < ONE_THREAD_BYTES ? 1 : options.threads;
    const embedLength = model.generates
      ? Math.min(slotContextLength, GENERATOR_EMBED_TOKENS)
      : slotContextLength;
    // The first that is made: where it is refused there is nothing to be freed.
    this.#vision = options.vision && model.generates
      ? openVision(options.vision, {
        library,
        model: model.pointer,
        threads,
        gpu: gpu !== null,
        batchSize,
      })
      : undefined;
    this.info = {
      ...model.info,
      slotContextLength,
      embedLength,
      embedEnd: vocabulary.textEnd < 0 ? 0 : 1,
      ...(gpu === null ? {} : { gpu }),
      ...(this.#vision && {
        capabilities: [
          ...model.info.capabilities,
          ...(this.#vision.sees ? ["vision"] : []),
          ...(this.#vision.hears ? ["audio"] : []),
        ],
      }),
    };
    this.#candidates = new Candidates(vocabulary.size);
    const threadpool = createThreadpool(library, threads);
    this.#embedder = new Embedder({
      library,
      model: model.pointer,
      threadpool,
      threads,
      contextLength: embedLength,
      batchSize,
      embeddingLength: model.info.embeddingLength,
      adapters: model.adapters,
    });
    const batch = new Batch(batchSize, slots);
    const promptChunker = new PromptChunker(batchSize);
    const share = Math.ceil(slotContextLength / CONTEXT_GRANULE) * CONTEXT_GRANULE;
    const wished = Math.ceil((options.cacheCells ?? Infinity) / CONTEXT_GRANULE) * CONTEXT_GRANULE;
    const cells = Math.min(slots * share, Math.max(share, wished));
    const guessCosts = model.canTakeBack
      ? options.guessCosts ?? new MeasuredGuessCosts()
      : undefined;
    const flashAttention = chooseFlashAttention(options, model.headLengths[0]);
    let context: Pointer = null;
    let aloneMs = Infinity;
    if (model.generates) {
      context = createContext(library, model.pointer, threadpool, {
        totalTokens: cells,
        sequences: slots,
        // With enough for everybody, a part for each is the quicker way.
        shared: cells < slots * share,
        batchSize,
        microBatchSize: batchSize,
        outputs: Math.min(batchSize, slots + (guessCosts ? MOST_GUESSES : 0)),
        threads,
        flashAttention,
        cacheType: chooseCacheType(options, model.headLengths, flashAttention),
        adapters: model.adapters,
      });
      const token = Math.max(0, vocabulary.bos);
      aloneMs = warmUp(library.llama, context, { token, batch, promptChunker, threads });
    } else this.#embedder.prepare();
    const drafter = context === null || guessCosts === undefined
      ? undefined
      : drafterFor(options, { library, vocabulary, threadpool, threads, slotContextLength });
    this.info = { ...this.info, ...(drafter && { drafts: true }) };
    this.#scheduler = new Scheduler({
      llama: library.llama,
      context,
      batch,
      vision: this.#vision,
      promptChunker,
      batchPolicy: new BatchPolicy(),
      guessCosts,
      draft: drafter && { drafter, costs: options.draftCosts ?? new MeasuredDraftCosts() },
      stopSignal: context === null
        ? undefined
        : new StopSignal(library.llama, context, library.strlen),
      adaptiveThreads: new AdaptiveThreads({ threads, aloneMs, now: () => performance.now() }),
      slots,
      slotContextLength,
      cells,
      vocabularySize: vocabulary.size,
      queueLimit: options.queueLimit ?? DEFAULT_QUEUE_LIMIT,
      onClosed: () => {
        this.#embedder.free();
        drafter?.free();
        if (context !== null) library.llama.llama_free(context);
        library.freeThreadpool(threadpool);
        void Promise.all([vocabulary.idle(), this.#vision?.close()])
          .then(() => library.llama.llama_model_free(model.pointer));
      },
    });
  }

  async readPicture(
    bytes: Uint8Array<ArrayBuffer>,
    o: Parameters<Engine["readPicture"]>[1],
  ): Promise<Picture> {
    this.mustBeOpen();
    if (!this.#vision) throw new SecLlamaError("bad-request", "the model reads text only");
    return await this.#vision.prepare(bytes, o);
  }

  protected get closed(): boolean {
    return this.#scheduler.closed;
  }

  slotsBusy(): number {
    return this.#scheduler.busy;
  }

  steps(): number {
    return this.#scheduler.steps;
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    return { [Symbol.asyncIterator]: () => this.#start(request, signal) };
  }

  #start(request: GenerateRequest, signal: AbortSignal): AsyncIterator<GenerateEvent> {
    this.mustBeOpen();
    if (signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
    if (!this.#model.generates) {
      throw new SecLlamaError("bad-request", "the model makes embeddings and cannot generate");
    }
    if (this.#scheduler.full) {
      throw new SecLlamaError("busy", BUSY_TEXT);
    }
    checkSampling(request.sampling);
    checkLogitBias(request.logitBias, this.#model.vocabulary.size);
    const { vocabulary } = this.#model;
    const prompt = this.promptTokens(request);
    const sampler = new Sampler(
      this.#library.llama,
      { pointer: this.#model.vocabularyPointer, size: vocabulary.size },
      this.#candidates,
      {
        sampling: request.sampling,
        grammar: request.grammar,
        logitBias: request.logitBias,
        contextLength: this.info.slotContextLength,
      },
    );
    const lookBack = request.sampling.repeatLastN < 0
      ? prompt.length
      : request.sampling.repeatLastN;
    for (const token of prompt.subarray(Math.max(0, prompt.length - lookBack))) {
      if (token >= 0) sampler.acceptPrompt(token);
    }
    const scheduler = this.#scheduler;
    const generation = new Generation({
      request,
      prompt,
      sampler,
      vocabulary,
      signal,
      hooks: {
        onCancel: (cancelled) => scheduler.cancel(cancelled),
        onTake: () => scheduler.wake(),
      },
    });
    scheduler.submit(generation);
    return generation.events;
  }

  async embed(
    tokens: Int32Array,
    { client, signal }: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<Float32Array> {
    this.mustBeTokens(tokens);
    if (this.info.capabilities.includes("rerank")) {
      throw new SecLlamaError("bad-request", "the model ranks texts and makes no embeddings");
    }
    const { vocabulary } = this.#model;
    return await this.#task(
      client,
      signal,
      () => this.#embedder.embed(vocabulary.wholeText(tokens), signal),
    );
  }

  async rank(
    tokens: Int32Array,
    { client, signal }: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<number> {
    this.mustBeTokens(tokens);
    if (!this.info.capabilities.includes("rerank")) {
      throw new SecLlamaError("bad-request", "the model does not rank texts");
    }
    return await this.#task(client, signal, () => this.#embedder.rank(tokens, signal));
  }

  /** Runs work for the contexts between two steps, in the client's turn. */
  #task<T>(client: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.task(client, async () => {
        try {
          if (this.#scheduler.closed || signal.aborted) {
            throw new SecLlamaError("cancelled", "the request was cancelled");
          }
          resolve(await work());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  close(): void {
    if (!this.#scheduler.closed) this.#scheduler.close();
  }
}

/** The model that guesses for the one that is loaded; undefined: none was named, or it was refused, and the one that asked was told. */
function drafterFor(
  options: EngineOptions,
  { slotContextLength: contextLength, ...parts }: {
    readonly library: Library;
    readonly vocabulary: Model["vocabulary"];
    readonly threadpool: Pointer;
    readonly threads: number;
    readonly slotContextLength: number;
  },
): Drafter | undefined {
  const { draft } = options;
  if (draft === undefined) return undefined;
  try {
    return openDrafter({ ...options, ...parts, contextLength, path: draft.path });
  } catch (error) {
    if (draft.onRefused === undefined) throw error;
    draft.onRefused(error);
    return undefined;
  }
}
