/** As parse_main.ts, for a PDF: pdf.js is loaded for these alone. */
import { chunksOf, pagesOf, type Piece } from "./chunks.ts";
import { openPdf } from "./open_pdf.ts";
import { answerOnce } from "./thread_side.ts";

/** Characters of all pages together. */
const MOST_CHARACTERS = 64 * 1024 * 1024;
const MOST_PAGES = 20_000;

answerOnce(async ({ bytes, whole }) => {
  const pdf = await openPdf(bytes);
  if (pdf.numPages > MOST_PAGES) throw new RangeError(`it has more than ${MOST_PAGES} pages`);
  const pages: Piece[] = [];
  let size = 0;
  for (let page = 1; page <= pdf.numPages; page++) {
    const { items } = await (await pdf.getPage(page)).getTextContent();
    const text = items.map((item) => "str" in item ? item.str + (item.hasEOL ? "\n" : "") : "")
      .join("");
    size += text.length;
    if (size > MOST_CHARACTERS) throw new RangeError("it has too much text");
    pages.push({ page, text });
  }
  return { pages: pdf.numPages, passages: (whole ? pagesOf : chunksOf)(pages) };
});
