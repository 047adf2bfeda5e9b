/**
 * The command table as completion scripts need it. Each script is text made from these rows: what a shell offers is what
 * the parser takes.
 */
import { TOPICS } from "../topics.ts";
import { type Command, listedOptions, type OptionSpec } from "../command.ts";

/** What a value may be. `choice`: one of the words · `none`: the user's to know. */
type ValueKind = "choice" | "file" | "folder" | "model" | "none";

export interface Value {
  readonly kind: ValueKind;
  /** As help shows it: `FILE`. */
  readonly label: string;
  /** With `choice`. */
  readonly words: readonly string[];
}

export interface CompletionOption {
  /** `--gpu`. */
  readonly long: string;
  /** `-f`. */
  readonly short: string | undefined;
  readonly help: string;
  /** Undefined: a switch. */
  readonly value: Value | undefined;
  readonly multiple: boolean;
}

export interface CompletionCommand {
  readonly path: readonly string[];
  readonly summary: string;
  readonly options: readonly CompletionOption[];
  readonly arguments: readonly Value[];
  /** The last argument may be repeated. */
  readonly rest: boolean;
}

/** First words that stand for several commands, with the second words of each. */
export interface CompletionTable {
  readonly commands: readonly CompletionCommand[];
  readonly groups: ReadonlyMap<string, readonly CompletionCommand[]>;
}

/** The rows of the commands that help shows. */
export function completionTable(all: readonly Command[]): CompletionTable {
  const shown = all.filter((command) => !command.hidden);
  const topics = [
    ...new Set(shown.map((command) => command.path[0]!)),
    ...Object.keys(TOPICS),
    "config",
  ];
  const commands = shown.map((command) => row(command, topics));
  const groups = new Map<string, CompletionCommand[]>();
  for (const command of commands) {
    if (command.path.length === 1) continue;
    const [word] = command.path;
    groups.set(word!, [...(groups.get(word!) ?? []), command]);
  }
  return { commands, groups };
}

/** The first words of all commands, with what they do. */
export function firstWords(table: CompletionTable): readonly (readonly [string, string])[] {
  const seen = new Map<string, string>();
  for (const { path, summary } of table.commands) {
    const group = table.groups.get(path[0]!);
    seen.set(path[0]!, group ? group.map((c) => c.path[1]).join(", ") : summary);
  }
  return [...seen];
}

function row(command: Command, topics: readonly string[]): CompletionCommand {
  const shown = command.arguments ?? "";
  const words = shown.replace(/ \| /g, "|").replace(/[[\]]|\.\.\.$/g, "").split(" ");
  return {
    path: command.path,
    summary: command.summary,
    options: listedOptions(command).map(option),
    arguments: words.filter((word) => word !== "").map((word) =>
      value(word, word === "COMMAND|TOPIC|config" ? topics : undefined)
    ),
    rest: /\.\.\.\]?$/.test(shown),
  };
}

function option([name, spec]: [string, OptionSpec]): CompletionOption {
  return {
    long: `--${name}`,
    short: spec.short && `-${spec.short}`,
    help: spec.help,
    value: spec.type === "string" ? value(spec.value ?? "VALUE", spec.choices) : undefined,
    multiple: spec.multiple === true,
  };
}

/** The label says what the value is, as it says it to a reader of help. */
function value(label: string, choices: readonly string[] | undefined): Value {
  const words = choices ?? label.split("|");
  if (choices || (words.length > 1 && words.every((word) => /^[a-z0-9-]+$/.test(word)))) {
    return { kind: "choice", label, words };
  }
  const kinds: { readonly [label: string]: ValueKind } = {
    FILE: "file",
    FOLDER: "folder",
    MODEL: "model",
  };
  return { kind: kinds[label] ?? "none", label, words: [] };
}
