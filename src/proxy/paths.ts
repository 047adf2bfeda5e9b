/** Which path is what: inference is sealed, metadata is asked of the gateway as it is, management is refused. */
import { METADATA_PATHS } from "../client/metadata_paths.ts";
import { INFERENCE_PATHS, MANAGEMENT_PATHS } from "../http/api_paths.ts";

const SEALED = new Set(INFERENCE_PATHS);

export type PathKind =
  | "sealed"
  | "metadata"
  | "management"
  | "options"
  | "method-not-allowed"
  | "unknown";

/** What a request is; decided by exact path, so that nothing unknown is ever passed on. */
export function kindOfPath(method: string, path: string): PathKind {
  const methods = methodsOf(path);
  if (methods === undefined) return MANAGEMENT_PATHS.test(path) ? "management" : "unknown";
  if (method === "OPTIONS") return "options";
  if (!methods.includes(method)) return "method-not-allowed";
  return SEALED.has(path) ? "sealed" : "metadata";
}

/** The methods of a path that is served; undefined: it is not. */
export function methodsOf(path: string): readonly string[] | undefined {
  return SEALED.has(path)
    ? ["POST"]
    : METADATA_PATHS.find(([, pattern]) => pattern.test(path))?.[0];
}
