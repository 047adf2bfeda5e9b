/**
 * How a model writes tool calls, for grammars that hold it to them: the other side of what src/replies reads. A family of
 * models is one {@link CallSyntax}; which one a model has is told by its template.
 */
import type { Part, Rule } from "../grammar/gbnf.ts";
import { literal } from "../grammar/gbnf.ts";
import type { ReplyGrammar } from "../grammar/schema_grammar.ts";

/** A tool whose arguments have a rule. */
export interface CallableTool {
  readonly name: string;
  /** Its arguments as a JSON object. */
  readonly arguments: Rule;
  /** JSON schema of the arguments, for families that do not write JSON. */
  readonly parameters: unknown;
}

export interface CallSyntax {
  /** What a reply's first call begins with, which its text before does not contain. Absent: a call is the whole reply. */
  readonly open?: string;
  /** A rule for one call, or up to `most`, of any of the tools: all that is written, `open` included. */
  calls(grammar: ReplyGrammar, tools: readonly CallableTool[], most: number): Rule;
}

/** `{"name": …, "arguments": {…}}`, one of the tools. */
function jsonCall(grammar: ReplyGrammar, tools: readonly CallableTool[], key: string): Rule {
  const rule = grammar.rule();
  for (const tool of tools) {
    rule.or(
      `"{" ws ${literal('"name"')} ":" ws`,
      literal(JSON.stringify(tool.name)),
      `ws "," ws ${literal(JSON.stringify(key))} ":" ws`,
      tool.arguments,
      `ws "}"`,
    );
  }
  return rule;
}

/** One, and up to `most` in all with `between` them. */
function listed(grammar: ReplyGrammar, one: Rule, between: string, most: number): Part[] {
  return most > 1 ? [one, grammar.repeat(grammar.of(between, one), 0, most - 1)] : [one];
}

/** Each call between tags of its own: Hermes, Qwen, and what is trained like them. */
function tagged(open: string, close: string): CallSyntax {
  return {
    open,
    calls(grammar, tools, most) {
      const call = jsonCall(grammar, tools, "arguments");
      const one = grammar.of(`${literal(open)} ws`, call, `ws ${literal(close)}`);
      return grammar.of(...listed(grammar, one, "ws", most));
    },
  };
}

/** A tag, then a list of calls. */
function list(open: string): CallSyntax {
  return {
    open,
    calls(grammar, tools, most) {
      const call = jsonCall(grammar, tools, "arguments");
      return grammar.of(
        `${literal(open)} ws "[" ws`,
        ...listed(grammar, call, `ws "," ws`, most),
        `ws "]"`,
      );
    },
  };
}

/** A call is the whole reply. */
function bare(key: string): CallSyntax {
  return { calls: (grammar, tools) => jsonCall(grammar, tools, key) };
}

const FAMILIES: readonly { readonly sign: string; readonly syntax: CallSyntax }[] = [
  { sign: "<tool_call>", syntax: tagged("<tool_call>", "</tool_call>") },
  { sign: "[TOOL_CALLS]", syntax: list("[TOOL_CALLS]") },
  { sign: "<|tool_call|>", syntax: list("<|tool_call|>") },
];

/** @param template The source of the chat template; absent: the model has none. */
export function callSyntax(template: string | undefined): CallSyntax {
  const family = FAMILIES.find(({ sign }) => template?.includes(sign));
  return family?.syntax ?? bare(template?.includes('"parameters":') ? "parameters" : "arguments");
}
