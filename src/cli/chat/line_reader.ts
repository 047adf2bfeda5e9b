/**
 * Reads lines from a terminal with editing and a history in memory, by the runtime's own readline. What is pasted is one text,
 * however many lines it has: a terminal marks it (bracketed paste), and its line ends show as {@link PASTED_LINE_END} until Enter.
 *
 * Between two reads the terminal is in its ordinary mode, so Ctrl-C during an answer is a signal.
 */
import { EventEmitter } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";

/** How a line end inside a pasted text is shown while it is edited. */
export const PASTED_LINE_END = "␤";
const HISTORY_LINES = 1000;
/** So much at once, without a control character, was typed by nobody: it was pasted on a terminal without marks. */
const MANY_KEYS = 256;
/** A paste is shown when so long nothing more of it has come, ms. */
const QUIET_MS = 30;
// deno-lint-ignore no-control-regex -- what a terminal would obey
const CONTROL = /[\0-\x1f\x7f]/;
// deno-lint-ignore no-control-regex -- the same, but a tab
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f]/g;

type Read =
  | { readonly kind: "line"; readonly text: string }
  /** Ctrl-C: the line was thrown away. */
  | { readonly kind: "interrupt" }
  /** Ctrl-D on an empty line, or the end of the input. */
  | { readonly kind: "end" };

/** What the terminal brought: keys, or a text that was pasted, which is none whatever it holds. */
export interface Piece {
  readonly pasted: boolean;
  readonly text: string;
}

/** Finds the marks that a terminal puts around what is pasted, also where a read ends inside one (xterm, "Bracketed Paste Mode"). */
export class PasteFilter {
  #pasting = false;
  #rest = "";
  /** Of a paste that has not ended: it is put in at once, since each part would draw all of it again. */
  #pasted = "";

  /** The text as a line editor may take it: no marks, and of what was pasted no line end and no control character. */
  push(text: string): Piece[] {
    // A key alone: of a paste whose end was lost, nothing else would come through.
    if (text === "\x03") [this.#pasting, this.#pasted, this.#rest] = [false, "", ""];
    let input = this.#rest + text;
    this.#rest = "";
    const pieces: Piece[] = [];
    while (input !== "") {
      const mark = this.#pasting ? "\x1b[201~" : "\x1b[200~";
      const at = input.indexOf(mark);
      let part = at < 0 ? input : input.slice(0, at);
      if (at < 0) {
        // The first bytes of a mark may be the last of this read. A lone Escape is a key, unless it was pasted.
        const kept = longestStart(part, mark, this.#pasting ? 1 : 2);
        this.#rest = part.slice(part.length - kept);
        part = part.slice(0, part.length - kept);
      }
      if (this.#pasting) {
        this.#pasted += part;
        if (at < 0) break;
        part = this.#pasted.replace(/\r\n|\r|\n/g, PASTED_LINE_END).replace(CONTROLS, "");
        this.#pasted = "";
      }
      if (part !== "") pieces.push({ pasted: this.#pasting, text: part });
      if (at < 0) break;
      this.#pasting = !this.#pasting;
      input = input.slice(at + mark.length);
    }
    return pieces;
  }
}

/** How many characters at the end of `text`, if so many as `least`, are a beginning of `mark`. */
function longestStart(text: string, mark: string, least: number): number {
  for (let n = Math.min(mark.length - 1, text.length); n >= least; n--) {
    if (text.endsWith(mark.slice(0, n))) return n;
  }
  return 0;
}

/** Lines from the process's own terminal. */
export class LineReader {
  /** Newest first, as readline keeps it. */
  #history: string[];
  #waiting = "";
  #pieces: Piece[] = [];
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
      // Not a stream: a key has its effect before the next one, or a pasted text, comes.
      const keys = Object.assign(new EventEmitter(), {
        isTTY: true,
        setRawMode: (on: boolean) => process.stdin.setRawMode(on),
        pause() {},
        resume() {},
      });
      const decoder = new TextDecoder();
      const rl = createInterface({
        input: keys as unknown as NodeJS.ReadableStream,
        output,
        terminal: true,
        historySize: HISTORY_LINES,
        history: [...this.#history],
        removeHistoryDuplicates: true,
        prompt,
      });
      // Key by key the whole line would be measured for each letter: minutes for 100 kB.
      const insert = (text: string) => {
        const line = rl as { line: string; cursor: number };
        line.line = rl.line.slice(0, rl.cursor) + text + rl.line.slice(rl.cursor);
        line.cursor = rl.cursor + text.length;
        clearTimeout(undrawn);
        undrawn = setTimeout(draw, QUIET_MS);
      };
      // A paste without marks comes in hundreds of parts, and each would draw all that came before it again.
      let undrawn: ReturnType<typeof setTimeout> | undefined;
      const draw = () => {
        clearTimeout(undrawn);
        undrawn = undefined;
        rl.prompt(true);
      };
      const press = (key: string | undefined) => {
        if (undrawn !== undefined) draw();
        keys.emit("data", key);
      };
      const feed = () => {
        while (!done && this.#pieces.length > 0) {
          const { pasted, text } = this.#pieces.shift()!;
          // One line at a time: what follows it belongs to the next read.
          const end = pasted ? -1 : text.search(/[\r\n]/);
          const [now, rest] = end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 1)];
          if (rest !== "") this.#pieces.unshift({ pasted, text: rest });
          if (pasted || (now.length >= MANY_KEYS && !CONTROL.test(now))) insert(now);
          else if (now !== "") press(now);
          if (end >= 0) press(text[end]);
        }
      };
      const onData = (data: Uint8Array) => {
        this.#pieces.push(...this.#filter.push(decoder.decode(data, { stream: true })));
        feed();
      };
      let done = false;
      const finish = (read: Read) => {
        if (done) return;
        done = true;
        clearTimeout(undrawn);
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
        rl.write(null, { ctrl: true, name: "e" }); // what follows stands below a line of several rows
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
