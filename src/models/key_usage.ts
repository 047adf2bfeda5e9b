/** What a certificate says that its key is for: the extension extKeyUsage of RFC 5280 section 4.2.1.12. Deno does not show it. */

const EXT_KEY_USAGE = "551d25";

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

/**
 * The purposes, each the DER of its OID in hexadecimal; empty: it names none.
 * @param certificate DER.
 * @throws {Error} For what is no certificate.
 */
export function extendedKeyUsages(certificate: Uint8Array): string[] {
  const [whole] = elements(certificate);
  const [tbs] = elements(whole!.content);
  // extensions [3] EXPLICIT SEQUENCE OF
  const wrapped = elements(tbs!.content).find(({ tag }) => tag === 0xa3);
  if (wrapped === undefined) return [];
  const [list] = elements(wrapped.content);
  for (const extension of elements(list!.content)) {
    const parts = elements(extension.content);
    if (parts[0]?.content.toHex() !== EXT_KEY_USAGE) continue;
    const [sequence] = elements(parts.at(-1)!.content);
    return elements(sequence!.content).map(({ content }) => content.toHex());
  }
  return [];
}
