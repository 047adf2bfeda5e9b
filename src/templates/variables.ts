/** What a template is given: the names that Hugging Face's templates know a conversation's parts by. */
import { exactText } from "../exact_json.ts";
import { strftime } from "../jinja/mod.ts";
import type { Needs } from "./needs.ts";
import { toolsFor } from "./tools.ts";
import type { Message, Tool } from "./types.ts";

/** What a template is asked beside the messages. */
export interface Asked {
  /** Those that may be called. */
  readonly tools?: readonly Tool[];
  /** Absent: the template decides. A level counts as true. */
  readonly think?: boolean | "low" | "medium" | "high";
  /** Whether the prompt ends where the assistant's reply begins. */
  readonly addGenerationPrompt: boolean;
  /** What else the template is told, by names; those that are made here are not replaced. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/**
 * @param messages As {@link "./adapt.ts"} made them.
 * @param now The day that a template may tell.
 */
export function templateVariables(
  messages: readonly Message[],
  { tools = [], think, addGenerationPrompt, values = {} }: Asked,
  needs: Needs,
  now: Date,
): Record<string, unknown> {
  const shown = messages.map((message) => templateMessage(message, needs));
  return {
    // As llama.cpp names it: Llama 3 and firefunction take the day for another one, or refuse, where they are not told.
    date_string: strftime("%d %b %Y", now),
    datetime: strftime("%b %d %Y", now),
    ...values,
    ...thinkingVariables(think),
    ...toolVariables(tools, shown, needs),
    add_generation_prompt: addGenerationPrompt,
  };
}

function templateMessage(message: Message, needs: Needs): Record<string, unknown> {
  const { role, content, thinking, toolCalls, toolName, toolCallId } = message;
  const calls = toolCalls?.length ? toolCalls : undefined;
  return {
    role,
    ...(calls && content === "" ? emptyContent(needs) : { content: contentOf(content, needs) }),
    ...(thinking === undefined ? {} : { thinking, reasoning_content: thinking }),
    ...(calls === undefined ? {} : {
      tool_calls: calls.map(({ id, name, arguments: values }) => ({
        type: "function",
        ...(id === undefined ? {} : { id }),
        function: { name, arguments: needs.arguments === "text" ? pythonJson(values) : values },
      })),
    }),
    ...(toolName === undefined ? {} : { name: toolName, tool_name: toolName }),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
  };
}

function contentOf(content: string, needs: Needs): unknown {
  return needs.content === "text" ? content : [{ type: "text", text: content }];
}

function emptyContent(needs: Needs): Record<string, unknown> {
  if (needs.empty === "absent") return {};
  return { content: needs.empty === "null" ? null : contentOf("", needs) };
}

function toolVariables(
  tools: readonly Tool[],
  messages: Record<string, unknown>[],
  needs: Needs,
): Record<string, unknown> {
  const bare = toolsFor(tools, needs);
  const none = needs.noTools === "none" ? null : [];
  if (bare.length === 0) {
    // One that always writes them has no place for none.
    return { messages, tools: none, ...(needs.tools === "functions" ? { functions: "" } : {}) };
  }
  const wrapped = bare.map((tool) => ({ type: "function", function: tool }));
  switch (needs.tools) {
    case "wrapped":
      return { messages, tools: wrapped };
    case "bare":
      return { messages, tools: bare };
    case "functions":
      return { messages, tools: wrapped, functions: pythonJson(bare) };
    case "message": {
      const [first, ...others] = messages;
      const system = first?.["role"] === "system"
        ? [first, ...others]
        : [{ role: "system", content: contentOf("", needs) }, ...messages];
      const [head, ...rest] = system;
      return { messages: [{ ...head, tools: pythonJson(bare) }, ...rest], tools: wrapped };
    }
    case "system":
      return { messages, tools: none };
  }
}

/** Names by which templates ask whether to think: Qwen and others, DeepSeek and Granite, Command A, gpt-oss. */
function thinkingVariables(think: Asked["think"]): Record<string, unknown> {
  if (think === undefined) return {};
  return {
    enable_thinking: think !== false,
    thinking: think !== false,
    reasoning: think !== false,
    ...(typeof think === "string" ? { reasoning_effort: think } : {}),
  };
}

/** JSON as Python's `json.dumps` writes it, and so as models have seen it: with spaces behind commas and colons. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined)
      .map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`);
    return `{${members.join(", ")}}`;
  }
  return exactText(value) ?? "null";
}
