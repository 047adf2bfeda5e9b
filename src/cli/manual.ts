/** The man page, from the same table as `--help`: mdoc(7) would need more than this, man(7) is enough and read everywhere. */
import { fileKey } from "../config/config.ts";
import { type Field, FIELDS } from "../config/fields.ts";
import { EXIT } from "../errors.ts";
import { VERSION, VERSION_DATE } from "../version.ts";
import { type Command, listedOptions } from "./command.ts";

const EXIT_MEANING: { readonly [name in keyof typeof EXIT]: string } = {
  ok: "Success.",
  internal: "An error of SecLlama, of a model, or of a file.",
  usage: "A wrong option, argument or setting.",
  notInitialised: "There is no key yet.",
  locked: "The key store is locked.",
  unavailable:
    "Something that is needed cannot be reached: a key store, a gateway, a port, a network, memory.",
  keyLost: "A key is lost or damaged.",
  alreadyInitialised: "There is a key already.",
  lockBusy: "Another process is changing the keys.",
  refused: "Refused: what was asked for would weaken a protection, or one is missing.",
  notJudged: "doctor only: nothing failed, but something was not run",
};

/** secllama(1) in man(7) macros. */
export function manualPage(commands: readonly Command[]): string {
  const shown = commands.filter((command) => !command.hidden);
  return [
    `.TH SECLLAMA 1 ${VERSION_DATE} "SecLlama ${VERSION}" "User Commands"`,
    ".SH NAME",
    "secllama \\- talk to language models on your own machine, sealed and sandboxed",
    ".SH SYNOPSIS",
    ".B secllama",
    ".I COMMAND",
    "[\\fIOPTIONS\\fR]",
    ".SH DESCRIPTION",
    "SecLlama runs language models in a sandbox without a network. Prompts and replies are sealed from the",
    "client's side to the model: the server between relays ciphertext.",
    ".PP",
    "\\fBsecllama serve\\fR starts everything; programs that speak Ollama's or OpenAI's API then find it on",
    "127.0.0.1, port 11434.",
    ".SH COMMANDS",
    ...shown.flatMap(commandLines),
    ".SH SETTINGS",
    "Each is an environment variable, and a key of the file config.toml in the data folder. A flag goes before",
    "the environment, the environment before the file. A name or value that is not known is an error.",
    ...FIELDS.flatMap(fieldLines),
    ".SH FILES",
    ...term(
      "~/.local/share/secllama",
      "Data folder: models, and which keys there are. Keys themselves are in the key store. SECLLAMA_DATA_DIR names another.",
    ),
    ...term(
      "~/.cache/secllama",
      "What a compiled program unpacks; it may be removed while nothing runs.",
    ),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT_MEANING).flatMap(([name, text]) =>
      term(String(EXIT[name as keyof typeof EXIT]), text)
    ),
    ".SH EXAMPLES",
    ".nf",
    ...["secllama serve", 'secllama run demo "What is network isolation?"', "secllama doctor"]
      .map((line) => `\\fB${escape(line)}\\fR`),
    ".fi",
    "",
  ].join("\n");
}

function commandLines(command: Command): string[] {
  const options = listedOptions(command);
  const usage = `secllama ${command.path.join(" ")}`;
  return [
    `.SS ${escape(usage)}${command.arguments ? ` ${escape(command.arguments)}` : ""}`,
    escape(sentence(command.summary)),
    ...options.flatMap(([name, spec]) => [
      ".TP",
      [
        ...(spec.short ? [`\\fB${escape(`-${spec.short}`)}\\fR,`] : []),
        `\\fB${escape(`--${name}`)}\\fR`,
        ...(spec.type === "string" ? [`\\fI${escape(spec.value ?? "VALUE")}\\fR`] : []),
      ].join(" "),
      escape(sentence(spec.help)),
    ]),
    // As written: some are tables.
    ...(command.details
      ? [".PP", ".nf", ...command.details.trim().split("\n").map(escape), ".fi"]
      : []),
  ];
}

function fieldLines(field: Field): string[] {
  const flag = field.flag ? `, flag --${field.flag}` : "";
  return term(
    `${field.env}=${field.value}`,
    `${sentence(field.help)} In config.toml: ${fileKey(field)}${flag}.`,
  );
}

function term(tag: string, text: string): string[] {
  return [".TP", `\\fB${escape(tag)}\\fR`, escape(text)];
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.)]$/.test(text) ? "" : "."}`;
}

/** Text that no macro or escape of roff is read from. */
function escape(text: string): string {
  return text.trim()
    .replace(/\\/g, "\\e")
    .replace(/-/g, "\\-")
    .replace(/^([.'])/, "\\&$1")
    .replace(/…/g, "...");
}
