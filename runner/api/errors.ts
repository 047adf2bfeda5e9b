/** An error as each dialect writes it. Codes of our own stay inside; only message, status and type go out. */
import { type SecLlamaError, toSecLlamaError } from "../../src/errors.ts";

export type Dialect = "ollama" | "openai" | "anthropic";

/** Ollama's words, two spaces included, which clients match on. */
const BUSY = "server busy, please try again.  maximum pending requests exceeded";

/** Which dialect a path belongs to. */
export function dialectOf(path: string): Dialect {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1/") ? "openai" : "ollama";
}

/** The error's message for the outside: nothing of an error that is not ours. */
export function publicMessage(error: SecLlamaError): string {
  if (error.code === "busy") return BUSY;
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}

/** The JSON body of an error. */
export function errorBody(dialect: Dialect, thrown: unknown): Record<string, unknown> {
  const error = toSecLlamaError(thrown);
  const message = publicMessage(error);
  switch (dialect) {
    case "ollama":
      return { error: message };
    case "openai":
      return {
        error: {
          message,
          type: openaiType(error.status),
          param: error.field ?? null,
          code: error.code === "not-found" ? "model_not_found" : null,
        },
      };
    case "anthropic":
      return { type: "error", error: { type: anthropicType(error.status), message } };
  }
}

/** The whole response for an error before any output. */
export function errorResponse(dialect: Dialect, thrown: unknown): Response {
  const error = toSecLlamaError(thrown);
  const headers = new Headers();
  if (error.status === 503) headers.set("retry-after", "1");
  return Response.json(errorBody(dialect, error), { status: error.status, headers });
}

function openaiType(status: number): string {
  if (status === 404) return "not_found_error";
  return status < 500 ? "invalid_request_error" : "api_error";
}

function anthropicType(status: number): string {
  switch (status) {
    case 400:
      return "invalid_request_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}
