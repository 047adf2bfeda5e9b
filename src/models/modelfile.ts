/**
 * Ollama's Modelfile: what a model is made of, one instruction a line.
 *
 * ```
 * # comment
 * FROM demo                         a model, a GGUF file (./x.gguf) or a blob (@sha256:…)
 * PARAMETER temperature 0.5
 * SYSTEM """several
 * lines"""                          what is between the quotes, as it stands
 * MESSAGE user "Hi"
 * ```
 * Instructions are read in upper and lower case. A value ends with its line, unless it begins with `"` or `"""`: then at a
 * line's end that follows the same quotes. Pure: files that it names are not looked at.
 */
import { SecLlamaError } from "../errors.ts";
import { isRole, type ModelMessage } from "./defaults.ts";
import { isNewerThanOurs, parseRequires } from "./requires.ts";
import { OLLAMA_API_VERSION } from "../api/texts.ts";
import {
  MAX_STOPS,
  type ParameterValue,
  parseParameter,
  RETIRED_PARAMETERS,
} from "./parameters.ts";

/** Largest Modelfile that is read. */
export const MODELFILE_BYTES = 4 * 1024 * 1024;

/** A value and the line that it begins on, counted from 1. */
export interface Placed {
  readonly value: string;
  readonly line: number;
}

export interface Modelfile {
  /** A model, and perhaps its projector. */
  readonly from: readonly Placed[];
  readonly adapters: readonly Placed[];
  /** A smaller model that guesses tokens ahead. */
  readonly draft?: Placed;
  readonly template?: string;
  readonly system?: string;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  readonly messages: readonly ModelMessage[];
  readonly licenses: readonly string[];
  /** The version of Ollama that it was written for. */
  readonly requires?: string;
  /** One line each: what was understood and left out. */
  readonly warnings: readonly string[];
}

const INSTRUCTIONS = [
  "FROM",
  "TEMPLATE",
  "PARAMETER",
  "SYSTEM",
  "MESSAGE",
  "LICENSE",
  "ADAPTER",
  "DRAFT",
  "REQUIRES",
];

/** Instructions of Ollama's that say how its own server is to do what is done otherwise here. */
const PASSED_OVER: ReadonlyMap<string, string> = new Map([
  ["RENDERER", "the model's own template makes the prompts"],
  ["PARSER", "calls and thoughts are read by the model's own template"],
]);

/**
 * Reads a Modelfile's bytes: UTF-8, or UTF-16 with a byte order mark.
 * @throws {SecLlamaError} `bad-modelfile` with the line, for an unknown instruction or parameter, a wrong value, quotes
 *   that are never closed, or no FROM.
 */
export function parseModelfile(bytes: Uint8Array): Modelfile {
  const from: Placed[] = [];
  const adapters: Placed[] = [];
  const parameters: Record<string, ParameterValue> = {};
  const messages: ModelMessage[] = [];
  const licenses: string[] = [];
  const warnings: string[] = [];
  let template: string | undefined;
  let system: string | undefined;
  let requires: string | undefined;
  let draft: Placed | undefined;
  for (const { name, value, line } of instructions(decode(bytes))) {
    switch (name) {
      case "FROM":
        from.push({ value: required(name, value, line), line });
        break;
      case "ADAPTER":
        adapters.push({ value: required(name, value, line), line });
        break;
      case "DRAFT":
        if (draft !== undefined) throw bad(`line ${line}: a second DRAFT`, "name one draft model");
        draft = { value: required(name, value, line), line };
        break;
      case "TEMPLATE":
        template = value;
        break;
      case "SYSTEM":
        system = value;
        break;
      case "LICENSE":
        licenses.push(required(name, value, line));
        break;
      case "MESSAGE":
        messages.push(readMessage(value, line));
        break;
      case "REQUIRES":
        requires = readRequires(value, line, warnings);
        break;
      case "PARAMETER":
        addParameter(parameters, value, line, warnings);
        break;
      default:
        warnings.push(`line ${line}: ${name} is left out: ${PASSED_OVER.get(name)}`);
    }
  }
  if (from.length === 0) {
    throw bad("the Modelfile has no FROM", "say what the model is made from, as in: FROM demo");
  }
  return {
    from,
    adapters,
    ...(draft === undefined ? {} : { draft }),
    ...(template === undefined ? {} : { template }),
    ...(system === undefined ? {} : { system }),
    ...(requires === undefined ? {} : { requires }),
    parameters,
    messages,
    licenses,
    warnings,
  };
}

function decode(bytes: Uint8Array): string {
  if (bytes.length > MODELFILE_BYTES) throw bad("the Modelfile is larger than 4 MiB");
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe
    ? "utf-16le"
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? "utf-16be"
    : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SecLlamaError("bad-modelfile", "the Modelfile is not UTF-8 text", {
      hint: "a Modelfile is a text file; to take a model's own file: secllama import FILE",
      cause,
    });
  }
}

interface Instruction {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

function* instructions(text: string): Generator<Instruction> {
  const lines = text.split(/\r\n|\r|\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    const trimmed = lines[at]!.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const [word, rest] = splitWord(trimmed);
    const name = word.toUpperCase();
    if (!INSTRUCTIONS.includes(name) && !PASSED_OVER.has(name)) {
      throw bad(
        `line ${line}: unknown instruction ${JSON.stringify(word.slice(0, 32))}`,
        `known instructions: ${INSTRUCTIONS.join(", ")}`,
      );
    }
    // MESSAGE and PARAMETER have a word before the value, which may be the quoted part.
    const hasWord = name === "MESSAGE" || name === "PARAMETER";
    const [second, tail] = hasWord ? splitWord(rest) : ["", rest];
    if (tail === "" && (hasWord || rest === "")) {
      throw bad(`line ${line}: ${name} has no value`);
    }
    const quotes = ['"""', '"'].find((one) => tail.startsWith(one)) ?? "";
    const parts = [tail.slice(quotes.length)];
    // Only the line that came last is looked at: a long text must not be read again for each of its lines.
    while (!parts.at(-1)!.trimEnd().endsWith(quotes)) {
      if (++at >= lines.length) throw bad(`line ${line}: the quotes of ${name} are never closed`);
      parts.push(lines[at]!);
    }
    const joined = parts.join("\n").trimEnd();
    const unquoted = joined.slice(0, joined.length - quotes.length);
    yield { name, value: hasWord ? `${second} ${unquoted}` : unquoted, line };
  }
}

/** The first word, and what follows it without the spaces around. */
function splitWord(text: string): [string, string] {
  const end = text.search(/[ \t]/);
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end).trim()];
}

function required(name: string, value: string, line: number): string {
  if (value.trim() === "") throw bad(`line ${line}: ${name} has no value`);
  return value;
}

function readMessage(text: string, line: number): ModelMessage {
  const space = text.indexOf(" ");
  const role = text.slice(0, space).toLowerCase();
  if (!isRole(role)) {
    throw bad(`line ${line}: a MESSAGE is of the role system, user or assistant`);
  }
  return { role, content: text.slice(space + 1) };
}

function readRequires(text: string, line: number, warnings: string[]): string {
  const version = parseRequires(text);
  if (version === undefined) {
    throw bad(`line ${line}: REQUIRES is no version`, "as in: REQUIRES 0.14.0");
  }
  if (isNewerThanOurs(version)) {
    warnings.push(
      `line ${line}: the model asks for Ollama ${version}, newer than ${OLLAMA_API_VERSION} whose API is offered: something may be missing`,
    );
  }
  return version;
}

function addParameter(
  parameters: Record<string, ParameterValue>,
  text: string,
  line: number,
  warnings: string[],
): void {
  const space = text.indexOf(" ");
  const name = text.slice(0, space).toLowerCase();
  if (RETIRED_PARAMETERS.has(name)) {
    warnings.push(`line ${line}: the parameter ${name} has no effect any more and is left out`);
    return;
  }
  const value = parseParameter(name, text.slice(space + 1), `line ${line}`);
  const before = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  if (Array.isArray(before) && Array.isArray(value)) {
    const both = [...before, ...value];
    if (both.length > MAX_STOPS) throw bad(`line ${line}: more than ${MAX_STOPS} stop texts`);
    parameters[name] = both;
  } else parameters[name] = value;
}

/** Whether a FROM or ADAPTER names a file (`./x.gguf`, `/x`, `~/x`, `x.gguf`), a blob (`@sha256:…`) or a model. */
export function kindOfReference(value: string): "file" | "blob" | "model" {
  if (/^@?sha256[:-]/.test(value)) return "blob";
  return /^(\.{0,2}[\\/]|~[\\/]|\.{1,2}$|[A-Za-z]:[\\/])|\.gguf$/i.test(value) ? "file" : "model";
}

/** A Modelfile that makes the same model again. `from` is a name, or lines of blobs. */
export function formatModelfile(parts: {
  readonly from: readonly string[];
  readonly adapters: readonly string[];
  readonly template?: string;
  readonly system?: string | undefined;
  readonly parameters?: Readonly<Record<string, ParameterValue>> | undefined;
  readonly messages?: readonly ModelMessage[] | undefined;
  readonly licenses: readonly string[];
  readonly requires?: string | undefined;
}): string {
  const lines = parts.from.map((from) => `FROM ${from}`);
  if (parts.requires !== undefined) lines.push(`REQUIRES ${parts.requires}`);
  for (const adapter of parts.adapters) lines.push(`ADAPTER ${adapter}`);
  if (parts.template !== undefined) lines.push(`TEMPLATE ${quote(parts.template)}`);
  if (parts.system !== undefined) lines.push(`SYSTEM ${quote(parts.system)}`);
  for (const [name, setting] of Object.entries(parts.parameters ?? {})) {
    for (const one of Array.isArray(setting) ? setting : [setting]) {
      lines.push(`PARAMETER ${name} ${typeof one === "string" ? quote(one) : one}`);
    }
  }
  for (const { role, content } of parts.messages ?? []) {
    lines.push(`MESSAGE ${role} ${quote(content)}`);
  }
  for (const license of parts.licenses) lines.push(`LICENSE ${quote(license)}`);
  return lines.join("\n") + "\n";
}

function quote(text: string): string {
  return /^[^"\s]+$/.test(text) ? text : `"""${text}"""`;
}

function bad(
  message: string,
  hint = "correct that; for what a Modelfile may have: secllama help models",
): SecLlamaError {
  return new SecLlamaError("bad-modelfile", message, { hint });
}
