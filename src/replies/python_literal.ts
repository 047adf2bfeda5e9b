/** Python's escapes, and whole values as Python prints them. */
import { parseExact } from "../exact_json.ts";

/** Python's, less those with digits (docs.python.org/3/reference/lexical_analysis.html#escape-sequences), and JSON's slash. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "/": "/",
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const ESCAPE = /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([^]))/g;

/** A text whose escapes are resolved. One that Python does not know is text, its backslash too. */
export function unescaped(text: string): string {
  return text.replace(ESCAPE, (whole, octal, x, u, long, letter) => {
    if (letter !== undefined) return ESCAPES[letter] ?? whole;
    const code = octal === undefined ? parseInt(x ?? u ?? long, 16) : parseInt(octal, 8);
    return code > 0x10ffff ? whole : String.fromCodePoint(code);
  });
}

/** What JSON writes otherwise. A text without an end takes the rest, so that each is looked at once. */
const TOKEN =
  /'[^'\\]*(?:\\[^][^'\\]*)*(?:'|\\?$)|"[^"\\]*(?:\\[^][^"\\]*)*(?:"|\\?$)|\b(?:True|False|None)\b|,(?=\s*[\]}])/g;
const WORDS: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };

/** A list or an object as Python prints it; `undefined` if the text is none. In one go: a reply may hold a long one. */
export function pythonLiteral(text: string): unknown {
  const json = text.replace(TOKEN, (token) => {
    if (token === ",") return "";
    if (/^["']/.test(token) && (token.length < 2 || token.at(-1) !== token[0])) return token;
    return WORDS[token] ?? JSON.stringify(unescaped(token.slice(1, -1)));
  });
  try {
    return parseExact(json);
  } catch {
    return undefined;
  }
}
