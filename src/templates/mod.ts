/**
 * A model file's own chat template: read, and its needs probed, once. It then takes a conversation of any shape that one of its
 * peers would serve.
 */
import { Budget, type BudgetLimits, runAtOnce, type Work } from "../budget.ts";
import { SecLlamaError } from "../errors.ts";
import { JinjaError, Template } from "../jinja/mod.ts";
import { adapt } from "./adapt.ts";
import { type Needs, plainer } from "./needs.ts";
import { probeNeeds, type Render } from "./probe.ts";
import type { Conversation, Message } from "./types.ts";
import { type Asked, templateVariables } from "./variables.ts";

export { JinjaError, type JinjaErrorKind } from "../jinja/mod.ts";
export type { Needs } from "./needs.ts";
export type { Asked } from "./variables.ts";
export type { Call, Conversation, Message, Tool } from "./types.ts";

/** More than any real template takes for a few messages; and for all the probes together. */
const PROBE_LIMITS: Partial<BudgetLimits> = { steps: 50_000, output: 1_000_000 };
const PROBES_STEPS = 1_000_000;

/** Stand for the model's own, so that a template has the same needs wherever it is asked. */
export const PLACEHOLDERS = { bos_token: "<s>", eos_token: "</s>" } as const;

/** Texts of the model's tokens that templates write. */
export interface Specials {
  /** Begins a prompt; "" if the model has none. */
  readonly bos_token: string;
  /** Ends a turn. */
  readonly eos_token: string;
}

/** A template, with what it needs. */
export class ChatTemplate {
  /** As it stands in the model file. */
  readonly source: string;
  /** What was found out about it. */
  readonly needs: Needs;
  readonly #template: Template;

  /**
   * Reads the template and finds out what it needs.
   * @throws {JinjaError} `syntax`, `limit`: the text is no template.
   */
  constructor(source: string) {
    this.source = source;
    this.#template = new Template(source);
    let steps = PROBES_STEPS;
    const render: Render = (messages, needs, o) => {
      const budget = new Budget({ what: "the chat template" }, {
        ...PROBE_LIMITS,
        steps: Math.min(PROBE_LIMITS.steps!, steps),
      });
      try {
        return runAtOnce(this.renderAs(messages, { ...o, needs, specials: PLACEHOLDERS }, budget));
      } catch (error) {
        if (error instanceof JinjaError || error instanceof SecLlamaError) return undefined;
        throw error;
      } finally {
        steps = Math.max(steps - budget.steps, 0);
      }
    };
    this.needs = probeNeeds(render);
  }

  /**
   * The conversation as the template takes it, by what was probed; then, should it be refused in spite of that, plainer and
   * plainer.
   */
  *forms(conversation: Conversation): Generator<{ messages: Message[]; needs: Needs }> {
    for (const needs of [this.needs, ...plainer(this.needs)]) {
      yield { messages: adapt(conversation, needs), needs };
    }
  }

  /**
   * The prompt of messages that were adapted.
   * @throws {JinjaError} the template refuses them.
   * @throws {SecLlamaError} `bad-request`: the budget is used up.
   */
  renderAs(
    messages: readonly Message[],
    { needs = this.needs, specials, ...asked }: Asked & {
      readonly needs?: Needs;
      readonly specials: Specials;
    },
    budget: Budget,
    now?: () => Date,
  ): Work<string> {
    const variables = { ...specials, ...templateVariables(messages, asked, needs) };
    return this.#template.render(variables, { budget, ...(now === undefined ? {} : { now }) });
  }
}
