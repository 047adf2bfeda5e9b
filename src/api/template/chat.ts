/**
 * Ollama's prompts: a template over a conversation, or over a text with a gap. What its Go code does, step by step.
 * Source: `template/template.go` of Ollama (`Parse`, `Execute`, `collate`, `deleteNode`).
 */
import type { Budget, Work } from "../../budget.ts";
import { TemplateError } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { identifiers, withoutAfterResponse } from "./fields.ts";
import { BUILTIN_NAMES, type TemplateFunction } from "./functions.ts";
import { marshal } from "./json.ts";
import type { Node, Tree } from "./nodes.ts";
import {
  messagesValue,
  rootValue,
  type TemplateMessage,
  type TemplateTool,
  TOOL_PROPERTY,
  toolsValue,
  typeScriptType,
} from "./ollama_types.ts";
import { parse } from "./parse.ts";
import { GoString, type Origin, type Run, wellFormed } from "./text.ts";
import { bool, concrete, string, type Value } from "./types.ts";

export type { TemplateMessage, TemplateTool };
export type { Origin, Run };

const date = (daysAgo: number): TemplateFunction => ({
  parameters: ["string"],
  variadic: true,
  call: () => {
    const day = new Date();
    day.setDate(day.getDate() - daysAgo);
    const two = (number: number) => String(number).padStart(2, "0");
    const year = String(day.getFullYear()).padStart(4, "0");
    return string(GoString.of(`${year}-${two(day.getMonth() + 1)}-${two(day.getDate())}`));
  },
});

/** Ollama's own functions. */
const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: {
    parameters: ["any"],
    variadic: false,
    call: ([value], context) => {
      // What JSON cannot say is no text.
      return string(marshal(value, (units) => context.charge(units)) ?? GoString.EMPTY);
    },
  },
  currentDate: date(0),
  yesterdayDate: date(1),
  toTypeScriptType: {
    parameters: ["any"],
    variadic: false,
    call: ([given]) => {
      const value = concrete(given);
      const behind = value?.type.kind === "pointer" && value.data !== undefined
        ? { type: value.type.elem!, data: value.data }
        : value;
      const isProperty = behind?.type === TOOL_PROPERTY;
      return string(isProperty ? typeScriptType(behind) : GoString.of("any"));
    },
  },
};
const NAMES: ReadonlySet<string> = new Set([...BUILTIN_NAMES, ...Object.keys(FUNCTIONS)]);

/** `{{ .Response }}`, which is put behind a template that has no place for the reply. */
const RESPONSE: Node = {
  kind: "action",
  line: 0,
  pipeline: {
    variables: [],
    assigns: false,
    line: 0,
    commands: [{ line: 0, operands: [{ kind: "field", names: ["Response"], line: 0 }] }],
  },
};

export interface ChatTemplate {
  /** As it was written. */
  readonly source: string;
  readonly tree: Tree;
  /** Every name that it asks for, in lower case. */
  readonly fields: ReadonlySet<string>;
}

/** What a conversation is rendered with. */
export interface ChatValues {
  readonly messages: readonly TemplateMessage[];
  readonly tools?: readonly TemplateTool[];
  /** Undefined: the request does not say. */
  readonly think?: boolean | string | undefined;
}

/** @throws {TemplateError} `parse`, `limit`. */
export function parseTemplate(source: string): ChatTemplate {
  let tree: Tree;
  try {
    tree = parse(source, NAMES);
  } catch (error) {
    throw deep(error);
  }
  const fields = new Set<string>();
  for (const nodes of tree.templates.values()) identifiers(nodes, fields);
  if (fields.has("messages") || fields.has("response")) return { source, tree, fields };
  return { source, tree: { ...tree, root: [...tree.root, RESPONSE] }, fields };
}

/**
 * The prompt of a conversation.
 * @throws {TemplateError} `run`, `limit`.
 * @throws {SecLlamaError} what the budget says.
 */
export function* renderChat(
  template: ChatTemplate,
  { messages, tools = [], think }: ChatValues,
  budget: Budget,
): Work<Run[]> {
  const thinking = {
    Think: bool(think !== undefined && think !== false),
    ThinkLevel: string(GoString.of(think === true ? "medium" : think || "")),
    IsThinkSet: bool(think !== undefined),
  };
  const collated = collate(messages);
  if (!template.fields.has("messages")) {
    return yield* renderTurns(template, collated, thinking, budget);
  }
  const system = messages.filter((one) => one.role === "system").map((one) => one.content);
  return yield* render(template.tree, {
    System: text(system.join("\n\n"), "user"),
    Messages: messagesValue(collated),
    Tools: toolsValue(tools),
    Response: text("", "model"),
    ...thinking,
  }, budget);
}

/** A template without `.Messages` is run once for every turn; the last time up to the place of the reply. */
function* renderTurns(
  { tree }: ChatTemplate,
  messages: readonly TemplateMessage[],
  thinking: Readonly<Record<string, Value>>,
  budget: Budget,
): Work<Run[]> {
  const runs: Run[] = [];
  let [system, prompt, response] = ["", "", ""];
  function* execute(root: readonly Node[], isLast: boolean): Work<void> {
    const fields = {
      System: text(system, "user"),
      Prompt: text(prompt, "user"),
      Response: text(response, "model"),
      ...thinking,
    };
    runs.push(...yield* render({ ...tree, root }, fields, budget, isLast));
    [system, prompt, response] = ["", "", ""];
  }
  for (const { role, content } of messages) {
    if (role === "system") {
      if (prompt !== "" || response !== "") yield* execute(tree.root, false);
      system = content;
    } else if (role === "user") {
      if (response !== "") yield* execute(tree.root, false);
      prompt = content;
    } else if (role === "assistant") response = content;
  }
  yield* execute(withoutAfterResponse(tree.root), true);
  return [...GoString.ofRuns(runs).runs];
}

/**
 * A text with a gap, for a template with `.Suffix`.
 * @throws {TemplateError} `run`, `limit`.
 * @throws {SecLlamaError} what the budget says.
 */
export function renderInsert(
  { tree }: ChatTemplate,
  prompt: string,
  suffix: string,
  budget: Budget,
): Work<Run[]> {
  return render(tree, {
    Prompt: text(prompt, "user"),
    Suffix: text(suffix, "user"),
    Response: text("", "model"),
    Think: bool(false),
    ThinkLevel: text("", "template"),
    IsThinkSet: bool(false),
  }, budget);
}

/** @param isLast Ollama makes the last turn's template anew, and leaves `missingkey=zero` out. */
function* render(
  tree: Tree,
  fields: Readonly<Record<string, Value>>,
  budget: Budget,
  isLast = false,
): Work<Run[]> {
  const missingKey = isLast ? "invalid" as const : "zero" as const;
  const options = { functions: FUNCTIONS, missingKey, budget };
  try {
    const out = yield* evaluate(tree, rootValue(fields), options);
    return out.runs.map((run) => ({ ...run, text: wellFormed(run.text) }));
  } catch (error) {
    throw deep(error);
  }
}

/** Messages of one role that follow each other are one; results of tools stay apart. */
function collate(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const out: TemplateMessage[] = [];
  for (const message of messages) {
    const last = out.at(-1);
    if (last?.role === message.role && message.role !== "tool") {
      out[out.length - 1] = { ...last, content: `${last.content}\n\n${message.content}` };
    } else out.push(message);
  }
  return out;
}

function text(value: string, from: Origin): Value {
  return string(GoString.from(value, from));
}

/** The stack is the last bound, should the others be too wide for where this runs. */
function deep(error: unknown): unknown {
  return error instanceof RangeError
    ? new TemplateError("limit", 0, "the template goes too deep")
    : error;
}
