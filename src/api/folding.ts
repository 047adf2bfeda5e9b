/**
 * Texts as they are searched, in the browser and behind it: compatibility caseless matching of Unicode (the Unicode Standard, section
 * 3.13.5, definition D146), without the accents of Latin, Greek and Cyrillic, and of Turkish with one i. So "STRASSE" finds "Straße",
 * and "Αθηνα" finds "ΑΘΉΝΑ". Marks that are letters in their scripts stay (Indic vowels, the voiced sounds of kana).
 */

/** Of accents alone: the block "Combining Diacritical Marks". */
const ACCENTS = /[\u0300-\u036f]/g;

/**
 * A text in one case and one form of Unicode.
 * @example `folded("Straße")` is `"strasse"`.
 */
export function folded(text: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
  return cased(cased(text.normalize("NFKD")).normalize("NFKD")).replace(ACCENTS, "").normalize(
    "NFC",
  );
}

/** By the capital letters, which more letters have in common: ß and ss, ς and σ. A final sigma is written by its place. */
function cased(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll("ς", "σ");
}

/** Words of a text so: letters and digits in a row. */
export function foldedWords(text: string): string[] {
  return folded(text).match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu) ?? [];
}
