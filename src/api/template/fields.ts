/** What a template asks for, and where its reply begins. */
import type { Node, Operand, Pipeline } from "./nodes.ts";

/** Adds the names of all fields, and of variables, in lower case: what Ollama calls a template's variables. */
export function identifiers(nodes: readonly Node[], found: Set<string>): void {
  for (const node of nodes) {
    if ("pipeline" in node && node.pipeline !== undefined) pipeline(node.pipeline, found);
    if ("body" in node) {
      identifiers(node.body, found);
      identifiers(node.otherwise ?? [], found);
    }
  }
}

function pipeline({ commands }: Pipeline, found: Set<string>): void {
  for (const { operands } of commands) operands.forEach((operand) => look(operand, found));
}

function look(operand: Operand, found: Set<string>): void {
  if (operand.kind === "variable") found.add(operand.name.toLowerCase());
  if ("names" in operand) operand.names.forEach((name) => found.add(name.toLowerCase()));
  if (operand.kind === "chain") look(operand.base, found);
  if (operand.kind === "pipeline") pipeline(operand.pipeline, found);
}

/**
 * The nodes up to the first action that names `.Response`, and that action: behind it the model goes on.
 * As Ollama's `deleteNode`, which looks at actions, not at conditions.
 */
export function withoutAfterResponse(nodes: readonly Node[]): Node[] {
  return cut(nodes, { isCut: false });
}

interface State {
  isCut: boolean;
}

function cut(nodes: readonly Node[], state: State): Node[] {
  return nodes.flatMap((node): Node[] => {
    if (state.isCut) return [];
    if (node.kind === "action") {
      const kept = cutPipeline(node.pipeline, state);
      return kept === undefined ? [] : [{ ...node, pipeline: kept }];
    }
    if (!("body" in node)) return [node];
    const body = cut(node.body, state);
    const otherwise = node.otherwise === undefined ? undefined : cut(node.otherwise, state);
    return [{ ...node, body, otherwise }];
  });
}

/** Undefined: nothing is left to call. */
function cutPipeline(pipeline: Pipeline, state: State): Pipeline | undefined {
  const commands: Pipeline["commands"][number][] = [];
  for (const command of pipeline.commands) {
    const operands: Operand[] = [];
    for (const operand of command.operands) {
      if (state.isCut) break;
      if (operand.kind === "field" && operand.names.includes("Response")) state.isCut = true;
      if (operand.kind === "pipeline") {
        const kept = cutPipeline(operand.pipeline, state);
        if (kept !== undefined) operands.push({ ...operand, pipeline: kept });
      } else operands.push(operand);
    }
    if (operands.length === 0) return undefined;
    commands.push({ ...command, operands });
  }
  return commands.length === 0 ? undefined : { ...pipeline, commands };
}
