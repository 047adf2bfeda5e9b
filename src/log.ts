/**
 * Structured log lines on standard error, one JSON object each.
 *
 * Content is not a loggable type: a field is a number, a boolean or a {@link Label}, and a label is short, of a fixed
 * alphabet and made by `label()`, so that a prompt, a reply or a key cannot slip in by mistake.
 */

/** A short identifier that may be logged: a code, a route, a key id, a digest. Never user content. */
export type Label = string & { readonly madeByLabel: true };

/** Letters, digits and `._:/@+,*-`, at most 128 characters; anything else becomes `?`, so no line can be forged. */
export function label(text: string): Label {
  return text.slice(0, 128).replace(/[^A-Za-z0-9._:\/@+,*-]/g, "?") as Label;
}

/** A sentence that names no content, as a label: its words with `_` between. */
export function sentence(text: string): Label {
  return label(text.replaceAll(" ", "_"));
}

/** From everything to failures only. */
export type LogLevel = "debug" | "info" | "warn" | "error";
/** What may be logged beside an event. */
export type LogFields = { readonly [name: string]: number | boolean | Label | undefined };

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Writes events of one process. */
export interface Logger {
  /** For who looks for a fault. */
  debug(event: string, fields?: LogFields): void;
  /** What happened. */
  info(event: string, fields?: LogFields): void;
  /** What weakens or will fail. */
  warn(event: string, fields?: LogFields): void;
  /** What failed. */
  error(event: string, fields?: LogFields): void;
}

/** A logger that writes lines at or above `level` with `write`; `role` names the process. */
export function makeLogger(
  options: { role: string; level: LogLevel; write?: (line: string) => void; now?: () => number },
): Logger {
  const write = options.write ?? ((line: string) => console.error(line));
  const now = options.now ?? Date.now;
  const at = (level: LogLevel) => (event: string, fields: LogFields = {}) => {
    if (RANK[level] < RANK[options.level]) return;
    write(
      JSON.stringify({
        t: new Date(now()).toISOString(),
        level,
        role: options.role,
        event,
        ...fields,
      }),
    );
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger that drops everything; for tests and for roles told to be quiet. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
