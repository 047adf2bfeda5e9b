/**
 * Bytes as text, by what the runtime has natively. The client's builds for Node 20 and for browsers put
 * `scripts/client/platforms/codecs_portable.ts` in this file's place: there `Uint8Array.fromBase64` and its kin are too new.
 */
/** As in bytes.ts. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/**
 * The bytes of hexadecimal digits.
 * @throws {SyntaxError} If `text` is not an even number of hexadecimal digits.
 */
export function fromHex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}

/** base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** The bytes of base64 (RFC 4648 section 4). @throws {SyntaxError} If `text` is not base64. */
export function fromBase64(text: string): Bytes {
  return Uint8Array.fromBase64(text);
}
