/** PEM (RFC 7468): one block of a kind. */
import { type Bytes, fromBase64, toBase64 } from "./bytes.ts";

/** @param label "CERTIFICATE", "PRIVATE KEY". */
export function toPem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** The DER of the first block of this kind in `text`. @throws {SyntaxError} If there is none, or it is not base64. */
export function fromPem(label: string, text: string): Bytes {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`)
    .exec(text);
  if (!match) throw new SyntaxError(`there is no PEM block ${label}`);
  return fromBase64(match[1]!.replace(/\s+/g, ""));
}
