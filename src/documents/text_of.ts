/** The text of a file that a stranger made. Runs in a thread without any permission (parse_main.ts). */
import type { DocumentType } from "../api/documents.ts";
import type { Piece } from "./chunks.ts";
import { unzipOne } from "./zip.ts";

/** Of what is taken out of a file. */
const MOST_TEXT_BYTES = 64 * 1024 * 1024;

/** What kind of file it is, by its first bytes and then by its name; undefined: none that can be read. */
export function typeOf(name: string, bytes: Uint8Array): DocumentType | undefined {
  const begins = (text: string) =>
    text.split("").every((char, i) => bytes[i] === char.charCodeAt(0));
  if (begins("%PDF-")) return "pdf";
  if (begins("PK\x03\x04")) return /\.docx$/i.test(name) ? "docx" : undefined;
  // Text has no zero bytes, nor do texts begin as these do.
  if (bytes.subarray(0, 8192).includes(0) || begins("\x7fELF") || begins("\xd0\xcf\x11\xe0")) {
    return undefined;
  }
  const ending = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase();
  if (ending === "html" || ending === "htm") return "html";
  if (ending === "csv" || ending === "tsv") return "csv";
  return ending === "md" || ending === "markdown" ? "markdown" : "text";
}

/**
 * The pages of a file that is no PDF.
 * @throws {RangeError} With what is wrong with it, in words.
 */
export async function textOf(
  type: Exclude<DocumentType, "pdf">,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Piece[]> {
  if (type === "docx") {
    const xml = await unzipOne(bytes, "word/document.xml", MOST_TEXT_BYTES);
    if (xml === undefined) throw new RangeError("it has no text of Word's");
    return [{ page: null, text: wordText(new TextDecoder().decode(xml)) }];
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    text = new TextDecoder("windows-1252").decode(bytes);
  }
  return [{ page: null, text: type === "html" ? htmlText(text) : text }];
}

// A tag ends before the next one begins, also where it is never closed: each is looked at once.

/** Paragraphs, tabs, line breaks and cells of WordprocessingML; everything else of it is left out. */
function wordText(xml: string): string {
  return unescaped(
    xml.replace(/<w:(?:instrText|delText)\b[^<>]*>[^<]*<\/w:(?:instrText|delText)>/g, "")
      .replace(/<w:tab\b[^<>]*>/g, "\t").replace(/<w:br\b[^<>]*>/g, "\n")
      .replace(/<\/w:p>/g, "\n").replace(/<\/w:tc>/g, "\t").replace(/<[^<>]*>/g, ""),
  );
}

function htmlText(html: string): string {
  return unescaped(
    html.replace(/<!--[^]*?(?:-->|$)/g, "")
      .replace(/<(script|style|template|noscript|svg)\b[^]*?(?:<\/\1\s*>|$)/gi, "")
      .replace(/<\/?(?:p|div|br|li|tr|h[1-6]|section|article|table|ul|ol|title)\b[^<>]*>/gi, "\n")
      .replace(/<[^<>]*>/g, " "),
  );
}

const ENTITIES: { readonly [name: string]: string } = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
  ndash: "–",
  mdash: "—",
  hellip: "…",
  auml: "ä",
  ouml: "ö",
  uuml: "ü",
  Auml: "Ä",
  Ouml: "Ö",
  Uuml: "Ü",
  szlig: "ß",
  eacute: "é",
  egrave: "è",
  euro: "€",
  sect: "§",
};

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,8}));/gi, (whole, dec, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = dec === undefined ? parseInt(hex, 16) : Number(dec);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "";
  });
}
