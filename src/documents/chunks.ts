/** A document's text, cut into passages of about a paragraph or two, each on one page. */

/** Most characters of a passage, and how many of the one before it are repeated. */
export const PASSAGE_CHARACTERS = 1000;
const OVERLAP_CHARACTERS = 150;

/** A piece of text with its page, from 1; null: the document has none. */
export interface Piece {
  readonly page: number | null;
  readonly text: string;
}

/**
 * Passages of the pages, in their order; where a page is longer than one passage, cut at the end of a paragraph, a sentence or a
 * word.
 */
export function chunksOf(pages: readonly Piece[]): Piece[] {
  return pages.flatMap(({ page, text }) => {
    const clean = tidied(text);
    const found: Piece[] = [];
    for (let start = 0; start < clean.length;) {
      const end = cutAt(clean, start);
      found.push({ page, text: clean.slice(start, end).trim() });
      if (end >= clean.length) break;
      const back = clean.slice(start, end - OVERLAP_CHARACTERS).lastIndexOf(" ");
      start = back > 0 ? start + back + 1 : end;
    }
    return found.filter((piece) => piece.text !== "");
  });
}

/** The same whole, a piece a page; pages without text are left out. */
export function pagesOf(pages: readonly Piece[]): Piece[] {
  return pages.map(({ page, text }) => ({ page, text: tidied(text) }))
    .filter(({ text }) => text !== "");
}

/** So many characters at a time: of a text of megabytes, replacing takes ten times its memory. */
const BLOCK_CHARACTERS = 1 << 16;

/** With white space joined, and no control characters, nor marks of where a word may be parted. */
function tidied(text: string): string {
  const blocks: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + BLOCK_CHARACTERS, text.length);
    // White space that belongs together is not cut apart.
    while (end < text.length && isBlank(text.charCodeAt(end - 1))) end++;
    // deno-lint-ignore no-control-regex -- they are what it is about
    const plain = text.slice(start, end).replace(/[\x00-\x08\x0b-\x1f\x7f]/g, " ");
    blocks.push(
      plain.replace(/[ \t]+/g, " ").replace(/ ?\n ?/g, "\n").replace(/\u00ad\n?/g, "")
        .replace(/\n{3,}/g, "\n\n"),
    );
    start = end;
  }
  return blocks.join("").trim();
}

/** White space, a control character, or a mark of where a word may be parted. */
function isBlank(code: number): boolean {
  return code <= 0x20 || code === 0x7f || code === 0xad;
}

function cutAt(text: string, start: number): number {
  const most = start + PASSAGE_CHARACTERS;
  if (most >= text.length) return text.length;
  // Looked for in this passage alone: the text before it may be long, and without any of them.
  const least = start + PASSAGE_CHARACTERS / 2;
  const half = text.slice(least, most);
  for (const mark of ["\n\n", ". ", "\n", " "]) {
    const at = half.lastIndexOf(mark);
    if (at >= 0) return least + at + mark.length;
  }
  return most;
}
