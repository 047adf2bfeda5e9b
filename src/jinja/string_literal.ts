/** Escapes in a template's string literals, as Jinja2 reads them: by Python's `unicode-escape`. */
import { JinjaError } from "./errors.ts";

const SIMPLE: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const HEX: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * @param text What stands between the quotes.
 * @throws {JinjaError} `syntax`: an escape that is cut short, or a character's name.
 */
export function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char !== "\\") {
      out += char;
      continue;
    }
    const next = text.codePointAt(++at);
    if (next === undefined) throw new JinjaError("syntax", "\\ at end of string");
    if (next > 0x7f) {
      // Jinja2 writes such a character as an escape first, whose backslash this one then escapes.
      out += `\\${escapeOf(next)}`;
      if (next > 0xffff) at++;
      continue;
    }
    const letter = String.fromCharCode(next);
    const simple = SIMPLE[letter];
    const digits = HEX[letter];
    if (simple !== undefined) {
      out += simple;
    } else if (digits !== undefined) {
      out += hexadecimal(text.slice(at + 1, at + 1 + digits), letter, digits);
      at += digits;
    } else if (letter >= "0" && letter <= "7") {
      const octal = /^[0-7]{1,3}/.exec(text.slice(at, at + 3))![0];
      out += String.fromCharCode(parseInt(octal, 8));
      at += octal.length - 1;
    } else if (letter === "N") {
      throw new JinjaError("syntax", "\\N{…} is not supported in strings");
    } else {
      out += `\\${letter}`;
    }
  }
  return out;
}

function hexadecimal(digits: string, letter: string, length: number): string {
  if (digits.length < length || !/^[\da-fA-F]+$/.test(digits)) {
    throw new JinjaError("syntax", `truncated \\${letter} escape`);
  }
  const code = parseInt(digits, 16);
  if (code > 0x10ffff) throw new JinjaError("syntax", "illegal Unicode character");
  return String.fromCodePoint(code);
}

/** As Python's `backslashreplace` writes it, without the backslash. */
function escapeOf(code: number): string {
  const hex = code.toString(16);
  if (code <= 0xff) return `x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `u${hex.padStart(4, "0")}` : `U${hex.padStart(8, "0")}`;
}
