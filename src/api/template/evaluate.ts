/** Runs a template, as Go's text/template/exec does with `missingkey=zero`. What it costs is asked of a budget first. */
import type { Budget, Work } from "../../budget.ts";
import { CallError } from "./compare.ts";
import { idealKind } from "./constants.ts";
import { TemplateError } from "./errors.ts";
import { sprint } from "./format.ts";
import { BUILTINS, type Parameter, printable, type TemplateFunction } from "./functions.ts";
import type { Branch, Command, Node, Operand, Pipeline, Tree } from "./nodes.ts";
import { GoString, type Run } from "./text.ts";
import {
  bool,
  COMPLEX,
  concrete,
  elements,
  entries,
  fieldOf,
  FLOAT,
  indirect,
  int,
  isInteger,
  isTrue,
  type MapData,
  type Maybe,
  string,
  type Value,
  zero,
} from "./types.ts";

interface RenderOptions {
  /** Beside Go's own. */
  readonly functions: Readonly<Record<string, TemplateFunction>>;
  /** What a map has for a key that it has not. Default the zero value of its type. */
  readonly missingKey?: "zero" | "invalid";
  readonly budget: Budget;
}

/**
 * @throws {TemplateError} `run`: what ends Go's execution.
 * @throws {SecLlamaError} what the budget says.
 */
export function evaluate(tree: Tree, data: Value, options: RenderOptions): Work<GoString> {
  return new Evaluator(tree.templates, options).run(tree.root, data);
}

/** How a loop's body ended. */
type Leave = "break" | "continue" | undefined;

/** No value came through the pipe: an untyped nil is one. */
const NOTHING = Symbol("nothing");
type Final = Maybe | typeof NOTHING;

interface Variable {
  readonly name: string;
  value: Maybe;
}

class Evaluator {
  readonly #templates: Tree["templates"];
  readonly #functions: RenderOptions["functions"];
  readonly #budget: Budget;
  readonly #hasZeros: boolean;
  readonly #out: Run[] = [];
  #variables: Variable[] = [];
  #line = 0;

  constructor(templates: Tree["templates"], options: RenderOptions) {
    this.#templates = templates;
    this.#functions = options.functions;
    this.#budget = options.budget;
    this.#hasZeros = options.missingKey !== "invalid";
  }

  *run(root: readonly Node[], data: Value): Work<GoString> {
    this.#variables = [{ name: "$", value: data }];
    yield* this.#list(root, data);
    return GoString.ofRuns(this.#out);
  }

  charge(units: number): void {
    this.#budget.charge(units);
  }

  #step(line: number): void {
    this.#line = line;
    this.#budget.step();
  }

  #fail(what: string): TemplateError {
    return new TemplateError("run", this.#line, what);
  }

  *#list(nodes: readonly Node[], dot: Maybe): Work<Leave> {
    for (const node of nodes) {
      if (this.#budget.due()) yield;
      const leave = yield* this.#node(node, dot);
      if (leave !== undefined) return leave;
    }
    return undefined;
  }

  *#node(node: Node, dot: Maybe): Work<Leave> {
    this.#step(node.line);
    switch (node.kind) {
      case "text":
        this.#print(node.text);
        return undefined;
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0) this.#print(this.#shown(value));
        return undefined;
      }
      case "break":
      case "continue":
        return node.kind;
      case "template":
        yield* this.#template(node.name, node.pipeline, dot);
        return undefined;
      default: {
        // Variables end with the block that declared them.
        const known = this.#variables.length;
        const leave = yield* node.kind === "range"
          ? this.#range(node, dot)
          : this.#choose(node, dot);
        this.#variables.length = known;
        return leave;
      }
    }
  }

  #print(text: GoString): void {
    this.#budget.write(text.text.length);
    this.#out.push(...text.runs);
  }

  #shown(value: Maybe): GoString {
    if (value === undefined) return GoString.of("<no value>");
    return sprint([printable(value)], (units) => this.charge(units));
  }

  *#choose(node: Branch, dot: Maybe): Work<Leave> {
    const value = this.#pipeline(node.pipeline, dot);
    if (isTrue(value)) return yield* this.#list(node.body, node.kind === "with" ? value : dot);
    return node.otherwise === undefined ? undefined : yield* this.#list(node.otherwise, dot);
  }

  *#template(name: string, pipeline: Pipeline | undefined, dot: Maybe): Work<void> {
    const body = this.#templates.get(name);
    if (body === undefined) throw this.#fail("uses a template that is not defined");
    const value = pipeline === undefined ? undefined : this.#pipeline(pipeline, dot);
    const outer = this.#variables;
    this.#variables = [{ name: "$", value }];
    this.#budget.enter();
    yield* this.#list(body, value);
    this.#budget.leave();
    this.#variables = outer;
  }

  *#range(node: Branch, dot: Maybe): Work<Leave> {
    const { variables, assigns } = node.pipeline;
    const { value, isNil } = indirect(this.#pipeline(node.pipeline, dot));
    const known = this.#variables.length;
    let count = 0;
    for (const { key, one } of this.#items(value, isNil, variables.length)) {
      count++;
      this.#step(node.line);
      const given = variables.length > 1 ? [key, one] : [one];
      for (const [at, name] of variables.entries()) {
        if (assigns) this.#assign(name, given[at]);
        else this.#variables[known - variables.length + at]!.value = given[at];
      }
      const leave = yield* this.#list(node.body, one);
      this.#variables.length = known;
      if (leave === "break") return undefined;
    }
    if (count > 0 || node.otherwise === undefined) return undefined;
    // A break here leaves this range, which has not begun; to continue is the outer one's.
    const leave = yield* this.#list(node.otherwise, dot);
    return leave === "break" ? undefined : leave;
  }

  *#items(value: Maybe, isNil: boolean, names: number): Generator<{ key: Maybe; one: Maybe }> {
    if (value === undefined) return;
    const { type } = value;
    if (!isNil && type.kind === "slice") {
      for (const [at, one] of elements(value).entries()) yield { key: int(at), one };
    } else if (!isNil && type.kind === "map") {
      for (const { key, value: one } of entries(value)) yield { key, one };
    } else if (!isNil && isInteger(type) && names < 2) {
      const end = value.data as bigint;
      for (let data = 0n; data < end; data++) yield { key: undefined, one: { type, data } };
    } else throw this.#fail("ranges over what has no elements");
  }

  #assign(name: string, value: Maybe): void {
    const variable = this.#variables.findLast((one) => one.name === name);
    if (variable === undefined) throw this.#fail("sets a variable that is not declared");
    variable.value = value;
  }

  #pipeline(pipeline: Pipeline, dot: Maybe): Maybe {
    let value: Final = NOTHING;
    for (const command of pipeline.commands) {
      value = concrete(this.#command(command, dot, value));
    }
    const result = value as Maybe;
    for (const name of pipeline.variables) {
      if (pipeline.assigns) this.#assign(name, result);
      else this.#variables.push({ name, value: result });
    }
    return result;
  }

  #command(command: Command, dot: Maybe, final: Final): Maybe {
    this.#step(command.line);
    const [first, ...args] = command.operands as [Operand, ...Operand[]];
    switch (first.kind) {
      case "function":
        return this.#function(first.name, args, dot, final);
      case "field":
        return this.#fields(dot, first.names, args.length > 0 || final !== NOTHING);
      case "variable":
        if (first.names.length > 0) {
          const hasArgs = args.length > 0 || final !== NOTHING;
          return this.#fields(this.#variable(first.name), first.names, hasArgs);
        }
        break;
      case "chain":
        return this.#chain(first, dot, args.length > 0 || final !== NOTHING);
      case "nil":
        throw this.#fail("has nil for a command");
    }
    if (args.length > 0 || final !== NOTHING) {
      throw this.#fail("gives an argument to what is no function");
    }
    return this.#operand(first, dot);
  }

  /** An argument, or a command of one word. */
  #operand(operand: Operand, dot: Maybe): Maybe {
    this.#line = operand.line;
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return undefined;
      case "bool":
        return bool(operand.value);
      case "string":
        return string(operand.value);
      case "number":
        return this.#number(operand);
      case "function":
        return this.#function(operand.name, [], dot, NOTHING);
      case "field":
        return this.#fields(dot, operand.names, false);
      case "variable":
        return this.#fields(this.#variable(operand.name), operand.names, false);
      case "chain":
        return this.#chain(operand, dot, false);
      case "pipeline":
        return this.#pipeline(operand.pipeline, dot);
    }
  }

  #number({ value }: Extract<Operand, { kind: "number" }>): Value {
    switch (idealKind(value)) {
      case "complex":
        return { type: COMPLEX, data: value.complex };
      case "float":
        return { type: FLOAT, data: value.float };
      case "int":
        return int(value.int!);
      default:
        throw this.#fail("has a number that overflows an int");
    }
  }

  #variable(name: string): Maybe {
    const variable = this.#variables.findLast((one) => one.name === name);
    if (variable === undefined) throw this.#fail("uses a variable that is not declared");
    return variable.value;
  }

  #chain(chain: Extract<Operand, { kind: "chain" }>, dot: Maybe, hasArgs: boolean): Maybe {
    return this.#fields(this.#operand(chain.base, dot), chain.names, hasArgs);
  }

  #fields(from: Maybe, names: readonly string[], hasArgs: boolean): Maybe {
    let value = from;
    for (const [at, name] of names.entries()) {
      value = this.#field(value, name, hasArgs && at === names.length - 1);
    }
    return value;
  }

  #field(receiver: Maybe, name: string, hasArgs: boolean): Maybe {
    if (receiver === undefined) return undefined;
    const { value, isNil } = indirect(receiver);
    const { type } = value!;
    if (isNil && type.kind === "interface") {
      throw this.#fail(`asks for the field ${name} of nil`);
    }
    const { methods } = type.kind === "pointer" ? type.elem! : type;
    if (methods !== undefined && Object.hasOwn(methods, name)) {
      if (hasArgs) throw this.#fail(`gives an argument to the method ${name}, which has none`);
      return methods[name]!(value!);
    }
    if (type.kind === "struct" || type.kind === "map") {
      const found = type.kind === "struct" ? fieldOf(value!, name) : mapField(value!, name);
      if (found !== undefined || type.kind === "map") {
        if (hasArgs) throw this.#fail(`gives an argument to ${name}, which is no function`);
        return found ?? (this.#hasZeros ? zero(type.elem!) : undefined);
      }
    }
    throw this.#fail(`asks for the field ${name} of a ${receiver.type.name}`);
  }

  #function(name: string, args: readonly Operand[], dot: Maybe, final: Final): Maybe {
    const count = args.length + (final === NOTHING ? 0 : 1);
    if (name === "and" || name === "or") {
      if (count === 0) throw this.#fail(`calls ${name} without a value`);
      return this.#decide(name, args, dot, final);
    }
    const found = Object.hasOwn(this.#functions, name)
      ? this.#functions[name]!
      : Object.hasOwn(BUILTINS, name)
      ? BUILTINS[name]!
      : undefined;
    if (found === undefined) throw this.#fail("calls a function that is not known");
    const { parameters, variadic } = found;
    const least = parameters.length - (variadic ? 1 : 0);
    if (count < least || !variadic && count > least) {
      throw this.#fail(`calls ${name} with the wrong number of values`);
    }
    const given = args.map((arg, at) => this.#argument(arg, dot, parameterAt(parameters, at)));
    if (final !== NOTHING) {
      given.push(this.#validate(final, parameterAt(parameters, args.length)));
    }
    const line = this.#line;
    try {
      return found.call(given, this);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      this.#line = line;
      throw this.#fail(`${name} ${error.message}`);
    }
  }

  /** `and` and `or` give the value that decides. */
  #decide(name: "and" | "or", args: readonly Operand[], dot: Maybe, final: Final): Maybe {
    let value: Maybe;
    for (const arg of args) {
      value = this.#argument(arg, dot, "value");
      if (isTrue(value) === (name === "or")) return value;
    }
    return final === NOTHING ? value : final;
  }

  #argument(arg: Operand, dot: Maybe, parameter: Parameter): Maybe {
    if (parameter === "string") {
      if (arg.kind === "bool" || arg.kind === "number" || arg.kind === "nil") {
        throw this.#fail("gives something else where a text is wanted");
      }
    }
    return this.#validate(this.#operand(arg, dot), parameter);
  }

  #validate(given: Maybe, parameter: Parameter): Maybe {
    if (parameter !== "string") return given;
    const value = concrete(given);
    if (value?.type.kind === "string") return value;
    throw this.#fail("gives something else where a text is wanted");
  }
}

function parameterAt(parameters: readonly Parameter[], at: number): Parameter {
  return parameters[Math.min(at, parameters.length - 1)]!;
}

function mapField({ type, data }: Value, name: string): Maybe {
  const found = (data as MapData | undefined)?.get(name);
  return found === undefined ? undefined : { type: type.elem!, data: found.data };
}
