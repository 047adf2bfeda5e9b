/** Our Jinja beside Debian's: the same text, or an error of the same kind. */
import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import { JinjaError, Template } from "../../src/jinja/mod.ts";
import { type Answer, askJinja2, NOW, type Request } from "./oracle.ts";

export type Outcome = { readonly text: string } | {
  readonly kind: string;
  readonly message: string;
};

export function render({ template, variables }: Request): Outcome {
  const budget = new Budget({ what: "the chat template" });
  try {
    return {
      text: runAtOnce(new Template(template).render(variables, { budget, now: () => NOW })),
    };
  } catch (error) {
    if (error instanceof JinjaError) return { kind: error.kind, message: error.message };
    if (error instanceof SecLlamaError) return { kind: "limit", message: error.message };
    throw error;
  }
}

/** Whether an outcome is the oracle's. Python prints addresses of objects, which are its own. */
export function agrees(ours: Outcome, theirs: Answer): boolean {
  if (theirs.unfolded !== undefined && agrees(ours, theirs.unfolded)) return true;
  if ("kind" in ours && ours.message === COMPLEX) return true;
  if (theirs.error === undefined) {
    if (/ at 0x[\da-f]+/.test(theirs.text)) return true;
    // What is too long for a prompt is refused by count.
    if ("kind" in ours) return ours.kind === "limit" && theirs.text.length > 1_000_000;
    return ours.text === theirs.text;
  }
  if ("text" in ours) return false;
  // What would take Python's memory or stack is refused by count here.
  const bounded = ["MemoryError", "RecursionError", "OverflowError"].includes(theirs.error);
  return ours.kind === theirs.kind || ours.kind === "limit" || bounded || ALIKE.has(
    [ours.kind, theirs.kind].sort().join(),
  );
}

/** There are no numbers for it here. Whether they are shown or only made is all the same. */
const COMPLEX = "complex numbers are not supported";

/** Errors that Python itself tells apart by what it happens to look at first. */
const ALIKE = new Set(["lookup,type", "type,undefined", "type,value"]);

/** @returns How many were rendered, the rest being errors on both sides. */
export async function compareAll(requests: readonly Request[]): Promise<number> {
  const answers = await askJinja2(requests);
  const wrong: unknown[] = [];
  requests.forEach((request, index) => {
    const ours = render(request);
    if (!agrees(ours, answers[index]!)) {
      wrong.push({ template: request.template, ours, theirs: answers[index] });
    }
  });
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${requests.length} differ`);
  return answers.filter((answer) => answer.error === undefined).length;
}
