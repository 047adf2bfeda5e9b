/** Messages as they lie in the database. */
import type { NewMessage, StoredMessage } from "../api/history.ts";
import { type Bytes, utf8, utf8Decode } from "../bytes.ts";
import { secret } from "../secret.ts";
import type { Database } from "./database.ts";
import type { Opened } from "./entries.ts";
import { KIND, open, seal } from "./seal.ts";

/** A message for its position in a conversation. @param created Unix ms. */
export function sealMessage(
  key: Uint8Array,
  conversation: Uint8Array,
  position: number,
  message: NewMessage,
  created: number,
): Bytes {
  const place = { kind: KIND.message, conversation, position };
  return seal(key, place, utf8(JSON.stringify({ ...message, created })));
}

/** Writes what {@link sealMessage} gives; within a transaction. */
export function writeMessage(
  db: Database,
  conversation: Uint8Array,
  position: number,
  sealed: Bytes,
): void {
  db.run(
    "INSERT INTO messages (conversation, position, sealed) VALUES (?, ?, ?)",
    conversation,
    position,
    sealed,
  );
}

/** All that are kept of a conversation, in the order in which they were saved. */
export function messagesOf(db: Database, { bytes, opened: { key } }: Opened): StoredMessage[] {
  return db.rows(
    "SELECT position, sealed FROM messages WHERE conversation = ? ORDER BY position",
    bytes,
  ).map((row) => openMessage(key, bytes, Number(row["position"]), row["sealed"] as Uint8Array));
}

/** What is kept at a position of a conversation. */
export function openMessage(
  key: Uint8Array,
  conversation: Uint8Array,
  position: number,
  sealed: Uint8Array,
): StoredMessage {
  const id = String(position);
  try {
    using plain = secret(open(key, { kind: KIND.message, conversation, position }, sealed));
    return { id, ...JSON.parse(utf8Decode(plain)) };
  } catch {
    // What it followed is lost with it. As a first message it would be another beginning, and hide all that was said before it.
    const parent = position > 1 ? String(position - 1) : null;
    return { id, parent, role: "assistant", content: "", created: 0, damaged: true };
  }
}
