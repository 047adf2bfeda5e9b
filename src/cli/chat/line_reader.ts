/**
 * Reads lines from a terminal with editing and a history in memory, by the runtime's own readline. What is pasted is one text,
 * however many lines it has: a terminal marks it (bracketed paste), and its line ends show as {@link PASTED_LINE_END} until Enter.
 *
 * Between two reads the terminal is in its ordinary mode, so Ctrl-C during an answer is a signal.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";

/** How a line end inside a pasted text is shown while it is edited. */
export const PASTED_LINE_END = "␤";
const HISTORY_LINES = 1000;

type Read =
  | { readonly kind: "line"; readonly text: string }
  /** Ctrl-C: the line was thrown away. */
  | { readonly kind: "interrupt" }
  /** Ctrl-D on an empty line, or the end of the input. */
  | { readonly kind: "end" };

/** Finds the marks that a terminal puts around what is pasted, also where a read ends inside one (xterm, "Bracketed Paste Mode"). */
export class PasteFilter {
  #pasting = false;
  #rest = "";

  /** The text as a line editor may take it: no marks, and no line end that was pasted. */
  push(text: string): string {
    let input = this.#rest + text;
    this.#rest = "";
    let out = "";
    while (input !== "") {
      const mark = this.#pasting ? "\x1b[201~" : "\x1b[200~";
      const at = input.indexOf(mark);
      let part = at < 0 ? input : input.slice(0, at);
      if (at < 0) {
        // The first bytes of a mark may be the last of this read. A lone Escape is a key.
        const kept = longestStart(part, mark);
        this.#rest = part.slice(part.length - kept);
        part = part.slice(0, part.length - kept);
      }
      out += this.#pasting ? part.replace(/\r\n|\r|\n/g, PASTED_LINE_END) : part;
      if (at < 0) break;
      this.#pasting = !this.#pasting;
      input = input.slice(at + mark.length);
    }
    return out;
  }
}

/** How many characters at the end of `text`, at least 2, are a beginning of `mark`. */
function longestStart(text: string, mark: string): number {
  for (let n = Math.min(mark.length - 1, text.length); n >= 2; n--) {
    if (text.endsWith(mark.slice(0, n))) return n;
  }
  return 0;
}

/** Lines from the process's own terminal. */
export class LineReader {
  /** Newest first, as readline keeps it. */
  #history: string[];
  #waiting = "";
  readonly #filter = new PasteFilter();

  readonly #edits: boolean;

  /** `edits`: whether the terminal can move its cursor. */
  constructor(history: readonly string[] = [], edits = true) {
    this.#history = [...history];
    this.#edits = edits;
  }

  /** What was entered, newest first. */
  get history(): readonly string[] {
    return this.#history;
  }

  forgetHistory(): void {
    this.#history = [];
  }

  /** Shows `prompt` and waits for a line. */
  read(prompt: string): Promise<Read> {
    return this.#edits && terminal().isTTY ? this.#readEdited(prompt) : this.#readPlain(prompt);
  }

  /** A line as the terminal gives it: where the cursor cannot be moved. */
  #readPlain(prompt: string): Promise<Read> {
    terminal().write(prompt);
    const decoder = new TextDecoder();
    return new Promise((resolve) => {
      const finish = (read: Read) => {
        process.stdin.off("data", onData);
        process.stdin.off("end", onEnd);
        process.stdin.pause();
        resolve(read);
      };
      const look = () => {
        const end = this.#waiting.indexOf("\n");
        if (end < 0) return;
        const text = this.#waiting.slice(0, end).replace(/\r$/, "");
        this.#waiting = this.#waiting.slice(end + 1);
        finish({ kind: "line", text });
      };
      const onData = (data: Uint8Array) => {
        this.#waiting += decoder.decode(data, { stream: true });
        look();
      };
      const onEnd = () => finish({ kind: "end" });
      process.stdin.on("data", onData);
      process.stdin.on("end", onEnd);
      process.stdin.resume();
      look();
    });
  }

  #readEdited(prompt: string): Promise<Read> {
    const output = terminal();
    return new Promise((resolve) => {
      const keys = new PassThrough() as PassThrough & {
        isTTY: boolean;
        setRawMode(on: boolean): void;
      };
      keys.isTTY = true;
      keys.setRawMode = (on) => process.stdin.setRawMode(on);
      const decoder = new TextDecoder();
      const rl = createInterface({
        input: keys,
        output,
        terminal: true,
        historySize: HISTORY_LINES,
        history: [...this.#history],
        removeHistoryDuplicates: true,
        prompt,
      });
      const feed = () => {
        // One line at a time: what follows it belongs to the next read.
        const end = this.#waiting.search(/[\r\n]/);
        const now = end < 0 ? this.#waiting : this.#waiting.slice(0, end + 1);
        this.#waiting = this.#waiting.slice(now.length);
        if (now !== "") keys.write(now);
      };
      const onData = (data: Uint8Array) => {
        this.#waiting += this.#filter.push(decoder.decode(data, { stream: true }));
        feed();
      };
      let done = false;
      const finish = (read: Read) => {
        if (done) return;
        done = true;
        process.stdin.off("data", onData);
        process.stdin.off("end", onEnd);
        process.stdin.pause();
        output.write("\x1b[?2004l");
        rl.close();
        resolve(read);
      };
      const onEnd = () => finish({ kind: "end" });
      rl.on("history", (lines: string[]) => this.#history = [...lines]);
      rl.on("line", (line: string) => finish({ kind: "line", text: unmark(line) }));
      rl.on("SIGINT", () => {
        output.write("\n");
        finish({ kind: "interrupt" });
      });
      rl.on("close", () => {
        if (!done) output.write("\n");
        finish({ kind: "end" });
      });
      process.stdin.on("data", onData);
      process.stdin.on("end", onEnd);
      process.stdin.resume();
      output.write("\x1b[?2004h");
      rl.prompt();
      feed();
    });
  }
}

/** Where somebody sees what is asked: an answer's file gets nothing but the answer. */
function terminal() {
  return process.stdout.isTTY ? process.stdout : process.stderr;
}

function unmark(line: string): string {
  return line.replaceAll(PASTED_LINE_END, "\n");
}
