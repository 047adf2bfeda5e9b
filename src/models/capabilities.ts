/**
 * What a model can do with the template that makes its prompts. The runner decides the same way, by the parsed template;
 * this is for what metadata says.
 */
import type { ModelDetails } from "./describe.ts";

/** What Ollama writes into a model whose prompts it makes without a template: the GGUF file's own is used then. */
const SAYS_NOTHING = /^\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*$/;
const THOUGHT_ENDS = ["</think>", "[/THINK]", "</seed:think>", "</thinking>"];

/** Ollama's words, by the Modelfile's template if it has one that says anything. */
export function capabilitiesWith(
  details: Pick<ModelDetails, "capabilities" | "chatTemplate">,
  template: string | undefined,
): string[] {
  const own = [...details.capabilities];
  const hasOwn = details.chatTemplate !== undefined;
  if (template === undefined || (hasOwn && SAYS_NOTHING.test(template))) return own;
  const uses = (field: string) =>
    new RegExp(`\\{\\{[^}]*\\.${field}\\b`).test(template.replaceAll("\n", " "));
  const found = own.filter((one) => one !== "tools" && one !== "thinking");
  if (uses("Tools")) found.push("tools");
  if (uses("Thinking") && THOUGHT_ENDS.some((end) => template.includes(end))) {
    found.push("thinking");
  }
  if (uses("Suffix") && !found.includes("insert")) found.push("insert");
  return found;
}
