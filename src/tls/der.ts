/** Writes DER (X.690), the few types that a certificate needs. Reads nothing. */
import { type Bytes, concat, utf8 } from "../bytes.ts";

const MAX_LENGTH = 0xffff;

function tlv(tag: number, content: Uint8Array): Bytes {
  const n = content.length;
  if (n > MAX_LENGTH) throw new RangeError(`DER of ${n} bytes, at most ${MAX_LENGTH}`);
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return concat(Uint8Array.of(tag, ...length), content);
}

export const sequence = (...parts: readonly Uint8Array[]) => tlv(0x30, concat(...parts));
export const set = (...parts: readonly Uint8Array[]) => tlv(0x31, concat(...parts));
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes);
export const boolean = (value: boolean) => tlv(0x01, Uint8Array.of(value ? 0xff : 0));
export const utf8String = (text: string) => tlv(0x0c, utf8(text));
/** `[n] EXPLICIT`. */
export const explicit = (n: number, content: Uint8Array) => tlv(0xa0 | n, content);
/** `[n] IMPLICIT` of a primitive type. */
export const implicit = (n: number, content: Uint8Array) => tlv(0x80 | n, content);
/** All bits of the bytes, less `unused` at the end. */
export const bits = (bytes: Uint8Array, unused = 0) =>
  tlv(0x03, concat(Uint8Array.of(unused), bytes));

/** A non-negative integer, big-endian. */
export function integer(bytes: Uint8Array): Bytes {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const least = bytes.subarray(from);
  return tlv(0x02, (least[0] ?? 0) & 0x80 ? concat(Uint8Array.of(0), least) : least);
}

/** `1.2.840.10045.4.3.2`. */
export function oid(text: string): Bytes {
  const [first, second, ...rest] = text.split(".").map(Number);
  const out: number[] = [];
  for (const value of [first! * 40 + second!, ...rest]) {
    const digits = [value & 0x7f];
    for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift(left & 0x7f | 0x80);
    }
    out.push(...digits);
  }
  return tlv(0x06, Uint8Array.from(out));
}

/** A date as RFC 5280 section 4.1.2.5 wants it: UTCTime until 2049, GeneralizedTime after. */
export function time(date: Date): Bytes {
  const digits = date.toISOString().replace(/\.\d{3}/, "").replace(/[-:T]/g, "");
  return date.getUTCFullYear() < 2050 ? tlv(0x17, utf8(digits.slice(2))) : tlv(0x18, utf8(digits));
}
