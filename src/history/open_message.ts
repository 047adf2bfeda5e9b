/** A message as it lies in the database, opened. */
import type { StoredMessage } from "../api/history.ts";
import { utf8Decode } from "../bytes.ts";
import { secret } from "../secret.ts";
import { KIND, open } from "./seal.ts";

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
    return { id, parent: null, role: "assistant", content: "", created: 0, damaged: true };
  }
}
