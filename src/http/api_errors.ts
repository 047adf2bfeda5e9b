/** Errors in the shape that a path's clients read. */
import { type SecLlamaError, toSecLlamaError } from "../errors.ts";
import { dialectOf } from "./api_paths.ts";

/** OpenAI's and Anthropic's names for a status. */
function typeOf(status: number): string {
  if (status === 400 || status === 413 || status === 422) return "invalid_request_error";
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  return status === 503 ? "overloaded_error" : "api_error";
}

/** The response for an error, and its body: never content, since no error of ours holds any. */
export function errorResponse(error: unknown, path: string): Response {
  const e = toSecLlamaError(error);
  return new Response(JSON.stringify(errorBody(e, path)), {
    status: e.status,
    headers: {
      "content-type": "application/json",
      ...(e.status === 503 ? { "retry-after": "1" } : {}),
    },
  });
}

/** The JSON of an error, our code and hint beside what the path's clients know. */
export function errorBody(e: SecLlamaError, path: string): unknown {
  const hint = e.hint === undefined ? {} : { hint: e.hint };
  switch (dialectOf(path)) {
    case "openai":
      return {
        error: {
          message: e.message,
          type: typeOf(e.status),
          param: e.field ?? null,
          code: e.code,
          ...hint,
        },
      };
    case "anthropic":
      return { type: "error", error: { type: typeOf(e.status), message: e.message, ...hint } };
    case "ollama":
      return { error: e.message, code: e.code, ...hint };
  }
}
