/**
 * How a model writes tool calls, for grammars that hold it to them: the other side of what src/replies reads, from the same
 * table. Which way a model has is told by its template.
 */
import type { JsonForm } from "../../src/replies/syntax.ts";
import { SYNTAXES } from "../../src/replies/syntaxes.ts";
import type { Part, Rule } from "../grammar/gbnf.ts";
import { literal } from "../grammar/gbnf.ts";
import type { ReplyGrammar } from "../grammar/schema_grammar.ts";

/** A tool whose arguments have a rule. */
export interface CallableTool {
  readonly name: string;
  /** Its arguments as a JSON object. */
  readonly arguments: Rule;
}

export interface CallSyntax {
  /** What a reply's first call begins with, which its text before does not contain. Absent: a call is the whole reply. */
  readonly open?: string;
  /** A rule for one call, or up to `most`, of any of the tools: all that is written, `open` included. */
  calls(grammar: ReplyGrammar, tools: readonly CallableTool[], most: number): Rule;
}

const KEYS = ["name", "arguments"] as const;

/** `{"name": …, "arguments": {…}}`, one of the tools. */
function jsonCall(
  grammar: ReplyGrammar,
  tools: readonly CallableTool[],
  [name, args]: readonly [string, string],
  gap = "ws",
): Rule {
  const rule = grammar.rule();
  for (const tool of tools) {
    rule.or(
      `"{" ${gap} ${literal(JSON.stringify(name))} ":" ws`,
      literal(JSON.stringify(tool.name)),
      `ws "," ws ${literal(JSON.stringify(args))} ":" ws`,
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

function tagged(open: string, { list, close, keys = KEYS }: JsonForm): CallSyntax {
  const end = close === "" ? "" : `ws ${literal(close)}`;
  return {
    open,
    calls(grammar, tools, most) {
      const call = jsonCall(grammar, tools, keys);
      if (list) {
        const calls = listed(grammar, call, `ws "," ws`, most);
        return grammar.of(`${literal(open)} ws "[" ws`, ...calls, `ws "]" ${end}`);
      }
      const one = grammar.of(`${literal(open)} ws`, call, end);
      return grammar.of(...listed(grammar, one, "ws", most));
    },
  };
}

/** A call is the whole reply. It is told from other JSON by its first key, for which nobody looks far. */
function bare(key: string): CallSyntax {
  return { calls: (grammar, tools) => jsonCall(grammar, tools, ["name", key], `" "?`) };
}

/** @param template The source of the chat template; absent: the model has none. */
export function callSyntax(template: string | undefined): CallSyntax {
  for (const { open, form } of SYNTAXES) {
    if (form !== undefined && template?.includes(open)) return tagged(open, form);
  }
  return bare(template?.includes('"parameters":') ? "parameters" : "arguments");
}
