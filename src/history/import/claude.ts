/** Claude's `conversations.json`: a list of messages, each of blocks; files by the text that was taken from them. */
import { conversation, type Imported, type Node } from "./tree.ts";
import { date, type Json, list, object, roleOf, text } from "./values.ts";

/** The parent of a first message, in exports that say parents. */
const NONE = "00000000-0000-4000-8000-000000000000";

/** A conversation of such a file. */
export function fromClaude(one: Json): Imported {
  const all = list(one["chat_messages"]).map(object);
  const nodes = all.map((message, i): Node => {
    const role = message["sender"] === "human" ? "user" : roleOf(message["sender"]);
    const blocks = list(message["content"]).map(object);
    const of = (type: string, field = type) =>
      blocks.filter((block) => block["type"] === type).map((block) => text(block[field]))
        .filter((part) => part !== "").join("\n\n");
    const [content, thinking] = [of("text") || text(message["text"]), of("thinking")];
    const calls = blocks.filter((block) => block["type"] === "tool_use").map(({ name, input }) => ({
      function: { name: text(name), arguments: input ?? {} },
    }));
    const attachments = list(message["attachments"]).map(object).flatMap((file) => {
      const said = text(file["extracted_content"]);
      return said === "" ? [] : [{ name: text(file["file_name"]), text: said }];
    });
    const isSaid = content !== "" || thinking !== "" || calls.length + attachments.length > 0;
    const parent = message["parent_message_uuid"];
    return {
      id: idOf(message, i),
      // Earlier exports say none: each follows the one before.
      parent: typeof parent === "string"
        ? parent === NONE ? null : parent
        : i === 0
        ? null
        : idOf(all[i - 1]!, i - 1),
      message: role === undefined || !isSaid ? undefined : {
        role,
        content,
        ...(thinking === "" ? {} : { thinking }),
        ...(calls.length === 0 ? {} : { tool_calls: calls }),
        ...(attachments.length === 0 ? {} : { attachments }),
      },
      created: date(message["created_at"]),
    };
  });
  return conversation({ title: one["name"], model: one["model"] }, nodes, date(one["created_at"]));
}

function idOf(message: Json, at: number): string {
  return text(message["uuid"]) || String(at);
}
