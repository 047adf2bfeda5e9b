/**
 * Conversations of every shape through templates of every family: what comes out is what Debian's Jinja2 makes of the adapted
 * messages, nothing is refused, and everything that was said is in it.
 */
import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../../src/budget.ts";
import { JinjaError, PLACEHOLDERS } from "../../src/templates/mod.ts";
import { NO_NEEDS } from "../../src/templates/needs.ts";
import { templateVariables } from "../../src/templates/variables.ts";
import { Random } from "../jinja/generate.ts";
import { askJinja2, NOW, type Request } from "../jinja/oracle.ts";
import { corpus, type Member } from "./corpus.ts";
import { randomShape, type Shape, SHAPES } from "./shapes.ts";
import { seeds } from "../support/seeds.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const MEMBERS = corpus();

interface Rendered extends Request {
  readonly text: string | undefined;
  /** How many forms were refused before. */
  readonly refused: number;
}

/** As the runner renders: the first form that is not refused. */
function render({ template }: Member, shape: Shape): Rendered {
  const asked = { ...shape, addGenerationPrompt: shape.addGenerationPrompt ?? true };
  let refused = 0;
  let last: Rendered | undefined;
  for (const { messages, needs } of template.forms(shape)) {
    const request = {
      template: template.source,
      variables: { ...PLACEHOLDERS, ...templateVariables(messages, asked, needs, NOW) },
    };
    try {
      const budget = new Budget({ what: "the chat template" });
      const o = { ...asked, needs, specials: PLACEHOLDERS };
      const text = runAtOnce(template.renderAs(messages, o, budget, () => NOW));
      return { ...request, text, refused };
    } catch (error) {
      if (!(error instanceof JinjaError)) throw error;
      last = { ...request, text: undefined, refused: ++refused };
    }
  }
  return last!;
}

/** Texts of a conversation that must be in its prompt, whatever the family: all but thoughts. */
function said({ messages, tools = [] }: Shape): string[] {
  const texts = messages.flatMap(({ content, toolCalls = [] }) => [
    content.trim(),
    ...toolCalls.flatMap((call) => [call.name, ...Object.keys(call.arguments)]),
  ]);
  return [...texts, ...tools.map(({ name }) => name)].filter((text) => text !== "");
}

/** A text as it is, or escaped within JSON, or as Python shows it. */
function isShown(prompt: string, text: string): boolean {
  const json = JSON.stringify(text).slice(1, -1);
  return [text, json, JSON.stringify(json).slice(1, -1), text.replaceAll("'", "\\'")]
    .some((form) => prompt.includes(form));
}

/**
 * What the maker of a template leaves out whatever is done: Nemo shows the system message with a last message of the user's
 * only, and no text beside calls, also where it was a reply of its own that is joined with the call. Left apart, that text
 * and the answer behind the call's result would be two replies without a user between them, which the template refuses.
 */
function isLeftOut(name: string, text: string, shape: Shape): boolean {
  if (name !== "mistral-nemo") return false;
  const isBehindUser = shape.messages.at(-1)?.role === "user";
  return shape.messages.some(({ role, content }, index) =>
    content.trim() === text &&
    (isBesideCalls(shape, index) || (role !== "user" && !isBehindUser))
  );
}

/** Whether a reply is one turn with a call: nothing but rules, which have another place, is between them. */
function isBesideCalls({ messages }: Shape, index: number): boolean {
  const others = (role: string) => role !== "system" && role !== "developer";
  const turns = messages.filter(({ role }, at) => at === index || others(role));
  const own = turns.indexOf(messages[index]!);
  let first = own, last = own;
  while (turns[first - 1]?.role === "assistant") first--;
  while (turns[last + 1]?.role === "assistant") last++;
  return turns[own]!.role === "assistant" &&
    turns.slice(first, last + 1).some(({ toolCalls }) => toolCalls !== undefined);
}

interface Outcome {
  readonly rendered: number;
  readonly plainer: number;
}

async function check(
  cases: readonly { member: Member; label: string; shape: Shape }[],
): Promise<Outcome> {
  const rows = cases.map((one) => ({ ...one, ...render(one.member, one.shape) }));
  const answers = await askJinja2(rows.map(({ template, variables }) => ({ template, variables })));
  const wrong: unknown[] = [];
  for (const [index, { member, label, shape, text }] of rows.entries()) {
    const theirs = answers[index]!;
    const where = `${member.name}: ${label}`;
    if (text === undefined) wrong.push([where, "refused", theirs]);
    else if (theirs.error !== undefined || theirs.text !== text) wrong.push([where, text, theirs]);
    else {
      const lost = said(shape).filter((one) =>
        !isShown(text, one) && !isLeftOut(member.name, one, shape)
      );
      if (lost.length > 0) wrong.push([where, "lost", lost, text]);
      if (text.includes("[object")) wrong.push([where, "an object", text]);
    }
  }
  assert.deepEqual(wrong.slice(0, 6), [], `${wrong.length} of ${rows.length} are wrong`);
  return { rendered: rows.length, plainer: rows.filter(({ refused }) => refused > 0).length };
}

Deno.test("templates: every shape through every family's template is what Jinja2 makes of it", async () => {
  assert.ok(MEMBERS.length >= 60);
  const shapes = Object.entries(SHAPES);
  const cases = MEMBERS.flatMap((member, row) =>
    shapes
      // In plain runs each template has a fifth of the shapes, each shape a fifth of the templates.
      .filter((_, column) => FULL || (row + column) % 5 === 0)
      .map(([label, shape]) => ({ member, label, shape }))
  );
  const { rendered, plainer } = await check(cases);
  console.log(
    `templates: ${MEMBERS.length} templates, ${shapes.length} shapes, ${rendered} prompts, ${plainer} in a plainer form`,
  );
});

for (const seed of seeds(FULL ? 4 : 1)) {
  const each = FULL ? 60 : 2;
  Deno.test(`templates: ${each} random conversations through each, seed ${seed}`, async () => {
    const random = new Random(seed);
    const cases = MEMBERS.flatMap((member) =>
      Array.from({ length: each }, () => {
        const shape = randomShape(random);
        return { member, label: JSON.stringify(shape.messages), shape };
      })
    );
    const { rendered, plainer } = await check(cases);
    console.log(`templates: ${rendered} random prompts, ${plainer} in a plainer form`);
  });
}

Deno.test("templates: without what was probed, many of them are refused or lose what was said", () => {
  let bad = 0;
  for (const { template } of MEMBERS) {
    for (const shape of Object.values(SHAPES)) {
      const o = { ...shape, addGenerationPrompt: true, specials: PLACEHOLDERS, needs: NO_NEEDS };
      try {
        const budget = new Budget({ what: "the chat template" });
        const text = runAtOnce(template.renderAs(shape.messages, o, budget));
        if (!said(shape).every((one) => isShown(text, one))) bad++;
      } catch {
        bad++;
      }
    }
  }
  assert.ok(bad > 200, `${bad}`);
});
