/**
 * Reads from the terminal in raw mode: secrets without echo, and what is pasted over several lines. Whatever of a paste nobody
 * asked for is thrown away, since the shell would run it as its next commands.
 */
import { settlesWithin } from "../pause.ts";
import { wipe } from "../secret.ts";

export interface PasteOptions {
  /** Whether the text is whole: the next line end ends it. An empty line always does. */
  readonly whole: (text: string) => boolean;
  /** Show what is typed. */
  readonly echo: boolean;
}

type Show = (text: string) => void;

/** So long nothing comes: the paste is over. Terminals write one in pieces, some ms apart. */
const QUIET_MS = 200;
const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ["\x03", "\x04", "\b", "\x7f"];
// deno-lint-ignore no-control-regex -- the marks around a paste (xterm, "Bracketed Paste Mode"), and keys that are none of a text
const ESCAPES = /\x1b(?:\[[0-9;]*[A-Za-z~]?)?/g;

const buffer = new Uint8Array(4096);
/** A read that is under way: it cannot be taken back, so the next one that reads gets what it brings. */
let reading: Promise<number | null> | undefined;
let asked = false;

async function nextBytes(): Promise<Uint8Array | null> {
  reading ??= Deno.stdin.read(buffer);
  const n = await reading;
  reading = undefined;
  return n === null ? null : buffer.slice(0, n);
}

/**
 * One line; undefined when there is no terminal, or the input ended, or Ctrl-C was pressed, or `signal` is aborted: in raw mode
 * a signal from elsewhere is the only one that comes.
 */
export function askLine(
  question: string,
  echo: boolean,
  show: Show,
  signal?: AbortSignal,
): Promise<string | undefined> {
  return ask(question, { whole: () => true, echo }, show, signal);
}

/** A text of one or more lines, with all that was pasted behind it thrown away; undefined as {@link askLine}. */
export async function askPasted(
  question: string,
  options: PasteOptions,
  show: Show,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const text = await ask(question, options, show, signal);
  await dropTyped();
  return text;
}

/** Throws away what is typed or pasted until nothing comes. Does nothing if nothing was asked, or there is no terminal. */
export async function dropTyped(): Promise<void> {
  if (!asked || !Deno.stdin.isTerminal()) return;
  Deno.stdin.setRaw(true); // what comes meanwhile is not echoed
  try {
    for (;;) {
      reading ??= Deno.stdin.read(buffer);
      if (!await settlesWithin(reading, QUIET_MS)) return;
      const n = await reading;
      reading = undefined;
      if (n === null) return;
    }
  } finally {
    if (reading === undefined) wipe(buffer);
    Deno.stdin.setRaw(false);
  }
}

async function ask(
  question: string,
  { whole, echo }: PasteOptions,
  show: Show,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!Deno.stdin.isTerminal() || signal?.aborted) return undefined;
  asked = true;
  const ended = Promise.withResolvers<null>();
  const end = () => ended.resolve(null);
  signal?.addEventListener("abort", end);
  Deno.stdin.setRaw(true);
  try {
    show(question + " "); // whoever types once it shows is not echoed
    let text = "", line = "";
    const decoder = new TextDecoder();
    for (;;) {
      const bytes = await Promise.race([nextBytes(), ended.promise]);
      if (bytes === null) return undefined;
      for (const ch of decoder.decode(bytes, { stream: true }).replace(ESCAPES, "")) {
        if (ch === CTRL_C || ch === CTRL_D) return undefined;
        if (ch === "\r" || ch === "\n") {
          const empty = line.trim() === "";
          text += (text === "" ? "" : "\n") + line;
          line = "";
          if (whole(text) || empty) return text;
          if (echo) show("\n");
        } else if (ch === DELETE || ch === BACKSPACE) {
          if (echo && line !== "") show("\b \b");
          line = line.slice(0, -1);
        } else {
          line += ch;
          if (echo) show(ch);
        }
      }
    }
  } finally {
    signal?.removeEventListener("abort", end);
    Deno.stdin.setRaw(false);
    show("\n");
  }
}
