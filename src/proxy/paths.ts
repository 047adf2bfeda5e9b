/** Which path is what: inference is sealed, metadata is asked of the gateway as it is, management is refused. */
import { INFERENCE_PATHS, MANAGEMENT_PATHS } from "../http/api_paths.ts";

const SEALED = new Set(INFERENCE_PATHS);

/** Metadata: nothing in it is a conversation, and the gateway answers it. */
const METADATA: readonly (readonly [methods: readonly string[], path: RegExp])[] = [
  [["GET", "HEAD"], /^\/$/],
  [["GET", "HEAD"], /^\/healthz$/],
  [["GET", "HEAD"], /^\/api\/version$/],
  [["GET", "HEAD"], /^\/api\/tags$/],
  [["GET"], /^\/api\/ps$/],
  [["POST"], /^\/api\/show$/],
  [["GET"], /^\/v1\/models$/],
  [["GET"], /^\/v1\/models\/[A-Za-z0-9._:\/%-]{1,350}$/],
  [["GET"], /^\/api\/security\/status$/],
];

export type PathKind = "sealed" | "metadata" | "management" | "method-not-allowed" | "unknown";

/** What a request is; decided by exact path, so that nothing unknown is ever passed on. */
export function kindOfPath(method: string, path: string): PathKind {
  if (SEALED.has(path)) return method === "POST" ? "sealed" : "method-not-allowed";
  const row = METADATA.find(([, pattern]) => pattern.test(path));
  if (row) return row[0].includes(method) ? "metadata" : "method-not-allowed";
  return MANAGEMENT_PATHS.test(path) ? "management" : "unknown";
}

/** The dialect whose error shape a path's clients read. */
export function dialectOf(path: string): "ollama" | "openai" | "anthropic" {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}
