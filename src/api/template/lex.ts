/** A template's text to tokens, as Go's text/template/parse cuts it. White space between operands is a token: `$s .X` is two. */
import { TemplateError } from "./errors.ts";

export type TokenKind =
  | "text"
  | "left"
  | "right"
  | "space"
  | "string"
  | "raw-string"
  | "char-constant"
  | "number"
  | "complex"
  | "bool"
  | "identifier"
  | "keyword"
  | "dot"
  | "nil"
  | "field"
  | "variable"
  | "("
  | ")"
  | "|"
  | ":="
  | "="
  | "char"
  | "eof";

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  /** Where it begins, from 1. */
  readonly line: number;
}

const KEYWORDS = new Set([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);

const SPACES = " \t\r\n";
const WORD = /[\p{L}\p{Nd}_]+/uy;
const SPACE_RUN = /[ \t\r\n]+/y;
const LEADING_SPACE = /^[ \t\r\n]+/;
const QUOTED = /"(?:[^"\\\n]|\\[^\n])*"/y;
const CHAR_CONSTANT = /'(?:[^'\\\n]|\\[^\n])*'/y;
const RAW = /`[^`]*`/y;
const AFTER_NAME = /[ \t\r\n.,|:()]|\}\}|$/y;

/** @throws {TemplateError} `parse`. */
export function lex(source: string): Token[] {
  return new Lexer(source).run();
}

/** From the end: an expression would begin at each space anew, which of a megabyte of them takes hours. */
function withoutSpaceAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && SPACES.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Up to where `#line` has counted. */
  #counted = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  run(): Token[] {
    let trim = false;
    for (;;) {
      const open = this.#source.indexOf("{{", this.#at);
      const end = open < 0 ? this.#source.length : open;
      let text = this.#source.slice(this.#at, end);
      let begin = this.#at;
      if (trim) {
        const rest = text.replace(LEADING_SPACE, "");
        begin += text.length - rest.length;
        text = rest;
      }
      if (open >= 0 && this.#hasLeftTrim(open + 2)) text = withoutSpaceAtEnd(text);
      if (text !== "") this.#push("text", begin, begin + text.length);
      if (open < 0) {
        this.#push("eof", end, end);
        return this.#tokens;
      }
      this.#at = open;
      trim = this.#action();
    }
  }

  /** From `{{` to behind `}}`; true if white space after it is to go. */
  #action(): boolean {
    const open = this.#at;
    const inside = open + 2 + (this.#hasLeftTrim(open + 2) ? 2 : 0);
    if (this.#source.startsWith("/*", inside)) return this.#comment(inside);
    this.#push("left", open, open + 2);
    this.#at = inside;
    this.#depth = 0;
    for (;;) {
      const right = this.#rightDelimiter(this.#at);
      if (right !== undefined) {
        if (this.#depth > 0) throw this.#bad("a ( is not closed");
        return this.#close(right);
      }
      if (this.#at >= this.#source.length) {
        throw this.#bad("an action {{ is never closed", open);
      }
      const closed = this.#inside();
      if (closed !== undefined) return closed;
    }
  }

  #comment(from: number): boolean {
    const end = this.#source.indexOf("*/", from + 2);
    if (end < 0) throw this.#bad("a comment is never closed", from);
    const right = this.#rightDelimiter(end + 2);
    if (right === undefined) throw this.#bad("a comment does not end with its action", from);
    this.#at = right.end;
    return right.trim;
  }

  #close(right: { trim: boolean; end: number }): boolean {
    this.#push("right", right.end - 2, right.end);
    this.#at = right.end;
    return right.trim;
  }

  /** One token inside an action; a boolean: it was the action's end. */
  #inside(): boolean | undefined {
    const source = this.#source;
    const from = this.#at;
    const char = source[from]!;
    if (SPACES.includes(char)) return this.#space();
    switch (char) {
      case "=":
      case "|":
        return this.#take(char, 1);
      case ":":
        if (source[from + 1] !== "=") throw this.#bad("a : without its =");
        return this.#take(":=", 2);
      case '"':
        return this.#pattern(QUOTED, "string", "a quoted text is never closed");
      case "`":
        return this.#pattern(RAW, "raw-string", "a text in back quotes is never closed");
      case "'":
        return this.#pattern(CHAR_CONSTANT, "char-constant", "a character constant is not closed");
      case "$":
        return this.#name("variable", 1);
      case "(":
        this.#depth++;
        return this.#take("(", 1);
      case ")":
        if (--this.#depth < 0) throw this.#bad("a ) that closes nothing");
        return this.#take(")", 1);
    }
    if (char === "." && !/[0-9]/.test(source[from + 1] ?? "")) return this.#name("field", 1);
    if (/[-+.0-9]/.test(char)) return this.#number();
    WORD.lastIndex = from;
    if (WORD.test(source)) return this.#name("identifier", 0);
    if (char >= " " && char < "\x7f") return this.#take("char", 1);
    throw this.#bad("an action holds a character that means nothing there");
  }

  #space(): boolean | undefined {
    SPACE_RUN.lastIndex = this.#at;
    SPACE_RUN.test(this.#source);
    const end = SPACE_RUN.lastIndex;
    // The last space may belong to a closing delimiter that trims.
    const right = this.#rightDelimiter(end - 1);
    if (right === undefined) return this.#take("space", end - this.#at);
    if (end - 1 > this.#at) this.#take("space", end - 1 - this.#at);
    return this.#close(right);
  }

  /** `$x`, `.X` or a word, whose first `skip` characters are known. */
  #name(kind: "variable" | "field" | "identifier", skip: number): undefined {
    const from = this.#at;
    WORD.lastIndex = from + skip;
    const end = WORD.test(this.#source) ? WORD.lastIndex : from + skip;
    AFTER_NAME.lastIndex = end;
    if (!AFTER_NAME.test(this.#source)) {
      throw this.#bad("a name is followed by a character that may not follow");
    }
    const text = this.#source.slice(from, end);
    const known: TokenKind = text === "."
      ? "dot"
      : kind !== "identifier"
      ? kind
      : KEYWORDS.has(text)
      ? "keyword"
      : text === "nil"
      ? "nil"
      : text === "true" || text === "false"
      ? "bool"
      : "identifier";
    return this.#take(known, end - from);
  }

  #number(): undefined {
    const from = this.#at;
    let end = this.#scanNumber(from);
    const isComplex = /[-+]/.test(this.#source[end] ?? "");
    if (isComplex) {
      end = this.#scanNumber(end);
      if (this.#source[end - 1] !== "i") throw this.#bad("a number is written wrongly");
    }
    return this.#take(isComplex ? "complex" : "number", end - from);
  }

  /** The end of what looks like a number; whether it is one, the parser says. */
  #scanNumber(from: number): number {
    let at = from;
    const accept = (set: RegExp) => {
      const found = set.test(this.#source[at] ?? "");
      if (found) at++;
      return found;
    };
    const acceptRun = (set: RegExp) => {
      while (accept(set));
    };
    accept(/^[-+]$/);
    let digits = /^[0-9_]$/;
    let [hasE, hasP] = [true, false];
    if (accept(/^0$/)) {
      if (accept(/^[xX]$/)) [digits, hasE, hasP] = [/^[0-9a-fA-F_]$/, false, true];
      else if (accept(/^[oO]$/)) [digits, hasE] = [/^[0-7_]$/, false];
      else if (accept(/^[bB]$/)) [digits, hasE] = [/^[01_]$/, false];
    }
    acceptRun(digits);
    if (accept(/^\.$/)) acceptRun(digits);
    if (hasE && accept(/^[eE]$/) || hasP && accept(/^[pP]$/)) {
      accept(/^[-+]$/);
      acceptRun(/^[0-9_]$/);
    }
    accept(/^i$/);
    WORD.lastIndex = at;
    if (WORD.test(this.#source)) throw this.#bad("a number is written wrongly");
    return at;
  }

  #pattern(pattern: RegExp, kind: TokenKind, otherwise: string): undefined {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#source)) throw this.#bad(otherwise);
    return this.#take(kind, pattern.lastIndex - this.#at);
  }

  #take(kind: TokenKind, length: number): undefined {
    this.#push(kind, this.#at, this.#at + length);
    this.#at += length;
  }

  #push(kind: TokenKind, from: number, to: number): void {
    this.#tokens.push({ kind, text: this.#source.slice(from, to), line: this.#lineOf(from) });
  }

  #hasLeftTrim(at: number): boolean {
    return this.#source[at] === "-" && SPACES.includes(this.#source[at + 1] || "?");
  }

  /** Whether `}}` or ` -}}` is at `at`. */
  #rightDelimiter(at: number): { trim: boolean; end: number } | undefined {
    const source = this.#source;
    if (source.startsWith("-}}", at + 1) && SPACES.includes(source[at] || "?")) {
      return { trim: true, end: at + 4 };
    }
    return source.startsWith("}}", at) ? { trim: false, end: at + 2 } : undefined;
  }

  #lineOf(at: number): number {
    for (; this.#counted < at; this.#counted++) {
      if (this.#source.charCodeAt(this.#counted) === 10) this.#line++;
    }
    return this.#line;
  }

  #bad(what: string, at = this.#at): TemplateError {
    // Errors may blame what was counted already.
    const line = at >= this.#counted
      ? this.#lineOf(at)
      : this.#source.slice(0, at).split("\n").length;
    return new TemplateError("parse", line, what);
  }
}
