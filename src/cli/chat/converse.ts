/** A conversation on the terminal: reads lines, obeys those that are commands, asks with the others. */
import type { Tui } from "../tui.ts";
import { SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { ask, type Post } from "./ask.ts";
import {
  attach,
  type Attached,
  isThere,
  picturesNamedIn,
  takePictures,
  typedPath,
} from "./files.ts";
import { takeSignal } from "../signals.ts";
import { LineReader } from "./line_reader.ts";
import type { Message, Session } from "./session.ts";
import { showAnswer } from "./show_answer.ts";
import { showWork } from "./work_sign.ts";
import {
  isCommand,
  parseSlash,
  SHORTCUTS,
  type ShowPart,
  type Slash,
  SLASH_HELP,
} from "./slash.ts";

/** What a conversation needs of the program around it. */
export interface Surroundings {
  readonly tui: Tui;
  readonly post: Post;
  /** The user's folder, which `~` stands for. */
  readonly home: string | undefined;
  /** Whether the terminal can move its cursor. */
  readonly edits: boolean;
  /** Loads a model, so that the first answer does not wait for it. @throws {SecLlamaError} `model-not-found`, … */
  load(
    model: string,
    keepAlive: Session["settings"]["keepAlive"],
    signal: AbortSignal,
  ): Promise<void>;
  /** Whether a model reads pictures. */
  sees(model: string, signal: AbortSignal): Promise<boolean>;
  show(session: Session, part: ShowPart, signal: AbortSignal): Promise<string>;
  /** Makes a model of the session's system message and parameters. */
  save(name: string, session: Session, signal: AbortSignal): Promise<string>;
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
/** What begins a text of several lines: a message, or a command that takes one. */
const OPENS = /^(\s*|\s*\/set\s+system\s+)"""([^]*)$/;

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
  using _interrupts = takeSignal("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", end);
  const saved = await around.history?.read() ?? [];
  const reader = new LineReader(saved, around.edits);
  let keep = saved.length > 0;
  const files: Attached[] = [];
  try {
    while (!over) {
      const typed = await readText(reader, tui);
      if (typed === undefined) break;
      const { text } = typed;
      if (text.trim() === "") continue;
      answer = new AbortController();
      try {
        if (!typed.quoted && (text.trim() === "?" || /^\s*\/(?!\/)/.test(text))) {
          await refuseDropped(text, around.home);
          const slash = parseSlash(text);
          if (slash.kind === "bye") break;
          if (slash.kind === "history") keep = await setHistory(around, reader, slash.on);
          else if (slash.kind === "file") files.push(await attached(slash.path, around));
          else await obey(slash, around, session, answer.signal);
          if (slash.kind === "clear") files.length = 0;
          continue;
        }
        const said = typed.quoted ? text : text.replace(/^\s*\/\//, "/");
        const { text: words, images } = await takePictures(said, {
          home: around.home,
          how: "/file",
          sees: () => around.sees(session.model, answer.signal),
          note: tui.note,
        });
        if (images.length > 0) files.push({ kind: "images", base64: images });
        const message = messageOf(files.splice(0), words);
        await answerTo(message, around, session, answer.signal);
      } catch (error) {
        if (answer.signal.aborted) tui.write("\n");
        else tui.error(error);
      }
    }
    if (keep) await around.history?.write(reader.history);
  } finally {
    Deno.removeSignalListener("SIGTERM", end);
  }
}

/** What was typed. */
interface Typed {
  readonly text: string;
  /** Whether it stood between `"""`: it is a message, whatever it begins with. */
  readonly quoted: boolean;
}

/** A line, or several between `"""`; undefined at the end. */
async function readText(reader: LineReader, tui: Tui): Promise<Typed | undefined> {
  let lines: string[] | undefined;
  let command = "";
  for (;;) {
    const read = await reader.read(lines ? "... " : ">>> ");
    if (read.kind === "end") return undefined;
    if (read.kind === "interrupt") {
      if (!lines) tui.note("To leave: /bye or Ctrl-D");
      return { text: "", quoted: false };
    }
    let { text } = read;
    if (!lines) {
      const [, before, after] = OPENS.exec(text) ?? [];
      if (after === undefined) return { text, quoted: false };
      [lines, command, text] = [[], before!, after];
    }
    // Quotes inside a line are part of it: a program's text may hold them.
    const isLast = text.trimEnd().endsWith(QUOTES);
    lines.push(isLast ? text.trimEnd().slice(0, -QUOTES.length) : text);
    if (!isLast) continue;
    if (lines[0] === "" && lines.length > 1) lines.shift();
    if (lines.at(-1) === "" && lines.length > 1) lines.pop();
    const whole = lines.join("\n");
    return command.trim() === ""
      ? { text: whole, quoted: true }
      : { text: `${command}${QUOTES}${whole}${QUOTES}`, quoted: false };
  }
}

/** A message with what goes along. */
function messageOf(files: readonly Attached[], said: string): Message {
  const texts = files.flatMap((file) => file.kind === "text" ? [file.text] : []);
  const images = files.flatMap((file) => file.kind === "images" ? file.base64 : []);
  return {
    role: "user",
    content: [...texts, said].join("\n\n"),
    ...(images.length === 0 ? {} : { images }),
  };
}

async function attached(typed: string, { tui, home }: Surroundings): Promise<Attached> {
  const path = await typedPath(typed, home);
  const file = await attach(path, tui.note);
  tui.note(`${path} goes with the next message${file.kind === "images" ? ", as a picture" : ""}.`);
  return file;
}

/** A file that was dropped on the terminal comes as its path, which begins with a slash. @throws {SecLlamaError} `usage`. */
async function refuseDropped(text: string, home: string | undefined): Promise<void> {
  if (isCommand(text)) return;
  const dropped = await typedPath(text, home);
  const path = await isThere(dropped)
    ? dropped
    : (await picturesNamedIn(text, home)).find(({ typed }) => text.trim().startsWith(typed))?.path;
  if (path === undefined) return;
  throw new SecLlamaError("usage", `${path} is a file, and no command`, {
    hint:
      `nothing was sent; to have it in the next message: /file ${path}; a message may name it behind its first word`,
  });
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
  const before = session.said();
  try {
    for (;;) {
      try {
        const stopSign = showWork(around.tui, session.model, around.post, signal);
        const pieces = ask(around.post, session.bodyFor(message), signal);
        const options = { ...session.settings, stopSign };
        await showAnswer(around.tui, pieces, options, (text) => said += text);
        return;
      } catch (error) {
        if (!isTooLong(error) || said !== "") throw error;
        if (!session.forgetOldest()) {
          // It does not fit alone either: nothing was forgotten for it.
          session.restore(before);
          dropped = 0;
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
      return tui.out(await around.show(session, slash.part, signal));
    case "load":
      await around.load(slash.model, session.settings.keepAlive, signal);
      session.model = slash.model;
      return tui.note(`Now with ${slash.model}. What was said stays.`);
    case "save":
      return tui.note(await around.save(slash.model, session, signal));
  }
}
