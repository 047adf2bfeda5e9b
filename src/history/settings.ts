/** A conversation's settings as they lie in the database. */
import type { ConversationFields } from "../api/history.ts";
import { utf8, utf8Decode } from "../bytes.ts";
import type { Database } from "./database.ts";
import type { Opened } from "./entries.ts";
import { KIND, open, seal } from "./seal.ts";

/** The settings; none: an empty object. @throws {SecLlamaError} `decrypt-failed`. */
export function settingsOf(db: Database, entry: Opened): Record<string, unknown> {
  const { bytes, opened: { key } } = entry;
  const sealed = db.row("SELECT settings FROM conversations WHERE id = ?", bytes)
    ?.["settings"] as Uint8Array | null | undefined;
  return sealed ? JSON.parse(utf8Decode(open(key, place(bytes), sealed))) : {};
}

/** Replaces them, within a transaction. */
export function writeSettings(
  db: Database,
  { bytes, opened: { key } }: Opened,
  settings: NonNullable<ConversationFields["settings"]>,
): void {
  const sealed = seal(key, place(bytes), utf8(JSON.stringify(settings)));
  db.run("UPDATE conversations SET settings = ? WHERE id = ?", sealed, bytes);
}

function place(conversation: Uint8Array) {
  return { kind: KIND.settings, conversation, position: 0 };
}
