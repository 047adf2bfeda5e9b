/** A template's tokens to its syntax tree, as Jinja2's parser with the extensions `loopcontrols` and `generation` does. */
import { ExpressionParser, type TupleOptions } from "./expression_parser.ts";
import { tokenize } from "./lexer.ts";
import type { Expr, FilterNode, ForNode, IfNode, Name, Signature, Stmt, Target } from "./nodes.ts";
import { TokenStream } from "./token_stream.ts";
import { Builtin } from "./objects.ts";

const MAX_BLOCKS = 100;

/** @throws {JinjaError} `syntax` */
export function parse(template: string): Stmt[] {
  return new Parser(new TokenStream(tokenize(template))).template();
}

/** What `{% generation %}` calls: transformers notes where the text is; here it is only written. */
const GENERATION = new Builtin("generation", (args, costs) => {
  const caller = args.named.get("caller") as Builtin;
  return caller.call({ positional: [], named: new Map() }, costs);
});

class Parser extends ExpressionParser {
  /** For each open block, the tags that may end it. */
  readonly #ends: (readonly string[])[] = [];
  readonly #tags: string[] = [];

  template(): Stmt[] {
    return this.#statements();
  }

  /** Up to one of the tags, which is not consumed; without any, up to the end. */
  #statements(ends?: readonly string[]): Stmt[] {
    const { stream } = this;
    const body: Stmt[] = [];
    let output: (string | Expr)[] = [];
    const flush = () => {
      if (output.length > 0) body.push({ kind: "output", nodes: output });
      output = [];
    };
    if (ends !== undefined) this.#ends.push(ends);
    if (this.#ends.length > MAX_BLOCKS) stream.fail("blocks are nested too deeply");
    while (!stream.atEnd) {
      const token = stream.next();
      if (token.type === "data") {
        output.push(token.value);
      } else if (token.type === "variable_begin") {
        output.push(this.tuple());
        stream.expectEnd("variable_end");
      } else {
        flush();
        if (ends !== undefined && stream.isName(...ends)) {
          this.#ends.pop();
          return body;
        }
        body.push(this.#statement());
        stream.expectEnd("block_end");
      }
    }
    flush();
    if (ends !== undefined) this.#failAtEnd(ends);
    return body;
  }

  /** From the end of the opening tag to one of the closing tags, whose name is consumed and given back. */
  #body(...ends: string[]): [body: Stmt[], end: string] {
    this.stream.skipOperator(":");
    this.stream.expectEnd("block_end");
    const body = this.#statements(ends);
    return [body, this.stream.next().value];
  }

  #statement(): Stmt {
    const { stream } = this;
    const { current } = stream;
    if (current.type !== "name") stream.fail("tag name expected");
    this.#tags.push(current.value);
    const statement = this.#byTag(current.value, current.line);
    this.#tags.pop();
    return statement;
  }

  #byTag(tag: string, line: number): Stmt {
    const { stream } = this;
    const known = () => void stream.next();
    switch (tag) {
      case "for":
        known();
        return this.#for(line);
      case "if":
        known();
        return this.#if();
      case "set":
        known();
        return this.#set();
      case "macro": {
        known();
        const name = stream.expectName().value;
        return { kind: "macro", name, ...this.#signature(), body: this.#body("endmacro")[0], line };
      }
      case "call":
        known();
        return this.#callBlock(line);
      case "generation":
        known();
        return {
          kind: "callblock",
          args: [],
          defaults: [],
          call: {
            kind: "call",
            node: { kind: "const", value: GENERATION },
            call: { args: [], kwargs: [] },
          },
          body: this.#body("endgeneration")[0],
          line,
        };
      case "filter": {
        known();
        const filter = this.#filterChain(true) as FilterNode;
        return { kind: "filterblock", filter, body: this.#body("endfilter")[0] };
      }
      case "with":
        known();
        return this.#with();
      case "block":
        known();
        return this.#block(line);
      case "print":
        known();
        return this.#print();
      case "autoescape": {
        known();
        const value = this.expression();
        return { kind: "autoescape", value, body: this.#body("endautoescape")[0] };
      }
      case "break":
      case "continue":
        known();
        return { kind: tag, line };
      case "include":
      case "import":
      case "from":
      case "extends":
        known();
        return this.#load(tag, line);
    }
    return this.#unknownTag(tag, line);
  }

  #set(): Stmt {
    const target = this.#target({ namespaces: true });
    if (this.stream.skipOperator("=")) return { kind: "assign", target, value: this.tuple() };
    const filter = this.#filterChain(false);
    return { kind: "assignblock", target, filter, body: this.#body("endset")[0] };
  }

  #for(line: number): ForNode {
    const { stream } = this;
    const target = this.#target({ ends: ["in"] });
    stream.expectName("in");
    const iter = this.tuple({ conditional: false, ends: ["recursive"] });
    const test = stream.skipName("if") ? this.expression() : undefined;
    const recursive = stream.skipName("recursive");
    const [body, end] = this.#body("endfor", "else");
    const otherwise = end === "else" ? this.#body("endfor")[0] : [];
    return { kind: "for", target, iter, test, recursive, body, otherwise, line };
  }

  #if(): IfNode {
    const test = this.tuple({ conditional: false });
    const first = this.#body("elif", "else", "endif");
    let end = first[1];
    const elifs: IfNode[] = [];
    while (end === "elif") {
      const also = this.tuple({ conditional: false });
      const [body, next] = this.#body("elif", "else", "endif");
      elifs.push({ kind: "if", test: also, body, elifs: [], otherwise: [] });
      end = next;
    }
    const otherwise = end === "else" ? this.#body("endif")[0] : [];
    return { kind: "if", test, body: first[0], elifs, otherwise };
  }

  #with(): Stmt {
    const { stream } = this;
    const targets: Target[] = [];
    const values: Expr[] = [];
    while (stream.current.type !== "block_end") {
      if (targets.length > 0) stream.expectOperator(",");
      const target = this.#target({});
      setContext(target, "param");
      targets.push(target);
      stream.expectOperator("=");
      values.push(this.expression());
      if (stream.atEnd) break;
    }
    return { kind: "with", targets, values, body: this.#body("endwith")[0] };
  }

  #block(line: number): Stmt {
    const { stream } = this;
    const name = stream.expectName().value;
    const scoped = stream.skipName("scoped");
    const required = stream.skipName("required");
    if (stream.isOperator("-")) stream.fail("Block names in Jinja may not contain hyphens");
    const [body] = this.#body("endblock");
    stream.skipName(name);
    return { kind: "block", name, body, scoped, required, line };
  }

  #print(): Stmt {
    const nodes: Expr[] = [];
    while (this.stream.current.type !== "block_end" && !this.stream.atEnd) {
      if (nodes.length > 0) this.stream.expectOperator(",");
      nodes.push(this.expression());
    }
    return { kind: "output", nodes };
  }

  #callBlock(line: number): Stmt {
    const { stream } = this;
    const signature = stream.isOperator("(") ? this.#signature() : { args: [], defaults: [] };
    const call = this.expression();
    if (call.kind !== "call") return stream.fail("expected call", line);
    return { kind: "callblock", ...signature, call, body: this.#body("endcall")[0], line };
  }

  #load(tag: string, line: number): Stmt {
    const { stream } = this;
    const template = this.expression();
    const names: string[] = [];
    if (tag === "import") {
      stream.expectName("as");
      names.push(stream.expectName().value);
    } else if (tag === "from") {
      stream.expectName("import");
      do {
        const name = stream.expectName().value;
        names.push(stream.skipName("as") ? stream.expectName().value : name);
      } while (stream.skipOperator(","));
    }
    const ignoreMissing = tag === "include" && stream.skipName("ignore");
    if (ignoreMissing) stream.expectName("missing");
    if (stream.isName("with", "without") && stream.following.value === "context") {
      stream.next();
      stream.next();
    }
    return { kind: "load", tag, template, names, ignoreMissing, line };
  }

  #signature(): Signature {
    const { stream } = this;
    const args: Name[] = [];
    const defaults: Expr[] = [];
    stream.expectOperator("(");
    while (!stream.isOperator(")")) {
      if (args.length > 0) stream.expectOperator(",");
      const name = stream.expectName().value;
      if (RESERVED.has(name)) stream.fail(`can't assign to '${name}'`);
      if (args.some((arg) => arg.name === name)) stream.fail(`duplicate argument '${name}'`);
      args.push({ kind: "name", name, ctx: "param" });
      if (stream.skipOperator("=")) defaults.push(this.expression());
      else if (defaults.length > 0) stream.fail("non-default argument follows default argument");
    }
    stream.next();
    return { args, defaults };
  }

  #filterChain(first: boolean): FilterNode | undefined {
    let node: FilterNode | undefined = first ? this.filter(undefined, true) : undefined;
    while (this.stream.isOperator("|")) node = this.filter(node);
    return node;
  }

  #target(o: TupleOptions): Target {
    const { line } = this.stream;
    const target = this.tuple({ ...o, simplified: true });
    if (!assignable(target)) this.stream.fail(`can't assign to '${target.kind}'`, line);
    setContext(target, "store");
    return target;
  }

  #unknownTag(tag: string, line: number): never {
    const looking = this.#ends.at(-1)?.map((end) => `'${end}'`).join(" or ");
    const expected = looking === undefined ? "" : ` Jinja was looking for ${looking}.`;
    this.stream.fail(`Encountered unknown tag '${tag}'.${expected}`, line);
  }

  #failAtEnd(ends: readonly string[]): never {
    const looking = ends.map((end) => `'${end}'`).join(" or ");
    const inner = this.#tags.at(-1);
    this.stream.fail(
      `Unexpected end of template. Jinja was looking for ${looking}.` +
        (inner === undefined ? "" : ` The innermost block that needs to be closed is '${inner}'.`),
    );
  }
}

const RESERVED = new Set(["true", "false", "none", "True", "False", "None"]);

function assignable(target: Expr): target is Target {
  if (target.kind === "tuple") return target.items.every(assignable);
  return target.kind === "name" || target.kind === "nsref";
}

function setContext(target: Target, ctx: Name["ctx"]): void {
  if (target.kind === "name") target.ctx = ctx;
  if (target.kind === "tuple") {
    for (const item of target.items) setContext(item as Target, ctx);
  }
}
