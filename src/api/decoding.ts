/** Bytes of a file as text, in the browser and behind it. */

/** Marks at the start of a file, the longer ones first (the Encoding Standard, "BOM sniff"; UTF-32 is none that it knows). */
const MARKS: readonly (readonly [mark: string, encoding: string | undefined])[] = [
  ["\xff\xfe\0\0", undefined],
  ["\0\0\xfe\xff", undefined],
  ["\xef\xbb\xbf", "utf-8"],
  ["\xff\xfe", "utf-16le"],
  ["\xfe\xff", "utf-16be"],
];
/** The MIME Sniffing Standard, "binary data byte", but for U+000B, with which some programs part the lines of a field. */
// deno-lint-ignore no-control-regex
const BINARY = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/;
/** With which programs of DOS end a text. */
const DOS_END = 0x1a;
/** How far an HTML page is looked at for what it says of itself (the HTML Standard, "prescan a byte stream"). */
const PRESCAN = 1024;

/**
 * The text of a file: by its mark, else as UTF-8 if it is that, else by what it says of itself if it is HTML, else as Windows writes in
 * Western Europe.
 * @returns Undefined: it is no text.
 * @example `decodedText(Uint8Array.of(0xff, 0xfe, 0x41, 0))` is `"A"`.
 */
export function decodedText(bytes: Uint8Array, isHtml = false): string | undefined {
  const begin = latin(bytes.subarray(0, PRESCAN));
  const marked = MARKS.find(([mark]) => begin.startsWith(mark));
  const text = marked === undefined ? unmarked(bytes, begin, isHtml) : decoded(marked[1], bytes);
  // No text has these; much that is none has them.
  return text?.includes("\0") ? undefined : text;
}

function unmarked(bytes: Uint8Array, begin: string, isHtml: boolean): string | undefined {
  const [, label] = isHtml && /<meta\b[^<>]*?\bcharset\s*=\s*["']?\s*([\w:-]+)/i.exec(begin) || [];
  // Who can read this label reads no UTF-16: that has a mark.
  const said = label === undefined || /^utf-16/i.test(label) ? undefined : label;
  // Its letters are ASCII's: it would pass for UTF-8.
  const seven = said?.toLowerCase() === "iso-2022-jp" ? decoded(said, bytes) : undefined;
  return seven ?? decoded("utf-8", bytes) ?? decoded(said, bytes) ?? western(bytes);
}

/** Every byte is a letter there, so that what is no text would pass for it. */
function western(bytes: Uint8Array): string | undefined {
  const text = decoded("windows-1252", bytes);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === DOS_END) end--;
  return text === undefined || BINARY.test(text.slice(0, end)) ? undefined : text;
}

/** Undefined: it is not in this encoding, or nobody knows it. */
function decoded(encoding: string | undefined, bytes: Uint8Array): string | undefined {
  if (encoding === undefined) return undefined;
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function latin(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
