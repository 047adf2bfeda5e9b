/** Tokens to a tree, by the grammar of Go's text/template/parse (of Go 1.24: `else with`). */
import { parseCharacter, parseNumber, unquote } from "./constants.ts";
import { TemplateError } from "./errors.ts";
import { lex, type Token, type TokenKind } from "./lex.ts";
import type { Command, Node, Operand, Pipeline, Tree } from "./nodes.ts";
import { GoString } from "./text.ts";

/** Largest template, in UTF-16 units. */
const MAX_SOURCE = 256 * 1024;
/** Blocks and parentheses inside each other. Go has no bound; it has no small stack either. */
const MAX_DEPTH = 200;

/** Where a list of nodes ends. */
type End = "end" | "else" | "eof";

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

/**
 * @param functions The names that may be called.
 * @throws {TemplateError} `parse`: what Go refuses; `limit`: a template that is too long, or nests too deeply.
 */
export function parse(source: string, functions: ReadonlySet<string>): Tree {
  if (source.length > MAX_SOURCE) {
    throw new TemplateError("limit", 0, `the template is longer than ${MAX_SOURCE} characters`);
  }
  return new Parser(lex(source), functions).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #functions: ReadonlySet<string>;
  readonly #templates = new Map<string, readonly Node[]>();
  #at = 0;
  #depth = 0;
  /** Variables that are known here, and how many ranges are open: a definition begins anew. */
  #variables = ["$"];
  #ranges = 0;

  constructor(tokens: readonly Token[], functions: ReadonlySet<string>) {
    this.#tokens = tokens;
    this.#functions = functions;
  }

  parse(): Tree {
    const root: Node[] = [];
    while (this.#peek().kind !== "eof") {
      const [delimiter, keyword] = [this.#peek(), this.#peekAfterLeft()];
      if (keyword?.text === "define") {
        this.#skipTo(keyword);
        this.#definition(delimiter);
        continue;
      }
      const found = this.#textOrAction();
      if (typeof found === "string") throw this.#bad(`{{ ${found} }} belongs to nothing`);
      root.push(found);
    }
    this.#define("", root);
    return { root: this.#templates.get("") ?? root, templates: this.#templates };
  }

  /** `{{ define "name" }} … {{ end }}`, whose keyword is read. */
  #definition(delimiter: Token): void {
    const name = this.#templateName("define");
    this.#expect("right", "define");
    this.#define(name, this.#separate(() => this.#body("define", delimiter)));
  }

  /** A name has one body, besides empty ones. */
  #define(name: string, body: readonly Node[]): void {
    const before = this.#templates.get(name);
    if (before === undefined || isEmpty(before)) this.#templates.set(name, body);
    else if (!isEmpty(body)) throw this.#bad("a template is defined twice");
  }

  /** Nothing of outside is known inside of a definition. */
  #separate<T>(run: () => T): T {
    const [variables, ranges] = [this.#variables, this.#ranges];
    [this.#variables, this.#ranges] = [["$"], 0];
    try {
      return run();
    } finally {
      [this.#variables, this.#ranges] = [variables, ranges];
    }
  }

  /** Nodes up to `{{ end }}`, where no `{{ else }}` may be. */
  #body(what: string, opened: Token): Node[] {
    const { nodes, end } = this.#list(opened);
    if (end !== "end") throw this.#bad(`an {{ else }} in a ${what}`);
    return nodes;
  }

  #list(opened: Token): { nodes: Node[]; end: "end" | "else" } {
    return this.#nested(() => {
      const nodes: Node[] = [];
      for (;;) {
        if (this.#peek().kind === "eof") {
          throw this.#bad("a block has no {{ end }}", opened.line);
        }
        const found = this.#textOrAction();
        if (found === "end" || found === "else") return { nodes, end: found };
        nodes.push(found as Node);
      }
    });
  }

  #textOrAction(): Node | End {
    const token = this.#nextNonSpace();
    if (token.kind === "text") {
      return { kind: "text", text: GoString.of(token.text), line: token.line };
    }
    if (token.kind !== "left") throw this.#unexpected(token);
    return this.#action(token);
  }

  #action(left: Token): Node | End {
    const token = this.#peekNonSpace();
    const { line } = token;
    if (token.kind === "keyword") this.#nextNonSpace();
    switch (token.kind === "keyword" ? token.text : "") {
      case "if":
      case "with":
      case "range":
        return this.#branch(token.text as "if" | "with" | "range", left);
      case "end":
        this.#expect("right", "end");
        return "end";
      case "else": {
        const next = this.#peekNonSpace();
        // `{{ else if … }}` is left where it is, for the block that it belongs to.
        if (next.kind !== "keyword" || !["if", "with"].includes(next.text)) {
          this.#expect("right", "else");
        }
        return "else";
      }
      case "break":
      case "continue":
        this.#expect("right", token.text);
        if (this.#ranges === 0) throw this.#bad(`{{ ${token.text} }} outside of a range`, line);
        return { kind: token.text as "break" | "continue", line };
      case "template": {
        const name = this.#templateName("template");
        const isPlain = this.#peekNonSpace().kind === "right";
        if (isPlain) this.#nextNonSpace();
        const pipeline = isPlain ? undefined : this.#pipeline("template", "right");
        return { kind: "template", name, pipeline, line };
      }
      case "block": {
        const name = this.#templateName("block");
        const pipeline = this.#pipeline("block", "right");
        this.#define(name, this.#separate(() => this.#body("block", left)));
        return { kind: "template", name, pipeline, line };
      }
      case "define":
        throw this.#bad("a {{ define }} inside of a block", line);
    }
    return { kind: "action", pipeline: this.#pipeline("action", "right"), line };
  }

  #branch(kind: "if" | "with" | "range", left: Token): Node {
    const known = this.#variables.length;
    const pipeline = this.#pipeline(kind, "right");
    if (kind === "range") this.#ranges++;
    const { nodes: body, end } = this.#list(left);
    if (kind === "range") this.#ranges--;
    let otherwise: Node[] | undefined;
    if (end === "else") {
      const next = this.#peek().kind === "space" ? this.#peekNonSpace() : this.#peek();
      if (next.kind === "keyword" && next.text === kind && kind !== "range") {
        this.#nextNonSpace();
        // It takes the `{{ end }}` for both.
        otherwise = [this.#nested(() => this.#branch(kind, left))];
      } else {
        const rest = this.#list(left);
        if (rest.end !== "end") throw this.#bad(`a second {{ else }} of one ${kind}`);
        otherwise = rest.nodes;
      }
    }
    this.#variables.length = known;
    return { kind, pipeline, body, otherwise, line: left.line };
  }

  #templateName(what: string): string {
    const token = this.#nextNonSpace();
    if (token.kind !== "string" && token.kind !== "raw-string") {
      throw this.#bad(`a {{ ${what} }} has no quoted name`, token.line);
    }
    return this.#unquote(token).text;
  }

  #pipeline(what: string, end: "right" | ")"): Pipeline {
    const { line } = this.#peekNonSpace();
    const variables: string[] = [];
    let assigns = false;
    while (this.#peekNonSpace().kind === "variable") {
      const start = this.#at;
      const variable = this.#nextNonSpace();
      const next = this.#nextNonSpace();
      if (next.kind === ":=" || next.kind === "=") {
        assigns = next.kind === "=";
        variables.push(variable.text);
        this.#variables.push(variable.text);
        break;
      }
      if (next.kind !== "char" || next.text !== ",") {
        this.#at = start;
        break;
      }
      variables.push(variable.text);
      this.#variables.push(variable.text);
      if (what !== "range" || variables.length > 1) {
        throw this.#bad(`a ${what} declares too many variables`, variable.line);
      }
      if (!["variable", "right", ")"].includes(this.#peekNonSpace().kind)) {
        throw this.#bad("a range can only declare variables", variable.line);
      }
    }
    const commands: Command[] = [];
    for (;;) {
      const token = this.#peekNonSpace();
      if (token.kind === end) {
        this.#nextNonSpace();
        break;
      }
      if (!OPERANDS.has(token.kind)) throw this.#unexpected(token);
      commands.push(this.#command());
    }
    if (commands.length === 0) throw this.#bad(`a value is missing in ${what}`, line);
    for (const { operands: [first], line } of commands.slice(1)) {
      if (["bool", "dot", "nil", "number", "string"].includes(first!.kind)) {
        throw this.#bad("a pipe leads into something that is no function", line);
      }
    }
    return { variables, assigns, commands, line };
  }

  #command(): Command {
    const { line } = this.#peekNonSpace();
    const operands: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#next();
      if (token.kind === "space") continue;
      if (token.kind === "right" || token.kind === ")") this.#at--;
      else if (token.kind !== "|") throw this.#unexpected(token);
      break;
    }
    if (operands.length === 0) throw this.#bad("a command is empty", line);
    return { operands, line };
  }

  #operand(): Operand | undefined {
    const term = this.#term();
    if (term === undefined || this.#peek().kind !== "field") return term;
    const names: string[] = [];
    while (this.#peek().kind === "field") names.push(this.#next().text.slice(1));
    switch (term.kind) {
      case "field":
      case "variable":
        return { ...term, names: [...term.names, ...names] };
      case "bool":
      case "string":
      case "number":
      case "nil":
      case "dot":
        throw this.#bad("a field of something that has none", term.line);
      default:
        return { kind: "chain", base: term, names, line: term.line };
    }
  }

  #term(): Operand | undefined {
    const start = this.#at;
    const token = this.#nextNonSpace();
    const { line, text } = token;
    switch (token.kind) {
      case "identifier":
        if (!this.#functions.has(text)) {
          throw this.#bad(`the function ${JSON.stringify(text.slice(0, 64))} is not known`, line);
        }
        return { kind: "function", name: text, line };
      case "dot":
      case "nil":
        return { kind: token.kind, line };
      case "variable":
        if (!this.#variables.includes(text)) {
          throw this.#bad(`the variable ${text.slice(0, 64)} is not declared`, line);
        }
        return { kind: "variable", name: text, names: [], line };
      case "field":
        return { kind: "field", names: [text.slice(1)], line };
      case "bool":
        return { kind: "bool", value: text === "true", line };
      case "char-constant": {
        const value = parseCharacter(text);
        if (value === undefined) throw this.#bad("a character constant is written wrongly", line);
        return { kind: "number", value, line };
      }
      case "complex":
      case "number": {
        const value = parseNumber(text, token.kind);
        if (typeof value === "string") throw this.#bad(value, line);
        return { kind: "number", value, line };
      }
      case "(": {
        const pipeline = this.#nested(() => this.#pipeline("parentheses", ")"));
        return { kind: "pipeline", pipeline, line };
      }
      case "string":
      case "raw-string":
        return { kind: "string", value: this.#unquote(token), line };
    }
    this.#at = start;
    return undefined;
  }

  #unquote(token: Token): GoString {
    const value = unquote(token.text);
    if (value === undefined) throw this.#bad("a quoted text has a wrong escape", token.line);
    return value;
  }

  #nested<T>(run: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw new TemplateError("limit", this.#peek().line, `blocks nest over ${MAX_DEPTH} deep`);
    }
    const result = run();
    this.#depth--;
    return result;
  }

  #next(): Token {
    // Nobody reads past the last token, which says so.
    return this.#tokens[Math.min(this.#at++, this.#tokens.length - 1)]!;
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!;
  }

  #nextNonSpace(): Token {
    let token = this.#next();
    while (token.kind === "space") token = this.#next();
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === "space") this.#at++;
    return this.#peek();
  }

  /** The keyword of the action that begins here, if one does. */
  #peekAfterLeft(): Token | undefined {
    if (this.#peek().kind !== "left") return undefined;
    let at = this.#at + 1;
    while (this.#tokens[at]?.kind === "space") at++;
    return this.#tokens[at]?.kind === "keyword" ? this.#tokens[at] : undefined;
  }

  #skipTo(token: Token): void {
    while (this.#next() !== token);
  }

  #expect(kind: TokenKind, what: string): void {
    const token = this.#nextNonSpace();
    if (token.kind !== kind) throw this.#bad(`{{ ${what} }} holds more than it may`, token.line);
  }

  #unexpected(token: Token): TemplateError {
    const what = token.kind === "right"
      ? "an action ends too early"
      : token.kind === "keyword"
      ? `${token.text} stands where it may not`
      : `${JSON.stringify(token.text.slice(0, 20))} stands where it may not`;
    return this.#bad(what, token.line);
  }

  #bad(what: string, line = this.#peek().line): TemplateError {
    return new TemplateError("parse", line, what);
  }
}

/** Nothing but white space. */
function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === "text" && node.text.text.trim() === "");
}
