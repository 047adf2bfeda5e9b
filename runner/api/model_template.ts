/**
 * Which template makes a model's prompts, and what the model can do with it: the Modelfile's if it has one that says
 * anything, else the GGUF file's own.
 */
import type { ModelInfo } from "../engine/types.ts";
import { type Expression, type Node, parseGoTemplate } from "./go_template_parse.ts";
import type { ModelDefaults } from "./request.ts";
import { KNOWN_TAGS } from "./think.ts";

export interface ModelTemplate {
  /** In Ollama's language; absent: the engine renders the file's own. */
  readonly go?: string;
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
  let fields: ReadonlySet<string>;
  try {
    fields = fieldsOf(parseGoTemplate(template));
  } catch (error) {
    if (hasOwn) return own;
    throw error;
  }
  const inserts = fields.has("Suffix");
  const capabilities = info.capabilities.filter((one) => !BY_TEMPLATE.includes(one));
  if (fields.has("Tools")) capabilities.push("tools");
  if (fields.has("Thinking") && KNOWN_TAGS.some(({ close }) => template.includes(close))) {
    capabilities.push("thinking");
  }
  if (inserts && !capabilities.includes("insert")) capabilities.push("insert");
  return { go: template, inserts, source: template, capabilities };
}

/** The names of all fields that a template looks at. */
function fieldsOf(nodes: readonly Node[]): ReadonlySet<string> {
  const found = new Set<string>();
  const look = (value: Expression): void => {
    if (value.kind === "call") value.args.forEach(look);
    if (value.kind !== "path") return;
    for (const name of value.names) found.add(name);
    if (typeof value.base === "object") look(value.base);
  };
  const walk = (list: readonly Node[]): void => {
    for (const node of list) {
      if ("value" in node) look(node.value);
      if (!("body" in node)) continue;
      walk(node.body);
      walk(node.otherwise);
    }
  };
  walk(nodes);
  return found;
}
