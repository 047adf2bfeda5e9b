/**
 * Maths in a model's Markdown: `$…$`, `\(…\)`, in a line of its own `$$…$$`, `\[…\]`, and fenced blocks of `math`. A dollar before
 * white space, or one that would end before a digit, is money (as in Pandoc's manual, "Extension: tex_math_dollars").
 */
import type { MarkedOptions, Token, Tokens } from "marked";

/** Characters of a formula; a longer one is text. */
export const LONGEST = 2000;
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
  const part = src.slice(open.length, open.length + LONGEST + close.length);
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
  const at = src.slice(0, 2 * LONGEST).search(/\$|\\[([]/);
  return at < 0 ? undefined : at;
}

function blockStart(src: string): number | undefined {
  const at = /\n {0,3}(?:\$\$|\\\[)/.exec(src.slice(0, 2 * LONGEST))?.index;
  return at === undefined ? undefined : at + 1;
}

/** Gives back a formula of a message as long as there are not too many. */
type Counted = (found: MathsToken | undefined) => MathsToken | undefined;

/** For one message. */
export function countMaths(): Counted {
  let [formulas, characters] = [0, 0];
  return (found) => {
    if (found === undefined) return undefined;
    formulas++;
    characters += found.tex.length;
    return formulas <= MOST_FORMULAS && characters <= MOST_CHARACTERS ? found : undefined;
  };
}

/** Fenced blocks of `math`, as GitHub has them, become formulas; those beyond the bounds stay code. */
export function withFenced(tokens: readonly Token[], counted: Counted): Token[] {
  return tokens.map((token) => {
    if (token.type === "code") {
      const { lang, text, raw } = token as Tokens.Code;
      if (lang !== "math" || text.length > LONGEST) return token;
      return counted({ type: "maths", raw, tex: text, display: true }) ?? token;
    }
    if (token.type === "list") {
      const items = (token as Tokens.List).items.map((item) => ({
        ...item,
        tokens: withFenced(item.tokens, counted),
      }));
      return { ...token, items };
    }
    if (token.type !== "blockquote") return token;
    return { ...token, tokens: withFenced((token as Tokens.Blockquote).tokens, counted) };
  });
}

/** For marked's lexer, for one text; null: there is none in it. */
export function mathsIn(text: string, counted: Counted): MarkedOptions["extensions"] {
  if (!text.includes("$") && !/\\[([]/.test(text)) return null;
  return {
    renderers: {},
    childTokens: {},
    inline: [(src) => counted(mathsAt(src))],
    startInline: [startOf],
    block: [(src) => counted(mathsBlock(src))],
    startBlock: [blockStart],
  };
}
