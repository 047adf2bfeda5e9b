/** Go's quoted texts: `strconv.Quote` and its kin, run by run. */
import { GoString } from "./text.ts";

/** What Go prints as it is: letters, marks, numbers, punctuation, symbols, and the space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const NAMED: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

export function isPrintable(char: string): boolean {
  return PRINTABLE.test(char);
}

function quoteChar(char: string, quote: string, ascii: boolean): string {
  if (char === quote || char === "\\") return "\\" + char;
  const code = char.codePointAt(0)!;
  if (isPrintable(char) && (!ascii || code < 0x80)) return char;
  const named = NAMED[char];
  if (named !== undefined) return named;
  const hex = (digits: number, value = code) => value.toString(16).padStart(digits, "0");
  if (code < 0x20 || code === 0x7f) return `\\x${hex(2)}`;
  // A byte that is no UTF-8.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(2, code - 0xdc00)}`;
  return code > 0xffff ? `\\U${hex(8)}` : `\\u${hex(4)}`;
}

function quoteWith(text: GoString, quote: string, ascii: boolean): GoString {
  const inside = text.map((run) => {
    let out = "";
    for (const char of run) out += quoteChar(char, quote, ascii);
    return out;
  });
  const mark = GoString.of(quote);
  return GoString.ofRuns([...mark.runs, ...inside.runs, ...mark.runs]);
}

/** `"…"` */
export const quote = (text: GoString, ascii = false) => quoteWith(text, '"', ascii);
/** `'…'` */
export const quoteRune = (text: GoString, ascii = false) => quoteWith(text, "'", ascii);

/** Whether the text can stand between back quotes: no control character but the tab, and no back quote. */
export function canBackquote(text: string): boolean {
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  return !/[\x00-\x08\x0a-\x1f`\x7f\ufeff\udc80-\udcff]/.test(text.replace(/[^\0-\uffff]/gu, ""));
}
