/**
 * Maths in a model's Markdown: `$…$`, `\(…\)`, and in a line of its own `$$…$$`, `\[…\]`. A dollar before white space, or one that
 * would end before a digit, is money (as in Pandoc's manual, "Extension: tex_math_dollars").
 */
import type { MarkedOptions, Tokens } from "marked";

/** A longer one is text. */
const MOST = 2000;
/** Of one message; what is beyond is text. */
const MOST_FORMULAS = 400;
const MOST_CHARACTERS = 20_000;

/** A token of ours among marked's. */
export interface MathsToken extends Tokens.Generic {
  readonly type: "maths";
  readonly tex: string;
  readonly display: boolean;
}

const MARKS = [
  { open: "$$", close: "$$", display: true },
  { open: "\\[", close: "\\]", display: true },
  { open: "\\(", close: "\\)", display: false },
  { open: "$", close: "$", display: false },
] as const;

/** What begins at the begin of `src`. */
function mathsAt(src: string): MathsToken | undefined {
  const mark = MARKS.find(({ open }) => src.startsWith(open));
  if (mark === undefined) return undefined;
  const { open, close, display } = mark;
  const part = src.slice(open.length, open.length + MOST + close.length);
  let end = part.indexOf(close);
  while (end > 0 && part[end - 1] === "\\") end = part.indexOf(close, end + 1);
  const tex = part.slice(0, end);
  if (end <= 0 || tex.trim() === "") return undefined;
  const isMoney = open === "$" &&
    (/^\s|\s$|\n[ \t]*\n/.test(tex) || /^\d/.test(part.slice(end + close.length)));
  if (isMoney) return undefined;
  return { type: "maths", raw: src.slice(0, open.length + end + close.length), tex, display };
}

/** The same in lines of its own. */
function mathsBlock(src: string): MathsToken | undefined {
  const lead = /^ {0,3}(?=\$\$|\\\[)/.exec(src)?.[0];
  const found = lead === undefined ? undefined : mathsAt(src.slice(lead.length));
  if (found === undefined) return undefined;
  const rest = /^[ \t]*(?:\n+|$)/.exec(src.slice(lead!.length + found.raw.length))?.[0];
  return rest === undefined ? undefined : { ...found, raw: lead + found.raw + rest };
}

/** Where the next one may begin, not far away: marked asks at each piece of text. */
function startOf(src: string): number | undefined {
  const at = src.slice(0, 2 * MOST).search(/\$|\\[([]/);
  return at < 0 ? undefined : at;
}

function blockStart(src: string): number | undefined {
  const at = /\n {0,3}(?:\$\$|\\\[)/.exec(src.slice(0, 2 * MOST))?.index;
  return at === undefined ? undefined : at + 1;
}

/** For marked's lexer, for one text; null: there is none in it. */
export function mathsIn(text: string): MarkedOptions["extensions"] {
  if (!text.includes("$") && !/\\[([]/.test(text)) return null;
  let [formulas, characters] = [0, 0];
  const counted = (found: MathsToken | undefined) => {
    if (found === undefined) return undefined;
    formulas++;
    characters += found.tex.length;
    return formulas <= MOST_FORMULAS && characters <= MOST_CHARACTERS ? found : undefined;
  };
  return {
    renderers: {},
    childTokens: {},
    inline: [(src) => counted(mathsAt(src))],
    startInline: [startOf],
    block: [(src) => counted(mathsBlock(src))],
    startBlock: [blockStart],
  };
}
