/**
 * A template's text to tokens, as Jinja2's lexer with `trim_blocks` and `lstrip_blocks` makes them: the newline behind a
 * block goes, and so does white space between a line's start and a block; `-` takes all white space, `+` leaves it.
 */
import { JinjaError } from "./errors.ts";
import { unescape } from "./string_literal.ts";

type TokenType =
  | "data"
  | "block_begin"
  | "block_end"
  | "variable_begin"
  | "variable_end"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "eof";

export interface Token {
  readonly type: TokenType;
  /** The text; of a string, unescaped; of a number, without underscores. */
  readonly value: string;
  readonly line: number;
}

/** What Python's `\s` and `str.isspace` mean, inside a character class. */
export const SPACE =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const sticky = (pattern: string, flags = "") => new RegExp(pattern, `y${flags}`);
const WHITE = sticky(`[${SPACE}]+`);
const ONLY_WHITE = new RegExp(`^[${SPACE}]+$`);
const TRAILING_WHITE = new RegExp(`[${SPACE}]$`);
const FLOAT = sticky(
  "(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?e[+\\-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)",
  "i",
);
const INTEGER = sticky(
  "0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\\da-f])+|[1-9](?:_?\\d)*|0(?:_?0)*",
  "i",
);
const NAME = sticky("[\\p{XID_Start}_][\\p{XID_Continue}]*", "u");
const STRING = sticky(`'[^'\\\\]*(?:\\\\.[^'\\\\]*)*'|"[^"\\\\]*(?:\\\\.[^"\\\\]*)*"`, "s");
const OPERATOR = sticky("//|\\*\\*|==|!=|>=|<=|[-+/*%~[\\](){}><=.:|,;]");
const BLOCK_END = sticky(`\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?`);
const VARIABLE_END = sticky(`-\\}\\}[${SPACE}]*|\\}\\}`);
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}[${SPACE}]*|#\\}\\n?`, "g");
const RAW_BEGIN = sticky(`\\{%([-+]?)[${SPACE}]*raw[${SPACE}]*(?:-%\\}[${SPACE}]*|%\\})`);
const RAW_END = new RegExp(
  `\\{%([-+]?)[${SPACE}]*endraw[${SPACE}]*(?:\\+%\\}|-%\\}[${SPACE}]*|%\\}\\n?)`,
  "g",
);
const CLOSES: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };

/** @throws {JinjaError} `syntax` */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #counted = 0;
  /** What was read last ended a line. */
  #lineStarts = true;

  constructor(template: string) {
    const source = template.replace(/\r\n?/g, "\n");
    this.#source = source.endsWith("\n") ? source.slice(0, -1) : source;
  }

  run(): Token[] {
    const source = this.#source;
    while (this.#at < source.length) {
      const open = this.#nextTag();
      if (open < 0) {
        this.#data(source.slice(this.#at));
        this.#at = source.length;
        break;
      }
      const before = source.slice(this.#at, open);
      this.#at = open;
      this.#tag(before, source[open + 1] as string);
    }
    this.#push("eof", "");
    return this.#tokens;
  }

  /** Where the next tag, variable or comment begins; -1 if none does. */
  #nextTag(): number {
    for (
      let at = this.#source.indexOf("{", this.#at);
      at >= 0;
      at = this.#source.indexOf("{", at + 1)
    ) {
      const next = this.#source[at + 1];
      if (next === "{" || next === "%" || next === "#") return at;
    }
    return -1;
  }

  #tag(before: string, kind: string): void {
    const raw = match(RAW_BEGIN, this.#source, this.#at);
    const sign = raw?.[1] ?? this.#source[this.#at + 2];
    this.#data(this.#stripped(before, sign, kind === "{"));
    const start = this.#at;
    if (raw !== undefined) {
      this.#advance(raw[0].length);
      this.#raw();
      return;
    }
    this.#advance(sign === "-" || sign === "+" ? 3 : 2);
    if (kind === "#") this.#comment(start);
    else if (kind === "{") this.#inside("variable", VARIABLE_END, start);
    else this.#inside("block", BLOCK_END, start);
  }

  /** Text in front of a tag, without the white space that the tag takes. */
  #stripped(text: string, sign: string | undefined, isVariable: boolean): string {
    if (sign === "-") return trimEnd(text);
    if (sign === "+" || isVariable) return text;
    const from = text.lastIndexOf("\n") + 1;
    const blank = (from > 0 || this.#lineStarts) && ONLY_WHITE.test(text.slice(from));
    return blank ? text.slice(0, from) : text;
  }

  #comment(start: number): void {
    COMMENT_END.lastIndex = this.#at;
    const end = COMMENT_END.exec(this.#source);
    if (end === null) this.#fail("Missing end of comment tag", start);
    this.#advance(end.index + end[0].length - this.#at);
  }

  #raw(): void {
    RAW_END.lastIndex = this.#at;
    const end = RAW_END.exec(this.#source);
    if (end === null) this.#fail("Missing end of raw directive", this.#at);
    this.#data(this.#stripped(this.#source.slice(this.#at, end.index), end[1], false));
    this.#advance(end.index + end[0].length - this.#at);
  }

  #inside(kind: "block" | "variable", end: RegExp, start: number): void {
    const source = this.#source;
    this.#push(`${kind}_begin`, "");
    const open: string[] = [];
    for (;;) {
      if (this.#at >= source.length) {
        this.#fail(`unexpected end of template, expected end of ${kind} tag`, start);
      }
      const closing = open.length === 0 ? match(end, source, this.#at) : undefined;
      if (closing !== undefined) {
        this.#push(`${kind}_end`, "");
        this.#advance(closing[0].length);
        return;
      }
      this.#token(open);
    }
  }

  #token(open: string[]): void {
    const source = this.#source;
    const take = (pattern: RegExp) => match(pattern, source, this.#at)?.[0];
    let text = take(WHITE);
    if (text !== undefined) return this.#advance(text.length);
    if ((text = take(FLOAT)) !== undefined) this.#push("float", text.replaceAll("_", ""));
    else if ((text = take(INTEGER)) !== undefined) this.#push("integer", text.replaceAll("_", ""));
    else if ((text = take(NAME)) !== undefined) this.#push("name", text);
    else if ((text = take(STRING)) !== undefined) this.#push("string", this.#unescaped(text));
    else if ((text = take(OPERATOR)) !== undefined) {
      this.#balance(text, open);
      this.#push("operator", text);
    } else {
      this.#fail(`unexpected char ${JSON.stringify(source[this.#at])}`, this.#at);
    }
    this.#advance(text.length);
  }

  #balance(operator: string, open: string[]): void {
    const closing = CLOSES[operator];
    if (closing !== undefined) open.push(closing);
    if (operator !== "}" && operator !== ")" && operator !== "]") return;
    const expected = open.pop();
    if (expected === operator) return;
    this.#fail(
      `unexpected '${operator}'${expected === undefined ? "" : `, expected '${expected}'`}`,
      this.#at,
    );
  }

  #unescaped(literal: string): string {
    try {
      return unescape(literal.slice(1, -1));
    } catch (error) {
      return this.#fail((error as Error).message, this.#at);
    }
  }

  #data(text: string): void {
    if (text !== "") this.#push("data", text);
  }

  #push(type: TokenType, value: string): void {
    this.#tokens.push({ type, value, line: this.#lineAt(this.#at) });
  }

  #advance(units: number): void {
    this.#at += units;
    this.#lineStarts = this.#source[this.#at - 1] === "\n";
  }

  #lineAt(at: number): number {
    for (; this.#counted < at; this.#counted++) {
      if (this.#source.charCodeAt(this.#counted) === 10) this.#line++;
    }
    return this.#line;
  }

  #fail(message: string, at: number): never {
    throw new JinjaError("syntax", message, this.#lineAt(at));
  }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && TRAILING_WHITE.test(text[end - 1] as string)) end--;
  return text.slice(0, end);
}
