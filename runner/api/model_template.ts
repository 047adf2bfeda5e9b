/**
 * Which template makes a model's prompts, and what the model can do with it: the Modelfile's if it has one that says
 * anything, else the GGUF file's own.
 */
import type { ModelInfo } from "../engine/types.ts";
import { abilities } from "../../src/api/template/abilities.ts";
import type { ChatTemplate } from "../../src/api/template/chat.ts";
import { parseGoTemplate } from "./go_template.ts";
import type { ModelDefaults } from "./request.ts";

export interface ModelTemplate {
  /** In Ollama's language; absent: the engine renders the file's own. */
  readonly go?: ChatTemplate;
  /** Whether `go` has a place for what comes after a gap. */
  readonly inserts: boolean;
  /** Where a thought's tags are looked for. */
  readonly source: string | undefined;
  /** Ollama's words; what of them a template decides is decided by the one in use. */
  readonly capabilities: readonly string[];
}

/** What Ollama writes into a model whose prompts it makes without a template. */
const SAYS_NOTHING = /^\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*$/;
const BY_TEMPLATE = ["tools", "thinking"];

/** @throws {SecLlamaError} `bad-request`: the Modelfile's template cannot be read, and the file has none instead. */
export function modelTemplate(info: ModelInfo, defaults: ModelDefaults): ModelTemplate {
  const own: ModelTemplate = {
    inserts: false,
    source: info.chatTemplate,
    capabilities: info.capabilities,
  };
  const { template } = defaults;
  const hasOwn = info.chatTemplate !== undefined;
  if (template === undefined || (hasOwn && SAYS_NOTHING.test(template))) return own;
  let go: ChatTemplate;
  try {
    go = parseGoTemplate(template);
  } catch (error) {
    if (hasOwn) return own;
    throw error;
  }
  const kept = info.capabilities.filter((one) => !BY_TEMPLATE.includes(one));
  const capabilities = [...new Set([...kept, ...abilities(go)])];
  const inserts = go.fields.has("suffix");
  return { go, inserts, source: template, capabilities };
}
