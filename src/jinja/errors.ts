/** The one error of the template engine. */

/**
 * What went wrong, in Python's words: `syntax`, the template itself; `raised`, it called `raise_exception`; `limit`, it
 * has values, numbers or blocks that are too large or too deep; the rest is the exception that Jinja2 would let through.
 */
export type JinjaErrorKind =
  | "syntax"
  | "raised"
  | "limit"
  | "undefined"
  | "security"
  | "runtime"
  | "type"
  | "value"
  | "lookup"
  | "zero-division"
  | "overflow";

/** A template that is wrong, or that refuses what it was given. */
export class JinjaError extends Error {
  /** Tells it from other errors. */
  override readonly name = "JinjaError";
  /** What went wrong. */
  readonly kind: JinjaErrorKind;
  /** From 1; of errors in the template's text. */
  readonly line: number | undefined;

  /** `line` counts from 1, and is added to the message. */
  constructor(kind: JinjaErrorKind, message: string, line?: number) {
    super(line === undefined ? message : `${message} (line ${line})`);
    this.kind = kind;
    this.line = line;
  }
}

export function typeError(message: string): JinjaError {
  return new JinjaError("type", message);
}

export function valueError(message: string): JinjaError {
  return new JinjaError("value", message);
}
