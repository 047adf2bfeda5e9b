/**
 * An error as the clients of a path read it. Every layer answers with this one renderer: the listener, proxy, gateway and
 * runner, before a reply and in the middle of one.
 *
 * | dialect   | body                                                                             |
 * |-----------|----------------------------------------------------------------------------------|
 * | ollama    | `{"error": "…", "code", "hint"}`                                                 |
 * | openai    | `{"error": {"message", "type", "param", "code"}, "code", "hint"}`                |
 * | anthropic | `{"type": "error", "error": {"type", "message"}, "request_id", "code", "hint"}`  |
 * | sealed    | a problem document (RFC 9457)                                                    |
 *
 * The outer `code` and `hint` are ours and stable; all else is what the dialect's own server says. No error of ours holds
 * content, so none goes out.
 */
import { toHex } from "../bytes.ts";
import {
  type ErrorCode,
  type FieldFault,
  isErrorCode,
  isForLog,
  isHostsFault,
  SecLlamaError,
  toSecLlamaError,
} from "../errors.ts";
import { limitHeaders, retryHeaders } from "./limits.ts";
import { JSON_TYPE, PROBLEM_TYPE } from "./media_types.ts";
import { toProblem } from "./problems.ts";
import { allowed, type Dialect, dialectOf, type Route, routeOf, ROUTES } from "./routes.ts";
import { BUSY_TEXT, printable } from "./texts.ts";

interface RenderedError {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
}

/** What of an answer to `HEAD` goes out is for whoever writes it to decide. */
export function render(thrown: unknown, path: string): RenderedError {
  const dialect = dialectOf(path);
  const row = routeOf(path);
  const error = inOllamasWords(toAskers(thrown), row);
  const document = errorDocument(error, dialect, { row });
  const { status } = error;
  return {
    status,
    headers: {
      "content-type": dialect === "sealed" ? PROBLEM_TYPE : JSON_TYPE,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...(status === 503 || status === 429 ? { "retry-after": "1" } : {}),
      ...(error.limits === undefined
        ? {}
        : { ...limitHeaders(error.limits, dialect), ...retryHeaders(error.limits) }),
      ...(status === 405 && row ? { "allow": allowed(row) } : {}),
      // RFC 9110 section 15.5.22: what to speak instead.
      ...(status === 426 ? { "upgrade": "secllama-sealed/1" } : {}),
      ...requestIdHeader(dialect, String(document["request_id"] ?? newRequestId())),
    },
    body: JSON.stringify(document),
  };
}

/** {@link render} as a `Response`; without a body for `HEAD`. */
export function errorResponse(thrown: unknown, path: string, method = "GET"): Response {
  const { status, headers, body } = render(thrown, path);
  return new Response(method === "HEAD" ? null : body, { status, headers });
}

/**
 * The JSON of an error: a body, or what a stream that has begun ends with.
 * @param about `row`: the route, where the document depends on it. `requestId`: Anthropic's id of an answer that has begun.
 */
export function errorDocument(
  thrown: unknown,
  dialect: Dialect,
  about: { readonly row?: Route | undefined; readonly requestId?: string | undefined } = {},
): Record<string, unknown> {
  const error = toAskers(thrown);
  const hint = error.hint ?? sizesOf(error);
  const ours = { code: error.code, ...(hint === undefined ? {} : { hint }) };
  switch (dialect) {
    case "sealed":
      return { ...toProblem(error) };
    case "ollama":
      return { error: error.message, ...ours };
    case "openai": {
      const { tokens, fault } = error;
      const code = OPENAI_CODES[error.code] ?? (fault === undefined ? null : FAULT_CODES[fault]);
      const message = tokens === undefined
        ? withHint(error)
        : `This model's maximum context length is ${tokens.most} tokens. However, your messages ` +
          `resulted in ${tokens.have} tokens. Please reduce the length of the messages.`;
      const param = ownField(error.field, about.row) || fieldOf(error, about.row);
      return { error: { message, type: openaiType(error), param, code }, ...ours };
    }
    case "anthropic": {
      return {
        type: "error",
        error: { type: anthropicType(error.status), message: anthropicMessage(error) },
        request_id: about.requestId ?? newRequestId(),
        ...ours,
      };
    }
  }
}

/** Of codes whose text is for the host's log: what who asks is told. */
const TOLD: { readonly [code in ErrorCode]?: string } = {
  "limits-failed": "this host cannot keep its clients' limits now",
  "audit-failed": "this host cannot write its audit log now",
  "audit-broken": "the audit log of this host is damaged",
  "model-store-unreadable": "the models of this host cannot be read",
  "disk-full": "a disk of this host is full",
};

/**
 * The error as whoever asks over HTTP gets it. A setting or a file of the host's that is wrong is the host's fault, not the request's,
 * and its text may name a file: the text is for the host's log.
 */
export function toAskers(thrown: unknown): SecLlamaError {
  const error = toSecLlamaError(thrown);
  if (!isForLog(error)) return error;
  if (isHostsFault(error)) {
    return new SecLlamaError("misconfigured", "a setting of this host is wrong", {
      hint: "its administrator finds which one in the host's log, at misconfigured",
    });
  }
  const { code } = error;
  return new SecLlamaError(
    code,
    TOLD[code] ?? "what this host keeps its keys and clients in cannot be used",
    {
      hint: `its administrator finds why in the host's log, at ${code}`,
    },
  );
}

/** Claude Code shortens a conversation by itself when it reads these words, by as much as the numbers say. */
function anthropicMessage(error: SecLlamaError): string {
  if (error.code !== "context-too-long") return withHint(error);
  const { tokens } = error;
  return tokens === undefined
    ? `prompt is too long: ${withHint(error)}`
    : `prompt is too long: ${tokens.have} tokens > ${tokens.most} maximum`;
}

/** Of a prompt that is too long, what the dialects' own sentences say as well. */
function sizesOf({ tokens }: SecLlamaError): string | undefined {
  return tokens && `the prompt has ${tokens.have} tokens, the context has room for ${tokens.most}`;
}

/** What these have in place of messages, or of the one prompt that the engine speaks of. */
const PROMPT_FIELDS = new Map<Route, string>([
  [ROUTES.openaiChat, "messages"],
  [ROUTES.openaiResponses, "input"],
  [ROUTES.openaiEmbeddings, "input"],
]);

/** A field as the client wrote it: what made a prompt of its request speaks of `messages` and of `prompt`. */
function ownField(field: string | undefined, row: Route | undefined): string | undefined {
  const own = row && PROMPT_FIELDS.get(row);
  const [first] = field?.split(/[.[]/, 1) ?? [];
  return own !== undefined && first !== own && (first === "messages" || first === "prompt")
    ? own
    : field;
}

/** The field that OpenAI's API names for what happened, also of an error that came through a problem document, which names none. */
function fieldOf({ code }: SecLlamaError, row: Route | undefined): string | null {
  if (code === "model-not-found") return "model";
  if (code !== "context-too-long") return null;
  return (row && PROMPT_FIELDS.get(row)) ?? null;
}

/** Whatever a request for inference found no place in, clients match on the one text. */
function inOllamasWords(error: SecLlamaError, row: Route | undefined): SecLlamaError {
  if (error.code !== "busy" || row?.kind !== "inference") return error;
  const hint = error.hint ?? (error.message === BUSY_TEXT ? undefined : error.message);
  return new SecLlamaError("busy", BUSY_TEXT, hint === undefined ? {} : { hint });
}

/** The message, and what to do next: OpenAI's and Anthropic's SDKs show the one text and nothing else. */
export function withHint({ message, hint }: SecLlamaError): string {
  return hint === undefined ? message : `${message} (${hint})`;
}

/**
 * The error that an answer of ours in Ollama's dialect stands for. It may be a stranger's: the text is bounded, one line, and
 * a code that is not ours is judged by the status.
 * @param foreign The error of an answer that has none of our codes, where only a SecLlama may have given it.
 */
export async function readError(
  answer: Response,
  foreign?: () => SecLlamaError,
): Promise<SecLlamaError> {
  const body = Object(await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const { error, code, hint } = body;
  const isOurs = typeof code === "string" && isErrorCode(code);
  if (!isOurs && foreign !== undefined) return foreign();
  return new SecLlamaError(
    isOurs ? code : BY_STATUS[answer.status] ?? "model-failed",
    printable(error) ?? `the server answered with status ${answer.status}`,
    printable(hint) === undefined ? {} : { hint: printable(hint)! },
  );
}

const BY_STATUS: { readonly [status: number]: ErrorCode } = {
  400: "bad-request",
  401: "token-refused",
  404: "model-not-found",
  503: "busy",
};

/** The header by which a dialect's clients name an answer to whoever runs the server; none in the others. */
export function requestIdHeader(dialect: Dialect, id: string): Readonly<Record<string, string>> {
  if (dialect === "anthropic") return { "request-id": id };
  return dialect === "openai" ? { "x-request-id": id } : {};
}

/** A new id in Anthropic's form, which OpenAI's clients take as well. It is in no log. */
export function newRequestId(): string {
  return `req_${toHex(crypto.getRandomValues(new Uint8Array(12)))}`;
}

/** What OpenAI calls the same thing; where its API has no code, it is null there. */
const OPENAI_CODES: { readonly [code in ErrorCode]?: string } = {
  "auth": "invalid_api_key",
  "busy": "rate_limit_exceeded",
  "context-too-long": "context_length_exceeded",
  "internal": "server_error",
  "method-not-allowed": "method_not_supported",
  "model-not-found": "model_not_found",
  "not-found": "unknown_url",
  "rate-limited": "rate_limit_exceeded",
  "token-refused": "invalid_api_key",
  "too-large": "request_too_large",
  "unsupported-media-type": "unsupported_content_type",
};

/** What OpenAI calls the fault of one field. */
const FAULT_CODES: { readonly [fault in FieldFault]: string } = {
  "missing": "missing_required_parameter",
  "type": "invalid_type",
  "value": "invalid_value",
  "unsupported": "unsupported_parameter",
  "empty-array": "empty_array",
  "empty-string": "empty_string",
  "array-too-long": "array_above_max_length",
  "string-too-long": "string_above_max_length",
  "integer-too-small": "integer_below_min_value",
  "integer-too-large": "integer_above_max_value",
  "decimal-too-small": "decimal_below_min_value",
  "decimal-too-large": "decimal_above_max_value",
};

function openaiType({ code, status, limits }: SecLlamaError): string {
  if (limits?.some(({ of, remaining }) => of === "tokens" && remaining === 0)) return "tokens";
  if (code === "busy" || code === "rate-limited") return "requests";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

function anthropicType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}
