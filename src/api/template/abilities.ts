/** What a model can do by its template in Ollama's language. Metadata and the runner both ask here, so that they agree. */
import { opensCall, replyFormat, thinks } from "../../replies/formats.ts";
import { readsBack, type Write, writtenCalls } from "../../replies/written_calls.ts";
import { Budget, runAtOnce } from "../../budget.ts";
import { SecLlamaError } from "../../errors.ts";
import { type ChatTemplate, renderChat } from "./chat.ts";
import { TemplateError } from "./errors.ts";
import type { Node, Operand, Pipeline } from "./nodes.ts";

/**
 * Ollama's words for what the template decides: `tools` if it shows them and writes calls in a way that is read back,
 * `thinking`, `insert`.
 */
export function abilities(template: ChatTemplate): string[] {
  const { fields, source } = template;
  const found: string[] = [];
  if (fields.has("tools") && isRead(template)) found.push("tools");
  if (fields.has("thinking") && thinks(source)) found.push("thinking");
  if (fields.has("suffix")) found.push("insert");
  return found;
}

/** More than any real template takes for three messages. */
const STEPS = 100_000;

/** Whether calls that the template writes are read back. One that writes none leaves their form to the model. */
function isRead(template: ChatTemplate): boolean {
  const { tree, fields, source } = template;
  if (!fields.has("toolcalls")) return true;
  let refused = false;
  const isWritten = readsBack(writer(template, () => refused = true), source);
  return refused ? opensAsRead(callOpening(tree.root), source) : isWritten;
}

/** A reply's calls, as a template in Ollama's language shows them; `undefined`: it shows none. */
export function goWrittenCalls(template: ChatTemplate): string | undefined {
  return template.fields.has("toolcalls") ? writtenCalls(writer(template)) : undefined;
}

function writer(template: ChatTemplate, refused: () => void = () => {}): Write {
  return (messages, tools) => {
    const budget = new Budget({ what: "the template" }, { steps: STEPS });
    try {
      const runs = runAtOnce(renderChat(template, { messages, tools }, budget));
      return runs.map(({ text }) => text).join("");
    } catch (error) {
      if (!(error instanceof TemplateError || error instanceof SecLlamaError)) throw error;
      refused();
      return undefined;
    }
  };
}

function opensAsRead(opening: string, source: string): boolean {
  // A bare `{` or `[` is read as well.
  return opening === "" || opening.startsWith("[") && !/^\[\w/.test(opening) ||
    opensCall(opening) || replyFormat(source) === "harmony";
}

/**
 * What the template writes in front of a call that it shows, up to a `{`; "" where that is nothing.
 * As Ollama looks for it: the first text inside of what is there only for `.ToolCalls`.
 */
function callOpening(nodes: readonly Node[]): string {
  const block = findBlock(nodes);
  const text = block === undefined ? undefined : firstText(block);
  return (text ?? "").split("{", 1)[0]!.trim();
}

/** The body of the first block whose condition, or list, is the calls. */
function findBlock(nodes: readonly Node[]): readonly Node[] | undefined {
  for (const node of nodes) {
    if (!("body" in node)) continue;
    if (names(node.pipeline).includes("ToolCalls")) return node.body;
    const inner = findBlock(node.body) ?? findBlock(node.otherwise ?? []);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** The first text that is more than white space, if no value stands before it. */
function firstText(nodes: readonly Node[]): string | undefined {
  for (const node of nodes) {
    if (node.kind === "text" && node.text.text.trim() !== "") return node.text.text;
    if (node.kind === "action" && node.pipeline.variables.length === 0) return undefined;
    if ("body" in node) {
      return firstText(node.body) ?? firstText(node.otherwise ?? []);
    }
  }
  return undefined;
}

function names(pipeline: Pipeline): string[] {
  const of = (operand: Operand): string[] => [
    ...("names" in operand ? operand.names : []),
    ...(operand.kind === "pipeline" ? names(operand.pipeline) : []),
    ...(operand.kind === "chain" ? of(operand.base) : []),
  ];
  return pipeline.commands.flatMap((command) => command.operands.flatMap(of));
}
