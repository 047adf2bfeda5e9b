/** The API's paths by what they are: gateway and proxy must agree on them, or a path would be sealed by one and served by the other. */

/** Inference: carries a conversation, so it is sealed. The model is named in the JSON body. */
export const INFERENCE_PATHS: readonly string[] = [
  "/api/chat",
  "/api/generate",
  "/api/embed",
  "/api/embeddings",
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
  "/v1/responses/input_tokens",
  "/v1/messages",
  "/v1/messages/count_tokens",
];

/** Management of models: off over the network. */
export const MANAGEMENT_PATHS = /^\/api\/(?:pull|push|create|copy|delete|blobs)(?:\/|$)/;

/** What to do where management is refused. */
export const MANAGEMENT_HINT = "on the host, run: secllama import, pull, create, list or rm; " +
  "or start serve with --allow-model-management";

/** A path without the one slash at its end that some clients add; what it means is the same. */
export function canonicalPath(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** The dialect whose error shape a path's clients read. */
export function dialectOf(path: string): "ollama" | "openai" | "anthropic" {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}

/**
 * The version of Ollama whose API this one was compared with: what `GET /api/version` answers, since clients (VS Code's
 * Copilot, Codex, …) refuse to talk to a server that is older than what they need.
 */
export const OLLAMA_API_VERSION = "0.32.15";
