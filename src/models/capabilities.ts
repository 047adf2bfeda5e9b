/** What metadata says a model can do: as its runner would decide. */
import { capabilitiesWith, saysNothing, templateInUse } from "../api/capabilities.ts";
import { parseTemplate } from "../api/template/chat.ts";
import type { ModelDetails } from "./describe.ts";

/** Whether nothing says how a conversation becomes a prompt: then its messages are joined as they are. */
export function joinsMessages(
  details: Pick<ModelDetails, "capabilities" | "chatTemplate">,
  template: string | undefined,
): boolean {
  return details.chatTemplate === undefined && details.capabilities.includes("completion") &&
    (template === undefined || saysNothing(template));
}

/** Ollama's words, by the Modelfile's template if it has one that says anything. */
export function modelCapabilities(
  details: Pick<ModelDetails, "capabilities" | "chatTemplate">,
  template: string | undefined,
): string[] {
  const { capabilities, chatTemplate } = details;
  try {
    const inUse = templateInUse(template, chatTemplate !== undefined, parseTemplate);
    return capabilitiesWith(capabilities, inUse);
  } catch {
    // Such a model does not load; what it could do is what its file can.
    return [...capabilities];
  }
}
