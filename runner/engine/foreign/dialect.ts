/** What engines of others are asked, and how their answers are read. One file each implements it. */
import type { GenerateRequest } from "../types.ts";

/** A token that an engine has said, or what it said when it was several. */
export interface Said {
  /** Tokens of the reply, in their order. */
  readonly tokens: readonly number[];
  /** Their text, where the engine kept back tokens that are no whole characters; else absent: the vocabulary has it. */
  readonly text?: string;
  /** Present when asked for: of the last of them. */
  readonly logprob?: number;
  /** The most probable in its place, best first. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[];
}

/** A piece of an engine's answer. */
export type Piece =
  | ({ readonly type: "said" } & Said)
  | {
    readonly type: "progress";
    readonly total: number;
    readonly cached: number;
    readonly processed: number;
  }
  | {
    readonly type: "end";
    readonly reason: "stop" | "length";
    /** Of the prompt, those that it had already. */
    readonly cached?: number;
    /** Tokens of the prompt, where only the engine knows what its pictures take. */
    readonly prompt?: number;
    /** Of the reply, the one that ended it included. */
    readonly made?: number;
  };

/** A prompt with pictures, as text: the engine tokenizes it. */
export interface PromptText {
  /** Control tokens as their texts, the engine's own marker where a picture stands. */
  readonly text: string;
  /** The files, in their order, as base64. */
  readonly files: readonly string[];
}

/** What an engine's projector is for, and the text that a picture's place is marked by. */
export interface Senses {
  readonly sees: boolean;
  readonly hears: boolean;
  readonly marker: string;
}

/** How one engine is spoken to. */
export interface Dialect {
  /** Asked until it answers 200: then the model is loaded. */
  readonly healthPath: string;
  /** Where it tells of its work, and what of that changes with each step that it computes; undefined: nothing does. */
  readonly progress: { readonly path: string; read(text: string): string | undefined };
  /** Where, and what, of one prompt. */
  readonly path: string;
  body(
    request: GenerateRequest,
    /** Its tokens, or where there are pictures what pictures.ts made. */
    prompt: Int32Array | PromptText,
    o: {
      /** Which of its slots; whether what that holds is this client's own. */
      readonly slot: number;
      readonly keeps: boolean;
    },
  ): unknown;
  /** Reads one event of the answer. @param made Tokens that were read before. @throws {HttpError} */
  read(event: unknown, made: number): Iterable<Piece>;
  /** How it is asked what its projector is for. Absent: it is given no pictures. */
  readonly pictures?: { readonly path: string; read(answer: unknown): Senses };
  /** Absent: it makes no embeddings. */
  readonly embedding?: {
    readonly path: string;
    body(tokens: Int32Array): unknown;
    /** @throws {HttpError} */
    read(answer: unknown): number[];
  };
}
