/** A conversation on the terminal: reads lines, obeys those that are commands, asks with the others. */
import type { Tui } from "../tui.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { ask, type Post } from "./ask.ts";
import { textFile } from "./files.ts";
import { LineReader } from "./line_reader.ts";
import type { Message, Session } from "./session.ts";
import { showAnswer } from "./show_answer.ts";
import { parseSlash, SHORTCUTS, type ShowPart, type Slash, SLASH_HELP } from "./slash.ts";

/** What a conversation needs of the program around it. */
export interface Surroundings {
  readonly tui: Tui;
  readonly post: Post;
  /** Loads a model, so that the first answer does not wait for it. @throws {SecLlamaError} `model-not-found`, … */
  load(model: string, signal: AbortSignal): Promise<void>;
  show(model: string, part: ShowPart, signal: AbortSignal): Promise<string>;
  /** Makes a model of the session's system message and parameters. */
  save(name: string, session: Session): Promise<string>;
  /** Keeps a question and its answer in the sealed history, where the user asked for that. */
  readonly keep?: (message: Message, answer: string, session: Session) => Promise<void>;
  /** Where lines are kept between conversations, if the user wants that; sealed. */
  readonly history?: {
    read(): Promise<readonly string[]>;
    write(lines: readonly string[]): Promise<void>;
    forget(): Promise<void>;
  };
}

const QUOTES = '"""';

/** Until /bye, Ctrl-D or SIGTERM. An error or Ctrl-C ends one answer, not the conversation. */
export async function converse(around: Surroundings, session: Session): Promise<void> {
  const { tui } = around;
  let answer = new AbortController();
  let over = false;
  const interrupt = () => answer.abort();
  const end = () => {
    over = true;
    answer.abort();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", end);
  const saved = await around.history?.read() ?? [];
  const reader = new LineReader(saved);
  let keep = saved.length > 0;
  const files: string[] = [];
  try {
    while (!over) {
      const text = await readText(reader, tui);
      if (text === undefined) break;
      if (text.trim() === "") continue;
      answer = new AbortController();
      try {
        if (text.trim() === "?" || /^\s*\/(?!\/)/.test(text) && !text.includes("\n")) {
          const slash = parseSlash(text);
          if (slash.kind === "bye") break;
          if (slash.kind === "history") keep = await setHistory(around, reader, slash.on);
          else if (slash.kind === "file") files.push(await textFile(slash.path));
          else await obey(slash, around, session, answer.signal);
          if (slash.kind === "clear") files.length = 0;
          continue;
        }
        const content = [...files.splice(0), text.replace(/^\s*\/\//, "/")].join("\n\n");
        await answerTo({ role: "user", content }, around, session, answer.signal);
      } catch (error) {
        if (answer.signal.aborted) tui.write("\n");
        else tui.error(error);
      }
    }
    if (keep) await around.history?.write(reader.history);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", end);
  }
}

/** A line, or several between `"""`; undefined at the end. */
async function readText(reader: LineReader, tui: Tui): Promise<string | undefined> {
  let whole = "";
  let inside = false;
  for (;;) {
    const read = await reader.read(inside ? "... " : ">>> ");
    if (read.kind === "end") return undefined;
    if (read.kind === "interrupt") {
      if (!inside) tui.note("To leave: /bye or Ctrl-D");
      return "";
    }
    const { text } = read;
    if (!inside && !text.trimStart().startsWith(QUOTES)) return text;
    const body = inside ? text : text.trimStart().slice(QUOTES.length);
    const close = body.indexOf(QUOTES);
    if (close >= 0) return whole + body.slice(0, close);
    whole += `${body}\n`;
    if (!inside && body === "") whole = "";
    inside = true;
  }
}

/** Asks, and shows the answer. Where the conversation outgrew the context, the oldest turns go, which is said. */
export async function answerTo(
  message: Message,
  around: Pick<Surroundings, "tui" | "post" | "keep">,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  let dropped = 0;
  let said = "";
  try {
    for (;;) {
      try {
        const pieces = ask(around.post, session.bodyFor(message), signal);
        await showAnswer(around.tui, pieces, session.settings, (text) => said += text);
        return;
      } catch (error) {
        if (!isTooLong(error) || said !== "") throw error;
        if (!session.forgetOldest()) {
          throw new SecLlamaError("too-large", "this text is longer than the model's context", {
            hint:
              "nothing was cut, and nothing was answered; give it a part, or a model with a longer context",
          });
        }
        dropped++;
      }
    }
  } finally {
    session.record(message, said);
    if (said !== "") await around.keep?.(message, said, session);
    if (dropped > 0) {
      around.tui.note(
        `The conversation is longer than the model's context: its first ${
          dropped === 1 ? "question was" : `${dropped} questions were`
        } forgotten.`,
      );
    }
  }
}

function isTooLong(error: unknown): boolean {
  return error instanceof SecLlamaError && /context length|too long/.test(error.message);
}

async function setHistory(
  around: Surroundings,
  reader: LineReader,
  on: boolean,
): Promise<boolean> {
  if (around.history === undefined) {
    throw new SecLlamaError("key-refused", "there is no lasting key to seal what you type with", {
      hint: HINTS.keyInit,
    });
  }
  if (on) {
    await around.history.write(reader.history);
    around.tui.note("What you type is kept for the next time, sealed by your key.");
    return true;
  }
  await around.history.forget();
  reader.forgetHistory();
  around.tui.note("What you typed is forgotten, and nothing is kept.");
  return false;
}

async function obey(
  slash: Exclude<Slash, { kind: "bye" | "history" | "file" }>,
  around: Surroundings,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const { tui } = around;
  const set = (change: Partial<Session["settings"]>) =>
    session.settings = { ...session.settings, ...change };
  switch (slash.kind) {
    case "help":
      return tui.note(SLASH_HELP);
    case "shortcuts":
      return tui.note(SHORTCUTS);
    case "clear":
      session.clear();
      return tui.note("What was said is forgotten.");
    case "system":
      set({ system: slash.text });
      return tui.note(slash.text === "" ? "No system message." : "The system message is set.");
    case "parameter":
      set({ options: { ...session.settings.options, [slash.name]: slash.value } });
      return tui.note(`${slash.name} is ${slash.value}.`);
    case "format": {
      const { format: _, ...rest } = session.settings;
      session.settings = slash.format === undefined ? rest : { ...rest, format: slash.format };
      return tui.note(slash.format === undefined ? "Any text." : "Answers are JSON.");
    }
    case "think": {
      const { think: _, ...rest } = session.settings;
      session.settings = slash.think === undefined ? rest : { ...rest, think: slash.think };
      return tui.note(slash.think === false ? "It does not think first." : "It thinks first.");
    }
    case "verbose":
      set({ verbose: slash.on });
      return tui.note(slash.on ? "Counts and times follow each answer." : "No counts.");
    case "wordwrap":
      set({ wordWrap: slash.on });
      return tui.note(slash.on ? "Lines break at words." : "Lines are as they come.");
    case "show":
      return tui.out(await around.show(session.model, slash.part, signal));
    case "load":
      await around.load(slash.model, signal);
      session.model = slash.model;
      return tui.note(`Now with ${slash.model}. What was said stays.`);
    case "save":
      return tui.note(await around.save(slash.model, session));
  }
}
