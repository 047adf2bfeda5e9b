/** The text of a file that a stranger made. Runs in a thread without any permission (parse_main.ts). */
import type { DocumentType } from "../api/documents.ts";
import { decodedText } from "../api/decoding.ts";
import type { Piece } from "./chunks.ts";
import { ENTITIES } from "./entities.ts";
import { unzipOne } from "./zip.ts";

/** Of what is taken out of a file. */
const MOST_TEXT_BYTES = 64 * 1024 * 1024;

/** What kind of file it is, by its first bytes and then by its name; undefined: none that can be read. */
export function typeOf(name: string, bytes: Uint8Array): DocumentType | undefined {
  const begins = (text: string) =>
    text.split("").every((char, i) => bytes[i] === char.charCodeAt(0));
  if (begins("%PDF-")) return "pdf";
  if (begins("PK\x03\x04")) return /\.docx$/i.test(name) ? "docx" : undefined;
  // Text has no zero bytes but in UTF-16, nor do texts begin as these do.
  const wide = begins("\xff\xfe") || begins("\xfe\xff");
  if (!wide && bytes.subarray(0, 8192).includes(0)) return undefined;
  if (begins("\x7fELF") || begins("\xd0\xcf\x11\xe0")) return undefined;
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
  if (type === "docx") return [{ page: null, text: await wordDocument(bytes) }];
  const text = decodedText(bytes, type === "html");
  if (text === undefined) throw new RangeError("it is no text");
  return [{ page: null, text: type === "html" ? htmlText(text) : text }];
}

/** The text of a DOCX, then its footnotes and endnotes. What stands at the head and the foot of its pages is left out. */
async function wordDocument(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  let size = 0;
  const partOf = async (name: string) => {
    const part = await unzipOne(bytes, name, MOST_TEXT_BYTES);
    size += part?.length ?? 0;
    if (size > MOST_TEXT_BYTES) throw new RangeError("it unpacks to more than 64 MiB");
    const xml = part && decodedText(part);
    if (part !== undefined && xml === undefined) throw new RangeError("its text is broken");
    return xml;
  };
  const main = mainPart(await partOf("_rels/.rels") ?? "");
  const document = await partOf(main);
  if (document === undefined) throw new RangeError("it has no text of Word's");
  const folder = main.slice(0, main.lastIndexOf("/") + 1);
  const notes = [
    await partOf(`${folder}footnotes.xml`),
    await partOf(`${folder}endnotes.xml`),
  ];
  return [document, ...notes].map((xml) => wordText(xml ?? "")).join("\n");
}

/** Where the text is: some programs call it document2.xml (ECMA-376 part 2, section 9.3: relationships of the package). */
function mainPart(relationships: string): string {
  for (const [tag] of relationships.matchAll(/<[^<>]*>/g)) {
    if (!/\/officeDocument["']/.test(tag)) continue;
    const [, target] = /\sTarget\s*=\s*["']\/?([^"'<>]+)["']/.exec(tag) ?? [];
    if (target !== undefined) return target;
  }
  return "word/document.xml";
}

// A tag ends before the next one begins, also where it is never closed: each is looked at once.

/** Paragraphs, tabs, line breaks and cells of WordprocessingML; everything else of it is left out. */
function wordText(xml: string): string {
  return unescaped(
    // What older programs draw in place of what stands before it: the same text once more. One that is empty ends with its tag.
    xml.replace(/<mc:Fallback\b[^<>]*\/>/g, "")
      .replace(/<mc:Fallback\b[^]*?(?:<\/mc:Fallback\s*>|$)/g, "")
      .replace(/<w:(?:instrText|delText)\b[^<>]*>[^<]*<\/w:(?:instrText|delText)>/g, "")
      .replace(/<w:tab\b[^<>]*>/g, "\t").replace(/<w:(?:br|cr)\b[^<>]*>/g, "\n")
      .replace(/<w:noBreakHyphen\b[^<>]*>/g, "\u2011")
      .replace(/<\/w:p>/g, "\n").replace(/<\/w:tc>/g, "\t").replace(/<[^<>]*>/g, ""),
  );
}

function htmlText(html: string): string {
  return unescaped(
    html.replace(/<!--[^]*?(?:-->|$)/g, "")
      // A longer name is another element's, and a drawing, as XML, may end with its tag.
      .replace(/<svg(?=[\s/])[^<>]*\/>/gi, "")
      .replace(/<(script|style|template|noscript|svg)(?=[\s/>])[^]*?(?:<\/\1\s*>|$)/gi, "")
      .replace(/<\/?(?:p|div|br|li|tr|h[1-6]|section|article|table|ul|ol|title)\b[^<>]*>/gi, "\n")
      .replace(/<[^<>]*>/g, " "),
  );
}

const WINDOWS = new TextDecoder("windows-1252");

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,8}));/gi, (whole, dec, hex, name) => {
    if (name !== undefined) return ENTITIES.get(name) ?? whole;
    const code = dec === undefined ? parseInt(hex, 16) : Number(dec);
    // No letters are there: who writes these means Windows' (the HTML Standard, "numeric character reference end state").
    if (code >= 0x80 && code < 0xa0) return WINDOWS.decode(Uint8Array.of(code));
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "";
  });
}
