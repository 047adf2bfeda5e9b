/**
 * The commands of a conversation. A line that begins with a slash is a command or a mistake, and never goes to a model: whoever
 * mistypes `/cler` does not want an answer to it. `//` at the start of a line stands for a slash that is meant.
 */
import { SecLlamaError } from "../../errors.ts";
import { closest } from "../../suggest.ts";
import { checkParameter, type ParameterValue } from "../../models/parameters.ts";

export type Think = boolean | "low" | "medium" | "high";

export type Slash =
  | { readonly kind: "bye" | "clear" | "help" | "shortcuts" }
  | { readonly kind: "system"; readonly text: string }
  | { readonly kind: "parameter"; readonly name: string; readonly value: ParameterValue }
  | { readonly kind: "format"; readonly format: "json" | object | undefined }
  | { readonly kind: "think"; readonly think: Think | undefined }
  | { readonly kind: "verbose" | "wordwrap" | "history"; readonly on: boolean }
  | { readonly kind: "show"; readonly part: ShowPart }
  | { readonly kind: "load" | "save"; readonly model: string }
  | { readonly kind: "file"; readonly path: string };

const SHOW_PARTS = [
  "info",
  "license",
  "modelfile",
  "parameters",
  "system",
  "template",
] as const;
export type ShowPart = typeof SHOW_PARTS[number];

/** What `/?` shows. */
export const SLASH_HELP = `/set system TEXT            what the model is told first
/set parameter NAME VALUE   for instance: /set parameter temperature 0.2
/set format json | SCHEMA   answers are JSON; /set noformat ends it
/set think [low|medium|high]  let it think; /set nothink
/set verbose | quiet        counts and times after each answer, or not
/set wordwrap | nowordwrap
/set history | nohistory    keep what you type, sealed by your key, or not
/show [${SHOW_PARTS.join("|")}]
/load MODEL                 go on with another model
/save MODEL                 a model with this system message and these parameters
/file PATH                  put a text file or a picture into the next message
/clear                      forget what was said
/bye                        end (Ctrl-D too)
"""                         begins and ends a text of several lines
//                          begins a line that starts with one slash
/? shortcuts                keys`;

const WORDS = ["/bye", "/exit", "/quit", "/clear", "/help", "/set", "/show", "/load", "/save"]
  .concat("/file");
const SETTINGS = ["system", "parameter", "format", "noformat", "think", "nothink", "verbose"]
  .concat("quiet", "wordwrap", "nowordwrap", "history", "nohistory");

/** Whether its first word is a command. */
export function isCommand(line: string): boolean {
  return WORDS.includes(line.trim().split(/\s+/)[0]!);
}

export const SHORTCUTS = `Up, Down       earlier lines
Ctrl-A, Ctrl-E start, end of the line
Alt-B, Alt-F   a word back, forward
Ctrl-K, Ctrl-U delete to the end, to the start
Ctrl-W         delete the word before
Ctrl-L         clear the screen
Ctrl-C         end the answer, throw the line away
Ctrl-D         leave`;

/**
 * Reads a line that begins with a slash, or is a question mark.
 * @throws {SecLlamaError} `usage` for what is no command, or lacks something.
 */
export function parseSlash(line: string): Slash {
  const [word = "", ...rest] = line.trim().split(/\s+/);
  if (line.trim().includes("\n") && !/^\/set\s+system\s/.test(line.trim())) {
    throw new SecLlamaError("usage", "this text of several lines begins with a slash", {
      hint: `nothing was sent; // begins a text with a slash, or put it between two """`,
    });
  }
  const after = line.trim().slice(word.length).trim();
  switch (word) {
    case "/bye":
    case "/exit":
    case "/quit":
      return { kind: "bye" };
    case "/clear":
      return { kind: "clear" };
    case "?":
    case "/?":
    case "/help":
      return { kind: rest[0] === "shortcuts" ? "shortcuts" : "help" };
    case "/set":
      return parseSet(rest[0] ?? "", after.slice((rest[0] ?? "").length).trim());
    case "/show": {
      const part = rest[0] ?? "info";
      const found = SHOW_PARTS.find((one) => one === part);
      if (found === undefined) throw wrong(`/show takes one of: ${SHOW_PARTS.join(", ")}`);
      return { kind: "show", part: found };
    }
    case "/load":
    case "/save":
      if (rest.length !== 1) throw wrong(`${word} needs one model's name, without spaces`);
      return { kind: word === "/load" ? "load" : "save", model: rest[0]! };
    case "/file":
      if (after === "") throw wrong("/file needs a path");
      return { kind: "file", path: after };
    default: {
      const meant = closest(word, WORDS);
      throw new SecLlamaError("usage", `there is no command ${word.slice(0, 40)}`, {
        hint: `nothing was sent; ${meant === undefined ? "" : `did you mean ${meant}? `}` +
          "/? shows the commands, // begins a line with a slash",
      });
    }
  }
}

function parseSet(what: string, value: string): Slash {
  switch (what) {
    case "system":
      return { kind: "system", text: unquoted(value) };
    case "parameter": {
      const [name = "", ...words] = value.split(/\s+/);
      if (words.length === 0) throw wrong("/set parameter needs a name and a value");
      return { kind: "parameter", name, value: parameterOf(name, words) };
    }
    case "format":
      return { kind: "format", format: formatOf(value) };
    case "noformat":
      return { kind: "format", format: undefined };
    case "think": {
      if (value === "") return { kind: "think", think: true };
      const level = (["low", "medium", "high"] as const).find((one) => one === value);
      if (level !== undefined) return { kind: "think", think: level };
      if (value === "true" || value === "false") return { kind: "think", think: value === "true" };
      throw wrong("/set think takes low, medium, high, or nothing");
    }
    case "nothink":
      return { kind: "think", think: false };
    case "verbose":
    case "quiet":
      return { kind: "verbose", on: what === "verbose" };
    case "wordwrap":
    case "nowordwrap":
      return { kind: "wordwrap", on: what === "wordwrap" };
    case "history":
    case "nohistory":
      return { kind: "history", on: what === "history" };
    default: {
      const meant = what === "" ? undefined : closest(what, SETTINGS);
      throw new SecLlamaError(
        "usage",
        what === ""
          ? "/set needs what is to be set"
          : `/set knows no ${JSON.stringify(what.slice(0, 40))}`,
        {
          hint: meant === undefined
            ? `it is one of: ${SETTINGS.join(", ")}`
            : `did you mean /set ${meant}?`,
        },
      );
    }
  }
}

/** Without the quotes around it: three of each, as Ollama has them, or one. */
function unquoted(text: string): string {
  return /^"""([^]*?)"""$/.exec(text)?.[1] ?? /^"([^"]*)"$/.exec(text)?.[1] ?? text;
}

function parameterOf(name: string, words: readonly string[]): ParameterValue {
  if (name === "stop") return checkParameter(name, [...words], "/set");
  const text = words.join(" ");
  const value = text === "true" || text === "false"
    ? text === "true"
    : /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)
    ? Number(text)
    : text;
  return checkParameter(name, value, "/set");
}

/**
 * `json`, or a JSON schema.
 * @throws {SecLlamaError} `usage`.
 */
export function formatOf(text: string): "json" | object {
  if (text === "json") return "json";
  try {
    const schema: unknown = JSON.parse(text);
    if (typeof schema === "object" && schema !== null && !Array.isArray(schema)) return schema;
  } catch { /* said below */ }
  throw new SecLlamaError("usage", "a format is json, or a JSON schema: an object", {
    hint: 'nothing was sent; as in: json, or {"type":"object"}',
  });
}

function wrong(message: string): SecLlamaError {
  return new SecLlamaError("usage", message, { hint: "/? shows the commands" });
}
