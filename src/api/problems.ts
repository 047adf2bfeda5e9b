/**
 * The unsealed errors of sealed/1 as RFC 9457 problem documents, both ways.
 *
 * Only errors that occur before a reply can be sealed take this form; everything the application says travels sealed.
 * `auth` has one text for every cause, so it tells a stranger nothing.
 */
import { type ErrorCode, isErrorCode, SecLlamaError } from "../errors.ts";
import { readLimits, writeLimits } from "./limits.ts";
import { PROBLEM_TYPE } from "./media_types.ts";
import { printable } from "./texts.ts";

const URN = "urn:secllama:sealed:";

/** Titles of the codes that wire.md names; any other code of the error table is its own title. */
const TITLES: { readonly [code in ErrorCode]?: string } = {
  "malformed": "The sealed request is malformed",
  "unsupported-suite": "The suite is not supported",
  "auth": "The request does not authenticate",
  "model-not-found": "The model is not found",
  "replay": "The request has been received before",
  "too-large": "The request is too large",
  "plaintext-refused": "Plaintext is refused",
  "key-mismatch": "The request is sealed to a key that is not in use",
  "clock": "The request's time is too far from the runner's clock",
  "busy": "The server is busy",
  "replay-window-full": "The recipient key is used up",
  "internal": "An internal error occurred",
};

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly hint?: string;
  /** As `Secllama-Limits`. */
  readonly limits?: string;
}

/** The document for an error. `auth` and `internal` carry no detail, whatever their cause was. */
export function toProblem(error: SecLlamaError): Problem {
  const { code } = error;
  const problem = { type: URN + code, title: TITLES[code] ?? code, status: error.status };
  if (code === "auth" || code === "internal") return problem;
  return {
    ...problem,
    detail: error.message,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.limits !== undefined && { limits: writeLimits(error.limits) }),
  };
}

/**
 * The problem that a runner means, in our own words: of what it wrote only the code counts. A runner is not trusted, and what it
 * says in clear would pass as ours. A code that is none is `internal`.
 */
export function inOwnWords(document: unknown): SecLlamaError {
  const code = fromProblem(document)?.code ?? "internal";
  return new SecLlamaError(code, TITLES[code] ?? code, code in HINTS ? { hint: HINTS[code]! } : {});
}

/** What a client does about a problem that a runner names. */
const HINTS: { readonly [code in ErrorCode]?: string } = {
  "clock": "fetch the key document again: it has the time",
  "key-mismatch": "fetch the key document again",
  "replay-window-full": "fetch the key document again",
  "busy": "try again in a moment",
};

/** Status, headers and body of the HTTP answer for an error. */
export function problemResponse(error: SecLlamaError): Response {
  const problem = toProblem(error);
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "content-type": PROBLEM_TYPE, "cache-control": "no-store" },
  });
}

/** The error a problem document stands for, or undefined if it is not one of ours. Its text is a stranger's: bounded. */
export function fromProblem(document: unknown): SecLlamaError | undefined {
  if (typeof document !== "object" || document === null) return undefined;
  const { type, detail, hint, limits } = document as { [field: string]: unknown };
  if (typeof type !== "string" || !type.startsWith(URN)) return undefined;
  const code = type.slice(URN.length);
  if (!isErrorCode(code)) return undefined;
  const message = printable(detail) ?? TITLES[code] ?? code;
  const hintLine = printable(hint);
  const states = code === "rate-limited" ? readLimits(limits) : undefined;
  return new SecLlamaError(code, message, {
    isAnswer: true,
    ...(hintLine === undefined ? {} : { hint: hintLine }),
    ...(states === undefined ? {} : { limits: states }),
  });
}
