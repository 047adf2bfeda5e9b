/** The one error of the template language. Its text never holds a value that the template was given, only types. */

/** `parse`: what Go's parser refuses; `run`: what ends Go's execution; `limit`: more work than one rendering may take. */
type TemplateErrorKind = "parse" | "run" | "limit";

export class TemplateError extends Error {
  override readonly name = "TemplateError";
  readonly kind: TemplateErrorKind;
  /** From 1; 0 where no line is to blame. */
  readonly line: number;

  constructor(kind: TemplateErrorKind, line: number, message: string) {
    super(message);
    this.kind = kind;
    this.line = line;
  }
}
