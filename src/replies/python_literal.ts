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

/** A text. One without an end takes the rest, so that each is looked at once. */
const TEXT = /'[^'\\]*(?:\\[^][^'\\]*)*(?:'|\\?$)|"[^"\\]*(?:\\[^][^"\\]*)*(?:"|\\?$)/;
const TEXTS = new RegExp(TEXT, "g");
/** What JSON writes otherwise; texts that stand side by side are one. */
const TOKEN = new RegExp(
  String.raw`(?:${TEXT.source})(?:\s*(?:${TEXT.source}))*|\b(?:True|False|None)\b|,(?=\s*[\]}])`,
  "g",
);
const WORDS: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };

/** Whether a text has its end. */
function isWhole(text: string): boolean {
  return text.length > 1 && text.at(-1) === text[0];
}

/** A list or an object as Python reads it; `undefined` if the text is none. In one go: a reply may hold a long one. */
export function pythonLiteral(text: string): unknown {
  const json = text.replace(TOKEN, (token) => {
    if (token === ",") return "";
    if (!/^["']/.test(token)) return WORDS[token]!;
    const texts = token.match(TEXTS)!;
    if (!texts.every(isWhole)) return token;
    return JSON.stringify(texts.map((text) => unescaped(text.slice(1, -1))).join(""));
  });
  try {
    return parseExact(json);
  } catch {
    return undefined;
  }
}
