/**
 * The one error type of SecLlama and the closed table of its codes.
 *
 * A code is stable: scripts match on it, and it fixes the process's exit code and the HTTP status. A message states what
 * was done, the value seen and the value wanted; the hint says what to do next. Neither ever holds a secret or message
 * content: the detail that may is kept in `cause`, which no report prints.
 */

/** Exit codes of the command line. 0 is success. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  notInitialised: 3,
  locked: 4,
  unavailable: 5,
  keyLost: 6,
  alreadyInitialised: 7,
  lockBusy: 8,
  refused: 9,
  /** Of `doctor` only: nothing failed, but something was not run. */
  notJudged: 10,
} as const;

/** code → [HTTP status, exit code]. One row each; a new error is a new row. */
export const ERROR_TABLE = {
  "internal": [500, EXIT.internal],
  "usage": [400, EXIT.usage],
  "bad-config": [400, EXIT.usage],
  "bad-environment": [400, EXIT.refused],
  // what who asks a host is told of its `bad-config`
  "misconfigured": [503, EXIT.unavailable],
  "bad-request": [400, EXIT.usage],
  "not-found": [404, EXIT.internal],
  "method-not-allowed": [405, EXIT.internal],
  "context-too-long": [400, EXIT.usage],
  "bad-pairing": [400, EXIT.usage],
  "port-in-use": [503, EXIT.unavailable],
  "address-unavailable": [503, EXIT.unavailable],
  "output-failed": [500, EXIT.internal],
  // keys
  "key-not-initialised": [503, EXIT.notInitialised],
  "key-locked": [503, EXIT.locked],
  "key-cancelled": [503, EXIT.locked],
  "key-store-unavailable": [503, EXIT.unavailable],
  "key-lost": [503, EXIT.keyLost],
  "key-corrupt": [503, EXIT.keyLost],
  "key-already-initialised": [409, EXIT.alreadyInitialised],
  "key-lock-busy": [503, EXIT.lockBusy],
  "key-refused": [403, EXIT.refused],
  "key-io": [503, EXIT.internal],
  "decrypt-failed": [500, EXIT.keyLost],
  // sealed/1, `urn:secllama:sealed:<code>`
  "malformed": [400, EXIT.internal],
  "unsupported-suite": [400, EXIT.internal],
  "auth": [401, EXIT.refused],
  "model-not-found": [404, EXIT.internal],
  "replay": [409, EXIT.internal],
  "too-large": [413, EXIT.internal],
  "plaintext-refused": [426, EXIT.refused],
  "key-mismatch": [422, EXIT.internal],
  "clock": [425, EXIT.internal],
  "other-host": [421, EXIT.internal],
  "busy": [503, EXIT.unavailable],
  "rate-limited": [429, EXIT.unavailable],
  "replay-window-full": [503, EXIT.unavailable],
  "downgrade": [502, EXIT.refused],
  "truncated": [502, EXIT.internal],
  // gateway and proxy
  "host-refused": [403, EXIT.refused],
  "origin-refused": [403, EXIT.refused],
  "peer-refused": [403, EXIT.refused],
  "management-refused": [403, EXIT.refused],
  "remote-refused": [403, EXIT.refused],
  "pairing-refused": [403, EXIT.refused],
  "gateway-unreachable": [502, EXIT.unavailable],
  "token-refused": [401, EXIT.refused],
  "token-scope": [403, EXIT.refused],
  "role-refused": [403, EXIT.refused],
  "limits-failed": [503, EXIT.unavailable],
  "cancelled": [499, EXIT.internal],
  "timeout": [408, EXIT.unavailable],
  "unsupported-media-type": [415, EXIT.internal],
  // models and runners
  "bad-model": [400, EXIT.usage],
  "bad-model-name": [400, EXIT.usage],
  "bad-modelfile": [400, EXIT.usage],
  "model-not-approved": [403, EXIT.refused],
  "model-corrupt": [500, EXIT.internal],
  "model-store-unreadable": [500, EXIT.internal],
  "model-failed": [500, EXIT.internal],
  "not-enough-memory": [500, EXIT.unavailable],
  "runner-died": [502, EXIT.internal],
  "pipe-broken": [502, EXIT.internal],
  // the sealed history
  "history-busy": [503, EXIT.unavailable],
  "history-corrupt": [500, EXIT.keyLost],
  "history-io": [503, EXIT.internal],
  "disk-full": [507, EXIT.unavailable],
  // audit
  "audit-failed": [503, EXIT.unavailable],
  "audit-broken": [503, EXIT.refused],
  // a host of a fleet that has heard nothing of its issuer for too long
  "fleet-silent": [503, EXIT.unavailable],
  // what keeps a fleet's records
  "fleet-unreachable": [503, EXIT.unavailable],
  // the parts of a compiled program
  "unpack-failed": [500, EXIT.unavailable],
  "unpack-refused": [500, EXIT.refused],
  "not-supported": [501, EXIT.usage],
  // systemd, launchd
  "service-failed": [503, EXIT.unavailable],
  // pull
  "offline": [403, EXIT.refused],
  "registry-not-allowed": [403, EXIT.refused],
  "pull-refused": [502, EXIT.refused],
  "pull-failed": [502, EXIT.unavailable],
  // sandbox
  "sandbox-unavailable": [503, EXIT.refused],
  "sandbox-failed": [503, EXIT.refused],
  "sandbox-breached": [503, EXIT.refused],
} as const satisfies Record<string, readonly [status: number, exit: number]>;

/** A key of {@link ERROR_TABLE}. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** Whether a text, which may be a stranger's, is one of our codes. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

/** Whether a setting is why something failed: of a request, no fault of who sent it. */
export function isHostsFault({ code }: SecLlamaError): boolean {
  return code === "bad-config" || code === "bad-environment";
}

/** A full path of a file, a folder or a socket, of Linux, macOS or Windows. */
const FULL_PATH = /(?:^|[\s"'`(\[<=,;]|: ?)(?:~?\/|[a-z]:[\\/]|\\\\)(?!\/)\S|file:\/\//i;
/** Of a host's own files, whichever they are: who asks is told one text of ours. */
const OF_HOSTS_FILES: readonly ErrorCode[] = ["limits-failed", "audit-failed", "audit-broken"];
/** Of a file of the host's where the text names one. */
const OF_NAMED_FILES: readonly ErrorCode[] = [
  "key-io",
  "key-corrupt",
  "key-lost",
  "key-refused",
  "model-store-unreadable",
  "disk-full",
];

/**
 * Whether the text of an error is for the host's log, and not for whoever asks over HTTP: a setting is to blame, or it names a file of
 * the host's. Errors of a runner's start name files too, and are told: who starts one locally has nothing else to go by.
 */
export function isForLog(error: SecLlamaError): boolean {
  if (isHostsFault(error) || OF_HOSTS_FILES.includes(error.code)) return true;
  return OF_NAMED_FILES.includes(error.code) &&
    [error.message, error.hint ?? ""].some((text) => FULL_PATH.test(text));
}

/** Of the host's disk, where the text names no file. */
const OF_ITS_DISK: readonly ErrorCode[] = [
  "key-io",
  "key-corrupt",
  "key-lost",
  "model-store-unreadable",
  "disk-full",
  "history-corrupt",
  "history-io",
];

/**
 * Whether a host's log says why: a setting, a file or a disk of it is to blame. What another process answered with is in that one's
 * log.
 */
export function isOfThisHost(error: SecLlamaError): boolean {
  return !error.isAnswer && (isForLog(error) || OF_ITS_DISK.includes(error.code));
}

/** What is wrong with a field of a request, where a dialect has a word for it. */
export type FieldFault =
  | "missing"
  | "type"
  | "value"
  | "unsupported"
  | "empty-array"
  | "empty-string"
  | "array-too-long"
  | "string-too-long"
  | "integer-too-small"
  | "integer-too-large"
  | "decimal-too-small"
  | "decimal-too-large";

/** Of a prompt that is too long: its tokens, perhaps estimated, and the most that it may have. */
export interface TokenCount {
  /** Tokens of the prompt. */
  readonly have: number;
  /** Tokens that a prompt may have. */
  readonly most: number;
}

/** How one limit of a client stands. */
export interface LimitState {
  /** What is counted; `at-once`: requests under way. */
  readonly of: "requests" | "tokens" | "at-once";
  /** In which time; undefined for `at-once`. */
  readonly per: "minute" | "day" | undefined;
  /** The most. */
  readonly limit: number;
  /** What is left of it. */
  readonly remaining: number;
  /** Seconds until it is whole again; of `at-once`, when to try again. */
  readonly resetS: number;
}

/** What an error says besides its code and message. */
export interface ErrorOptions {
  /** What to do next, one line: "to make a key, run: secllama key init". */
  readonly hint?: string;
  /** The field of the input that is wrong, as the user wrote it. */
  readonly field?: string;
  /** What is wrong with that field. */
  readonly fault?: FieldFault;
  /** With `context-too-long`. */
  readonly tokens?: TokenCount;
  /** With `rate-limited`: all limits that the client has. */
  readonly limits?: readonly LimitState[];
  /** It is what another process answered with. */
  readonly isAnswer?: boolean;
  /** The underlying error. Kept for debuggers, never printed. */
  readonly cause?: unknown;
}

/** An error a user can act on. Everything else that is thrown is a bug and shows as `internal`. */
export class SecLlamaError extends Error {
  /** Tells it from other errors across bundles. */
  override readonly name = "SecLlamaError";
  /** Stable: programs may depend on it. */
  readonly code: ErrorCode;
  /** What to do next, one line. */
  readonly hint: string | undefined;
  /** The field of the input that is wrong, as the user wrote it. */
  readonly field: string | undefined;
  /** What is wrong with that field, where the dialects tell kinds apart. */
  readonly fault: FieldFault | undefined;
  /** With `context-too-long`, where it is known: how long the prompt is, and may be. */
  readonly tokens: TokenCount | undefined;
  /** With `rate-limited`, where a client's own limits are meant. */
  readonly limits: readonly LimitState[] | undefined;
  /** Whether another process answered with it: of its files, its own log says why. */
  readonly isAnswer: boolean;

  /** An error with this code. The message has no final period and nothing secret. */
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.field = options.field;
    this.fault = options.fault;
    this.tokens = options.tokens;
    this.limits = options.limits;
    this.isAnswer = options.isAnswer ?? false;
  }

  /** HTTP status for this error. */
  get status(): number {
    return ERROR_TABLE[this.code][0];
  }

  /** Process exit code for this error. */
  get exitCode(): number {
    return ERROR_TABLE[this.code][1];
  }
}

/** The error itself if it is ours, else an `internal` one that carries it as its cause and none of its text. */
export function toSecLlamaError(error: unknown): SecLlamaError {
  if (error instanceof SecLlamaError) return error;
  return new SecLlamaError("internal", "an internal error occurred", { cause: error });
}
