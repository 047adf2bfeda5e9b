/** A conversation of another program, taken up whole: each of its records is written once. */
import type { Database } from "./database.ts";
import type { Head, Opened } from "./entries.ts";
import type { Imported } from "./import/tree.ts";
import { sealMessage, writeMessage } from "./message.ts";
import { writeTexts } from "./search.ts";
import { titleFor } from "./summaries.ts";

/** Writes the messages of a new conversation; within a transaction. Gives the head that it has with them. */
export function writeMessages(
  db: Database,
  entry: Opened,
  messages: Imported["messages"],
): Head {
  const { bytes, opened: { key, head } } = entry;
  let { size, model, updated } = head;
  const title = titleFor(head.title, messages.map(({ message }) => message));
  for (const [i, { message, created: said }] of messages.entries()) {
    const created = said || head.created;
    const position = i + 1;
    const sealed = sealMessage(key, bytes, position, message, created);
    writeMessage(db, bytes, position, sealed);
    size += sealed.length;
    model = message.model || model;
    updated = Math.max(updated, created);
  }
  const texts = writeTexts(db, entry, messages.map(({ message }) => message.content));
  return { ...head, size, title, model, updated, messages: messages.length, ...texts };
}
