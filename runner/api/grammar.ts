/** The grammar a reply must follow: from `format`, from a tool that must be called, and from tools whose calls must fit. */
import { SecLlamaError } from "../../src/errors.ts";
import type { Work } from "../../src/budget.ts";
import type { ToolDefinition } from "../engine/types.ts";
import { literal, type Rule } from "../grammar/gbnf.ts";
import { checkCost } from "../grammar/gbnf_cost.ts";
import { readGrammar } from "../grammar/gbnf_reader.ts";
import { Inexpressible } from "../grammar/refusal.ts";
import { ReplyGrammar } from "../grammar/schema_grammar.ts";
import type { CallableTool, CallSyntax } from "./call_syntax.ts";
import type { Format, InferenceRequest } from "./request.ts";
import type { ThoughtTags } from "../../src/replies/thought.ts";

/** Calls in one reply that a grammar permits. */
const MOST_CALLS = 16;

/** How the reply begins, if with a thought. */
export interface Thought {
  /** Absent: the model does not think. */
  readonly tags: ThoughtTags | undefined;
  /** The prompt ends inside a thought. */
  readonly opensThought: boolean;
}

/**
 * Where a call must be made, it is the reply. Where one may be made and a format is given, the reply is a call or of the
 * format. Where one may be made of a strict tool, the reply is text and calls that fit.
 * @throws {SecLlamaError} `bad-request` naming the field whose schema cannot be made a grammar.
 */
export function* buildGrammar(
  request: InferenceRequest,
  thought: Thought,
  syntax: CallSyntax,
): Work<string | undefined> {
  const grammar = new ReplyGrammar();
  const answer = yield* answerRule(grammar, request, syntax);
  if (answer === undefined) return undefined;
  const { tags, opensThought } = thought;
  return yield* grammar.text(
    tags === undefined ? answer : afterThought(grammar, answer, tags, opensThought),
  );
}

function* answerRule(
  grammar: ReplyGrammar,
  request: InferenceRequest,
  syntax: CallSyntax,
): Work<Rule | undefined> {
  const { prompt, format } = request;
  const tools = prompt.kind === "chat" ? prompt.tools : [];
  const choice = prompt.kind === "chat" ? prompt.toolChoice : "auto";
  const most = prompt.kind === "chat" && prompt.oneCall === true ? 1 : MOST_CALLS;
  if (choice !== "auto") {
    const wanted = choice === "required" ? tools : tools.filter(({ name }) => name === choice.name);
    if (wanted.length === 0) {
      throw new SecLlamaError("bad-request", "tool_choice must be one of the tools", {
        field: "tool_choice",
      });
    }
    const callable = yield* callableTools(grammar, wanted, syntax);
    return syntax.calls(grammar, callable, choice === "required" ? most : 1);
  }
  if (format === undefined && !tools.some(({ strict }) => strict)) return undefined;
  let calls: Rule | undefined;
  if (tools.length > 0) {
    calls = syntax.calls(grammar, yield* callableTools(grammar, tools, syntax), most);
  }
  if (format !== undefined) {
    const wanted = yield* formatRule(grammar, format);
    const value = syntax.said?.(grammar, wanted) ?? wanted;
    return calls === undefined ? value : grammar.rule().or(calls).or(value);
  }
  // A call without a sign in front cannot be told from text before it is over.
  return syntax.free?.(grammar, calls!);
}

function* formatRule(grammar: ReplyGrammar, format: Format): Work<Rule> {
  switch (format.kind) {
    case "json":
      return grammar.of("object");
    case "schema":
      return yield* within(format.field, grammar.schema(format.schema));
    case "grammar":
      try {
        checkCost(readGrammar(format.source));
        return grammar.of(grammar.foreign(format.source));
      } catch (error) {
        if (!(error instanceof Inexpressible)) throw error;
        const { field } = format;
        throw new SecLlamaError("bad-request", `${field}: ${error.message}`, { field });
      }
  }
}

function* callableTools(
  grammar: ReplyGrammar,
  tools: readonly ToolDefinition[],
  syntax: CallSyntax,
): Work<CallableTool[]> {
  const out: CallableTool[] = [];
  const notation = syntax.notation(tools);
  for (const { name, parameters } of tools) {
    if (!syntax.reads(name)) {
      const shown = JSON.stringify(name.slice(0, 64));
      throw new SecLlamaError(
        "bad-request",
        `tools: ${shown} is a name that this model's calls have no place for: use letters, digits, _ and -`,
        { field: "tools" },
      );
    }
    // Arguments are an object, also where a schema leaves that out.
    const made = grammar.schema(parameters ?? true, { type: "object" }, notation(name));
    const rule = yield* within("tools", made, `"${name.slice(0, 64)}": `);
    out.push({ name, arguments: rule });
  }
  return out;
}

/** Errors of a schema say which of the request's fields it came from. */
function* within<T>(field: string, work: Work<T>, part = ""): Work<T> {
  try {
    return yield* work;
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    throw new SecLlamaError(error.code, `${field}: ${part}${error.message}`, {
      field,
      cause: error,
    });
  }
}

/** A rule with a thought in front: allowed, or where the prompt has opened one, required. */
function afterThought(grammar: ReplyGrammar, answer: Rule, tags: ThoughtTags, open: boolean): Rule {
  const rest = grammar.upTo(tags.close);
  const space = tags.next === undefined ? "[ \\t\\n]{0,20}" : literal(tags.next);
  if (open) return grammar.of(rest, space, answer);
  return grammar.rule().or(answer).or("[ \\t\\n]{0,20}", literal(tags.open), rest, space, answer);
}
