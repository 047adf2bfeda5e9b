/**
 * Sealing one record of the history: AES-256-GCM (NIST SP 800-38D) under the key of its conversation.
 *
 *     nonce[12] | ciphertext | tag[16]        AAD = "SLC1" | what it is, one byte | conversation[16] | position u64, big-endian
 *
 * A record opens in its own place only: one that was moved to another conversation, another position or another kind does not.
 * What is written anew as it grows has a version too, u64, at the end of the AAD, which the conversation's head names.
 * Nonces are random; a conversation would need 2^32 of them before that is too few. Synchronous, since SQLite is.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { type Bytes, concat, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { secret } from "../secret.ts";

const MAGIC = utf8("SLC1");
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** How much longer a record is than what was sealed. */
export const OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;

/** What a record is, in its AAD. */
export const KIND = {
  /** The conversation's key, under a key of the vault. */
  key: 0,
  /** Title, times, folder, counts. */
  head: 1,
  settings: 2,
  message: 3,
  /** What a search reads. */
  text: 4,
  /** Of the user's and of no conversation; under the vault's key. */
  drawer: 5,
  /** A document's name and counts, its passages, and its key. */
  document: 6,
  passages: 7,
  documentKey: 8,
  /** Which texts a search need not open. */
  filter: 9,
  /** An index of a document's words (src/documents/bm25.ts), and what a model made of its passages (vectors.ts). */
  words: 10,
  vectors: 11,
  /** What a start needs of many conversations (register.ts); under the vault's key. */
  registerHeads: 12,
  registerFilters: 13,
} as const;

export type Kind = typeof KIND[keyof typeof KIND];

/** Where a record belongs. */
interface Place {
  readonly kind: Kind;
  /** 16 bytes; of a document, its own id. */
  readonly conversation: Uint8Array;
  /** Of messages from 1, of texts and passages from 0; else 0. */
  readonly position: number;
  /** Of records that are written anew in their place: an earlier one does not open. */
  readonly version?: number | undefined;
}

/** In one piece, since a start needs some ten thousand of them: concat() of parts takes as long as opening the record. */
function aad({ kind, conversation, position, version }: Place): Bytes {
  const start = MAGIC.length + 1 + conversation.length;
  const bytes = new Uint8Array(start + (version === undefined ? 8 : 16));
  bytes.set(MAGIC);
  bytes[MAGIC.length] = kind;
  bytes.set(conversation, MAGIC.length + 1);
  putU64(bytes, start, position);
  if (version !== undefined) putU64(bytes, start + 8, version);
  return bytes;
}

/** Big-endian. @param value A whole number up to 2^53. */
function putU64(bytes: Uint8Array, at: number, value: number): void {
  let [high, low] = [Math.floor(value / 2 ** 32), value % 2 ** 32];
  for (let i = 3; i >= 0; i--) {
    bytes[at + i] = high;
    bytes[at + 4 + i] = low;
    high >>>= 8;
    low >>>= 8;
  }
}

/**
 * `plain` under `key`, 28 bytes longer, for that place alone.
 * @throws {RangeError} For a key that was overwritten: who holds one across a pause must look it up anew.
 */
export function seal(key: Uint8Array, place: Place, plain: Uint8Array): Bytes {
  if (key.every((byte) => byte === 0)) throw new RangeError("the key was overwritten");
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad(place));
  const body = cipher.update(plain);
  cipher.final();
  return concat(nonce, body, cipher.getAuthTag());
}

/**
 * What {@link seal} sealed.
 * @throws {SecLlamaError} `decrypt-failed`, one message for every reason.
 */
export function open(key: Uint8Array, place: Place, sealed: Uint8Array): Uint8Array {
  try {
    const end = sealed.length - TAG_BYTES;
    if (end < NONCE_BYTES) throw new RangeError("too short");
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(aad(place));
    decipher.setAuthTag(sealed.subarray(end));
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, end));
    decipher.final();
    return plain;
  } catch (cause) {
    throw unopened(cause);
  }
}

function unopened(cause: unknown): SecLlamaError {
  return new SecLlamaError("decrypt-failed", "a record of the history cannot be opened", {
    hint: "its bytes were changed, or it was sealed under a key that is not here",
    cause,
  });
}

/**
 * As {@link open}, for records of megabytes: the runtime's own threads are several times quicker at these, and this one goes on.
 * @param key Copied before this returns.
 * @throws {SecLlamaError} `decrypt-failed`, by rejecting.
 */
export async function openLarge(
  key: Uint8Array,
  place: Place,
  sealed: Uint8Array,
): Promise<Bytes> {
  using copy = secret(new Uint8Array(key));
  try {
    const usable = await crypto.subtle.importKey("raw", copy, "AES-GCM", false, ["decrypt"]);
    const how = { name: "AES-GCM", iv: sealed.slice(0, NONCE_BYTES), additionalData: aad(place) };
    const body = new Uint8Array(sealed.subarray(NONCE_BYTES));
    return new Uint8Array(await crypto.subtle.decrypt(how, usable, body));
  } catch (cause) {
    throw unopened(cause);
  }
}
