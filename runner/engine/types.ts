/**
 * The interface between the engine and everything above it. No dialect of any HTTP API shows here, and no
 * detail of llama.cpp.
 */
import type { Budget, Work } from "../../src/budget.ts";
import type { LongWork } from "../turns.ts";
import type { DraftCosts, GuessCosts } from "./guess_costs.ts";
import type { Picture } from "./vision/picture.ts";

/** How to load a model. */
export interface EngineOptions {
  /** Folder of the pinned llama.cpp libraries, as seen from inside the sandbox. */
  readonly libDir: string;
  /** The GGUF file, as seen from inside the sandbox. */
  readonly modelPath: string;
  /** LoRA adapters for the model, all applied at their full scale. Default none. */
  readonly adapterPaths?: readonly string[];
  /** For a model that sees: llama.cpp's library for pictures, and the file of the encoder. Default: it reads text only. */
  readonly vision?: {
    readonly libraryPath: string;
    readonly projectorPath: string;
    /** Told that they cannot be used: the model then reads text only. Absent: it is not loaded. */
    onRefused?(error: unknown): void;
  };
  /** Type of the cache; `q8_0` where heads fill its blocks of 32 values and flash attention is not off, else as `f16`. Default `f16`. */
  readonly cacheType?: "f16" | "q8_0";
  /** A smaller model of the same vocabulary that guesses tokens ahead, which changes nothing of what comes out. Default none. */
  readonly draft?: {
    readonly path: string;
    /** Told that it cannot be used: none is then. Absent: the model is not loaded. */
    onRefused?(error: unknown): void;
  };
  /** As {@link guessCosts}, of the draft model's guesses. */
  readonly draftCosts?: DraftCosts;
  /** How many tokens are guessed ahead, which changes nothing of what comes out. Default: as many as are measured to pay. */
  readonly guessCosts?: GuessCosts;
  /** Numbers of the metadata, by their keys, that count in place of the file's. Default none. */
  readonly retyped?: readonly {
    readonly key: string;
    readonly kind: "int" | "float";
    readonly value: number;
  }[];
  /** Told now and then how much of the model's file is loaded, from 0 to 1, while the thread does nothing else. Default: nobody is. */
  readonly onLoading?: (share: number) => void;
  /** Tokens of context that one sequence may have. */
  readonly contextLength: number;
  /** Cells of the cache, of one token each, that all slots share. Default: the whole context for each slot. */
  readonly cacheCells?: number;
  /** Sequences decoded at the same time; more requests wait. */
  readonly slots: number;
  /** Threads that compute. */
  readonly threads: number;
  /** Tokens of one decode call at most: prompt chunks are never larger. Default 512. */
  readonly batchSize?: number;
  /** Layers on the GPU; 0 is CPU only. Default 0. */
  readonly gpuLayers?: number;
  /** Requests that may wait for a slot before `generate` fails with `busy`. Default 512. */
  readonly queueLimit?: number;
  /** Flash attention. Default "auto": llama.cpp decides. */
  readonly flashAttention?: "auto" | "on" | "off";
  /** Whether the library files' SHA-256 are compared with the pinned table. Default true. */
  readonly verifyLibraries?: boolean;
}

/** What is known of the loaded model. */
export interface ModelInfo {
  /** `general.name`. */
  readonly name?: string;
  /** `general.architecture`, e.g. "llama". */
  readonly architecture: string;
  /** Numbers in all tensors. */
  readonly parameterCount: number;
  /** Tokens of context the model was trained with. */
  readonly contextLength: number;
  /** llama.cpp's name of the GPU that it computes on; absent: on the processor. */
  readonly gpu?: string;
  /** Tokens of context one slot has here. */
  readonly slotContextLength: number;
  /** Tokens that a text to embed may have. */
  readonly embedLength: number;
  /** Of these, tokens that the engine puts behind the text; absent: none. */
  readonly embedEnd?: number;
  /** Numbers of one embedding. */
  readonly embeddingLength: number;
  /** Blocks of the network. */
  readonly layerCount: number;
  /** Whether a second model guesses for it; absent: none does. */
  readonly drafts?: boolean;
  /** Bytes of all tensors. */
  readonly sizeBytes: number;
  /** As in a file name: "Q8_0", "Q4_K_M", "F32". */
  readonly quantization: string;
  /** The Jinja template in the file. */
  readonly chatTemplate?: string;
  /** Whether a prompt goes through an encoder. */
  readonly hasEncoder: boolean;
  /** Whether it can generate at all. */
  readonly hasDecoder: boolean;
  /** Tokens of the vocabulary. */
  readonly vocabularySize: number;
  /** Ollama's words: "completion", "tools", "thinking", "insert", "embedding", "vision"; and "audio", "rerank". */
  readonly capabilities: readonly string[];
  /** Scalar GGUF metadata as text; arrays are left out. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A piece of a prompt. Pieces are tokenized as one text, but no control token arises across two of them.
 * `special`: text of control tokens becomes those tokens; else it stays text.
 */
export interface PromptPart {
  /** The text. */
  readonly text: string;
  /** Whether text of control tokens becomes those tokens. */
  readonly special: boolean;
  /** A picture in place of the text, which is empty. */
  readonly picture?: Picture;
  /** Of what is not special: an earlier reply of the model's. The tags of its thinking may be tokens. */
  readonly reply?: true;
}

/** Ollama's defaults: 0.8, 40, 0.9, 0.0, -, -, 1.0 (none), 64, 0, 0. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0: the whole vocabulary. */
  readonly topK: number;
  /** Tokens that have this much of the probability together are kept; 1 keeps all. */
  readonly topP: number;
  /** Tokens below this share of the best one's probability are left out; 0 keeps all. */
  readonly minP: number;
  /** Locally typical sampling; 1, or absent, keeps all. */
  readonly typicalP?: number;
  /** Absent: random. */
  readonly seed?: number;
  /** Divides what speaks for a token that came already; 1 is off. */
  readonly repeatPenalty: number;
  /** Tokens the penalties look back on; -1 is the whole context, 0 is off. */
  readonly repeatLastN: number;
  /** Taken off once for a token that came already; 0 is off. */
  readonly presencePenalty: number;
  /** Taken off for each time that a token came; 0 is off. */
  readonly frequencyPenalty: number;
}

/** What counts where a request and the model's Modelfile say nothing. */
export const DEFAULT_SAMPLING: Sampling = {
  temperature: 0.8,
  topK: 40,
  topP: 0.9,
  minP: 0,
  repeatPenalty: 1,
  repeatLastN: 64,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

/** One prompt, and how its reply is to be made. */
export interface GenerateRequest {
  /** The text, or its tokens: ids of pieces of `pictures` among them. */
  readonly prompt: readonly PromptPart[] | Int32Array;
  /** Those that are in the prompt. Held until the reply has ended. */
  readonly pictures?: readonly Picture[];
  /** Whose request it is: a finished prefix is reused for the same client only. */
  readonly client: string;
  /** -1: until the context is full, or without end if it shifts. 0: only evaluate the prompt. */
  readonly maxTokens: number;
  /** Texts that end the reply; none of them is part of it. */
  readonly stop: readonly string[];
  /** How each token is chosen. */
  readonly sampling: Sampling;
  /** Added to the logits of tokens, by their ids, before all else; -Infinity forbids one. Default none. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** GBNF with a rule `root`. */
  readonly grammar?: string;
  /** Absent, or with pictures in the prompt: a reply that fills the context ends there. */
  readonly shift?: ContextShift;
  /** Ends a thought that becomes too long. */
  readonly thought?: ThoughtLimit;
  /** Whether it tells how far the prompt is read: when it is begun, and after each step. */
  readonly progress?: true;
  /** Number of alternatives to report with each token; 0 reports the chosen token's only. Absent: none. At most 20. */
  readonly logprobs?: number;
  /** Whether the prompt begins with the model's BOS token. Default: as the model wants; never doubled. */
  readonly bos?: boolean;
}

/** How a reply may go on past the context. */
export interface ContextShift {
  /** Tokens at the start of the prompt that stay. */
  readonly keep: number;
  /** Tokens of prompt and reply at which the oldest go; at most the slot's context. */
  readonly window: number;
}

/** How a thought is ended that becomes too long. */
export interface ThoughtLimit {
  /** The text that begins a thought, at the start of the reply; absent: the prompt has begun one. */
  readonly open?: string;
  /** The text that ends it, and its tokens, which are put in once the reply has `most` tokens. */
  readonly close: string;
  /** The tokens of `close`. */
  readonly closeTokens: Int32Array;
  /** Tokens of a reply from which on the thought is ended. */
  readonly most: number;
}

/** A token, and how probable the model held it. */
export interface TokenLogprob {
  /** The token's number in the vocabulary. */
  readonly id: number;
  /** The token's text; U+FFFD for bytes that are no whole character. */
  readonly text: string;
  /** The token's bytes, which need not be whole characters. */
  readonly bytes: Uint8Array;
  /** Natural logarithm of the probability the model gave, before any sampling option. */
  readonly logprob: number;
}

/** How much of a prompt is read, in tokens. */
export interface PromptProgress {
  /** Of the prompt. */
  readonly total: number;
  /** That were in the slot already. */
  readonly cached: number;
  /** That are read, cached ones included. */
  readonly processed: number;
}

/** What a generation reports: how far its prompt is, if that was asked for; each token as it comes; and one end. */
export type GenerateEvent =
  | ({ readonly type: "progress" } & PromptProgress)
  | {
    readonly type: "token";
    /** New text; "" while UTF-8 is incomplete or a stop string may be forming. */
    readonly text: string;
    readonly id: number;
    /** Present when `logprobs` was asked for. */
    readonly logprob?: TokenLogprob;
    /** The most probable alternatives, best first. */
    readonly top?: readonly TokenLogprob[];
    /** Not a new token: the text that was held back, given out at the end. */
    readonly continued?: true;
  }
  | {
    readonly type: "done";
    readonly reason: "stop" | "length";
    /** The stop string that ended it, if one did. */
    readonly stopSequence?: string;
    /** Tokens of the prompt, cached ones included. */
    readonly promptTokens: number;
    /** Tokens of the prompt that were in the slot already. */
    readonly cachedTokens: number;
    readonly evalTokens: number;
    readonly promptMs: number;
    readonly evalMs: number;
    /** Prompt and reply, to be given back as the `context` of Ollama's generate. */
    readonly context: readonly number[];
  };

/** A call that the model made of a tool. */
export interface ToolCall {
  /** The id that its result names; absent in dialects without one. */
  readonly id?: string;
  /** The tool's name. */
  readonly name: string;
  /** Parsed arguments. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A picture as it was sent. */
export interface PictureFile {
  /** The text that stands for it. */
  readonly marker: string;
  /** What it is sent as; whether it is that is found out. */
  readonly kind: MediaKind;
  /** As it was sent. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it was in the request. */
  readonly field: string;
  /** Nobody can take it back: where it cannot be read, a text stands for it. */
  readonly past: boolean;
}

/** One message of a conversation. */
export interface ChatMessage {
  /** "system", "user", "assistant", "tool", and a few that only some templates know; any other is refused. */
  readonly role: string;
  /** What it says. */
  readonly content: string;
  /** Of the assistant: what it thought before it said it. */
  readonly thinking?: string;
  /** Of the assistant: the tools that it called. */
  readonly toolCalls?: readonly ToolCall[];
  /** For role "tool": which tool, and which call, this answers. */
  readonly toolName?: string;
  /** For role "tool": the id of the call that this answers. */
  readonly toolCallId?: string;
  /** Pictures that markers in `content` stand for. Templates are not told. */
  readonly pictures?: readonly PictureFile[];
}

/** A tool that the model may call. */
export interface ToolDefinition {
  /** What the model calls it by. */
  readonly name: string;
  /** What it does, for the model. */
  readonly description?: string;
  /** JSON schema of the arguments. */
  readonly parameters?: unknown;
  /** The arguments of every call fit the schema. Templates are not told. */
  readonly strict?: boolean;
}

/** A conversation, as a chat template takes it. */
export interface ChatInput {
  /** In their order. */
  readonly messages: readonly ChatMessage[];
  /** The tools that may be called. Default none. */
  readonly tools?: readonly ToolDefinition[];
  /** Absent: the template decides. A level ("low", "medium", "high") counts as true. */
  readonly think?: boolean | "low" | "medium" | "high";
  /** Default true, unless the last message is the assistant's: then its text is left open, to be continued. */
  readonly addGenerationPrompt?: boolean;
  /** What else the template is told, by names. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** What a file of a request holds. */
export type MediaKind = "picture" | "sound";

/** One loaded model. `close` frees it. */
export interface Engine {
  /** What is known of the model. */
  readonly info: ModelInfo;
  /** `special`: text of control tokens becomes those tokens. `bos`: begin with BOS, default false. */
  tokenize(text: string, o: { special: boolean; bos?: boolean }): Int32Array;
  /** Prompt parts to tokens, BOS as `generate` would place it. */
  tokenizePrompt(parts: readonly PromptPart[], o?: { bos?: boolean }): Int32Array;
  /**
   * As `tokenizePrompt`, so that nobody is kept waiting. `most`: tokens that there is room for; undefined: there are more,
   * which shows without making all of them.
   */
  tokenizeInTurns(
    parts: readonly PromptPart[],
    o?: { bos?: boolean; most?: number },
  ): LongWork<Int32Array | undefined>;
  /** About how many tokens a prompt of any length has. */
  countAbout(parts: readonly PromptPart[]): Work<number>;
  /** Text of tokens; control tokens have none. Broken UTF-8 shows as U+FFFD. */
  detokenize(tokens: Iterable<number>): string;
  /** The bytes of a token, which need not be whole characters; of a control token, its text's. */
  bytesOf(token: number): Uint8Array;
  /**
   * Runs one request; waits for a slot if none is free. Breaking out of the iteration, or the signal, frees the slot. What is
   * not taken is refused as the iteration is asked for, before its first event.
   * @throws {SecLlamaError} `bad-request`: the prompt does not fit the context, or is empty, or the grammar is not one;
   * `busy`: the queue is full; `cancelled`: by the signal; `model-failed`: llama.cpp refused to decode.
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent>;
  /**
   * The normalised embedding (L2 = 1) of one text. The tokens that the model wants at a text's ends are added if missing.
   * @throws {SecLlamaError} `bad-request`: empty or longer than the context; `cancelled`; `model-failed`.
   */
  embed(
    tokens: Int32Array,
    o: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<Float32Array>;
  /**
   * The tokens of a query and a document, put together as a model that ranks was trained to see them.
   * @param o.most Tokens that there is room for; undefined comes back if there are more.
   */
  pairInTurns(
    query: string,
    document: string,
    o: { most: number },
  ): LongWork<Int32Array | undefined>;
  /**
   * How well a document answers a query, as the model's head says it: a larger number is a better answer.
   * @param tokens Of the pair.
   * @throws {SecLlamaError} `bad-request`: the model does not rank (no capability "rerank"), or they are longer than the
   * context; `cancelled`; `model-failed`.
   */
  rank(
    tokens: Int32Array,
    o: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<number>;
  /**
   * The prompt the model's chat template makes of the messages. Text of control tokens inside messages stays text.
   * @throws {SecLlamaError} `bad-request`: the template refuses the messages, or takes more than the budget holds for them;
   * `bad-model`: the template itself is broken.
   */
  renderChat(chat: ChatInput, budget: Budget): Work<PromptPart[]>;
  /**
   * The tokens of a prompt whose middle is to be filled in.
   * @throws {SecLlamaError} `bad-request`: the model has no tokens for it (no capability "insert").
   */
  infill(prefix: Int32Array, suffix: Int32Array): Int32Array;
  /**
   * Reads a picture, if the model sees, or a sound, if it hears. The caller holds what it gets, and lets go of it with its disposal.
   * @param bytes A PNG, JPEG, GIF or BMP file; of a sound a WAV or MP3 file.
   * @param o.kind Default: a picture.
   * @throws {SecLlamaError} `bad-request`: it is none, is broken or too large; the model reads text only; `cancelled`: by the signal.
   */
  readPicture(
    bytes: Uint8Array<ArrayBuffer>,
    o: { readonly client: string; readonly signal?: AbortSignal; readonly kind?: MediaKind },
  ): Promise<Picture>;
  /** Slots with a request that runs. */
  slotsBusy(): number;
  /** Batches decoded since the start: while slots are busy it must grow. */
  steps(): number;
  /** Ends what runs with `cancelled` and frees the model. Idempotent. */
  close(): void;
}
