import { Budget, runAtOnce } from "../../src/budget.ts";
/** What SecLlama makes of a case, in the words of the oracle. */
import { parseTemplate, renderChat, renderInsert, type Run } from "../../src/api/template/chat.ts";
import { TemplateError } from "../../src/api/template/errors.ts";
import type { Case, Outcome } from "./oracle.ts";

export const textOf = (runs: readonly Run[]) => runs.map((run) => run.text).join("");

export function renderWithOurs(one: Case): Outcome {
  try {
    const template = parseTemplate(one.template);
    const { prompt = "", suffix = "", messages = [], tools = [], think } = one;
    const budget = new Budget({ what: "the template" });
    const runs = runAtOnce(
      prompt !== "" && suffix !== ""
        ? renderInsert(template, prompt, suffix, budget)
        : renderChat(template, { messages, tools, think }, budget),
    );
    return { text: textOf(runs) };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { text: "", phase: error.kind === "parse" ? "parse" : "run", error: error.message };
  }
}
