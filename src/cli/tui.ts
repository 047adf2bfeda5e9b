/**
 * The only printer. Rules: results go to standard output, everything else to standard error; an error is `error:` and
 * `hint:` lines; colour only on a terminal and never when NO_COLOR is set; with `--json` exactly one document. A terminal gets no
 * control characters from elsewhere: what a model, a gateway or a model file says could write to the clipboard or hide lines.
 */
import { cutColumns } from "./columns.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { askLine, askPasted, dropTyped, type PasteOptions } from "./terminal_input.ts";

export interface Tui {
  readonly isTerminal: boolean;
  /** One line of result. */
  out(line: string): void;
  /** Text of a result without a line end, flushed at once: tokens of a reply. */
  write(text: string): void;
  json(value: unknown): void;
  /** One document of several, on a line of its own. */
  jsonLine(value: unknown): void;
  /** Whether a line of progress can be replaced by the next: standard error is a terminal that can. */
  readonly canReplace: boolean;
  /** A line that the next one replaces, on a terminal only; undefined: none any more. */
  progress(line: string | undefined): void;
  /** One line of progress or remark. */
  note(line: string): void;
  warn(line: string): void;
  error(error: unknown): void;
  /** Columns of the terminal, or what a file is fit for. */
  columns(): number;
  bold(text: string): string;
  dim(text: string): string;
  /** In the colour of a verdict, where the terminal has colours and the user wants them. */
  judged(verdict: Judgement, text: string): string;
  /** Whether somebody could answer: standard input is a terminal. */
  readonly canAsk: boolean;
  /** Asks on the terminal; undefined when there is none, or nobody answered: the input ended, Ctrl-C, a signal. */
  ask(question: string): Promise<string | undefined>;
  /** Asks without echo; undefined as `ask`. */
  askSecret(question: string): Promise<string | undefined>;
  /** Asks for what is mostly pasted, over several lines; see terminal_input.ts. */
  askPasted(question: string, options: PasteOptions): Promise<string | undefined>;
  /** Throws away what waits to be read, if anything was asked: the shell would run it. */
  dropTyped(): Promise<void>;
}

type Judgement = "good" | "bad" | "unknown";
const JUDGED = { good: "32", bad: "31", unknown: "33" } as const satisfies Record<
  Judgement,
  string
>;

const encoder = new TextEncoder();

/** @param gone Called where nobody reads it: `secllama list | head` is not a failure. */
function writeAll(
  to: { writeSync(p: Uint8Array): number },
  text: string,
  gone: () => void = () => {},
) {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(to.writeSync(bytes));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return gone();
      throw new SecLlamaError(
        "output-failed",
        `the output could not be written: ${reasonOf(error)}`,
        {
          hint: "make space there, or write it elsewhere, and run the command again",
          cause: error,
        },
      );
    }
  }
}

/** The system's word: "No space left on device". */
function reasonOf(error: unknown): string {
  return error instanceof Error
    ? error.message.replace(/ \(os error \d+\)$/, "")
    : "no reason given";
}

/** Of what is written to a file or a pipe. */
const FILE_COLUMNS = 80;

/** undefined: standard output and error are no terminal. */
function terminalColumns(): number | undefined {
  try {
    const { columns } = Deno.consoleSize();
    return columns > 0 ? columns : undefined;
  } catch {
    return undefined;
  }
}

/** Our own colours, and all control characters but tab and line feed. */
// deno-lint-ignore no-control-regex -- they are what it is about
const CONTROLS = /\x1b\[(?:0|1|2|31|32|33|36)m|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** As a terminal may be sent it: of control characters only our own colours, tabs and line ends stay. */
export function printable(text: string): string {
  return text.replace(
    CONTROLS,
    (found) => found.length > 1 ? found : found === "\r" ? "" : "\ufffd",
  );
}

/**
 * `quiet`: for commands whose lines are remarks only; warnings and errors are printed. `signal` ends questions. `given` puts what was
 * given here into the commands that a remark or a hint names. `readerGone` is called when standard output is a pipe that nobody
 * reads any more.
 */
export function makeTui(
  options: {
    noColor: boolean;
    dumb?: boolean;
    quiet?: boolean;
    signal?: AbortSignal;
    given?: (text: string) => string;
    readerGone?: () => void;
  },
): Tui {
  const { given = (text) => text } = options;
  const isTerminal = Deno.stdout.isTerminal();
  const colour = isTerminal && !options.noColor && !options.dumb;
  const errIsTerminal = Deno.stderr.isTerminal();
  // A dumb terminal can neither replace a line nor show colours.
  const control = errIsTerminal && !options.dumb;
  const errColour = control && !options.noColor;
  const paint = (on: boolean, code: string, text: string) =>
    on ? `\x1b[${code}m${text}\x1b[0m` : text;
  // What is printed next begins where a line of progress stands, which would stay before it.
  let shown = false;
  const clear = () => {
    if (shown) writeAll(Deno.stderr, "\r\x1b[K");
    shown = false;
  };
  const stdout = (text: string) => {
    if (isTerminal) clear();
    writeAll(Deno.stdout, isTerminal ? printable(text) : text, options.readerGone);
  };
  const err = (line: string) => {
    clear();
    writeAll(Deno.stderr, (errIsTerminal ? printable(line) : line) + "\n");
  };
  const show = (text: string) => {
    clear();
    writeAll(Deno.stderr, printable(text));
  };
  const { signal } = options;
  // A line of progress would take the question's place.
  let asking = false;
  const whileAsking = <T>(answer: Promise<T>): Promise<T> => {
    asking = true;
    return answer.finally(() => asking = false);
  };
  return {
    isTerminal,
    canReplace: control && !options.quiet,
    out: (line) => options.quiet ? undefined : stdout(line + "\n"),
    write: stdout,
    json: (value) => stdout(JSON.stringify(value, null, 2) + "\n"),
    jsonLine: (value) => stdout(JSON.stringify(value) + "\n"),
    progress(line) {
      // A line that is too long would break, and the next one would replace its second half only.
      const columns = (terminalColumns() ?? FILE_COLUMNS) - 1;
      if (control && !asking) {
        writeAll(Deno.stderr, `\r\x1b[K${cutColumns(printable(line ?? ""), columns)}`);
        shown = line !== undefined && line !== "";
      }
    },
    note: (line) => options.quiet ? undefined : err(given(line)),
    warn: (line) => err(`${paint(errColour, "33", "warning:")} ${given(line)}`),
    error(error) {
      const e = toSecLlamaError(error);
      err(`${paint(errColour, "31", "error:")} ${e.message}`);
      if (e.hint) err(`${paint(errColour, "36", "hint:")} ${given(e.hint)}`);
      // A bug's stack names files and lines only; its message could hold content and is left out.
      if (e.code === "internal" && e.cause instanceof Error) {
        err(
          `${e.cause.name}\n${
            (e.cause.stack ?? "").split("\n").filter((l) => /^\s+at /.test(l)).join("\n")
          }`,
        );
      }
    },
    columns: () => terminalColumns() ?? FILE_COLUMNS,
    bold: (text) => paint(colour, "1", text),
    dim: (text) => paint(colour, "2", text),
    judged: (verdict, text) => paint(colour, JUDGED[verdict], text),
    canAsk: Deno.stdin.isTerminal(),
    ask: (question) => whileAsking(askLine(question, true, show, signal)),
    askSecret: (question) => whileAsking(askLine(question, false, show, signal)),
    askPasted: (question, options) => whileAsking(askPasted(question, options, show, signal)),
    dropTyped,
  };
}
