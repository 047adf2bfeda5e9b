/**
 * A master key's identity and its form in a key store.
 *
 * A kid is computed from its key, so a truncated or swapped item shows itself. The stored value is one ASCII line,
 * `sl1:` and the base64 of 32 bytes; it is decoded from bytes into bytes, because a JavaScript string cannot be zeroed.
 */
import { type Bytes, toHex, utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { type Secret, secret, wipe } from "../../secret.ts";
import { derive } from "../derive.ts";
import { plural } from "../../plural.ts";

/** Length of a master key in bytes. */
const KEY_BYTES = 32;
/** Length of a stored value in bytes: `sl1:` and 44 base64 digits. */
export const VALUE_BYTES = 48;

const STORE_HINT =
  "to see every key, run: secllama key status; to restore keys, run: secllama key import";
const PREFIX = utf8("sl1:");
const ALPHABET = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PADDING = 0x3d; // "="
const DIGIT = (() => {
  const table = new Int8Array(256).fill(-1);
  ALPHABET.forEach((byte, digit) => table[byte] = digit);
  return table;
})();

/** Whether `text` has the form of a kid: 16 lower-case hexadecimal digits. */
export function isKid(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** `hex(HKDF-SHA256(key, info = "secllama/kid/v1")[:8])`. */
export async function kidOf(key: Bytes): Promise<string> {
  return toHex(await derive(key, "secllama/kid/v1", 8));
}

/** A new random master key. */
export function newKey(): Secret {
  return secret(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
}

/** The stored form of `key`: 48 ASCII bytes, no line end. For the caller's `using`. */
export function encodeKey(key: Uint8Array): Secret {
  const out = secret(new Uint8Array(VALUE_BYTES));
  out.set(PREFIX);
  let at = PREFIX.length;
  for (let i = 0; i < KEY_BYTES; i += 3) {
    const left = KEY_BYTES - i;
    const bits = (key[i]! << 16) | ((key[i + 1] ?? 0) << 8) | (key[i + 2] ?? 0);
    out[at++] = ALPHABET[bits >>> 18 & 63]!;
    out[at++] = ALPHABET[bits >>> 12 & 63]!;
    out[at++] = left > 1 ? ALPHABET[bits >>> 6 & 63]! : PADDING;
    out[at++] = left > 2 ? ALPHABET[bits & 63]! : PADDING;
  }
  return out;
}

/**
 * The key of a stored value, for the caller's `using`; one line end after it is allowed.
 * @throws {SecLlamaError} `key-corrupt` naming what is wrong: length, prefix or alphabet. Never the value.
 */
export function decodeKey(value: Uint8Array, what: string, hint = STORE_HINT): Secret {
  const end = value.at(-1) === 0x0a ? (value.at(-2) === 0x0d ? -2 : -1) : value.length;
  const text = value.subarray(0, end);
  if (text.length !== VALUE_BYTES) {
    throw corrupt(`${what} holds ${plural(text.length, "byte")}, want ${VALUE_BYTES}`, hint);
  }
  if (!PREFIX.every((byte, i) => text[i] === byte)) {
    throw corrupt(`${what} does not start with "sl1:"`, hint);
  }
  const key = secret(new Uint8Array(KEY_BYTES));
  let wrong = text[VALUE_BYTES - 1] !== PADDING;
  for (let at = PREFIX.length, out = 0; at < VALUE_BYTES; at += 4, out += 3) {
    const last = at + 4 === VALUE_BYTES;
    let bits = 0;
    for (let i = 0; i < 4; i++) {
      const digit = last && i === 3 ? 0 : DIGIT[text[at + i]!]!;
      wrong ||= digit < 0;
      bits = bits << 6 | (digit & 63);
    }
    key[out] = bits >>> 16;
    key[out + 1] = bits >>> 8;
    if (!last) key[out + 2] = bits;
    else wrong ||= (bits & 0xff) !== 0; // stray bits: two spellings of one key
  }
  if (wrong) {
    wipe(key);
    throw corrupt(`${what} is not base64 after "sl1:"`, hint);
  }
  return key;
}

/**
 * {@link decodeKey}, then the proof that this is the key that `kid` names.
 * @throws {SecLlamaError} `key-corrupt` if it is another key or no key.
 */
export async function decodeKeyOf(kid: string, value: Uint8Array): Promise<Secret> {
  const what = `the key store's item ${kid}`;
  const key = decodeKey(value, what);
  const actual = await kidOf(key);
  if (actual !== kid) {
    wipe(key);
    throw corrupt(`${what} holds another key (${actual})`);
  }
  return key;
}

function corrupt(message: string, hint = STORE_HINT): SecLlamaError {
  return new SecLlamaError("key-corrupt", message, { hint });
}
