/** Expressions, by Jinja2's precedence: conditional, or, and, not, comparison, + -, ~, * / // %, **, sign, postfix, filter. */
import { JinjaError } from "./errors.ts";
import type { BinaryOperator, CallArgs, CallNode, CompareOperator, Expr, Slice } from "./nodes.ts";
import type { TokenStream } from "./token_stream.ts";

/** Expressions inside each other; Python's own compiler has about the same bound. */
const MAX_DEPTH = 200;
const COMPARISONS = ["==", "!=", "<", "<=", ">", ">="];
const NO_ARGS: CallArgs = { args: [], kwargs: [] };

export interface TupleOptions {
  /** Names and literals only, as in an assignment's target. */
  readonly simplified?: boolean;
  readonly conditional?: boolean;
  /** Names that end it. */
  readonly ends?: readonly string[];
  readonly parentheses?: boolean;
  /** `name.attribute` is allowed, as a target. */
  readonly namespaces?: boolean;
}

export class ExpressionParser {
  protected readonly stream: TokenStream;
  #depth = 0;

  constructor(stream: TokenStream) {
    this.stream = stream;
  }

  expression(conditional = true): Expr {
    return this.nested(() => conditional ? this.#conditional() : this.#or());
  }

  /** One expression, or several with commas between: a tuple. */
  tuple(o: TupleOptions = {}): Expr {
    const { stream } = this;
    const items: Expr[] = [];
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expectOperator(",");
      if (this.#endsTuple(o.ends)) break;
      items.push(o.simplified ? this.#simple(o) : this.expression(o.conditional ?? true));
      if (!stream.isOperator(",")) break;
      isTuple = true;
    }
    if (!isTuple) {
      if (items.length > 0) return items[0] as Expr;
      if (!o.parentheses) stream.fail(`Expected an expression, got '${stream.describe()}'`);
    }
    return { kind: "tuple", items };
  }

  protected nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.stream.fail("expressions are nested too deeply");
    const result = parse();
    this.#depth--;
    return result;
  }

  #simple(o: TupleOptions): Expr {
    const { stream } = this;
    const { current, following } = stream;
    const dotted = current.type === "name" && following.type === "operator" &&
      following.value === ".";
    if (!o.namespaces || !dotted) return this.#primary();
    stream.next();
    stream.next();
    return { kind: "nsref", name: current.value, attribute: stream.expectName().value };
  }

  #endsTuple(ends: readonly string[] | undefined): boolean {
    const { type } = this.stream.current;
    if (type === "variable_end" || type === "block_end" || this.stream.isOperator(")")) return true;
    return ends !== undefined && this.stream.isName(...ends);
  }

  #conditional(): Expr {
    const { stream } = this;
    let { line } = stream;
    let then = this.#or();
    while (stream.skipName("if")) {
      const test = this.#or();
      const otherwise = stream.skipName("else") ? this.expression() : undefined;
      then = { kind: "cond", test, then, otherwise, line };
      line = stream.line;
    }
    return then;
  }

  #or(): Expr {
    let left = this.#and();
    while (this.stream.skipName("or")) {
      left = { kind: "logic", operator: "or", left, right: this.#and() };
    }
    return left;
  }

  #and(): Expr {
    let left = this.#not();
    while (this.stream.skipName("and")) {
      left = { kind: "logic", operator: "and", left, right: this.#not() };
    }
    return left;
  }

  #not(): Expr {
    if (!this.stream.skipName("not")) return this.#comparison();
    return { kind: "not", node: this.nested(() => this.#not()) };
  }

  #comparison(): Expr {
    const { stream } = this;
    const first = this.#sum();
    const rest: [CompareOperator, Expr][] = [];
    for (;;) {
      if (stream.isOperator(...COMPARISONS)) {
        rest.push([stream.next().value as CompareOperator, this.#sum()]);
      } else if (stream.skipName("in")) {
        rest.push(["in", this.#sum()]);
      } else if (
        stream.isName("not") && stream.following.type === "name" && stream.following.value === "in"
      ) {
        stream.next();
        stream.next();
        rest.push(["not in", this.#sum()]);
      } else break;
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest };
  }

  #sum(): Expr {
    return this.#binary(["+", "-"], () => this.#concatenation());
  }

  #concatenation(): Expr {
    const nodes = [this.#product()];
    while (this.stream.skipOperator("~")) nodes.push(this.#product());
    return nodes.length === 1 ? nodes[0] as Expr : { kind: "concat", nodes };
  }

  #product(): Expr {
    return this.#binary(["*", "/", "//", "%"], () => this.#power());
  }

  #power(): Expr {
    // Jinja2's parser takes it from the left; the Python that it makes is written with parentheses.
    return this.#binary(["**"], () => this.#unary(true));
  }

  #binary(operators: readonly string[], operand: () => Expr): Expr {
    let left = operand();
    while (this.stream.isOperator(...operators)) {
      const operator = this.stream.next().value as BinaryOperator;
      left = { kind: "binary", operator, left, right: operand() };
    }
    return left;
  }

  #unary(withFilter: boolean): Expr {
    let node: Expr;
    if (this.stream.isOperator("-", "+")) {
      const operator = this.stream.next().value as "-" | "+";
      node = { kind: "sign", operator, node: this.nested(() => this.#unary(false)) };
    } else {
      node = this.#primary();
    }
    node = this.#postfix(node);
    return withFilter ? this.#filters(node) : node;
  }

  #primary(): Expr {
    const { stream } = this;
    const token = stream.current;
    switch (token.type) {
      case "name":
        stream.next();
        return nameOrConstant(token.value);
      case "string": {
        let text = stream.next().value;
        while (stream.current.type === "string") text += stream.next().value;
        return { kind: "const", value: text };
      }
      case "integer":
        stream.next();
        return { kind: "const", value: integer(token.value, token.line) };
      case "float":
        stream.next();
        return { kind: "const", value: Number(token.value) };
    }
    if (stream.skipOperator("(")) {
      const inside = this.nested(() => this.tuple({ parentheses: true }));
      stream.expectOperator(")");
      return inside;
    }
    if (stream.skipOperator("[")) return this.nested(() => this.#list());
    if (stream.skipOperator("{")) return this.nested(() => this.#dict());
    return stream.fail(`unexpected '${stream.describe()}'`);
  }

  #list(): Expr {
    const items: Expr[] = [];
    while (!this.stream.isOperator("]")) {
      if (items.length > 0) this.stream.expectOperator(",");
      if (this.stream.isOperator("]")) break;
      items.push(this.expression());
    }
    this.stream.next();
    return { kind: "list", items };
  }

  #dict(): Expr {
    const items: [Expr, Expr][] = [];
    while (!this.stream.isOperator("}")) {
      if (items.length > 0) this.stream.expectOperator(",");
      if (this.stream.isOperator("}")) break;
      const key = this.expression();
      this.stream.expectOperator(":");
      items.push([key, this.expression()]);
    }
    this.stream.next();
    return { kind: "dict", items };
  }

  #postfix(node: Expr): Expr {
    const { stream } = this;
    for (;;) {
      if (stream.isOperator(".", "[")) node = this.#subscript(node);
      else if (stream.isOperator("(")) node = this.call(node);
      else return node;
    }
  }

  #filters(node: Expr): Expr {
    const { stream } = this;
    for (;;) {
      if (stream.isOperator("|")) node = this.filter(node);
      else if (stream.isName("is")) node = this.#test(node);
      else if (stream.isOperator("(")) node = this.call(node);
      else return node;
    }
  }

  #subscript(node: Expr): Expr {
    const { stream } = this;
    if (stream.skipOperator(".")) {
      const token = stream.next();
      if (token.type === "name") return { kind: "attribute", node, name: token.value };
      if (token.type !== "integer") stream.fail("expected name or number", token.line);
      return {
        kind: "item",
        node,
        arg: { kind: "const", value: integer(token.value, token.line) },
      };
    }
    stream.expectOperator("[");
    const args: (Expr | Slice)[] = [];
    while (!stream.isOperator("]")) {
      if (args.length > 0) stream.expectOperator(",");
      args.push(this.#subscribed());
    }
    stream.next();
    if (args.length === 1) return { kind: "item", node, arg: args[0] as Expr | Slice };
    if (args.some((arg) => arg.kind === "slice")) stream.fail("a slice can only stand alone");
    return { kind: "item", node, arg: { kind: "tuple", items: args as Expr[] } };
  }

  #subscribed(): Expr | Slice {
    const { stream } = this;
    const bound = () => stream.isOperator(":", "]", ",") ? undefined : this.expression();
    const start = bound();
    if (!stream.skipOperator(":")) return start ?? this.expression();
    const stop = bound();
    const step = stream.skipOperator(":") ? bound() : undefined;
    return { kind: "slice", start, stop, step };
  }

  protected call(node: Expr): CallNode {
    return { kind: "call", node, call: this.#callArgs() };
  }

  #callArgs(): CallArgs {
    const { stream } = this;
    const { line } = stream.expectOperator("(");
    const args: Expr[] = [];
    const kwargs: [string, Expr][] = [];
    let dynArgs: Expr | undefined;
    let dynKwargs: Expr | undefined;
    const ensure = (valid: boolean) => {
      if (!valid) stream.fail("invalid syntax for function call expression", line);
    };
    for (let first = true; !stream.isOperator(")"); first = false) {
      if (!first) {
        stream.expectOperator(",");
        if (stream.isOperator(")")) break;
      }
      const { current, following } = stream;
      if (stream.skipOperator("*")) {
        ensure(dynArgs === undefined && dynKwargs === undefined);
        dynArgs = this.expression();
      } else if (stream.skipOperator("**")) {
        ensure(dynKwargs === undefined);
        dynKwargs = this.expression();
      } else if (
        current.type === "name" && following.type === "operator" && following.value === "="
      ) {
        ensure(dynKwargs === undefined);
        ensure(!kwargs.some(([name]) => name === current.value));
        stream.next();
        stream.next();
        kwargs.push([current.value, this.expression()]);
      } else {
        ensure(dynArgs === undefined && dynKwargs === undefined && kwargs.length === 0);
        args.push(this.expression());
      }
    }
    stream.expectOperator(")");
    return {
      args,
      kwargs,
      ...(dynArgs === undefined ? {} : { dynArgs }),
      ...(dynKwargs === undefined ? {} : { dynKwargs }),
    };
  }

  /** One filter; `node` absent: applied to what a block writes. */
  protected filter(node: Expr | undefined, afterPipe = false): Expr & { kind: "filter" } {
    const { stream } = this;
    if (!afterPipe) stream.expectOperator("|");
    const { line } = stream;
    const name = this.#dottedName();
    const call = stream.isOperator("(") ? this.#callArgs() : NO_ARGS;
    return { kind: "filter", node, name, call, line };
  }

  #dottedName(): string {
    let name = this.stream.expectName().value;
    while (this.stream.skipOperator(".")) name += `.${this.stream.expectName().value}`;
    return name;
  }

  #test(node: Expr): Expr {
    const { stream } = this;
    const { line } = stream.next();
    const negated = stream.skipName("not");
    const name = this.#dottedName();
    let call = NO_ARGS;
    const { type } = stream.current;
    if (stream.isOperator("(")) {
      call = this.#callArgs();
    } else if (
      (type === "name" || type === "string" || type === "integer" || type === "float" ||
        stream.isOperator("[", "{")) && !stream.isName("else", "or", "and")
    ) {
      if (stream.isName("is")) stream.fail("You cannot chain multiple tests with is");
      call = { args: [this.nested(() => this.#postfix(this.#primary()))], kwargs: [] };
    }
    const test: Expr = { kind: "test", node, name, call, line };
    return negated ? { kind: "not", node: test } : test;
  }
}

function nameOrConstant(name: string): Expr {
  switch (name) {
    case "true":
    case "True":
      return { kind: "const", value: true };
    case "false":
    case "False":
      return { kind: "const", value: false };
    case "none":
    case "None":
      return { kind: "const", value: null };
  }
  return { kind: "name", name, ctx: "load" };
}

/** Python refuses to read longer ones too. */
const MAX_DIGITS = 4300;

function integer(text: string, line: number): bigint {
  if (text.length > MAX_DIGITS) {
    throw new JinjaError("syntax", "a number has too many digits", line);
  }
  return BigInt(text);
}
