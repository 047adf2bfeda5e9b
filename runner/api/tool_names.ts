/** Tool results refer to calls by id; some templates print the tool's name with them. */
import type { ChatMessage } from "../engine/types.ts";

/** Gives each tool message without a name that of the call it answers. */
export function nameToolMessages(messages: readonly ChatMessage[]): ChatMessage[] {
  const names = new Map<string, string>();
  return messages.map((message) => {
    for (const call of message.toolCalls ?? []) if (call.id) names.set(call.id, call.name);
    const toolName = message.toolName ?? names.get(message.toolCallId ?? "");
    return message.role !== "tool" || toolName === undefined ? message : { ...message, toolName };
  });
}
