/**
 * How many columns text takes on a terminal, by Unicode's East Asian Width (UAX #11): its ambiguous class is narrow, and a
 * sequence that some terminals draw as one sign counts as its parts.
 */

/** Columns of one character: 0, 1 or 2. */
export function columnsOf(char: string): number {
  if (/^[\p{Mn}\p{Me}\p{Cf}]/u.test(char)) return 0;
  return WIDE.test(char) && !REGIONAL.test(char) ? 2 : 1;
}

/** UAX #11's classes W and F; what lies between the ranges of one script counts as it does. */
const WIDE =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u;

/** Two of them are a flag. */
const REGIONAL = /^\p{Regional_Indicator}/u;

/** Our own colours and weights: they take no column. */
// deno-lint-ignore no-control-regex -- it is what they begin with
const STYLE = /\x1b\[[0-9]+m/g;

/** Columns of a line. */
export function columnsOfText(text: string): number {
  let columns = 0;
  for (const char of text.replace(STYLE, "")) columns += columnsOf(char);
  return columns;
}

/** `text`, and spaces up to `columns`. */
export function padColumns(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - columnsOfText(text)));
}

/** As much of a text without colours as `columns` hold; one that is cut ends in "…". */
export function cutColumns(text: string, columns: number): string {
  if (columnsOfText(text) <= columns) return text;
  if (columns < 1) return "";
  let out = "";
  let used = 1; // the ellipsis
  for (const char of text) {
    used += columnsOf(char);
    if (used > columns) break;
    out += char;
  }
  return `${out}…`;
}

/** Lines no wider than `columns`, broken at spaces; a word that is wider stays whole. */
export function wrapColumns(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && columnsOfText(longer) > columns) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
