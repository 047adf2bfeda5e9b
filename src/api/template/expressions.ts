/** Pipelines, commands and operands, by the grammar of Go's text/template/parse. */
import { parseCharacter, parseNumber, unquote } from "./constants.ts";
import { TemplateError } from "./errors.ts";
import type { Token, TokenKind } from "./lex.ts";
import type { Command, Operand, Pipeline } from "./nodes.ts";
import type { GoString } from "./text.ts";

/** Blocks and parentheses inside each other. Go has no bound; it has no small stack either. */
const MAX_DEPTH = 100;

const OPERANDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "bool",
  "char-constant",
  "complex",
  "dot",
  "field",
  "identifier",
  "number",
  "nil",
  "raw-string",
  "string",
  "variable",
  "(",
]);

export class ExpressionParser {
  readonly #tokens: readonly Token[];
  readonly #functions: ReadonlySet<string>;
  #at = 0;
  #depth = 0;
  /** Variables that are known here. */
  protected variables = ["$"];

  constructor(tokens: readonly Token[], functions: ReadonlySet<string>) {
    this.#tokens = tokens;
    this.#functions = functions;
  }

  protected pipeline(what: string, end: "right" | ")"): Pipeline {
    const { line } = this.peekNonSpace();
    const variables: string[] = [];
    let assigns = false;
    while (this.peekNonSpace().kind === "variable") {
      const start = this.#at;
      const variable = this.nextNonSpace();
      const next = this.nextNonSpace();
      if (next.kind === ":=" || next.kind === "=") {
        assigns = next.kind === "=";
        variables.push(variable.text);
        this.variables.push(variable.text);
        break;
      }
      if (next.kind !== "char" || next.text !== ",") {
        this.#at = start;
        break;
      }
      variables.push(variable.text);
      this.variables.push(variable.text);
      if (what !== "range" || variables.length > 1) {
        throw this.bad(`a ${what} declares too many variables`, variable.line);
      }
      if (!["variable", "right", ")"].includes(this.peekNonSpace().kind)) {
        throw this.bad("a range can only declare variables", variable.line);
      }
    }
    const commands: Command[] = [];
    for (;;) {
      const token = this.peekNonSpace();
      if (token.kind === end) {
        this.nextNonSpace();
        break;
      }
      if (!OPERANDS.has(token.kind)) throw this.unexpected(token);
      commands.push(this.#command());
    }
    if (commands.length === 0) throw this.bad(`a value is missing in ${what}`, line);
    for (const { operands: [first], line } of commands.slice(1)) {
      if (["bool", "dot", "nil", "number", "string"].includes(first!.kind)) {
        throw this.bad("a pipe leads into something that is no function", line);
      }
    }
    return { variables, assigns, commands, line };
  }

  #command(): Command {
    const { line } = this.peekNonSpace();
    const operands: Operand[] = [];
    for (;;) {
      this.peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.next();
      if (token.kind === "space") continue;
      if (token.kind === "right" || token.kind === ")") this.#at--;
      else if (token.kind !== "|") throw this.unexpected(token);
      break;
    }
    if (operands.length === 0) throw this.bad("a command is empty", line);
    return { operands, line };
  }

  #operand(): Operand | undefined {
    const term = this.#term();
    if (term === undefined || this.peek().kind !== "field") return term;
    const names: string[] = [];
    while (this.peek().kind === "field") names.push(this.next().text.slice(1));
    switch (term.kind) {
      case "field":
      case "variable":
        return { ...term, names: [...term.names, ...names] };
      case "bool":
      case "string":
      case "number":
      case "nil":
      case "dot":
        throw this.bad("a field of something that has none", term.line);
      default:
        return { kind: "chain", base: term, names, line: term.line };
    }
  }

  #term(): Operand | undefined {
    const start = this.#at;
    const token = this.nextNonSpace();
    const { line, text } = token;
    switch (token.kind) {
      case "identifier":
        if (!this.#functions.has(text)) {
          throw this.bad(`the function ${JSON.stringify(text.slice(0, 64))} is not known`, line);
        }
        return { kind: "function", name: text, line };
      case "dot":
      case "nil":
        return { kind: token.kind, line };
      case "variable":
        if (!this.variables.includes(text)) {
          throw this.bad(`the variable ${text.slice(0, 64)} is not declared`, line);
        }
        return { kind: "variable", name: text, names: [], line };
      case "field":
        return { kind: "field", names: [text.slice(1)], line };
      case "bool":
        return { kind: "bool", value: text === "true", line };
      case "char-constant": {
        const value = parseCharacter(text);
        if (value === undefined) throw this.bad("a character constant is written wrongly", line);
        return { kind: "number", value, line };
      }
      case "complex":
      case "number": {
        const value = parseNumber(text, token.kind);
        if (typeof value === "string") throw this.bad(value, line);
        return { kind: "number", value, line };
      }
      case "(": {
        const pipeline = this.nested(() => this.pipeline("parentheses", ")"));
        return { kind: "pipeline", pipeline, line };
      }
      case "string":
      case "raw-string":
        return { kind: "string", value: this.unquote(token), line };
    }
    this.#at = start;
    return undefined;
  }

  protected unquote(token: Token): GoString {
    const value = unquote(token.text);
    if (value === undefined) throw this.bad("a quoted text has a wrong escape", token.line);
    return value;
  }

  protected nested<T>(run: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw new TemplateError("limit", this.peek().line, `blocks nest over ${MAX_DEPTH} deep`);
    }
    const result = run();
    this.#depth--;
    return result;
  }

  protected next(): Token {
    // Nobody reads past the last token, which says so.
    return this.#tokens[Math.min(this.#at++, this.#tokens.length - 1)]!;
  }

  protected peek(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!;
  }

  protected nextNonSpace(): Token {
    let token = this.next();
    while (token.kind === "space") token = this.next();
    return token;
  }

  protected peekNonSpace(): Token {
    while (this.peek().kind === "space") this.#at++;
    return this.peek();
  }

  /** The keyword of the action that begins here, if one does. */
  protected peekAfterLeft(): Token | undefined {
    if (this.peek().kind !== "left") return undefined;
    let at = this.#at + 1;
    while (this.#tokens[at]?.kind === "space") at++;
    return this.#tokens[at]?.kind === "keyword" ? this.#tokens[at] : undefined;
  }

  protected skipTo(token: Token): void {
    while (this.next() !== token);
  }

  protected expect(kind: TokenKind, what: string): void {
    const token = this.nextNonSpace();
    if (token.kind !== kind) throw this.bad(`{{ ${what} }} holds more than it may`, token.line);
  }

  protected unexpected(token: Token): TemplateError {
    const what = token.kind === "right"
      ? "an action ends too early"
      : token.kind === "keyword"
      ? `${token.text} stands where it may not`
      : `${JSON.stringify(token.text.slice(0, 20))} stands where it may not`;
    return this.bad(what, token.line);
  }

  protected bad(what: string, line = this.peek().line): TemplateError {
    return new TemplateError("parse", line, what);
  }
}
