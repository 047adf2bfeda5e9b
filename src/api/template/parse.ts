/** Tokens to a tree, by the grammar of Go's text/template/parse (of Go 1.24: `else with`). */
import { TemplateError } from "./errors.ts";
import { ExpressionParser } from "./expressions.ts";
import { lex, type Token } from "./lex.ts";
import type { Node, Tree } from "./nodes.ts";
import { GoString } from "./text.ts";

/** Largest template, in UTF-16 units. */
const MAX_SOURCE = 256 * 1024;
/** Where a list of nodes ends. */
type End = "end" | "else" | "eof";

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

class Parser extends ExpressionParser {
  readonly #templates = new Map<string, readonly Node[]>();
  /** Ranges that are open here. */
  #ranges = 0;

  parse(): Tree {
    const root: Node[] = [];
    while (this.peek().kind !== "eof") {
      const [delimiter, keyword] = [this.peek(), this.peekAfterLeft()];
      if (keyword?.text === "define") {
        this.skipTo(keyword);
        this.#definition(delimiter);
        continue;
      }
      const found = this.#textOrAction();
      if (typeof found === "string") throw this.bad(`{{ ${found} }} belongs to nothing`);
      root.push(found);
    }
    this.#define("", root);
    return { root: this.#templates.get("") ?? root, templates: this.#templates };
  }

  /** `{{ define "name" }} … {{ end }}`, whose keyword is read. */
  #definition(delimiter: Token): void {
    const name = this.#templateName("define");
    this.expect("right", "define");
    this.#define(name, this.#separate(() => this.#body("define", delimiter)));
  }

  /** A name has one body, besides empty ones. */
  #define(name: string, body: readonly Node[]): void {
    const before = this.#templates.get(name);
    if (before === undefined || isEmpty(before)) this.#templates.set(name, body);
    else if (!isEmpty(body)) throw this.bad("a template is defined twice");
  }

  /** Nothing of outside is known inside of a definition. */
  #separate<T>(run: () => T): T {
    const [variables, ranges] = [this.variables, this.#ranges];
    [this.variables, this.#ranges] = [["$"], 0];
    try {
      return run();
    } finally {
      [this.variables, this.#ranges] = [variables, ranges];
    }
  }

  /** Nodes up to `{{ end }}`, where no `{{ else }}` may be. */
  #body(what: string, opened: Token): Node[] {
    const { nodes, end } = this.#list(opened);
    if (end !== "end") throw this.bad(`an {{ else }} in a ${what}`);
    return nodes;
  }

  #list(opened: Token): { nodes: Node[]; end: "end" | "else" } {
    return this.nested(() => {
      const nodes: Node[] = [];
      for (;;) {
        if (this.peek().kind === "eof") {
          throw this.bad("a block has no {{ end }}", opened.line);
        }
        const found = this.#textOrAction();
        if (found === "end" || found === "else") return { nodes, end: found };
        nodes.push(found as Node);
      }
    });
  }

  #textOrAction(): Node | End {
    const token = this.nextNonSpace();
    if (token.kind === "text") {
      return { kind: "text", text: GoString.of(token.text), line: token.line };
    }
    if (token.kind !== "left") throw this.unexpected(token);
    return this.#action(token);
  }

  #action(left: Token): Node | End {
    const token = this.peekNonSpace();
    const { line } = token;
    if (token.kind === "keyword") this.nextNonSpace();
    switch (token.kind === "keyword" ? token.text : "") {
      case "if":
      case "with":
      case "range":
        return this.#branch(token.text as "if" | "with" | "range", left);
      case "end":
        this.expect("right", "end");
        return "end";
      case "else": {
        const next = this.peekNonSpace();
        // `{{ else if … }}` is left where it is, for the block that it belongs to.
        if (next.kind !== "keyword" || !["if", "with"].includes(next.text)) {
          this.expect("right", "else");
        }
        return "else";
      }
      case "break":
      case "continue":
        this.expect("right", token.text);
        if (this.#ranges === 0) throw this.bad(`{{ ${token.text} }} outside of a range`, line);
        return { kind: token.text as "break" | "continue", line };
      case "template": {
        const name = this.#templateName("template");
        const isPlain = this.peekNonSpace().kind === "right";
        if (isPlain) this.nextNonSpace();
        const pipeline = isPlain ? undefined : this.pipeline("template", "right");
        return { kind: "template", name, pipeline, line };
      }
      case "block": {
        const name = this.#templateName("block");
        const pipeline = this.pipeline("block", "right");
        this.#define(name, this.#separate(() => this.#body("block", left)));
        return { kind: "template", name, pipeline, line };
      }
      case "define":
        throw this.bad("a {{ define }} inside of a block", line);
    }
    return { kind: "action", pipeline: this.pipeline("action", "right"), line };
  }

  #branch(kind: "if" | "with" | "range", left: Token): Node {
    const known = this.variables.length;
    const pipeline = this.pipeline(kind, "right");
    if (kind === "range") this.#ranges++;
    const { nodes: body, end } = this.#list(left);
    if (kind === "range") this.#ranges--;
    let otherwise: Node[] | undefined;
    if (end === "else") {
      const next = this.peek().kind === "space" ? this.peekNonSpace() : this.peek();
      if (next.kind === "keyword" && next.text === kind && kind !== "range") {
        this.nextNonSpace();
        // It takes the `{{ end }}` for both.
        otherwise = [this.nested(() => this.#branch(kind, left))];
      } else {
        const rest = this.#list(left);
        if (rest.end !== "end") throw this.bad(`a second {{ else }} of one ${kind}`);
        otherwise = rest.nodes;
      }
    }
    this.variables.length = known;
    return { kind, pipeline, body, otherwise, line: left.line };
  }

  #templateName(what: string): string {
    const token = this.nextNonSpace();
    if (token.kind !== "string" && token.kind !== "raw-string") {
      throw this.bad(`a {{ ${what} }} has no quoted name`, token.line);
    }
    return this.unquote(token).text;
  }
}

/** Nothing but white space. */
function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === "text" && node.text.text.trim() === "");
}
