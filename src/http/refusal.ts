/** How the listener says no: a status, a stable code, and no more than the client needs to know. */
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { utf8 } from "../bytes.ts";

/** A request that is answered here and never reaches the handler; the connection ends with it. */
export class Refusal extends SecLlamaError {
  readonly #status: number;

  constructor(status: number, code: ErrorCode, message: string, options: { hint?: string } = {}) {
    super(code, message, options);
    this.#status = status;
  }

  /** HTTP has finer statuses for a malformed head than the table of codes does. */
  override get status(): number {
    return this.#status;
  }
}

/** The body of an error answer, in the shape that Ollama's clients read. */
export function errorBody(error: SecLlamaError): string {
  return JSON.stringify({
    error: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** A complete error answer that ends the connection. */
export function refusalBytes(error: SecLlamaError): Uint8Array<ArrayBuffer> {
  const body = errorBody(error);
  return utf8(
    `HTTP/1.1 ${error.status} ${reasonPhrase(error.status)}\r\n` +
      `content-type: application/json\r\ncontent-length: ${utf8(body).length}\r\n` +
      `x-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  );
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  425: "Too Early",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** The phrase of a status line; "Status" for one without a name. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? "Status";
}
