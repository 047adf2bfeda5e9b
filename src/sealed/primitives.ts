/**
 * The primitives under sealed/1: AES-256-GCM, HMAC-SHA256, HKDF-SHA256, SHA-256 and randomness.
 *
 * On `node:crypto`, synchronous on purpose: WebCrypto hops threads, which costs milliseconds once inference keeps the cores
 * busy. Above {@link LARGE_BYTES} its speed outweighs the hop, so the `...Large` pair switches over to it. The client's
 * build for browsers puts `scripts/client/platforms/primitives_web.ts` in this file's place.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync as nodeHkdf,
  randomFillSync,
} from "node:crypto";
import { type Bytes, concat } from "../bytes.ts";
import { wipe } from "../secret.ts";

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const HASH_BYTES = 32;
/** From here on WebCrypto is used where the caller can wait. */
const LARGE_BYTES = 64 * 1024;

/** The tag did not verify. Says nothing else, on purpose. */
export class OpenFailed extends Error {
  override readonly name = "OpenFailed";
  constructor() {
    super("the ciphertext does not authenticate");
  }
}

/** AES-256-GCM (NIST SP 800-38D): ciphertext with the 16-byte tag appended. */
export function gcmSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Bytes {
  const out = new Uint8Array(plaintext.length + TAG_BYTES);
  gcmSealInto(out, 0, key, nonce, aad, plaintext);
  return out;
}

/** As {@link gcmSeal}, written into `out` from `at` on. */
export function gcmSealInto(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): void {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  out.set(cipher.update(plaintext), at);
  cipher.final();
  out.set(cipher.getAuthTag(), at + plaintext.length);
}

/**
 * Opens what {@link gcmSeal} made. Node's `update()` hands out plaintext before the tag is checked; it leaves this
 * function only after `final()`.
 * @throws {OpenFailed} If `sealed` is shorter than a tag or does not authenticate.
 */
export function gcmOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Bytes {
  const length = sealed.length - TAG_BYTES;
  if (length < 0) throw new OpenFailed();
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(length));
  const plaintext = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
  } catch {
    wipe(plaintext);
    throw new OpenFailed();
  }
  // Buffers may be slices of a shared pool; the caller gets memory of its own.
  return new Uint8Array(plaintext);
}

/** {@link gcmSeal}, through WebCrypto when `plaintext` is large. */
export async function gcmSealLarge(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Promise<Bytes> {
  if (plaintext.length < LARGE_BYTES) return gcmSeal(key, nonce, aad, plaintext);
  const algorithm = { name: "AES-GCM", iv: nonce as Bytes, additionalData: aad as Bytes };
  const cryptoKey = await importKey(key, "encrypt");
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, cryptoKey, plaintext as Bytes));
}

/**
 * {@link gcmOpen}, through WebCrypto when `sealed` is large.
 * @throws {OpenFailed} If `sealed` does not authenticate.
 */
export async function gcmOpenLarge(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Bytes> {
  if (sealed.length < LARGE_BYTES) return gcmOpen(key, nonce, aad, sealed);
  const algorithm = { name: "AES-GCM", iv: nonce as Bytes, additionalData: aad as Bytes };
  const cryptoKey = await importKey(key, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, cryptoKey, sealed as Bytes));
  } catch {
    throw new OpenFailed();
  }
}

function importKey(key: Uint8Array, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key as Bytes, "AES-GCM", false, [usage]);
}

/** HMAC-SHA256 (RFC 2104), 32 bytes. */
export function hmacSha256(key: Uint8Array, ...message: readonly Uint8Array[]): Bytes {
  const hmac = createHmac("sha256", key);
  for (const part of message) hmac.update(part);
  return new Uint8Array(hmac.digest());
}

/**
 * HKDF-SHA256 (RFC 5869), both steps in one call, which takes a third of the time of two.
 * @throws {RangeError} If `length` is above 255 × 32 bytes.
 */
export function hkdfSha256(
  ikm: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): Bytes {
  return new Uint8Array(nodeHkdf("sha256", ikm, salt, info, length));
}

/** SHA-256, 32 bytes. */
export function sha256(...message: readonly Uint8Array[]): Bytes {
  const whole = message.length === 1 ? message[0]! : concat(...message);
  return new Uint8Array(createHash("sha256").update(whole).digest());
}

/** HKDF-Extract (RFC 5869 section 2.2); an empty salt stands for 32 zero bytes. */
export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Bytes {
  return hmacSha256(salt.length === 0 ? new Uint8Array(HASH_BYTES) : salt, ikm);
}

/**
 * HKDF-Expand (RFC 5869 section 2.3).
 * @throws {RangeError} If `length` is above 255 × 32 bytes.
 */
export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Bytes {
  if (length > 255 * HASH_BYTES) {
    throw new RangeError(`HKDF output of ${length} bytes, must be at most ${255 * HASH_BYTES}`);
  }
  const blocks: Uint8Array[] = [];
  let previous: Uint8Array = new Uint8Array(0);
  for (let i = 1; (i - 1) * HASH_BYTES < length; i++) {
    previous = hmacSha256(prk, previous, info, Uint8Array.of(i));
    blocks.push(previous);
  }
  return concat(...blocks).slice(0, length);
}

/** `length` bytes from the system's generator. */
export function randomBytes(length: number): Bytes {
  return randomFillSync(new Uint8Array(length));
}
