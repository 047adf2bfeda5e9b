/** Texts that clients match on, word for word as Ollama has them, and texts that several layers say. */

/** The queue is full. Two spaces, as in Ollama. */
export const BUSY_TEXT = "server busy, please try again.  maximum pending requests exceeded";
export const MODEL_REQUIRED_TEXT = "model is required";
export const MISSING_BODY_TEXT = "missing request body";
export const NOT_UTF8_TEXT = "the request body must be UTF-8";
export const NOT_JSON_TEXT = "the request body must be JSON";
export const NOT_OBJECT_TEXT = "the request body must be a JSON object";
export const CONTEXT_TOO_LONG_TEXT = "the input length exceeds the context length";
export const BAD_DIGEST_TEXT = "invalid digest format";
export const TOP_LOGPROBS_TEXT = "top_logprobs must be between 0 and 20";
/** What `GET /` answers: clients look for it to find out whether a server of Ollama's API is there. */
export const RUNNING_TEXT = "Ollama is running";

/** What to do where management of models is refused. */
export const MANAGEMENT_HINT = "on the host, run: secllama import, pull, create, list or rm; " +
  "or start serve with --allow-model-management";

/**
 * The version of Ollama whose API this one was compared with: what `GET /api/version` answers, since clients (VS Code's
 * Copilot, Codex, …) refuse to talk to a server that is older than what they need.
 */
export const OLLAMA_API_VERSION = "0.32.15";

// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/g;

/** A stranger's text as one line of at most 300 characters that may stand on a terminal; undefined: it is none. */
export function printable(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  return value.slice(0, 300).replace(UNPRINTABLE, " ");
}

/** @param name As the user wrote it. */
export function modelNotFoundText(name: string): string {
  return `model '${printable(name.slice(0, 200)) ?? ""}' not found`;
}

/** Of the list of loaded models: what the asker may do besides asking, "stop" or nothing. */
export const MAY_HEADER = "Secllama-May";
