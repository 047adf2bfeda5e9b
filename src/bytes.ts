/** Bytes: joining, comparing and the encodings the wire uses. No cryptography and no I/O. */
import { timingSafeEqual } from "node:crypto";

/** A view whose memory is an ordinary ArrayBuffer, which is what WebCrypto and FFI take. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 encoding of `text`. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** @throws {TypeError} If `bytes` is not valid UTF-8. */
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

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** @throws {SyntaxError} If `text` is not an even number of hexadecimal digits. */
export function fromHex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}

/** base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** @throws {SyntaxError} If `text` is not base64url, or is padded, or has stray bits in its last digit. */
export function fromBase64Url(text: string): Bytes {
  if (text.includes("=")) throw new SyntaxError("base64url must not be padded");
  const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  if (toBase64Url(bytes) !== text) throw new SyntaxError("base64url is not canonical");
  return bytes;
}

/** Whether both hold the same bytes, in time that depends only on their lengths. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Big-endian u16. */
export function u16(value: number): Bytes {
  return Uint8Array.of(value >>> 8, value);
}

/** Big-endian u32. */
export function u32(value: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

/** Big-endian u64 of a safe integer. */
export function u64(value: number): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}

/** Overwrites the array with zeroes. What V8 copied elsewhere before is out of reach. */
export function zero(bytes: Uint8Array): void {
  bytes.fill(0);
}
