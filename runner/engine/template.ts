/** Chat messages to a prompt, by the Jinja template that the model file brings. */
import type { Budget, Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import {
  type ChatTemplate,
  JinjaError,
  type Needs,
  readChatTemplate,
} from "../../src/templates/mod.ts";
import {
  chooseMark,
  ControlTextFinder,
  isStructural,
  isThoughtTag,
  splitAtMarks,
} from "./control_text.ts";
import { thoughtTagsOf } from "../../src/replies/thought.ts";
import type { ChatInput, ChatMessage, PromptPart, ToolDefinition } from "./types.ts";
import { ROLES } from "../../src/api/template/roles.ts";

/** What the renderer needs of a vocabulary. */
export interface TemplateVocabulary {
  readonly bos: number;
  readonly eos: number;
  readonly controlTexts: readonly string[];
  readonly userDefinedTexts: readonly string[];
  textOf(id: number): string;
}

/** What it costs to look through one message, in steps of a budget. */
const MESSAGE_STEPS = 20;

export class ChatRenderer {
  readonly #source: string | undefined;
  readonly #specials: { bos_token: string; eos_token: string };
  /** For text of users, tools and systems. */
  readonly #finder: ControlTextFinder;
  /** For text of the assistant. */
  readonly #assistantFinder: ControlTextFinder;
  #template: ChatTemplate | undefined;

  /** @param source The template; without one, contents are joined as they are. */
  constructor(vocabulary: TemplateVocabulary, source: string | undefined) {
    this.#source = source;
    this.#specials = {
      bos_token: vocabulary.textOf(vocabulary.bos),
      eos_token: vocabulary.textOf(vocabulary.eos),
    };
    const structural = vocabulary.userDefinedTexts.filter(isStructural);
    this.#finder = new ControlTextFinder([...vocabulary.controlTexts, ...structural]);
    this.#assistantFinder = new ControlTextFinder([
      ...vocabulary.controlTexts,
      ...structural.filter((text) => !isThoughtTag(text)),
    ]);
  }

  /**
   * @throws {SecLlamaError} `bad-request`: an unknown role, a conversation that the template refuses in every form, or that makes
   * it exceed the budget; `bad-model`: a template that cannot be parsed.
   */
  *render(chat: ChatInput, budget: Budget): Work<PromptPart[]> {
    for (const [index, { role }] of chat.messages.entries()) {
      if (!ROLES.has(role)) {
        throw new SecLlamaError("bad-request", `message ${index} has an unknown role`, {
          field: `messages[${index}].role`,
        });
      }
    }
    if (this.#source === undefined) {
      return chat.messages.filter(({ content }) => content !== "")
        .map(({ content }) => ({ text: content, special: false }));
    }
    const template = this.#compile(this.#source);
    const mark = yield* chooseMark([this.#source, ...strings(chat)]);
    let refusal: unknown;
    for (const { messages, needs } of template.forms(chat)) {
      try {
        const text = yield* this.#renderForm({ ...chat, messages }, needs, { mark, budget });
        return splitAtMarks(text, mark).filter((piece) => piece !== "")
          .map((piece) => ({ text: piece, special: true }));
      } catch (error) {
        if (!(error instanceof JinjaError)) throw error;
        refusal ??= error;
      }
    }
    throw new SecLlamaError(
      "bad-request",
      `the model's chat template has no place for this conversation: ${firstLine(refusal)}`,
      { field: "messages", cause: refusal },
    );
  }

  /** The prompt of messages in a form that the template may take, with marks in it. */
  *#renderForm(
    chat: ChatInput,
    needs: Needs,
    { mark, budget }: { readonly mark: string; readonly budget: Budget },
  ): Work<string> {
    const messages: ChatMessage[] = [];
    for (const message of chat.messages) {
      messages.push(yield* this.#broken(message, mark));
      budget.step(MESSAGE_STEPS);
      if (budget.due()) yield;
    }
    const tools = (yield* breakAll(
      chat.tools ?? [],
      (text) => this.#finder.break(text, mark),
    )) as ToolDefinition[];
    const values = (yield* breakAll(
      chat.values ?? {},
      (text) => this.#finder.break(text, mark),
    )) as Record<string, unknown>;
    yield;
    const last = messages.at(-1);
    const continues = chat.addGenerationPrompt === undefined && last?.role === "assistant" &&
      !last.toolCalls?.length && messages.length > 1;
    const text = yield* this.#template!.renderAs(continues ? messages.slice(0, -1) : messages, {
      tools,
      ...(chat.think === undefined ? {} : { think: chat.think }),
      values,
      addGenerationPrompt: chat.addGenerationPrompt ?? true,
      needs,
      specials: this.#specials,
    }, budget);
    return continues ? text + continued(text, last, this.#source!) : text;
  }

  /** A message in which no text of a control token is left whole. Its role is one of those that mean something. */
  *#broken(message: ChatMessage, mark: string): Work<ChatMessage> {
    const broken = (yield* breakAll(
      message,
      (text) => this.#finder.break(text, mark),
    )) as ChatMessage;
    const { role, content, thinking } = message;
    if (role !== "assistant") return { ...broken, role };
    const open = (text: string) => this.#assistantFinder.break(text, mark);
    return {
      ...broken,
      role,
      content: yield* open(content),
      ...(thinking === undefined ? {} : { thinking: yield* open(thinking) }),
    };
  }

  #compile(source: string): ChatTemplate {
    this.#template ??= readChatTemplate(source);
    if (this.#template !== undefined) return this.#template;
    throw new SecLlamaError("bad-model", "the model's chat template cannot be parsed");
  }
}

/** What the assistant has said, left open. A thought that the template begins is ended first. */
function continued(
  prompt: string,
  { content, thinking = "" }: ChatMessage,
  source: string,
): string {
  const tags = thoughtTagsOf(source);
  if (tags === undefined || !prompt.trimEnd().endsWith(tags.open.trimEnd())) return content;
  return `${thinking}${thinking === "" ? "" : "\n"}${tags.close}\n\n${content}`;
}

/** A copy in which every string, keys included, went through `change`. */
function* breakAll(value: unknown, change: (text: string) => Work<string>): Work<unknown> {
  if (typeof value === "string") return yield* change(value);
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) items.push(yield* breakAll(item, change));
    return items;
  }
  if (value !== null && typeof value === "object") {
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      entries.push([yield* change(key), yield* breakAll(item, change)]);
    }
    yield;
    return Object.fromEntries(entries);
  }
  return value;
}

/** Every string in a value, keys included. */
function* strings(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) { for (const item of value) yield* strings(item); }
  else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      yield key;
      yield* strings(item);
    }
  }
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0]?.slice(0, 200) ?? "";
}
