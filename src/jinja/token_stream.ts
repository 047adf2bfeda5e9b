/** Tokens one after another, with Jinja2's messages where another one was expected. */
import { JinjaError } from "./errors.ts";
import type { Token } from "./lexer.ts";

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  /** @param tokens The last of them is `eof`. */
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at] as Token;
  }

  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)] as Token;
  }

  get line(): number {
    return this.current.line;
  }

  get atEnd(): boolean {
    return this.current.type === "eof";
  }

  next(): Token {
    const token = this.current;
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  isOperator(...values: string[]): boolean {
    return this.current.type === "operator" && values.includes(this.current.value);
  }

  isName(...values: string[]): boolean {
    return this.current.type === "name" && values.includes(this.current.value);
  }

  skipOperator(value: string): boolean {
    const there = this.isOperator(value);
    if (there) this.next();
    return there;
  }

  skipName(value: string): boolean {
    const there = this.isName(value);
    if (there) this.next();
    return there;
  }

  expectOperator(value: string): Token {
    return this.isOperator(value) ? this.next() : this.#unexpected(value);
  }

  /** Any name, or this one. */
  expectName(value?: string): Token {
    const there = value === undefined ? this.current.type === "name" : this.isName(value);
    return there ? this.next() : this.#unexpected(value ?? "name");
  }

  expectEnd(type: "block_end" | "variable_end"): void {
    if (this.current.type !== type) {
      this.#unexpected(type === "block_end" ? "end of statement block" : "end of print statement");
    }
    this.next();
  }

  fail(message: string, line: number = this.line): never {
    throw new JinjaError("syntax", message, line);
  }

  describe(): string {
    const { type, value } = this.current;
    switch (type) {
      case "name":
      case "operator":
        return value;
      case "block_end":
        return "end of statement block";
      case "variable_end":
        return "end of print statement";
      case "eof":
        return "end of template";
      default:
        return type;
    }
  }

  #unexpected(wanted: string): never {
    if (this.atEnd) this.fail(`unexpected end of template, expected '${wanted}'`);
    this.fail(`expected token '${wanted}', got '${this.describe()}'`);
  }
}
