/**
 * A model file's own chat template: read, and its needs probed, once. It then takes a conversation of any shape that one of its
 * peers would serve.
 */
import { Budget, type BudgetLimits, runAtOnce, type Work } from "../budget.ts";
import { SecLlamaError } from "../errors.ts";
import { JinjaError, Template } from "../jinja/mod.ts";
import { namesCallSyntax, thinks } from "../replies/formats.ts";
import { adapt } from "./adapt.ts";
import { readsBack, type Write, writtenCalls } from "../replies/written_calls.ts";
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
  #callsTools: boolean | undefined;

  /**
   * Reads the template and finds out what it needs.
   * @throws {JinjaError} `syntax`, `limit`: the text is no template.
   */
  constructor(source: string) {
    this.source = source;
    this.#template = new Template(source);
    this.needs = probeNeeds(this.#probe, source);
  }

  /** Whether tools are shown, and calls of them are read back from a reply. */
  get callsTools(): boolean {
    return this.#callsTools ??= this.needs.tools !== "system" &&
      (this.needs.calls === "text"
        ? namesCallSyntax(this.source)
        : readsBack(this.#write, this.source));
  }

  /** A reply's calls, as the template shows them; `undefined`: it shows none. */
  get writtenCalls(): string | undefined {
    return this.needs.calls === "text" ? undefined : writtenCalls(this.#write);
  }

  /** Whether a reply may begin with a thought that can be told from the rest. */
  get thinks(): boolean {
    return thinks(this.source);
  }

  #steps = PROBES_STEPS;
  readonly #probe: Render = (messages, needs, o) => {
    const budget = new Budget({ what: "the chat template" }, {
      ...PROBE_LIMITS,
      steps: Math.min(PROBE_LIMITS.steps!, this.#steps),
    });
    try {
      return runAtOnce(this.renderAs(messages, { ...o, needs, specials: PLACEHOLDERS }, budget));
    } catch (error) {
      if (error instanceof JinjaError || error instanceof SecLlamaError) return undefined;
      throw error;
    } finally {
      this.#steps = Math.max(this.#steps - budget.steps, 0);
    }
  };

  readonly #write: Write = (messages, tools, addGenerationPrompt) =>
    this.#probe(adapt({ messages, tools }, this.needs), this.needs, { tools, addGenerationPrompt });

  /**
   * The conversation as the template takes it, by what was probed; then, should it be refused in spite of that, plainer and
   * plainer.
   */
  *forms(conversation: Conversation): Generator<{ messages: Message[]; needs: Needs }> {
    for (const needs of [this.needs, ...plainer(this.needs)]) {
      yield { messages: adapt(conversation, needs), needs };
    }
  }

  /** Why it refuses every one of these conversations in every form; `undefined`: one of them becomes a prompt. */
  refusal(conversations: readonly Conversation[]): Error | undefined {
    let first: Error | undefined;
    for (const conversation of conversations) {
      for (const { messages, needs } of this.forms(conversation)) {
        const budget = new Budget({ what: "the chat template" }, PROBE_LIMITS);
        const tools = conversation.tools ?? [];
        const o = { tools, addGenerationPrompt: true, needs, specials: PLACEHOLDERS };
        try {
          runAtOnce(this.renderAs(messages, o, budget));
          return undefined;
        } catch (error) {
          if (!(error instanceof JinjaError || error instanceof SecLlamaError)) throw error;
          first ??= error;
        }
      }
    }
    return first;
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
    const clock = now ?? (() => new Date());
    const variables = { ...specials, ...templateVariables(messages, asked, needs, clock()) };
    return this.#template.render(variables, { budget, now: clock });
  }
}

/** Templates that were read last: one process asks for one again and again. */
const READ = new Map<string, ChatTemplate | undefined>();
const MOST_READ = 16;

/**
 * The template of this text; `undefined` if it is none.
 *
 * @example
 * ```ts
 * const template = readChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}")!;
 * for (const { messages } of template.forms({ messages: [{ role: "user", content: "Hi" }] })) {
 *   console.log(messages, template.thinks);
 * }
 * ```
 */
export function readChatTemplate(source: string): ChatTemplate | undefined {
  if (READ.has(source)) return READ.get(source);
  let template: ChatTemplate | undefined;
  try {
    template = new ChatTemplate(source);
  } catch (error) {
    if (!(error instanceof JinjaError)) throw error;
  }
  if (READ.size >= MOST_READ) READ.delete(READ.keys().next().value!);
  READ.set(source, template);
  return template;
}

/**
 * What a file with this template can do: Ollama's words.
 * @param source "": the file has none.
 */
export function templateAbilities(source: string): string[] {
  try {
    const template = source === "" ? undefined : readChatTemplate(source);
    return [
      ...(template?.callsTools ? ["tools"] : []),
      ...(template?.thinks ? ["thinking"] : []),
    ];
  } catch (error) {
    // The stack ran out, which a file's text may bring about: one such file is not to end a list of all.
    if (error instanceof RangeError) return [];
    throw error;
  }
}
