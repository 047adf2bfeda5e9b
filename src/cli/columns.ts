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

/** Columns of a line. */
export function columnsOfText(text: string): number {
  let columns = 0;
  for (const char of text) columns += columnsOf(char);
  return columns;
}

/** `text`, and spaces up to `columns`. */
export function padColumns(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - columnsOfText(text)));
}
