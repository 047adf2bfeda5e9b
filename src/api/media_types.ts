/** Media types by name, and which of them a request's body may have. */
import { SecLlamaError } from "../errors.ts";

export const JSON_TYPE = "application/json";
/** A file as it is. */
export const BYTES_TYPE = "application/octet-stream";
/** RFC 8118. */
export const PDF_TYPE = "application/pdf";
/** RFC 7763. */
export const MARKDOWN_TYPE = "text/markdown; charset=utf-8";
/** One JSON value a line: how Ollama streams. */
export const NDJSON_TYPE = "application/x-ndjson";
/** Server-sent events: how OpenAI and Anthropic stream. */
export const EVENT_STREAM_TYPE = "text/event-stream; charset=utf-8";
/** RFC 9457: the unsealed errors of sealed/1. */
export const PROBLEM_TYPE = "application/problem+json";
/** A signed head of the audit log, as the statement itself says. */
export const AUDIT_HEAD_TYPE = "application/vnd.secllama.audit-head+cbor";
/** A COSE_Sign1 (RFC 9052): the host's statement on an exchange. */
export const COSE_TYPE = 'application/cose; cose-type="cose-sign1"';
/** The page and its files. */
export const HTML_TYPE = "text/html; charset=utf-8";
export const SCRIPT_TYPE = "text/javascript; charset=utf-8";
export const STYLE_TYPE = "text/css; charset=utf-8";
/** Prometheus's exposition format. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** A sealed request or reply. */
export const SEALED_TYPE = "application/vnd.secllama.sealed;v=1";

/** What a browser sends to any server without asking it first (Fetch standard, "CORS-safelisted"), but for forms as curl has them. */
const UNASKED = /^(?:text\/plain|multipart\/)/i;
/** What is read as JSON: `curl -d` says a form, and some clients say bytes. */
const READ_AS_JSON =
  /^(?:application\/(?:[\w.+-]*\+)?json|text\/json|application\/x-ndjson|application\/x-www-form-urlencoded|application\/octet-stream)$/i;

/** What the body of a route is: JSON, bytes as they are, or a sealed request. */
export type BodyKind = "json" | "bytes" | "sealed";

/**
 * Why a body is not taken, or undefined if it is. A form, curl's default, names its origin when a browser sends it, and that
 * is checked elsewhere.
 * @param headers `content-type` and `content-encoding` as they came; null: without.
 * @param inflated Codings that the reader of JSON undoes.
 */
export function refusedBody(
  headers: { readonly type: string | null; readonly encoding: string | null },
  kind: BodyKind,
  inflated: readonly string[] = [],
): SecLlamaError | undefined {
  const type = (headers.type ?? "").split(";")[0]!.trim();
  if (UNASKED.test(type) || (kind === "json" && type !== "" && !READ_AS_JSON.test(type))) {
    return new SecLlamaError("unsupported-media-type", "this content type is not taken", {
      hint: `send the header content-type: ${kind === "sealed" ? SEALED_TYPE : JSON_TYPE}`,
    });
  }
  const encoding = (headers.encoding ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && !(kind === "json" && inflated.includes(encoding))) {
    const some = kind === "json" && inflated.length > 0;
    return new SecLlamaError(
      "unsupported-media-type",
      some ? "this compression is not taken" : "compressed requests are not taken",
      {
        hint: some
          ? "send the body as gzip, as zstd, or without content-encoding"
          : "send the body without content-encoding",
      },
    );
  }
  return undefined;
}

/** A bundle of a model's signature, in a file: Sigstore's, version 0.3. */
export const SIGSTORE_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** What such a bundle signs: an in-toto statement. */
export const IN_TOTO_TYPE = "application/vnd.in-toto+json";

/** Whether a bundle is of a version that is read: 0.3, or as versions 0.1 and 0.2 write it. */
export function isSigstoreBundleType(text: unknown): boolean {
  return text === SIGSTORE_BUNDLE_TYPE ||
    typeof text === "string" &&
      /^application\/vnd\.dev\.sigstore\.bundle\+json(;version=0\.[123])?$/.test(text);
}
