/** What the commands of the history write alike. */

/** Digits of an id that a list shows; they name one conversation almost always. */
export const ID_DIGITS = 8;

/** A title, on one line. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim() || "(no title)";
}
