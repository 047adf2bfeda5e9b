/**
 * How a model writes tool calls, for grammars that hold it to them: the other side of what src/replies reads. Which way a model
 * has is told by what its template writes.
 */
import { type CallForm, callForm } from "../../src/replies/call_forms.ts";
import { readerFor, replyFormat } from "../../src/replies/formats.ts";
import { RESPONSE_PAIR } from "../../src/replies/tagged_reader.ts";
import { Tools } from "../../src/replies/tools.ts";
import { argumentsNotation, formText } from "../grammar/call_notation.ts";
import { literal, type Part, type Rule } from "../grammar/gbnf.ts";
import { JSON_NOTATION, type Notation } from "../grammar/notation.ts";
import type { ReplyGrammar } from "../grammar/schema_grammar.ts";
import type { ToolDefinition } from "../engine/types.ts";

/** A tool whose arguments have a rule. */
export interface CallableTool {
  readonly name: string;
  /** Its arguments in the model's notation. */
  readonly arguments: Rule;
}

export interface CallSyntax {
  /** How these tools' arguments are written. */
  notation(tools: readonly ToolDefinition[]): (name: string) => Notation;
  /** A rule for one call, or up to `most`, of any of the tools: all that is written. */
  calls(grammar: ReplyGrammar, tools: readonly CallableTool[], most: number): Rule;
  /** Whether a call of a tool with this name is read as one. */
  reads(name: string): boolean;
  /** A rule for what is said to the user; absent: as it is. */
  said?(grammar: ReplyGrammar, text: Rule): Rule;
  /** A rule for any text, and calls behind it if there are any; absent: they cannot be told from text before they are over. */
  free?(grammar: ReplyGrammar, calls: Rule): Rule;
}

/** What a template writes, and what it is. */
interface Writing {
  /** Calls in a reply, as the template shows them; absent: it shows none. */
  readonly calls?: string | undefined;
  /** The template; absent: the model has none. */
  readonly source: string | undefined;
  /** The prompt's last characters. */
  readonly promptTail?: string;
}

export function callSyntax({ calls, source, promptTail = "" }: Writing): CallSyntax {
  const format = replyFormat(source);
  const reads = (text: (name: string) => string) => (name: string) =>
    PLAIN_NAME.test(name) || isRead(text(name), name, { source, promptTail });
  if (format === "harmony") {
    const text = (name: string) =>
      `<|channel|>commentary to=functions.${name}<|channel|>commentary<|message|>{}<|call|>`;
    return { ...HARMONY, reads: reads(text) };
  }
  if (format === "functionary" && promptTail.endsWith(">>>")) {
    return { ...FUNCTIONARY, reads: reads((name) => `${name}\n{}`) };
  }
  const form = callForm(calls, source);
  return { ...ofForm(form, source), reads: reads((name) => callText(form, name)) };
}

/** Names that every family's way has room for. */
const PLAIN_NAME = /^[A-Za-z_][\w-]*$/;

function isRead(
  text: string,
  name: string,
  { source, promptTail }: Required<Omit<Writing, "calls">>,
): boolean {
  const tools = [{ name }];
  const { reader } = readerFor({ template: source, promptTail, thought: false, tools });
  const said = [reader.push(text), reader.end(false)].flatMap(({ calls }) => calls);
  return said.length === 1 && said[0]!.name === name;
}

/** A call without arguments, as short as it can be. */
function callText(form: CallForm, name: string): string {
  const short = (text: string) =>
    text.replace(/[~^#@]/g, (sign) => ({ "#": "0", "@": "a00000000" })[sign] ?? "");
  const [before, between, after] = form.call.map(short) as [string, string, string];
  const [open, close] = (form.around ?? ["", ""]).map(short) as [string, string];
  const { kind } = form.arguments;
  const none = kind === "json" || kind === "gemma" ? "{}" : "";
  return open + before + writtenName(form, name) + between + none + after + close;
}

/** A name as it stands in a call. */
function writtenName(form: CallForm, name: string): string {
  const isJson = form.arguments.kind === "json" && form.call[0].endsWith('"');
  return isJson ? JSON.stringify(name).slice(1, -1) : name;
}

/** One call of each tool. @param written How a name stands there. */
function oneOf(
  grammar: ReplyGrammar,
  tools: readonly CallableTool[],
  before: readonly Part[],
  between: readonly Part[],
  after: readonly Part[],
  written = (name: string) => name,
): Rule {
  const rule = grammar.rule();
  for (const tool of tools) {
    rule.or(...before, literal(written(tool.name)), ...between, tool.arguments, ...after);
  }
  return rule;
}

/** One, and up to `most` in all with `join` between them. */
function listed(grammar: ReplyGrammar, one: Rule, join: string, most: number): Part[] {
  return most > 1 ? [one, grammar.repeat(grammar.of(join, one), 0, most - 1)] : [one];
}

function ofForm(form: CallForm, source: string | undefined): Omit<CallSyntax, "reads"> {
  const { open } = form;
  const [start, end] = RESPONSE_PAIR;
  return {
    notation(tools) {
      const read = new Tools(tools);
      return (name) => argumentsNotation(form.arguments, read, name);
    },
    calls(grammar, tools, most) {
      const [before, between, after] = form.call.map(formText) as [string, string, string];
      const may = form.mayFollow === undefined ? "" : `(${formText(form.mayFollow)})?`;
      const written = (name: string) => writtenName(form, name);
      const call = oneOf(grammar, tools, [before], [between], [may, after], written);
      const several = form.join === undefined ? 1 : most;
      const all = listed(grammar, call, formText(form.join ?? ""), several);
      const [first, last] = (form.around ?? ["", ""]).map(formText) as [string, string];
      return grammar.of(first, ...all, last);
    },
    ...(open === "" ? {} : {
      free(grammar: ReplyGrammar, calls: Rule) {
        const text = grammar.without(open);
        return grammar.rule().or(text).or(text, calls, "ws");
      },
    }),
    ...(source?.includes(start) && source.includes(end)
      ? {
        said: (grammar: ReplyGrammar, text: Rule) => grammar.of(literal(start), text, literal(end)),
      }
      : {}),
  };
}

/** Apart from what stands before it. */
const TYPE = `(" "? "<|constrain|>json" | " json" | " ")?`;

/** gpt-oss: a call is a message of its own, and ends the reply. */
const HARMONY: Omit<CallSyntax, "reads"> = {
  notation: () => () => JSON_NOTATION,
  calls(grammar, tools) {
    const header = oneOf(
      grammar,
      tools,
      [`"<|channel|>commentary to=functions."`],
      [`${TYPE} "<|message|>"`],
      [],
    );
    const recipient = oneOf(
      grammar,
      tools,
      [`" to=functions."`],
      [`" "? "<|channel|>commentary" ${TYPE} "<|message|>"`],
      [],
    );
    return grammar.rule().or(header).or(recipient);
  },
  said: (grammar, text) =>
    grammar.of(`"<|channel|>final" (" <|constrain|>json")? "<|message|>"`, text),
  free(grammar, calls) {
    const text = grammar.without("<|");
    const preamble = grammar.of(
      `"<|channel|>commentary<|message|>"`,
      text,
      `"<|end|><|start|>assistant"`,
    );
    return grammar.rule().or(calls).or(preamble, calls)
      .or(`"<|channel|>final<|message|>"`, text);
  },
};

/** functionary 3.2: each part has a line with whom it is for, behind a sign that the prompt ends with. */
const FUNCTIONARY: Omit<CallSyntax, "reads"> = {
  notation: () => () => JSON_NOTATION,
  calls(grammar, tools, most) {
    const call = oneOf(grammar, tools, [], [`"\\n"`], []);
    return grammar.of(...listed(grammar, call, `">>>"`, most));
  },
  said: (grammar, text) => grammar.of(`"all\\n"`, text),
  free(grammar, calls) {
    const text = grammar.of(`"all\\n"`, grammar.without(">>>"));
    return grammar.rule().or(text).or(calls).or(text, `">>>"`, calls);
  },
};
