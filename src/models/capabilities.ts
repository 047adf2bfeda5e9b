/**
 * What a model can do with the template that makes its prompts. The runner decides the same way, by the parsed template;
 * this is for what metadata says.
 */
import { abilities } from "../api/template/abilities.ts";
import { type ChatTemplate, parseTemplate } from "../api/template/chat.ts";
import type { ModelDetails } from "./describe.ts";

/** What Ollama writes into a model whose prompts it makes without a template: the GGUF file's own is used then. */
const SAYS_NOTHING = /^\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*$/;

/** Ollama's words, by the Modelfile's template if it has one that says anything. */
export function capabilitiesWith(
  details: Pick<ModelDetails, "capabilities" | "chatTemplate">,
  template: string | undefined,
): string[] {
  const own = [...details.capabilities];
  const hasOwn = details.chatTemplate !== undefined;
  if (template === undefined || (hasOwn && SAYS_NOTHING.test(template))) return own;
  let parsed: ChatTemplate;
  try {
    parsed = parseTemplate(template);
  } catch {
    // The runner takes the file's own then.
    return own;
  }
  const found = own.filter((one) => one !== "tools" && one !== "thinking");
  return [...new Set([...found, ...abilities(parsed)])];
}
