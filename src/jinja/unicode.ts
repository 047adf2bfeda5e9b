/** Character classes and case as Python's `str` knows them. Texts are looked at by code point. */
import { SPACE } from "./lexer.ts";

const DECIMAL = /^\p{Nd}+$/u;
/** Digits that are no decimals: superscripts, circled ones and their like. */
const DIGIT =
  /^[\p{Nd}\xb2\xb3\xb9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]+$/u;
const NUMERIC =
  /^[\p{N}\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e09\u4e24\u4e5d\u4e8c\u4e94\u4edf\u4ee8\u4ebf\u5146\u5341\u53c1\u56db\u5efe\u62fe\u767e\u8086\u842c\u8cb3\u96f6\u9646\u964c]+$/u;
const ALPHA = /^\p{L}+$/u;
const ALL_SPACE = new RegExp(`^[${SPACE}]+$`);
const IDENTIFIER = /^[\p{XID_Start}_][\p{XID_Continue}]*$/u;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/u;
const UPPER = /^\p{Uppercase}$/u;
const LOWER = /^\p{Lowercase}$/u;
const TITLE = /^\p{Lt}$/u;
const ASCII = /^[\0-\x7f]*$/;

export const isDecimal = (text: string) => DECIMAL.test(text);
export const isDigit = (text: string) => DIGIT.test(text);
export const isNumeric = (text: string) => NUMERIC.test(text);
export const isAlpha = (text: string) => ALPHA.test(text);
export const isSpace = (text: string) => ALL_SPACE.test(text);
export const isIdentifier = (text: string) => IDENTIFIER.test(text);
export const isAscii = (text: string) => ASCII.test(text);

export function isAlnum(text: string): boolean {
  return text !== "" &&
    everyPoint(text, (point) => isAlpha(point) || isDigit(point) || isNumeric(point));
}

/** Whether `repr` shows it as it is; a space is. */
export function isPrintable(text: string): boolean {
  return everyPoint(text, (point) => point === " " || !UNPRINTABLE.test(point));
}

/** Some letter has a case, and none is of the other. */
export function isUpper(text: string): boolean {
  return oneCase(text, UPPER, LOWER);
}

export function isLower(text: string): boolean {
  return oneCase(text, LOWER, UPPER);
}

function oneCase(text: string, wanted: RegExp, other: RegExp): boolean {
  let found = false;
  for (const point of text) {
    if (other.test(point) || TITLE.test(point)) return false;
    found ||= wanted.test(point);
  }
  return found;
}

export function isTitle(text: string): boolean {
  let found = false;
  let inWord = false;
  for (const point of text) {
    if (UPPER.test(point) || TITLE.test(point)) {
      if (inWord) return false;
      inWord = found = true;
    } else if (LOWER.test(point)) {
      if (!inWord) return false;
      found = true;
    } else inWord = false;
  }
  return found;
}

/** Characters whose title case is neither their upper case nor its first letter followed by small ones. */
const TITLES: Readonly<Record<string, string>> = {
  "Ǆ": "ǅ",
  "ǅ": "ǅ",
  "ǆ": "ǅ",
  "Ǉ": "ǈ",
  "ǈ": "ǈ",
  "ǉ": "ǈ",
  "Ǌ": "ǋ",
  "ǋ": "ǋ",
  "ǌ": "ǋ",
  "Ǳ": "ǲ",
  "ǲ": "ǲ",
  "ǳ": "ǲ",
  "ŉ": "ʼN",
  "ǰ": "J̌",
};
/** Georgian has no title case. */
const GEORGIAN = /^[\u10d0-\u10ff]$/;

/** Greek letters with an iota below, which an upper case writes beside them, and a title case does not. */
const WITH_IOTA =
  /^[\u1f80-\u1faf\u1fb2-\u1fb4\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc7\u1fcc\u1ff2-\u1ff4\u1ff7\u1ffc]$/;

function titleOf(point: string): string {
  const special = TITLES[point];
  if (special !== undefined) return special;
  if (GEORGIAN.test(point)) return point;
  const upper = point.toUpperCase();
  if (WITH_IOTA.test(point)) {
    const title = upper.slice(0, -1) + "\u0345";
    return upper.length === 2 ? title.normalize("NFC") : title;
  }
  const [first, ...rest] = upper;
  return first === undefined ? point : first + rest.join("").toLowerCase();
}

/** Each word with a capital; a word ends at every character without a case. */
export function title(text: string): string {
  let out = "";
  let inWord = false;
  for (const point of text) {
    out += inWord ? point.toLowerCase() : titleOf(point);
    inWord = isCased(point);
  }
  return out;
}

export function capitalize(text: string): string {
  const first = text.codePointAt(0);
  if (first === undefined) return "";
  const point = String.fromCodePoint(first);
  // The whole is made small first: a sigma looks at what stands before it.
  return titleOf(point) + text.toLowerCase().slice(point.toLowerCase().length);
}

export function swapCase(text: string): string {
  let out = "";
  for (const point of text) {
    out += UPPER.test(point)
      ? point.toLowerCase()
      : LOWER.test(point)
      ? point.toUpperCase()
      : point;
  }
  return out;
}

/** Letters that are folded to something else than the small letters of their capitals: dotless i stays, Cherokee becomes large. */
const FOLDED_ALONE = /([\u0131\u13a0-\u13f5]+)|([\u13f8-\u13fd\uab70-\uabbf]+)/;

/** Unicode's full case folding (CaseFolding.txt, C and F). */
export function caseFold(text: string): string {
  // A capital sharp s has itself as its upper case: it is made small first.
  const fold = (run: string) => run.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ");
  const parts = text.split(FOLDED_ALONE);
  return parts.map((part = "", i) =>
    i % 3 === 1 ? part : i % 3 === 2 ? part.toUpperCase() : fold(part)
  )
    .join("");
}

function isCased(point: string): boolean {
  return UPPER.test(point) || LOWER.test(point) || TITLE.test(point);
}

function everyPoint(text: string, test: (point: string) => boolean): boolean {
  for (const point of text) if (!test(point)) return false;
  return true;
}
