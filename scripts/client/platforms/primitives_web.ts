/**
 * `primitives.ts` for browsers, as much of it as a client needs: AES-GCM by WebCrypto, which browsers offer to pages of
 * https and of loopback only; hashes, whose results are needed at once, by noble.
 */
import { expand, extract, hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { type Bytes, concat } from "../../../src/bytes.ts";

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const HASH_BYTES = 32;

/** The tag did not verify. Says nothing else, on purpose. */
export class OpenFailed extends Error {
  override readonly name = "OpenFailed";
  constructor() {
    super("the ciphertext does not authenticate");
  }
}

/** AES-256-GCM (NIST SP 800-38D): ciphertext with the 16-byte tag appended. */
export async function gcmSealLarge(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Bytes> {
  const algorithm = { name: "AES-GCM", iv: nonce as Bytes, additionalData: aad as Bytes };
  const cryptoKey = await importKey(key, "encrypt");
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, cryptoKey, plaintext as Bytes));
}

/**
 * Opens what {@link gcmSealLarge} made.
 * @throws {OpenFailed} If `sealed` does not authenticate.
 */
export async function gcmOpenLarge(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Bytes> {
  const algorithm = { name: "AES-GCM", iv: nonce as Bytes, additionalData: aad as Bytes };
  const cryptoKey = await importKey(key, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, cryptoKey, sealed as Bytes));
  } catch {
    throw new OpenFailed();
  }
}

/** The last key imported each way: a reply's frames come one after another under one key. */
const imported = { encrypt: new WeakMap(), decrypt: new WeakMap<Uint8Array, Promise<CryptoKey>>() };

function importKey(key: Uint8Array, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  let cryptoKey = imported[usage].get(key);
  if (cryptoKey === undefined) {
    cryptoKey = crypto.subtle.importKey("raw", key as Bytes, "AES-GCM", false, [usage]);
    imported[usage].set(key, cryptoKey);
  }
  return cryptoKey;
}

/** HMAC-SHA256 (RFC 2104), 32 bytes. */
export function hmacSha256(key: Uint8Array, ...message: readonly Uint8Array[]): Bytes {
  return hmac(nobleSha256, key, concat(...message)) as Bytes;
}

/** HKDF-SHA256 (RFC 5869). @throws {Error} If `length` is above 255 × 32 bytes. */
export function hkdfSha256(
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Bytes {
  return hkdf(nobleSha256, ikm, salt, info, length) as Bytes;
}

/** SHA-256, 32 bytes. */
export function sha256(...message: readonly Uint8Array[]): Bytes {
  return nobleSha256(concat(...message)) as Bytes;
}

/** HKDF-Extract (RFC 5869 section 2.2). */
export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Bytes {
  return extract(nobleSha256, ikm, salt) as Bytes;
}

/** HKDF-Expand (RFC 5869 section 2.3). @throws {Error} If `length` is above 255 × 32 bytes. */
export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Bytes {
  return expand(nobleSha256, prk, info, length) as Bytes;
}

/** `length` bytes from the browser's generator. */
export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}
