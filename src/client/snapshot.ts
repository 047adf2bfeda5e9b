/** The request as the caller meant it, read once: method, path, headers, body bytes, and the model it is for. */
import { type Bytes, utf8 } from "../bytes.ts";
import { parseJsonObject, requiredModel } from "../api/body.ts";
import { APP_HEADER } from "../api/limits.ts";
import { newReceiptSecret, RECEIPT_HEADER, RECEIPT_WANTED } from "../api/receipt.ts";
import { canonicalPath, parameterOf, routeOf, ROUTES } from "../api/routes.ts";
import { wantedContext } from "../api/wanted_context.ts";

export interface Snapshot {
  readonly method: string;
  /** Path and query. The host of the URL means nothing: everything goes to the gateway. */
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  readonly body: Bytes;
  readonly model: string;
  /** Tokens of context that it asks for, a power of two; undefined: the usual. */
  readonly contextLength: number | undefined;
  readonly signal: AbortSignal;
  /** The id of the token of the program that asks, which goes beside the seal; undefined: this machine's own program. */
  readonly app: string | undefined;
  /** The secret of the receipt that it asks for. */
  readonly receipt: string | undefined;
}

/** Headers that belong to the connection and not to the request (RFC 9110 section 7.6.1), and those fetch sets. */
const NOT_SEALED = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Reads a request as `fetch(input, init)` would take it. A path alone (`/api/chat`) is fine too.
 * @throws {SecLlamaError} `bad-request` if the body is not JSON or names no model and `defaultModel` is undefined.
 */
export async function takeSnapshot(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  defaultModel: string | undefined,
): Promise<Snapshot> {
  const target = typeof input === "string" && input.startsWith("/")
    ? new URL(input, "http://gateway")
    : input;
  // A string is encoded and parsed as it is: a picture of 10 MB would otherwise be copied twice more.
  const text = typeof init?.body === "string" ? init.body : undefined;
  const request = new Request(target, text === undefined ? init : { ...init, body: "" });
  const url = new URL(request.url);
  const headers: { [name: string]: string } = {};
  for (const [name, value] of request.headers) {
    if (!NOT_SEALED.has(name) && name !== APP_HEADER) headers[name] = value;
  }
  const wanted = headers[RECEIPT_HEADER];
  // A secret that the caller drew stays as it is.
  if (wanted === RECEIPT_WANTED) headers[RECEIPT_HEADER] = newReceiptSecret();
  const body = text === undefined ? new Uint8Array(await request.arrayBuffer()) : utf8(text);
  return {
    method: request.method,
    path: url.pathname + url.search,
    headers,
    app: request.headers.get(APP_HEADER) ?? undefined,
    receipt: headers[RECEIPT_HEADER],
    body,
    ...namedIn(url.pathname, text ?? body, defaultModel),
    // Not the new Request's: Node 20 lets that one go with the Request, and no abort comes through any more.
    signal: init?.signal ??
      (input instanceof Request ? input.signal : new AbortController().signal),
  };
}

/** The body's model, or the last part of the path of one model; and the context that the body asks for. */
function namedIn(
  path: string,
  body: string | Uint8Array,
  defaultModel: string | undefined,
): Pick<Snapshot, "model" | "contextLength"> {
  const inPath = routeOf(path) === ROUTES.model ? parameterOf(ROUTES.model, path) : undefined;
  if (inPath !== undefined) return { model: inPath, contextLength: undefined };
  let fields: Record<string, unknown> = {};
  try {
    fields = parseJsonObject(body);
    return {
      model: requiredModel(fields),
      contextLength: wantedContext(canonicalPath(path), fields),
    };
  } catch (error) {
    if (defaultModel === undefined) throw error;
    return { model: defaultModel, contextLength: wantedContext(canonicalPath(path), fields) };
  }
}
