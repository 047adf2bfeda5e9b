/** The filter `urlize`: addresses in text to links. */
import { needInt, needText } from "./arguments.ts";
import { escapeHtml, escapeText } from "./escape.ts";
import { type FilterEnv, filterError } from "./filter_types.ts";
import { SPACE } from "./lexer.ts";
import { count } from "./text.ts";
import { codePointLength, each, truthy, type Value } from "./values.ts";

const SPLIT = new RegExp(`([${SPACE}]+)`);
const NOT_SPACE = `[^${SPACE}]`;
const WORD = "\\p{L}\\p{N}_";
const HTTP = new RegExp(
  `^(?:(?:https?://|www\\.)(?:(?:[${WORD}%-]+\\.)+)?(?:[a-z]{2,63}|xn--[${WORD}%]{2,59})` +
    `|(?:[${WORD}%-]{2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)` +
    `|https?://(?:\\d{1,3}(?:\\.\\d{1,3}){3}|\\[(?:[\\da-f]{0,4}:){2}(?:[\\da-f]{0,4}:?){1,6}\\]))` +
    `(?::\\d{1,5})?(?:[/?#]${NOT_SPACE}*)?$`,
  "iu",
);
const EMAIL = new RegExp(`^${NOT_SPACE}+@[${WORD}][${WORD}.-]*\\.[${WORD}]+$`, "u");
const SCHEME = new RegExp(`^[${WORD}.+-]{2,}:/{0,2}$`, "u");
/** A word longer than this is no address, and patterns take long over it. */
const MAX_WORD = 4096;

export function urlize(value: Value, given: Value[], env: FilterEnv): string {
  const [trimLimit, nofollow, target, rel, schemes] = given;
  const limit = trimLimit === null ? Infinity : needInt(trimLimit!);
  const rels = new Set((rel === null ? "" : needText(rel!)).split(/\s+/).filter((one) => one));
  if (truthy(nofollow!)) rels.add("nofollow");
  rels.add("noopener");
  const extra = schemes === null ? [] : [...each(schemes!, env.costs)].map((one) => needText(one));
  for (const scheme of extra) {
    if (!SCHEME.test(scheme)) throw filterError(`'${scheme}' is not a valid URI scheme prefix.`);
  }
  const attributes = ` rel="${escapeText([...rels].sort().join(" "))}"` +
    (target === null || !truthy(target!) ? "" : ` target="${escapeHtml(target!, env.costs).text}"`);
  const trim = (text: string) =>
    codePointLength(text) > limit ? `${[...text].slice(0, limit).join("")}...` : text;

  const link = (word: string): string => {
    if (HTTP.test(word)) {
      const href = /^https?:\/\//.test(word) ? word : `https://${word}`;
      return `<a href="${href}"${attributes}>${trim(word)}</a>`;
    }
    if (word.startsWith("mailto:") && EMAIL.test(word.slice(7))) {
      return `<a href="${word}">${word.slice(7)}</a>`;
    }
    if (
      word.includes("@") && !word.startsWith("www.") && !word.includes(":") && EMAIL.test(word)
    ) {
      return `<a href="mailto:${word}">${word}</a>`;
    }
    let out = word;
    for (const scheme of extra) {
      if (out !== scheme && out.startsWith(scheme)) {
        out = `<a href="${out}"${attributes}>${out}</a>`;
      }
    }
    return out;
  };
  const source = escapeHtml(value, env.costs).text;
  env.costs.charge(64 * source.length);
  return source.split(SPLIT).map((word) => {
    if (word.length > MAX_WORD) return word;
    const [head, middle, tail] = apart(word);
    return head + link(middle) + tail;
  }).join("");
}

/** Brackets in front and punctuation behind do not belong to an address, unless they balance. */
function apart(word: string): [head: string, middle: string, tail: string] {
  const head = /^(?:[(<]|&lt;)+/.exec(word)?.[0] ?? "";
  let middle = word.slice(head.length);
  let tail = /(?:[)>.,\n]|&gt;)+$/.exec(middle)?.[0] ?? "";
  middle = middle.slice(0, middle.length - tail.length);
  for (const [open, close] of [["(", ")"], ["<", ">"], ["&lt;", "&gt;"]] as const) {
    const opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    for (let left = Math.min(opened, count(tail, close)); left > 0; left--) {
      const end = tail.indexOf(close) + close.length;
      middle += tail.slice(0, end);
      tail = tail.slice(end);
    }
  }
  return [head, middle, tail];
}
