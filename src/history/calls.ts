/** What can be asked of the history's thread, and how questions and answers look on their way. */
import { type ErrorCode, type ErrorOptions, SecLlamaError, toSecLlamaError } from "../errors.ts";
import type { Bytes } from "../bytes.ts";
import type { History } from "./history.ts";
import type { VaultKey } from "./vault.ts";

/** The methods of {@link History} that a program may call. */
export const CALLS = [
  "list",
  "create",
  "get",
  "update",
  "append",
  "remove",
  "undelete",
  "erase",
  "search",
  "prompts",
  "setPrompts",
  "importFile",
  "documents",
  "addDocument",
  "scanDocument",
  "removeDocument",
  "searchDocuments",
  "embedding",
  "setEmbedding",
  "unembedded",
  "addVectors",
] as const satisfies readonly (keyof History)[];

export type Call = typeof CALLS[number];

/** The history as it is asked from another thread, or over HTTP. */
export type HistoryCalls = {
  readonly [name in Call]: (
    ...values: Parameters<History[name]>
  ) => Promise<Awaited<ReturnType<History[name]>>>;
};

/** How an answer is written: a conversation may be Markdown. */
export type Written = "json" | "markdown";

/**
 * The history for who passes on what it says, and reads none of it. A conversation may be hundreds of megabytes, which to clone and to
 * write stops a loop for seconds: the history's thread does both.
 */
export interface HistoryBytes {
  /** What a call answers, in UTF-8. */
  written(as: Written, call: Call, ...values: readonly unknown[]): Promise<Bytes>;
  /** A message's JSON, for `append`. */
  appendJson(conversation: string, body: Bytes): Promise<{ id: string }>;
}

/** To the thread: opens it, or asks it. */
export type Question =
  | { readonly id: number; readonly loaded: true }
  | { readonly id: number; readonly open: { dataDir: string; vault: readonly VaultKey[] } }
  | {
    readonly id: number;
    readonly call: Call;
    readonly values: readonly unknown[];
    /** The answer's bytes are wanted, not the answer. */
    readonly written?: Written;
  }
  | { readonly id: number; readonly close: true };

/** An error of ours without its cause, which may hold content. */
interface Failure extends Pick<ErrorOptions, "hint" | "field"> {
  readonly code: ErrorCode;
  readonly message: string;
}

/** From the thread. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure };

/** An error for its way to another thread or process. */
export function failureOf(error: unknown): Failure {
  const { code, message, hint, field } = toSecLlamaError(error);
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { field }),
  };
}

/** The error again. */
export function errorOf({ code, message, ...rest }: Failure): SecLlamaError {
  return new SecLlamaError(code, message, rest);
}
