/**
 * What a model can do, in Ollama's words ("completion", "embedding", "tools", "thinking", "insert"), and "rerank". The runner
 * decides by it, and metadata says it: there is one answer.
 */
import { abilities } from "./template/abilities.ts";
import type { ChatTemplate } from "./template/chat.ts";

/** What Ollama writes into a model whose prompts it makes without a template: the GGUF file's own is used then. */
const SAYS_NOTHING = /^\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*$/;
const BY_TEMPLATE = ["tools", "thinking"];

/** `ARCHITECTURE.pooling_type` of a GGUF file whose last layer judges a pair of texts: llama.cpp's LLAMA_POOLING_TYPE_RANK. */
export const POOLING_RANK = 4;

export function saysNothing(template: string): boolean {
  return SAYS_NOTHING.test(template);
}

/** By the GGUF file alone. */
export function fileCapabilities(
  o: {
    /** It makes embeddings; it generates text. */
    readonly embeds: boolean;
    readonly generates: boolean;
    /** It judges how well a document answers a query, and does nothing else. */
    readonly ranks: boolean;
    /** Its vocabulary has the tokens that mark a gap. */
    readonly fillsGaps: boolean;
    /** What its own chat template makes of it: "tools", "thinking". */
    readonly byTemplate: readonly string[];
  },
): string[] {
  if (o.ranks) return ["rerank"];
  if (!o.generates) return ["embedding"];
  const found = [o.embeds ? "embedding" : "completion"];
  found.push(...o.byTemplate);
  if (o.fillsGaps) found.push("insert");
  return found;
}

/**
 * The Modelfile's template, if it is what makes the prompts; undefined: the GGUF file's own does.
 * @param parse Reads a template of Ollama's language, or throws.
 * @throws What `parse` does, if the file has no template to fall back on.
 */
export function templateInUse(
  template: string | undefined,
  hasOwn: boolean,
  parse: (text: string) => ChatTemplate,
): ChatTemplate | undefined {
  if (template === undefined || (hasOwn && SAYS_NOTHING.test(template))) return undefined;
  try {
    return parse(template);
  } catch (error) {
    if (hasOwn) return undefined;
    throw error;
  }
}

/** Those of the file with the template in use, which alone decides what it can. */
export function capabilitiesWith(
  file: readonly string[],
  template: ChatTemplate | undefined,
): string[] {
  if (template === undefined) return [...file];
  const kept = file.filter((one) => !BY_TEMPLATE.includes(one));
  return [...new Set([...kept, ...abilities(template)])];
}
