/**
 * The one request and the one reply that every dialect of the API is an adapter over. Nothing here names a dialect,
 * and nothing here names the engine's machinery: the engine's own data types are used as they are.
 */
import type { UsedTokens } from "../../src/api/pipe_messages.ts";
import type { LongWork } from "../turns.ts";
import type {
  ChatMessage,
  PictureFile,
  PromptProgress,
  Sampling,
  ToolCall,
  ToolDefinition,
} from "../engine/types.ts";

export type Think = boolean | "low" | "medium" | "high";

/** What the reply must be: any JSON object, JSON that a schema allows, or what a grammar in GBNF does. */
export type Format =
  | { readonly kind: "json" }
  /** `field`: that of the request it came from, for errors. */
  | { readonly kind: "schema"; readonly schema: unknown; readonly field: string }
  | { readonly kind: "grammar"; readonly source: string; readonly field: string };

/** `auto`: the model may call; `required`: it must call something; a name: it must call that tool. */
export type ToolChoice = "auto" | "required" | { readonly name: string };

export interface GenerationOptions {
  readonly sampling: Sampling;
  /** Tokens of reply; -1: until the context is full. */
  readonly maxTokens: number;
  readonly stop: readonly string[];
  /** Tokens of prompt and reply together; no more than the engine's slot has. */
  readonly contextLength?: number;
  /** Tokens at the start of a prompt that stay, where something is left out; -1: all. */
  readonly keepTokens: number;
  /** What is added to the logits of tokens, by their ids; -Infinity: the token does not come. */
  readonly logitBias?: ReadonlyMap<number, number>;
}

export interface ChatPrompt {
  readonly kind: "chat";
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: ToolChoice;
  /** Whatever the model writes, no more than one call is passed on. */
  readonly oneCall?: boolean;
  /** Tokens of earlier turns that stand before the messages (Ollama's `context`). */
  readonly context?: Int32Array;
  /** Default: a last message of the assistant's is continued, else one is begun. */
  readonly addGenerationPrompt?: boolean;
  /** What else the model's own template is told, by names. */
  readonly templateValues?: Readonly<Record<string, unknown>>;
}

interface RawPrompt {
  readonly kind: "raw";
  /** The whole prompt as the client wrote it, control tokens included; or its tokens. */
  readonly text: string | Int32Array;
}

interface InsertPrompt {
  readonly kind: "insert";
  readonly prefix: string;
  readonly suffix: string;
}

/** A prompt made by a template in Ollama's language. */
export interface TemplatePrompt {
  readonly kind: "template";
  readonly template: string;
  readonly system: string;
  readonly prompt: string;
  readonly suffix: string;
  readonly context?: Int32Array;
}

export interface InferenceRequest {
  /** The name the client used, for messages. */
  readonly model: string;
  readonly prompt: ChatPrompt | RawPrompt | InsertPrompt | TemplatePrompt;
  readonly options: GenerationOptions;
  readonly think?: Think;
  readonly format?: Format;
  /** Alternatives to report with each token; 0: the token's own only; absent: none. */
  readonly logprobs?: number;
  /** Whether a prompt that is too long is cut instead of refused. */
  readonly truncate: boolean;
  /** Whether a reply that fills the context goes on without the oldest tokens. Default false: it ends. */
  readonly shift?: boolean;
  /** Pictures of a prompt that is no conversation: markers in its text stand for them. */
  readonly pictures?: readonly PictureFile[];
  /** Whether the reply tells how far its prompt is read. */
  readonly progress?: true;
  /** Whether each piece of the reply tells what it cost so far. */
  readonly timings?: true;
  /** Fields that have no effect here. */
  readonly ignored?: readonly string[];
}

/** Who calls, and until when. */
export interface Call {
  readonly client: string;
  /** The answer's id, where the dialect has a header for it; Anthropic's errors repeat it. */
  readonly requestId?: string;
  readonly signal: AbortSignal;
  /** `performance.now()` when the request came in. */
  readonly startedAt: number;
  /** Milliseconds the request had waited for the model to load before that. */
  readonly waitedMs: number;
  /** Milliseconds of silence after which a stream gives a sign of life. */
  readonly lifeSignMs: number;
  /** Told how many tokens it cost, as soon as that is known. */
  readonly used?: (tokens: UsedTokens) => void;
  /** Most tokens of a reply, whatever the request asks for. Default: no limit. */
  readonly replyTokens?: number;
  /** What is found out on the way, for the answer's headers. */
  readonly notes: {
    cut?: Cut;
    /** Fields that had no effect. */
    readonly ignored: string[];
  };
}

/** A prompt that was cut to the context, in tokens. */
export interface Cut {
  /** What was asked; absent: too long to be counted. */
  readonly prompt?: number;
  /** What the model was given of it. */
  readonly kept: number;
}

export interface Logprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface TokenLogprobs extends Logprob {
  readonly top: readonly Logprob[];
}

/** All nanoseconds are integers. */
export interface Usage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly evalTokens: number;
  /** Of `evalTokens`, those of the thought. */
  readonly thinkingTokens: number;
  readonly totalNs: number;
  readonly loadNs: number;
  readonly promptNs: number;
  readonly evalNs: number;
}

export type NamedToolCall = ToolCall & {
  readonly id: string;
  /** The reply was cut within the call: JSON of the arguments that breaks off. `arguments` has what is whole of it. */
  readonly partial?: string;
  /** The arguments' JSON text, where it is not what the arguments would be written as. */
  readonly json?: string;
};

/** What came of a call. The `json` of all pieces of one id, joined, is what {@link NamedToolCall} has as its text. */
export interface ToolCallDelta {
  readonly id: string;
  readonly name: string;
  readonly json: string;
  /** The call, with its last piece. */
  readonly call?: NamedToolCall;
}

/** First one `start`, or several that tell of the prompt, then deltas, then one `done`; an error is thrown in between. */
export type ReplyEvent =
  | {
    readonly type: "start";
    readonly promptTokens: number;
    /** Where it was asked for, in starts behind the first. */
    readonly progress?: PromptProgress & { readonly ms: number };
  }
  | {
    readonly type: "delta";
    readonly text: string;
    readonly thinking: string;
    /** Those that are whole by now. */
    readonly toolCalls: readonly NamedToolCall[];
    /** What came of calls, `toolCalls` among it, in order. One call is whole before the next begins. */
    readonly toolDeltas: readonly ToolCallDelta[];
    readonly logprobs: readonly TokenLogprobs[];
    /** Where it was asked for: what the reply cost up to here. */
    readonly soFar?: Usage;
  }
  | {
    readonly type: "done";
    readonly reason: "stop" | "length";
    readonly stopSequence?: string;
    readonly calledTools: boolean;
    readonly usage: Usage;
    /** Prompt and reply as tokens, without pictures. */
    readonly context: readonly number[];
    /** So many of them are the prompt's. */
    readonly contextPrompt: number;
  };

export type Reply = AsyncGenerator<ReplyEvent, void, void>;

/** A whole reply, joined. */
export interface CollectedReply {
  readonly text: string;
  readonly thinking: string;
  readonly toolCalls: readonly NamedToolCall[];
  readonly logprobs: readonly TokenLogprobs[];
  readonly done: Extract<ReplyEvent, { type: "done" }>;
}

export interface EmbedRequest {
  readonly model: string;
  readonly inputs: readonly (string | Int32Array)[];
  /** Whether an input that is too long is cut instead of refused. */
  readonly truncate: boolean;
  /** Tokens of one input; no more than the engine has room for. */
  readonly contextLength?: number;
  /** Leading elements of each vector to keep, normalised again. */
  readonly dimensions?: number;
}

export interface EmbedReply {
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
  readonly totalNs: number;
  readonly loadNs: number;
}

export interface RankRequest {
  readonly model: string;
  readonly query: string;
  readonly documents: readonly string[];
}

export interface RankReply {
  /** In the documents' order; larger is better. */
  readonly scores: readonly number[];
  readonly promptTokens: number;
}

/** What a Modelfile adds to a model: used where the request says nothing. */
export interface ModelDefaults {
  /** The system message of conversations that have none. */
  readonly system?: string;
  /** In Ollama's template language; absent: the model's own chat template. */
  readonly template?: string;
  /** Messages that come before the request's own. */
  readonly messages?: readonly ChatMessage[];
  /** PARAMETER lines, by their names in `options`. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What the dialects may ask for. */
export interface Service {
  readonly defaults: ModelDefaults;
  readonly baseOptions: GenerationOptions;
  readonly supportsThinking: boolean;
  /** Whether the model sees, and hears; else it reads text only. */
  readonly sees: boolean;
  readonly hears: boolean;
  readonly vocabularySize: number;
  /** Whether the prompts of `/v1/completions` go through the template. */
  readonly templateCompletions: boolean;
  /** @throws {SecLlamaError} `bad-request` if `name` is empty, `not-found` if it is another model's. */
  checkModel(name: string | undefined): string;
  infer(request: InferenceRequest, call: Call): Reply;
  embed(request: EmbedRequest, call: Call): Promise<EmbedReply>;
  rank(request: RankRequest, call: Call): Promise<RankReply>;
  countTokens(request: InferenceRequest, call: Call): Promise<number>;
  /**
   * The tokens of a text. `special`: text of control tokens becomes those tokens; `bos`: they begin as a prompt does.
   * @throws {SecLlamaError} `too-large`.
   */
  tokenize(o: { text: string; special: boolean; bos: boolean }, call: Call): Promise<Int32Array>;
  /** Text of tokens of the vocabulary; control tokens that begin or end something have none. */
  detokenize(tokens: Int32Array): string;
  /** A token's bytes, of a control token its text's. */
  bytesOf(token: number): Uint8Array;
  /** The whole prompt, of a conversation what the template makes of it, with `<__media__>` for each picture. */
  promptText(request: InferenceRequest, call: Call): Promise<string>;
  /** Does work in turns with whatever else is done on this thread. @throws What the work throws. */
  inTurns<T>(work: LongWork<T>, call: Call): Promise<T>;
  /** A whole answer, written in turns. */
  json(value: unknown, call: Call): Promise<Response>;
  /** Tells the supervisor how long the model is to stay loaded, and which client asks for it. */
  keepAlive(value: number | "forever", client: string): void;
}
