/**
 * Prompts by templates in Ollama's language: a request's own, or the Modelfile's. What the template itself writes may be
 * control tokens; what it inserts is somebody's text and stays text.
 */
import {
  type ChatTemplate,
  type ChatValues,
  parseTemplate,
  renderChat,
  renderInsert,
  type Run,
} from "../../src/api/template/chat.ts";
import { TemplateError } from "../../src/api/template/errors.ts";
import type { Budget, Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { PromptPart } from "../engine/types.ts";

/** @throws {SecLlamaError} `bad-request` with field `template`, naming the line: no template. */
export function parseGoTemplate(source: string): ChatTemplate {
  try {
    return parseTemplate(source);
  } catch (error) {
    throw refused(error);
  }
}

/**
 * A whole conversation, as Ollama would render it.
 * @throws {SecLlamaError} `bad-request`: the template cannot be run over it, or takes too much of the budget.
 */
export function* renderGoChat(
  template: ChatTemplate,
  values: ChatValues,
  budget: Budget,
): Work<PromptPart[]> {
  try {
    return (yield* renderChat(template, values, budget)).map(toPart);
  } catch (error) {
    throw refused(error);
  }
}

/**
 * A text with a gap.
 * @throws {SecLlamaError} as {@link renderGoChat}.
 */
export function* renderGoInsert(
  template: ChatTemplate,
  prompt: string,
  suffix: string,
  budget: Budget,
): Work<PromptPart[]> {
  try {
    return (yield* renderInsert(template, prompt, suffix, budget)).map(toPart);
  } catch (error) {
    throw refused(error);
  }
}

function toPart({ text, from }: Run): PromptPart {
  return from === "model"
    ? { text, special: false, reply: true }
    : { text, special: from === "template" };
}

function refused(error: unknown): unknown {
  if (!(error instanceof TemplateError)) return error;
  const where = error.line > 0 ? `the template's line ${error.line}` : "the template";
  return new SecLlamaError("bad-request", `${where}: ${error.message}`, { field: "template" });
}
