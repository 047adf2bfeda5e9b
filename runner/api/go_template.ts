/**
 * Ollama's templates, for requests and Modelfiles that bring their own. What the template itself writes may be control
 * tokens; what it inserts is a user's text and stays text. Rendering is bounded: no template runs for ever.
 */
import type { Budget, Work } from "../../src/budget.ts";
import { SecLlamaError } from "../../src/errors.ts";
import type { ChatMessage, PromptPart, ToolDefinition } from "../engine/types.ts";
import { type Expression, type Node, parseGoTemplate } from "./go_template_parse.ts";
import { goMessages, GoStruct, goTools, toTypeScriptType } from "./go_values.ts";

export interface TemplateValues {
  readonly system: string;
  readonly prompt: string;
  readonly suffix: string;
}

/** One turn: system, prompt and, where the template says `.Response`, the place of the reply, after which it is cut. */
export function renderGoTemplate(
  template: string,
  values: TemplateValues,
  budget: Budget,
): Work<PromptPart[]> {
  const { system: System, prompt: Prompt, suffix: Suffix } = values;
  const nodes = parseGoTemplate(template);
  return new Renderer({ System, Prompt, Suffix, Response: "" }, budget).run(nodes, true);
}

export interface GoChat {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly think: boolean | string | undefined;
}

/** A whole conversation, as Ollama would for a model with this TEMPLATE. */
export function* renderGoChat(
  template: string,
  chat: GoChat,
  budget: Budget,
): Work<PromptPart[]> {
  const { messages, tools, think } = chat;
  const nodes = parseGoTemplate(template);
  const shared = {
    Tools: goTools(tools),
    Think: think !== undefined && think !== false,
    ThinkLevel: typeof think === "string" ? think : "",
    IsThinkSet: think !== undefined,
  };
  const system = messages.filter((one) => one.role === "system").map((one) => one.content);
  if (/\.Messages\b/.test(template)) {
    const values = {
      ...shared,
      Messages: goMessages(messages),
      System: system.join("\n\n"),
      Response: "",
    };
    return yield* new Renderer(values, budget).run(nodes, true);
  }
  const parts: PromptPart[] = [];
  let turn = { System: "", Prompt: "", Response: "" };
  function* flush(last: boolean): Work<void> {
    parts.push(...yield* new Renderer({ ...shared, ...turn }, budget).run(nodes, last));
    turn = { System: "", Prompt: "", Response: "" };
  }
  for (const { role, content } of messages) {
    if (role === "system") {
      if (turn.Prompt !== "" || turn.Response !== "") yield* flush(false);
      turn.System = content;
    } else if (role === "user") {
      if (turn.Response !== "") yield* flush(false);
      turn.Prompt = content;
    } else if (role === "assistant") {
      turn.Response = content;
    }
  }
  yield* flush(true);
  return parts;
}

/** Thrown to leave loops, and the template at `.Response`. */
class Leave {
  constructor(readonly what: "break" | "continue" | "cut") {}
}

class Renderer {
  readonly #root: Record<string, unknown>;
  readonly #out: PromptPart[] = [];
  #scopes: Map<string, unknown>[] = [];
  readonly #budget: Budget;
  #cut = false;

  constructor(root: Record<string, unknown>, budget: Budget) {
    this.#root = root;
    this.#budget = budget;
  }

  *run(nodes: readonly Node[], cutAtResponse: boolean): Work<PromptPart[]> {
    this.#cut = cutAtResponse;
    this.#scopes = [new Map<string, unknown>([["$", this.#root]])];
    try {
      yield* this.#list(nodes, this.#root);
    } catch (error) {
      if (!(error instanceof Leave)) throw error;
    }
    return this.#out;
  }

  #emit(text: string, special: boolean): void {
    if (text === "") return;
    this.#budget.write(text.length);
    const last = this.#out.at(-1);
    if (last?.special === special) {
      this.#out[this.#out.length - 1] = { text: last.text + text, special };
    } else this.#out.push({ text, special });
  }

  *#list(nodes: readonly Node[], dot: unknown): Work<void> {
    this.#scopes.push(new Map());
    try {
      for (const node of nodes) {
        if (this.#budget.due()) yield;
        yield* this.#node(node, dot);
      }
    } finally {
      this.#scopes.pop();
    }
  }

  *#node(node: Node, dot: unknown): Work<void> {
    this.#budget.step();
    switch (node.kind) {
      case "text":
        return this.#emit(node.text, true);
      case "print":
        if (this.#cut && isResponse(node.value)) throw new Leave("cut");
        return this.#emit(toText(this.#value(node.value, dot)), node.value.kind === "literal");
      case "set":
        return this.#set(node.name, this.#value(node.value, dot), node.declare);
      case "break":
      case "continue":
        throw new Leave(node.kind);
      case "range":
        return yield* this.#range(node, dot);
      case "if":
      case "with": {
        const value = this.#value(node.value, dot);
        if (node.names[0] !== undefined) this.#set(node.names[0], value, true);
        if (!isTrue(value)) return yield* this.#list(node.otherwise, dot);
        return yield* this.#list(node.body, node.kind === "with" ? value : dot);
      }
    }
  }

  *#range(node: Extract<Node, { body: unknown }>, dot: unknown): Work<void> {
    const value = this.#value(node.value, dot);
    const entries: [unknown, unknown][] = Array.isArray(value)
      ? value.map((one, index) => [index, one])
      : typeof value === "object" && value !== null
      ? Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
      : [];
    this.#budget.charge(entries.length);
    if (entries.length === 0) return yield* this.#list(node.otherwise, dot);
    const [first, second] = node.names;
    for (const [key, one] of entries) {
      if (second !== undefined) this.#set(first!, key, true);
      if (first !== undefined) this.#set(second ?? first, one, true);
      try {
        yield* this.#list(node.body, one);
      } catch (error) {
        if (!(error instanceof Leave) || error.what === "cut") throw error;
        if (error.what === "break") return;
      }
    }
  }

  #set(name: string, value: unknown, declare: boolean): void {
    const scope = declare
      ? this.#scopes.at(-1)
      : this.#scopes.findLast((scope) => scope.has(name)) ?? this.#scopes.at(-1);
    scope!.set(name, value);
  }

  #value(expression: Expression, dot: unknown): unknown {
    this.#budget.step();
    switch (expression.kind) {
      case "literal":
        return expression.value;
      case "path": {
        const { base } = expression;
        let value = base === undefined
          ? dot
          : typeof base === "string"
          ? this.#scopes.findLast((scope) => scope.has(base))?.get(base)
          : this.#value(base, dot);
        for (const name of expression.names) value = field(value, name);
        return value;
      }
      case "call":
        return this.#call(expression, dot);
    }
  }

  #call(call: Extract<Expression, { kind: "call" }>, dot: unknown): unknown {
    // `and` and `or` stop at the first argument that decides.
    if (call.name === "and" || call.name === "or") {
      let value: unknown;
      for (const arg of call.args) {
        value = this.#value(arg, dot);
        if (isTrue(value) === (call.name === "or")) return value;
      }
      return value;
    }
    const run = Object.hasOwn(FUNCTIONS, call.name) ? FUNCTIONS[call.name] : undefined;
    if (run === undefined) throw failed("calls a function that is not supported");
    const args = call.args.map((arg) => this.#value(arg, dot));
    this.#budget.charge(weight(args));
    return run(...args);
  }
}

/** About how much text or how many items a function makes of its arguments. */
function weight(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + 1 + weight(one), 0);
  if (value instanceof GoStruct) return weight(value.fields);
  if (typeof value === "object" && value !== null) return 1 + weight(Object.entries(value));
  return 1;
}

// deno-lint-ignore no-explicit-any -- Go's functions take what they are given
const FUNCTIONS: Readonly<Record<string, (...args: any[]) => unknown>> = {
  not: (value) => !isTrue(value),
  eq: (first, ...rest) => rest.some((one) => one === first),
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  len: (value) =>
    typeof value === "string" || Array.isArray(value)
      ? value.length
      : Object.keys(value ?? {}).length,
  index: (value, ...keys) => keys.reduce((at, key) => field(at, String(key)), value),
  slice: (value, from = 0, to) => value?.slice?.(from, to) ?? [],
  print: (...args) => args.map(toText).join(""),
  println: (...args) => args.map(toText).join(" ") + "\n",
  printf: (format, ...args) =>
    String(format).replace(/%[svdq]/g, (verb) => {
      const value = toText(args.shift());
      return verb === "%q" ? JSON.stringify(value) : value;
    }),
  json: (value) => JSON.stringify(value ?? null),
  toTypeScriptType,
  currentDate: () => new Date().toISOString().slice(0, 10),
  yesterdayDate: () => new Date(Date.now() - 86_400_000).toISOString().slice(0, 10),
};

/** Own fields only: a template cannot reach into prototypes. */
function field(value: unknown, name: string): unknown {
  if (value instanceof GoStruct) return field(value.fields, name);
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function isResponse(expression: Expression): boolean {
  return expression.kind === "path" && expression.base === undefined &&
    expression.names.join(".") === "Response";
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof GoStruct) return true;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function toText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function failed(what: string): SecLlamaError {
  return new SecLlamaError("bad-request", `template ${what}`, { field: "template" });
}
