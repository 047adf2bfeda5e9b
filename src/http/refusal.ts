/** How the listener says no: a status, a stable code, and no more than the client needs to know. */
import { type ErrorCode, SecLlamaError } from "../errors.ts";
import { utf8 } from "../bytes.ts";
import type { RenderedError } from "./rules.ts";

/** A request that is answered here and never reaches the handler; the connection ends with it. */
export class Refusal extends SecLlamaError {
  readonly #status: number;

  constructor(status: number, code: ErrorCode, message: string, options: { hint?: string } = {}) {
    super(code, message, options);
    this.#status = status;
  }

  /** An error as one. */
  static of(error: SecLlamaError): Refusal {
    const { status, code, message, hint } = error;
    return new Refusal(status, code, message, hint === undefined ? {} : { hint });
  }

  /** HTTP has finer statuses for a malformed head than the table of codes does. */
  override get status(): number {
    return this.#status;
  }
}

/** A complete error answer that ends the connection. @param toHead Without its body, as the answer to `HEAD`. */
export function refusalBytes(
  { status, headers, body }: RenderedError,
  toHead = false,
): Uint8Array<ArrayBuffer> {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  // RFC 9110 section 7.8: a server that sends Upgrade names it in Connection.
  const connection = "upgrade" in headers ? "close, upgrade" : "close";
  return utf8(
    `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${fields}` +
      `content-length: ${utf8(body).length}\r\nconnection: ${connection}\r\n\r\n${
        toHead ? "" : body
      }`,
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
