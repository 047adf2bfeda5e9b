/**
 * A model's Markdown, in blocks. Only the lexer of `marked` is used: its tokens become elements one by one, and no HTML is made
 * anywhere, so there is none to clean. HTML in the text is text. What is too long or too deep for a parser stays plain text.
 */
import { Lexer, type Token } from "marked";
import { countMaths, mathsIn, withFenced } from "./maths_tokens.ts";

export type { Token, Tokens } from "marked";

/** A part of a message: tokens, or a text as it is. */
export type Part =
  | { readonly kind: "tokens"; readonly tokens: readonly Token[] }
  | { readonly kind: "plain"; readonly text: string };

/** Beyond this a message is shown as plain text, and that much of it at first. */
const MAX_MARKDOWN = 200_000;
/** Some patterns of Markdown cost the square of a line's length. */
const MAX_LINE = 4_000;
/** Quotes and lists in each other. */
const MAX_DEPTH = 20;

/** The parts of a text. Never throws. */
export function partsOf(text: string): Part[] {
  if (text.length > MAX_MARKDOWN || tooWild(text)) return [{ kind: "plain", text }];
  try {
    const counted = countMaths();
    const lexer = new Lexer({ gfm: true, extensions: mathsIn(text, counted) ?? null });
    return [{ kind: "tokens", tokens: withFenced(lexer.lex(text), counted) }];
  } catch {
    return [{ kind: "plain", text }];
  }
}

function tooWild(text: string): boolean {
  let from = 0;
  while (from <= text.length) {
    let to = text.indexOf("\n", from);
    if (to < 0) to = text.length;
    if (to - from > MAX_LINE) return true;
    const lead = /^[\s>*+\-\d.)]*/.exec(text.slice(from, Math.min(to, from + 400)))![0];
    if ((lead.match(/[>*+\-.)]/g)?.length ?? 0) > MAX_DEPTH && !/^[\s*\-]*$/.test(lead)) {
      return true;
    }
    from = to + 1;
  }
  return false;
}
