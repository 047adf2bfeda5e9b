/** What a certificate says that its key is for: extensions of RFC 5280 that Deno does not show (section 4.2.1.12 and others). */

const KEY_USAGE = "551d0f";
const BASIC_CONSTRAINTS = "551d13";
const EXT_KEY_USAGE = "551d25";
const INTEGER = 0x02;

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Reads the elements of a DER sequence. @throws {Error} For what is no DER. */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++]!;
    let length = bytes[at++]!;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) throw new Error("no DER");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + bytes[at++]!;
    }
    if (!(at + length <= bytes.length)) throw new Error("no DER");
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

/** The value of the extension with this OID (DER, hexadecimal); undefined: the certificate has none. */
function extension(certificate: Uint8Array, oid: string): Uint8Array | undefined {
  const [whole] = elements(certificate);
  const [tbs] = elements(whole!.content);
  // extensions [3] EXPLICIT SEQUENCE OF
  const wrapped = elements(tbs!.content).find(({ tag }) => tag === 0xa3);
  if (wrapped === undefined) return undefined;
  const [list] = elements(wrapped.content);
  for (const one of elements(list!.content)) {
    const parts = elements(one.content);
    if (parts[0]?.content.toHex() === oid) return parts.at(-1)!.content;
  }
  return undefined;
}

/**
 * The purposes, each the DER of its OID in hexadecimal; empty: it names none.
 * @param certificate DER.
 * @throws {Error} For what is no certificate.
 */
export function extendedKeyUsages(certificate: Uint8Array): string[] {
  const value = extension(certificate, EXT_KEY_USAGE);
  if (value === undefined) return [];
  const [sequence] = elements(value);
  return elements(sequence!.content).map(({ content }) => content.toHex());
}

/** What an authority's certificate says of what it may sign: the extensions of RFC 5280 sections 4.2.1.3 and 4.2.1.9. */
interface AuthorityLimits {
  /** Authorities that may stand between it and the signer; Infinity: it does not say. */
  readonly pathLength: number;
  /** Whether its key may sign certificates. */
  readonly maySign: boolean;
}

/** @param certificate DER. @throws {Error} For what is no certificate. */
export function authorityLimits(certificate: Uint8Array): AuthorityLimits {
  const usage = extension(certificate, KEY_USAGE);
  // A BIT STRING: how many bits are unused, then keyCertSign as the sixth bit.
  const maySign = usage === undefined || ((elements(usage)[0]!.content[1] ?? 0) & 0x04) !== 0;
  const constraints = extension(certificate, BASIC_CONSTRAINTS);
  const parts = constraints === undefined ? [] : elements(elements(constraints)[0]!.content);
  const length = parts.find(({ tag }) => tag === INTEGER)?.content;
  // A negative one, or one of more bytes than anybody means, allows nothing.
  const isSmall = length?.length === 1 && length[0]! < 0x80;
  return { pathLength: length === undefined ? Infinity : isSmall ? length[0]! : 0, maySign };
}
