/** What both ends of a reply derive: see `reply_sealer.ts` for the layout. */
import { concat, utf8 } from "../bytes.ts";
import { wipe } from "../secret.ts";
import { KEY_BYTES, NONCE_BYTES } from "./primitives.ts";
import { COMMIT_BYTES, hkdf } from "./suite.ts";

export const REPLY_MAGIC = utf8("SLR1");
export const RS_BYTES = 32;

export interface ReplyKeys {
  readonly key: Uint8Array;
  readonly base: Uint8Array;
  readonly commit: Uint8Array;
}

/** The keys of the reply to the request with this `enc`, whose `Export("secllama/1 response", 32)` is `secret`. */
export function replyKeys(secret: Uint8Array, enc: Uint8Array, rs: Uint8Array): ReplyKeys {
  const length = KEY_BYTES + NONCE_BYTES + COMMIT_BYTES;
  const okm = hkdf(secret, "secllama/1 response keys", length, concat(enc, rs));
  const keys = {
    key: okm.slice(0, KEY_BYTES),
    base: okm.slice(KEY_BYTES, KEY_BYTES + NONCE_BYTES),
    commit: okm.slice(KEY_BYTES + NONCE_BYTES),
  };
  wipe(okm);
  return keys;
}
