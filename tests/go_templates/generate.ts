/** Random templates by Go's grammar: most of them run, some are wrong in the small ways people are wrong. */
import { FORMATS, INTS, NUMBERS, STRINGS, TEXTS } from "./literals.ts";

type Kind = "string" | "number" | "bool" | "list" | "any";

export interface GenerateOptions {
  /** Go 1.23's `else with`, 1.24's ranges over numbers. */
  readonly newer: boolean;
}

export class TemplateGenerator {
  readonly #random: () => number;
  readonly #options: GenerateOptions;
  #variables: { name: string; kind: Kind | "message" }[] = [];
  #ranges = 0;
  #defined: string[] = [];
  /** Whether `$` is no longer the root. */
  #separated = false;
  /** Whether this one holds mistakes. */
  #careless = false;
  /** What the dot is. */
  #dot: "root" | "message" | "call" | "other" = "root";

  constructor(random: () => number, options: GenerateOptions) {
    this.#random = random;
    this.#options = options;
  }

  template(): string {
    this.#variables = [];
    this.#ranges = 0;
    this.#defined = [];
    this.#dot = "root";
    this.#careless = this.#chance(0.25);
    let out = "";
    for (let at = this.#int(3); at > 0; at--) out += this.#define();
    out += this.#nodes(3);
    if (this.#chance(0.6)) out += this.#messages();
    if (this.#chance(0.3)) out += "{{ .Response }}" + this.#pick(TEXTS);
    return out;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(list.length)]!;
  }

  #action(inside: string): string {
    const left = this.#pick(["{{ ", "{{", "{{- ", "{{\n", "{{-\t"]);
    const right = this.#pick([" }}", "}}", " -}}", "\n}}", " -}}"]);
    return left + inside + right;
  }

  #scoped(run: () => string): string {
    const known = this.#variables.length;
    const out = run();
    this.#variables.length = known;
    return out;
  }

  #define(): string {
    const name = this.#careless ? this.#pick(["one", "two"]) : `t${this.#defined.length}`;
    const [variables, ranges, dot] = [this.#variables, this.#ranges, this.#dot];
    [this.#variables, this.#ranges, this.#dot] = [[], 0, "other"];
    this.#separated = true;
    const body = this.#nodes(2);
    this.#separated = false;
    [this.#variables, this.#ranges, this.#dot] = [variables, ranges, dot];
    this.#defined.push(name);
    return this.#action(`define ${JSON.stringify(name)}`) + body + this.#action("end");
  }

  #messages(): string {
    const variable = this.#chance(0.5);
    const [dot, ranges] = [this.#dot, this.#ranges];
    return this.#scoped(() => {
      if (variable) {
        this.#variables.push({ name: "$i", kind: "number" }, { name: "$m", kind: "message" });
      }
      [this.#dot, this.#ranges] = ["message", ranges + 1];
      const body = this.#nodes(3) + (this.#chance(0.5) ? this.#calls() : "");
      [this.#dot, this.#ranges] = [dot, ranges];
      const head = variable ? "range $i, $m := $.Messages" : "range $.Messages";
      return this.#action(head) + body + this.#action("end");
    });
  }

  #calls(): string {
    const dot = this.#dot;
    this.#dot = "call";
    const body = this.#nodes(2);
    this.#dot = dot;
    return this.#action("range .ToolCalls") + body + this.#action("end");
  }

  #nodes(depth: number): string {
    let out = "";
    for (let at = 1 + this.#int(3); at > 0; at--) out += this.#pick(TEXTS) + this.#node(depth);
    return out + this.#pick(TEXTS);
  }

  #node(depth: number): string {
    const roll = this.#int(depth > 0 ? 20 : 9);
    if (roll < 6) return this.#action(this.#pipeline(this.#kind(), 2));
    if (roll === 6) {
      return this.#pick(["{{/* c }} */}}", "{{- /* a\nb */ -}}", "{{/**/}}", "{{- /* */}}"]);
    }
    if (roll === 7) return this.#declare();
    if (roll === 8) return this.#ranges > 0 ? this.#leave() : this.#action(this.#call(2));
    if (roll < 13) return this.#if(depth);
    if (roll < 15) return this.#with(depth);
    if (roll < 18) return this.#range(depth);
    if (roll === 18 && this.#defined.length > 0) {
      const name = this.#careless ? "nowhere" : this.#pick(this.#defined);
      const value = this.#chance(0.7) ? " " + this.#pipeline("any", 1) : "";
      return this.#action(`template ${JSON.stringify(name)}${value}`);
    }
    return this.#action(`block "b${this.#int(1000)}" ${this.#operand("any", 1)}`) +
      this.#separate(() => this.#nodes(depth - 1)) + this.#action("end");
  }

  #separate(run: () => string): string {
    const [variables, ranges, dot] = [this.#variables, this.#ranges, this.#dot];
    [this.#variables, this.#ranges, this.#dot] = [[], 0, "other"];
    const before = this.#separated;
    this.#separated = true;
    const out = run();
    this.#separated = before;
    [this.#variables, this.#ranges, this.#dot] = [variables, ranges, dot];
    return out;
  }

  #leave(): string {
    const word = this.#action(this.#pick(["break", "continue"]));
    return this.#action(`if ${this.#operand("bool", 1)}`) + word + this.#action("end");
  }

  #declare(): string {
    const known = this.#variables.filter((one) => one.kind !== "message");
    if (known.length > 0 && this.#chance(0.4)) {
      const { name, kind } = this.#pick(known);
      return this.#action(`${name} = ${this.#pipeline(kind as Kind, 2)}`);
    }
    const name = this.#pick(["$x", "$y", "$last", "$é1"]);
    const kind = this.#kind();
    const out = this.#action(`${name} := ${this.#pipeline(kind, 2)}`);
    this.#variables.push({ name, kind });
    return out;
  }

  #if(depth: number): string {
    return this.#scoped(() => {
      const declares = this.#chance(0.1);
      let out = this.#action(
        `if ${declares ? "$c := " : ""}${this.#pipeline(this.#pick(["bool", "any"]), 2)}`,
      );
      if (declares) this.#variables.push({ name: "$c", kind: "any" });
      out += this.#nodes(depth - 1);
      while (this.#chance(0.3)) {
        out += this.#action(`else if ${this.#pipeline("bool", 1)}`) + this.#nodes(depth - 1);
      }
      if (this.#chance(0.4)) out += this.#action("else") + this.#nodes(depth - 1);
      return out + this.#action(this.#careless && this.#chance(0.05) ? "else" : "end");
    });
  }

  #with(depth: number): string {
    return this.#scoped(() => {
      const dot = this.#dot;
      let out = this.#action(`with ${this.#pipeline("any", 1)}`);
      this.#dot = "other";
      out += this.#nodes(depth - 1);
      this.#dot = dot;
      if (this.#options.newer && this.#chance(0.2)) {
        out += this.#action(`else with ${this.#pipeline("any", 1)}`) + "w";
      }
      if (this.#chance(0.3)) out += this.#action("else") + this.#nodes(depth - 1);
      return out + this.#action("end");
    });
  }

  #range(depth: number): string {
    return this.#scoped(() => {
      const dot = this.#dot;
      const list = this.#options.newer && this.#chance(0.2)
        ? this.#pick(["3", "0", "(len .)", "-1"])
        : this.#pipeline("list", 1);
      const names = this.#pick(["", "", "$v := ", "$k, $v := "]);
      let out = this.#action(`range ${names}${list}`);
      for (const name of names.match(/\$\w/g) ?? []) {
        this.#variables.push({ name, kind: "any" });
      }
      this.#dot = "other";
      this.#ranges++;
      out += this.#nodes(depth - 1);
      this.#ranges--;
      this.#dot = dot;
      if (this.#chance(0.3)) out += this.#action("else") + this.#nodes(depth - 1);
      return out + this.#action("end");
    });
  }

  #kind(): Kind {
    return this.#pick(["string", "string", "number", "bool", "any"]);
  }

  #pipeline(kind: Kind, depth: number): string {
    let out = this.#chance(0.6) ? this.#call(depth, kind) : this.#operand(kind, depth);
    while (this.#chance(0.15)) {
      const tails = kind === "number"
        ? ['printf "%d"', "print", "eq 1", "html", "json", "not", "or 3"]
        : kind === "bool"
        ? ["not", "and true", "or false", "print", 'printf "%t"']
        : kind === "list"
        ? ["len", "not", "and true"]
        : kind === "string"
        ? ["print", "len", "json", "html", "js", "urlquery", 'printf "%q"', 'eq "user"', "println"]
        : ["print", 'printf "%v"', "not", "json", "html"];
      // What comes out is of another kind.
      const typed = kind;
      kind = "any";
      out += this.#pick([" | ", "|", " |\n"]) +
        this.#pick(
          !this.#careless && typed !== "any" ? tails : [
            "print",
            'printf "%v"',
            "len",
            "json",
            "not",
            "html",
            "js",
            "urlquery",
            "eq 1",
            'eq "user"',
            "println",
            'printf "%q"',
            "or false",
            "and true",
            'printf "%6v|"',
          ],
        );
    }
    return out;
  }

  #call(depth: number, kind: Kind = "any"): string {
    const arg = (want: Kind) => this.#operand(want, depth - 1);
    const calls: Record<Kind, (() => string)[]> = {
      string: [
        () => `print ${arg("string")} ${arg("any")}`,
        () => `print ${arg("string")} ${arg("number")} ${arg("number")}`,
        () => `printf ${JSON.stringify(this.#pick(FORMATS))} ${arg("any")} ${arg("any")}`,
        () => `printf ${JSON.stringify(this.#pick(FORMATS))} ${arg("number")}`,
        () => `printf ${JSON.stringify(this.#pick(FORMATS))} ${arg("string")}`,
        () => `json ${arg("any")}`,
        () => `println ${arg("any")} ${arg("any")}`,
        () => `slice ${this.#sliceable()} ${this.#int(3)}`,
        () => `slice ${this.#sliceable()} 0 ${this.#int(4)}`,
        () => `html ${arg("any")}`,
        () => `js ${arg("string")}`,
        () => `urlquery ${arg("any")}`,
        () => `toTypeScriptType ${arg("any")}`,
      ],
      number: [
        () => `len ${arg("string")}`,
        () => `len ${arg("list")}`,
        () => `index ${this.#sliceable()} ${this.#int(2)}`,
      ],
      bool: [
        () => `eq ${arg("string")} ${arg("string")}`,
        () => `eq ${arg("string")} ${arg("string")} ${arg("string")}`,
        () => `ne ${arg("string")} ${arg("string")}`,
        () => {
          const compare = this.#pick(["lt", "le", "gt", "ge", "eq", "ne"]);
          if (this.#careless) return `${compare} ${arg("number")} ${arg("number")}`;
          return `${compare} ${this.#pick(INTS)} ${this.#pick(INTS)}`;
        },
        () => `${this.#pick(["lt", "le", "gt", "ge"])} ${arg("string")} ${arg("string")}`,
        () => `not ${arg("any")}`,
        () => this.#careless ? `eq ${arg("any")} ${arg("any")}` : `eq ${arg("string")} nil`,
        () => `and ${arg("bool")} ${arg("bool")}`,
      ],
      list: [
        () => `slice ${arg("list")} ${this.#careless ? this.#int(2) : 0}`,
        () => `slice $.Messages 0 1`,
      ],
      any: [
        () => `and ${arg("any")} ${arg("any")}`,
        () => `or ${arg("any")} ${arg("any")} ${arg("any")}`,
        () => this.#careless ? `index ${arg("list")} ${this.#int(2)}` : "index $.Messages 0",
        () => this.#careless ? `index . ${arg("string")}` : "currentDate",
        () => this.#careless ? this.#pick(["call", "len", "index", "not", "eq"]) : "$.Nope",
      ],
    };
    if (kind === "any" && this.#chance(0.8)) kind = this.#pick(["string", "number", "bool"]);
    return this.#pick(calls[kind])();
  }

  #sliceable(): string {
    if (this.#careless && this.#chance(0.5)) return this.#field();
    return this.#pick(['"user"', '"héllo ✓"', "`raw`", '"\\xff\\xfe\\xc3\\xa9"', "(print 12345)"]);
  }

  #operand(kind: Kind, depth: number): string {
    if (depth > 0 && this.#chance(0.3)) {
      const inside = this.#chance(0.6)
        ? this.#call(depth - 1, kind)
        : this.#operand(kind, depth - 1);
      const hasField = this.#careless && this.#chance(0.2);
      return `(${inside})` + (hasField ? this.#pick([".Role", ".Content", ".X"]) : "");
    }
    if (this.#chance(0.25)) {
      const fitting = this.#variables.filter((one) =>
        kind === "any" || one.kind === kind || kind === "string" && one.kind === "message"
      );
      if (fitting.length > 0) {
        const { name, kind: found } = this.#pick(fitting);
        if (found !== "message") return name;
        return kind === "string" ? name + this.#pick([".Role", ".Content"]) : name + ".ToolCalls";
      }
    }
    if (this.#careless && this.#chance(0.02)) {
      return this.#pick([
        "nil",
        "$nope",
        "nosuch",
        "0x",
        "1__0",
        "''",
        "'ab'",
        '"\\z"',
        ".",
        "$",
        "08",
      ]);
    }
    switch (kind) {
      case "string":
        return this.#chance(0.5) ? this.#pick(STRINGS) : this.#field();
      case "number":
        return this.#pick(NUMBERS);
      case "bool":
        return this.#separated
          ? this.#pick(["true", "false"])
          : this.#pick(["true", "false", "$.Think", "$.IsThinkSet"]);
      case "list":
        return this.#listOperand();
      case "any":
        return this.#pick([
          () => this.#pick(STRINGS),
          () => this.#pick(NUMBERS),
          () => this.#field(),
          () => this.#pick(["true", "false", ".", "$", this.#separated ? "." : "$.Tools"]),
        ])();
    }
  }

  #listOperand(): string {
    if (this.#careless) return this.#pick(["$.Messages", "$.Tools", ".", ".ToolCalls", "$"]);
    if (this.#separated) return "nil";
    return this.#dot === "message" ? this.#pick([".ToolCalls", "$.Messages"]) : "$.Messages";
  }

  #field(): string {
    if (this.#separated) return this.#careless ? ".Role" : ".";
    const fields = {
      root: [".System", ".System", ".ThinkLevel", "$.System"],
      message: [".Role", ".Content", ".Thinking", ".ToolName", ".Role", ".Content", "$.System"],
      call: [".Function.Name", ".ID", ".Function.Name", ".Function.Arguments.String"],
      other: this.#careless ? ["$.System", ".Role", ".", "$.Nope.X"] : ["$.System", "$.ThinkLevel"],
    };
    return this.#pick(fields[this.#dot]);
  }
}
