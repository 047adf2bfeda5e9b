/**
 * A long text, in blocks of a size that a browser lays out quickly: a block of 4 MB takes Chromium minutes on paper, 200 of 20 kB
 * seconds.
 */

const MOST = 20_000;

/** A surrogate whose other half follows. */
const HALF = /[\ud800-\udbff]$/;

/**
 * Cuts a text, at the ends of lines where there are any near: such an end belongs to no block, since each block begins a line.
 * @returns Each block, and whether a line ended after it.
 */
export function blocksOf(text: string): { readonly text: string; readonly ended: boolean }[] {
  const blocks: { text: string; ended: boolean }[] = [];
  let from = 0;
  while (text.length - from > MOST) {
    const part = text.slice(from, from + MOST);
    const line = part.lastIndexOf("\n");
    if (line > 0) {
      blocks.push({ text: part.slice(0, line), ended: true });
      from += line + 1;
      continue;
    }
    const space = part.lastIndexOf(" ");
    const end = space > MOST / 2 ? space + 1 : HALF.test(part) ? MOST - 1 : MOST;
    blocks.push({ text: part.slice(0, end), ended: false });
    from += end;
  }
  blocks.push({ text: text.slice(from), ended: false });
  return blocks;
}
