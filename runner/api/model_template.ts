/**
 * Which template makes a model's prompts, and what the model can do with it: the Modelfile's if it has one that says
 * anything, else the GGUF file's own.
 */
import type { ModelInfo } from "../engine/types.ts";
import { capabilitiesWith, templateInUse } from "../../src/api/capabilities.ts";
import { goWrittenCalls } from "../../src/api/template/abilities.ts";
import { readChatTemplate } from "../../src/templates/mod.ts";
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
  /** A reply's calls, as the template shows them; `undefined`: it shows none, or there is none. */
  writtenCalls(): string | undefined;
  /** Ollama's words; what of them a template decides is decided by the one in use. */
  readonly capabilities: readonly string[];
}

/** @throws {SecLlamaError} `bad-request`: the Modelfile's template cannot be read, and the file has none instead. */
export function modelTemplate(info: ModelInfo, defaults: ModelDefaults): ModelTemplate {
  const { template } = defaults;
  let calls: { readonly written: string | undefined } | undefined;
  const go = templateInUse(template, info.chatTemplate !== undefined, parseGoTemplate);
  return {
    ...(go === undefined ? {} : { go }),
    inserts: go?.fields.has("suffix") ?? false,
    source: go === undefined ? info.chatTemplate : template,
    writtenCalls: () => {
      calls ??= {
        written: go !== undefined
          ? goWrittenCalls(go)
          : readChatTemplate(info.chatTemplate ?? "")?.writtenCalls,
      };
      return calls.written;
    },
    capabilities: capabilitiesWith(info.capabilities, go),
  };
}
