/**
 * Parser for the part of Go's text/template that Ollama's templates are written in: text, `if`, `range`, `with`,
 * `else`, `end`, `break`, `continue`, variables, pipelines, parentheses, trim markers and comments. No `define`.
 */
import { SecLlamaError } from "../../src/errors.ts";

export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  /** `.A.B`, `$x.A`, `(…).A`: `base` absent is the dot. */
  | {
    readonly kind: "path";
    readonly base?: Expression | string;
    readonly names: readonly string[];
  }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] };

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly value: Expression }
  | {
    readonly kind: "set";
    readonly name: string;
    readonly declare: boolean;
    readonly value: Expression;
  }
  | {
    readonly kind: "if" | "with" | "range";
    readonly value: Expression;
    /** Variables of a range, or the one of an `if`/`with`. */
    readonly names: readonly string[];
    readonly body: readonly Node[];
    readonly otherwise: readonly Node[];
  }
  | { readonly kind: "break" | "continue" };

const MAX_TEMPLATE_CHARS = 256 * 1024;
const MAX_DEPTH = 64;

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$?[A-Za-z_]\w*|\$)|((?:\.[A-Za-z_]\w*)+|\.)|(:=|[=|(),]))/y;

/** @throws {SecLlamaError} `bad-request` with field `template`: not a template, or more of Go than is supported. */
export function parseGoTemplate(source: string): Node[] {
  if (source.length > MAX_TEMPLATE_CHARS) {
    throw wrong(`is longer than ${MAX_TEMPLATE_CHARS} characters`);
  }
  const pieces = split(source);
  const parser = new TreeParser(pieces);
  return parser.parse();
}

type Piece = { readonly text: string } | { readonly action: string };

function wrong(what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `template ${what}`, { field: "template" });
}

/** Text and actions, white space trimmed where `{{-` and `-}}` say so. */
function split(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  for (;;) {
    const open = source.indexOf("{{", at);
    let text = source.slice(at, open < 0 ? undefined : open);
    if (trimNext) text = text.trimStart();
    if (open < 0) {
      pieces.push({ text });
      return pieces;
    }
    const trimBefore = /^\{\{-\s/.test(source.slice(open, open + 4));
    if (trimBefore) text = text.trimEnd();
    pieces.push({ text });
    const close = endOfAction(source, open + 2);
    let action = source.slice(open + (trimBefore ? 3 : 2), close);
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    pieces.push({ action: action.trim() });
    at = close + 2;
  }
}

/** Index of the `}}` that ends an action, strings and comments skipped. */
function endOfAction(source: string, from: number): number {
  const pattern = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\/\*[\s\S]*?\*\/|\}\}/g;
  pattern.lastIndex = from;
  for (let match = pattern.exec(source); match !== null; match = pattern.exec(source)) {
    if (match[0] === "}}") return match.index;
  }
  throw wrong("has an action that does not end");
}

type Token = {
  readonly kind: "string" | "number" | "word" | "path" | "mark";
  readonly text: string;
};

class TreeParser {
  readonly #pieces: readonly Piece[];
  #at = 0;
  #depth = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  parse(): Node[] {
    const { nodes, end } = this.#list();
    if (end !== "") throw wrong(`has "${end}" where nothing is open`);
    return nodes;
  }

  /** Nodes up to `else`, `end` or the end of the source; `end` is the action that stopped it. */
  #list(): { nodes: Node[]; end: string } {
    if (++this.#depth > MAX_DEPTH) throw wrong(`nests deeper than ${MAX_DEPTH} levels`);
    const nodes: Node[] = [];
    let end = "";
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at++]!;
      if ("text" in piece) {
        if (piece.text !== "") nodes.push({ kind: "text", text: piece.text });
        continue;
      }
      if (piece.action.startsWith("/*")) continue;
      const word = /^(\w+)\b/.exec(piece.action)?.[1] ?? "";
      if (word === "end" || word === "else") {
        end = piece.action;
        break;
      }
      nodes.push(this.#action(piece.action, word));
    }
    this.#depth--;
    return { nodes, end };
  }

  #action(action: string, word: string): Node {
    if (word === "if" || word === "with" || word === "range") {
      return this.#block(word, action.slice(word.length));
    }
    if (word === "break" || word === "continue") return { kind: word };
    if (["define", "template", "block"].includes(word)) throw wrong(`uses "${word}"`);
    const tokens = tokenize(action);
    const assigned = tokens[1]?.text;
    if (tokens[0]?.text.startsWith("$") && (assigned === ":=" || assigned === "=")) {
      return {
        kind: "set",
        name: tokens[0].text,
        declare: assigned === ":=",
        value: new ExpressionParser(tokens.slice(2)).parse(),
      };
    }
    return { kind: "print", value: new ExpressionParser(tokens).parse() };
  }

  #block(kind: "if" | "with" | "range", rest: string): Node {
    let tokens = tokenize(rest);
    const names: string[] = [];
    const assign = tokens.findIndex((token) => token.text === ":=");
    if (assign >= 0) {
      names.push(
        ...tokens.slice(0, assign).filter((token) => token.text !== ",").map((one) => one.text),
      );
      tokens = tokens.slice(assign + 1);
    }
    const value = new ExpressionParser(tokens).parse();
    const { nodes: body, end } = this.#list();
    let otherwise: Node[] = [];
    if (end === "else") {
      const rest = this.#list();
      if (rest.end !== "end") throw wrong(`has an "${kind}" that does not end`);
      otherwise = rest.nodes;
    } else if (/^else\s+(if|with)\b/.test(end)) {
      const word = /^else\s+(if|with)\b/.exec(end)![1] as "if" | "with";
      otherwise = [this.#block(word, end.replace(/^else\s+(if|with)/, ""))];
    } else if (end !== "end") {
      throw wrong(`has an "${kind}" that does not end`);
    }
    return { kind, value, names, body, otherwise };
  }
}

function tokenize(action: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < action.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(action);
    if (match === null) {
      if (action.slice(at).trim() === "") break;
      throw wrong("has an action that cannot be read");
    }
    const [, string, number, word, path, mark] = match;
    if (string !== undefined) tokens.push({ kind: "string", text: string });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (word !== undefined) tokens.push({ kind: "word", text: word });
    else if (path !== undefined) tokens.push({ kind: "path", text: path });
    else tokens.push({ kind: "mark", text: mark! });
  }
  return tokens;
}

class ExpressionParser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Expression {
    const value = this.#pipeline();
    if (this.#at < this.#tokens.length) throw wrong("has an action with something left over");
    return value;
  }

  #pipeline(): Expression {
    if (++this.#depth > MAX_DEPTH) throw wrong(`nests deeper than ${MAX_DEPTH} levels`);
    let value = this.#command();
    while (this.#peek() === "|") {
      this.#at++;
      const next = this.#command();
      if (next.kind !== "call") throw wrong("pipes into something that is no function");
      value = { ...next, args: [...next.args, value] };
    }
    this.#depth--;
    return value;
  }

  #command(): Expression {
    const first = this.#tokens[this.#at];
    if (first?.kind === "word" && !first.text.startsWith("$") && !isConstant(first.text)) {
      this.#at++;
      const args: Expression[] = [];
      while (this.#at < this.#tokens.length && !["|", ")"].includes(this.#peek()!)) {
        args.push(this.#operand());
      }
      return { kind: "call", name: first.text, args };
    }
    return this.#operand();
  }

  #operand(): Expression {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw wrong("has an action without a value");
    switch (token.kind) {
      case "string":
        return { kind: "literal", value: unquote(token.text) };
      case "number":
        return { kind: "literal", value: Number(token.text) };
      case "path":
        return { kind: "path", names: names(token.text) };
      case "word":
        if (token.text.startsWith("$")) return this.#withPath(token.text);
        if (isConstant(token.text)) {
          return { kind: "literal", value: CONSTANTS[token.text as keyof typeof CONSTANTS] };
        }
        return { kind: "call", name: token.text, args: [] };
      case "mark": {
        if (token.text !== "(") throw wrong("has an action that cannot be read");
        const value = this.#pipeline();
        if (this.#tokens[this.#at++]?.text !== ")") throw wrong('has a "(" that does not end');
        return this.#withPath(value);
      }
    }
  }

  #withPath(base: Expression | string): Expression {
    const next = this.#tokens[this.#at];
    const follows = next?.kind === "path" && next.text !== ".";
    if (follows) this.#at++;
    return { kind: "path", base, names: follows ? names(next.text) : [] };
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]?.text;
  }
}

const CONSTANTS = { true: true, false: false, nil: null } as const;

function isConstant(word: string): boolean {
  return Object.hasOwn(CONSTANTS, word);
}

function names(path: string): string[] {
  return path.split(".").filter((name) => name !== "");
}

function unquote(text: string): string {
  if (text.startsWith("`")) return text.slice(1, -1);
  try {
    return JSON.parse(text.replaceAll("\t", "\\t"));
  } catch {
    throw wrong("has a string that cannot be read");
  }
}
