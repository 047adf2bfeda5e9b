/** Bytes: joining, comparing and the encodings the wire uses. No cryptography and no I/O. */
import { fromBase64, toBase64 } from "./codecs.ts";

export { fromBase64, fromHex, toBase64, toHex } from "./codecs.ts";

/** A view whose memory is an ordinary ArrayBuffer, which is what WebCrypto and FFI take. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 encoding of `text`. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/**
 * The text of UTF-8 bytes, a byte order mark included.
 * @throws {TypeError} If `bytes` is not valid UTF-8.
 */
export function utf8Decode(bytes: Uint8Array): string {
  return strictDecoder.decode(bytes);
}

/** The parts in one new array. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * The bytes of base64url without padding; one text for each array of bytes.
 * @throws {SyntaxError} If `text` is not base64url, or is padded, or has stray bits in its last digit.
 */
export function fromBase64Url(text: string): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new SyntaxError("not base64url without padding");
  const bytes = fromBase64(text.replace(/-/g, "+").replace(/_/g, "/"));
  if (toBase64Url(bytes) !== text) throw new SyntaxError("base64url is not canonical");
  return bytes;
}

/** Whether both hold the same bytes, in time that depends only on their lengths. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Big-endian u16. */
export function u16(value: number): Bytes {
  return Uint8Array.of(value >>> 8, value);
}

/** Big-endian u32. */
export function u32(value: number): Bytes {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Big-endian u64 of a safe integer. */
export function u64(value: number): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}
