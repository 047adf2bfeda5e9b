/** Whether a TEMPLATE can make a prompt at all: it is parsed as the runner parses it, and tried. */
import { type ChatTemplate, parseTemplate, renderChat } from "../api/template/chat.ts";
import { TemplateError } from "../api/template/errors.ts";
import { Budget, runAtOnce } from "../budget.ts";
import { SecLlamaError } from "../errors.ts";
import { saysNothing } from "../api/capabilities.ts";
import { ChatTemplate as FileTemplate, JinjaError } from "../templates/mod.ts";
import type { ModelDetails } from "./describe.ts";

const user = { role: "user", content: "Hello" };
/** One of them must work: what a template cannot do with any it will not do with others. */
const TRIALS: readonly Parameters<typeof renderChat>[1][] = [
  { messages: [user] },
  { messages: [{ role: "system", content: "Be brief." }, user] },
  {
    messages: [user, { role: "assistant", content: "Hi" }, user],
    tools: [{ name: "now", description: "The time", parameters: { type: "object" } }],
    think: true,
  },
];

/** More than any real template takes for three messages. */
const STEPS = 100_000;

/**
 * @throws {SecLlamaError} `bad-modelfile` with the template's line: Go's parser would refuse it, or every conversation ends
 *   in an error.
 */
export function checkTemplate(text: string): void {
  let template: ChatTemplate;
  try {
    template = parseTemplate(text);
  } catch (error) {
    throw refused(error, "");
  }
  let first: unknown;
  for (const trial of TRIALS) {
    try {
      const budget = new Budget({ what: "the template" }, { steps: STEPS });
      runAtOnce(renderChat(template, trial, budget));
      return;
    } catch (error) {
      first ??= error;
    }
  }
  throw refused(first, "it cannot make a prompt: ");
}

/**
 * Whether the file's own template can be read and makes a prompt of something, where no other makes the prompts.
 * @throws {SecLlamaError} `bad-model` with the template's line.
 */
export function checkChatTemplate(
  { chatTemplate }: Pick<ModelDetails, "chatTemplate">,
  template: string | undefined,
): void {
  if (chatTemplate === undefined || template && !saysNothing(template)) return;
  const hint = "give it another with TEMPLATE in a Modelfile: secllama create";
  try {
    const refusal = new FileTemplate(chatTemplate).refusal(TRIALS);
    if (refusal === undefined) return;
    throw new SecLlamaError(
      "bad-model",
      `the file's chat template cannot make a prompt: ${refusal.message.slice(0, 200)}`,
      { hint },
    );
  } catch (error) {
    if (!(error instanceof JinjaError)) throw error;
    throw new SecLlamaError(
      "bad-model",
      `the file's chat template cannot be read: ${error.message.slice(0, 200)}`,
      { hint },
    );
  }
}

function refused(error: unknown, what: string): unknown {
  const hint = "templates are written as Ollama's are: {{ if .System }}{{ .System }}{{ end }}";
  if (error instanceof SecLlamaError) {
    return new SecLlamaError("bad-modelfile", error.message, { field: "template", hint });
  }
  if (!(error instanceof TemplateError)) return error;
  const where = error.line > 0 ? `the template's line ${error.line}` : "the template";
  return new SecLlamaError("bad-modelfile", `${where}: ${what}${error.message}`, {
    field: "template",
    hint,
  });
}
