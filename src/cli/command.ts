/**
 * What a command is: its words, its option table and a function. The table is both the parser's input and the text of
 * `--help`, so the two cannot differ. Commands print only through `tui` and return an exit code; only main.ts exits.
 */
import { parseArgs } from "node:util";
import { SecLlamaError } from "../errors.ts";
import { isSetting } from "../config/fields.ts";
import { closest } from "../suggest.ts";
import type { Tui } from "./tui.ts";

export interface OptionSpec {
  readonly type: "boolean" | "string";
  readonly help: string;
  /** How the value is shown in help: `--name <FILE>`. */
  readonly value?: string;
  /** All that the value may be, where that is a list. */
  readonly choices?: readonly string[];
  readonly short?: string;
  readonly multiple?: boolean;
  /** Taken, to be refused with a reason: help, completion and manual are without it. */
  readonly unlisted?: true;
}

export type OptionTable = { readonly [name: string]: OptionSpec };

export interface CommandContext {
  readonly tui: Tui;
  readonly values: { readonly [name: string]: string | boolean | (string | boolean)[] | undefined };
  readonly positionals: readonly string[];
  readonly env: { readonly [name: string]: string | undefined };
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Command {
  /** The words that select it: `["key", "rotate"]`. */
  readonly path: readonly string[];
  readonly summary: string;
  /** Positionals as shown in help: `MODEL [PROMPT]`. */
  readonly arguments?: string;
  /** A line that works, for those who gave too little or too much. */
  readonly example?: string;
  readonly minPositionals?: number;
  readonly maxPositionals?: number;
  readonly options: OptionTable;
  /** Further paragraphs of `--help`. */
  readonly details?: string;
  readonly hidden?: boolean;
  /** All that it does is what it prints: it ends, with success, once nobody reads that any more. */
  readonly endsWithItsReader?: boolean;
  /** Its first positional begins another command line: what follows is handed on as it is, options too. */
  readonly handsOn?: boolean;
  run(context: CommandContext): Promise<number>;
}

/** The value of a string option, or undefined. */
export function stringOption(context: CommandContext, name: string): string | undefined {
  const value = context.values[name];
  return typeof value === "string" ? value : undefined;
}

/** Whether a boolean option was given. */
export function flag(context: CommandContext, name: string): boolean {
  return context.values[name] === true;
}

/** `--json` of every command that reports something. */
export const JSON_OPTION = {
  json: { type: "boolean", help: "print one JSON document" },
} as const satisfies OptionTable;

/** What every command takes. */
export const COMMON_OPTIONS = {
  help: { type: "boolean", help: "show this help", short: "h" },
  profile: {
    type: "string",
    value: "NAME",
    help: "which of several keysets, each with its clients",
  },
} as const satisfies OptionTable;

/**
 * Parses the words after the command's own.
 * @throws {SecLlamaError} `usage` for an unknown option, a missing value, or too few or too many arguments.
 */
export function parseCommandArgs(
  command: Command,
  args: readonly string[],
): Pick<CommandContext, "values" | "positionals"> {
  const name = command.path.join(" ");
  const hint = optionsHint(name);
  let parsed;
  try {
    parsed = parseArgs({
      args: command.handsOn ? endOptions(command, args) : [...args],
      options: Object.fromEntries(
        Object.entries<OptionSpec>({ ...command.options, ...COMMON_OPTIONS })
          .map(([key, o]) => [key, {
            type: o.type,
            ...(o.short ? { short: o.short } : {}),
            ...(o.multiple ? { multiple: true } : {}),
          }]),
      ),
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const unknown = /^Unknown option '(--?[^']*)'/.exec(
      error instanceof Error ? error.message : "",
    );
    if (unknown) throw unknownOption(command, unknown[1]!, args, error);
    const dashed = /^Option '(--?[^' ]*).*' argument is ambiguous/.exec(
      error instanceof Error ? error.message : "",
    );
    if (dashed) {
      throw new SecLlamaError("usage", `what follows ${dashed[1]} begins with a dash`, {
        hint: `if it is the value: ${
          dashed[1]
        }=VALUE; if not, the value is missing (secllama ${name} --help)`,
        cause: error,
      });
    }
    // node:util names the option, never its value, in these messages.
    const text = error instanceof Error ? error.message.split(". ")[0]! : "bad arguments";
    throw new SecLlamaError("usage", text.replace(/\.$/, ""), { hint, cause: error });
  }
  if (parsed.values["help"] !== true) {
    const count = parsed.positionals.length;
    if (count < (command.minPositionals ?? 0)) {
      throw new SecLlamaError("usage", `secllama ${name} needs: ${command.arguments}`, {
        hint: usageHint(command),
      });
    }
    if (count > (command.maxPositionals ?? 0)) {
      throw new SecLlamaError(
        "usage",
        command.maxPositionals === undefined
          ? `secllama ${name} takes no arguments, got ${count}`
          : `secllama ${name} takes at most ${command.maxPositionals}, got ${count}: ` +
            "is a name of several words in quotes?",
        { hint: `${hint}; as in: ${command.example ?? `secllama ${name}`}` },
      );
    }
  }
  return parsed as Pick<CommandContext, "values" | "positionals">;
}

/** How a command is used: its example, or where its options are. */
export function usageHint({ path, example }: Pick<Command, "path" | "example">): string {
  return example === undefined ? optionsHint(path.join(" ")) : `for instance: ${example}`;
}

const optionsHint = (name: string) => `for the options, run: secllama ${name} --help`;

/** Options of Ollama's that there are none of here → what to do instead. */
const OPTIONS_OF_OLLAMA: { readonly [commandAndOption: string]: string } = {
  "run --model": "the model comes first: secllama run MODEL PROMPT",
  "run -m": "the model comes first: secllama run MODEL PROMPT",
  "run --prompt": "the prompt follows the model: secllama run MODEL PROMPT",
  "run -p": "the prompt follows the model: secllama run MODEL PROMPT",
  "run --hidethinking": "for answers without thoughts: secllama run --think false",
  "run --insecure": "registries are asked over TLS; for one of your own: secllama help models",
  "pull --insecure": "registries are asked over TLS; for one of your own: secllama help models",
  "run --dimensions": "embeddings are made by the API: secllama help api",
  "run --truncate": "embeddings are made by the API: secllama help api",
  "create --quantize": "a model is taken as it is: quantize it with llama.cpp first",
};

function unknownOption(
  command: Command,
  option: string,
  args: readonly string[],
  cause: unknown,
): SecLlamaError {
  const name = command.path.join(" ");
  const known = listedOptions(command).map(([key]) => `--${key}`);
  const meant = closest(option, known);
  const other = OPTIONS_OF_OLLAMA[`${name} ${option}`] ??
    (meant === undefined ? unmeantHint(command, option, args) : didYouMean(name, meant));
  return new SecLlamaError("usage", `secllama ${name} has no option ${option.slice(0, 40)}`, {
    hint: other,
    cause,
  });
}

const didYouMean = (name: string, option: string) => `did you mean: secllama ${name} ${option}`;

/** For an option that is like none: a setting without one, the only one that begins so, a prompt with a dash. */
function unmeantHint(command: Command, option: string, args: readonly string[]): string {
  const name = command.path.join(" ");
  const variable = `SECLLAMA_${option.slice(2).toUpperCase().replaceAll("-", "_")}`;
  if (isSetting(variable)) {
    return `it has no flag; set the variable ${variable} (secllama help config)`;
  }
  const alike = listedOptions(command).map(([key]) => key).filter((key) =>
    key in command.options && key[0] === option[1]
  );
  if (/^-[a-z]$/.test(option) && alike.length === 1) return didYouMean(name, `--${alike[0]}`);
  const at = args.findIndex((word) => word.startsWith(option));
  return command.maxPositionals === Infinity && args.slice(0, at).some((word) => word[0] !== "-")
    ? `${optionsHint(name)}; words that begin with a dash go after --`
    : optionsHint(name);
}

/** With `--` before the first word that is neither an option nor an option's value. */
function endOptions(command: Command, args: readonly string[]): string[] {
  const options: OptionTable = { ...command.options, ...COMMON_OPTIONS };
  let at = 0;
  while (args[at]?.startsWith("-") && args[at] !== "--") {
    const takesNext = options[args[at]!.slice(2)]?.type === "string";
    at += takesNext ? 2 : 1;
  }
  return args[at] === "--" ? [...args] : [...args.slice(0, at), "--", ...args.slice(at)];
}

/** The options that help, completion and manual show, by name. */
export function listedOptions(command: Command): [name: string, spec: OptionSpec][] {
  return Object.entries<OptionSpec>({ ...command.options, ...COMMON_OPTIONS })
    .filter(([, { unlisted }]) => unlisted !== true);
}

/** The text of `secllama COMMAND --help`. */
export function commandHelp(command: Command): string {
  const rows = listedOptions(command).map(([name, o]) => {
    const left = `${o.short ? `-${o.short}, ` : "    "}--${name}${
      o.type === "string" ? ` <${o.value ?? "VALUE"}>` : ""
    }`;
    return [left, o.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return [
    `${command.summary}`,
    "",
    `Usage: secllama ${command.path.join(" ")}${
      command.arguments ? ` ${command.arguments}` : ""
    } [OPTIONS]`,
    "",
    "Options:",
    ...rows.map(([left, help]) => `  ${left.padEnd(width)}${help}`),
    ...(command.details ? ["", command.details.trim()] : []),
  ].join("\n");
}
