/** Random templates: statements inside each other. */
import { Generator, type Random } from "./generate.ts";

const SPACES = ["", " ", "\n", "  ", "\n  ", "\t", " \n\n "];
const WORDS = ["x", "a b", "{", "}", "%", "# no", "é", "\r\n", "<|im_start|>", "\n", "{ {", "'"];
const VARIABLE_NAMES = ["v", "w", "n", "s", "item", "loop_x"];
const LOOP_PARTS = [
  "index",
  "index0",
  "revindex",
  "revindex0",
  "first",
  "last",
  "length",
  "previtem",
  "nextitem",
  "depth",
  "depth0",
  "cycle('a', 'b')",
  "changed(item)",
];

/** Whole templates: statements inside each other, scopes, and white space control. */
export class TemplateGenerator {
  readonly #random: Random;
  readonly #expressions: Generator;
  #loops = 0;
  #macros = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#expressions = new Generator(random);
  }

  template(): string {
    this.#loops = 0;
    this.#macros = 0;
    return this.#body(3, 1 + this.#random.below(4));
  }

  #body(depth: number, count: number): string {
    return Array.from({ length: count }, () => this.#text() + this.#statement(depth)).join("") +
      this.#text();
  }

  #inner(depth: number): string {
    return this.#body(depth - 1, this.#random.below(3));
  }

  #text(): string {
    const { pick, chance } = this.#bound();
    return pick(SPACES) + (chance(0.6) ? pick(WORDS) : "") + pick(SPACES);
  }

  #bound() {
    const random = this.#random;
    return {
      pick: <T>(items: readonly T[]) => random.pick(items),
      chance: (share: number) => random.chance(share),
    };
  }

  #tag(inside: string): string {
    const { pick } = this.#bound();
    const before = pick(["", "", "", "-", "+"]), after = pick(["", "", "", "-", "+"]);
    return `{%${before} ${inside} ${after}%}`;
  }

  #show(inside: string): string {
    const { pick } = this.#bound();
    return `{{${pick(["", "", "-"])} ${inside} ${pick(["", "", "-"])}}}`;
  }

  /** Mostly what prints; seldom what fails, which would end the whole template. */
  #value(): string {
    const { pick, chance } = this.#bound();
    if (chance(0.1)) return this.#expressions.expression(1);
    return pick([
      ...VARIABLE_NAMES,
      "list",
      "words|join('-')",
      "rows|length",
      "d.b",
      "'lit'",
      "3",
      "[1, 2]",
      "ns.x",
      "item",
      "missing",
      ...(this.#loops > 0 ? LOOP_PARTS.map((part) => `loop.${part}`) : []),
      ...(this.#macros > 0 ? ["m(1)", "m(v, b=2)", "m()", "m"] : []),
    ]);
  }

  #statement(depth: number): string {
    const random = this.#random;
    const { pick, chance } = this.#bound();
    const value = () => this.#value();
    if (depth <= 0) return this.#show(value());
    switch (random.below(17)) {
      case 0:
        return this.#tag(`set ${pick(VARIABLE_NAMES)} = ${value()}`);
      case 1:
        return this.#tag("set ns = namespace(x=1)") + this.#tag(`set ns.x = ${value()}`) +
          this.#show("ns.x");
      case 2:
        return this.#tag(`if ${value()}`) + this.#inner(depth) +
          (chance(0.3) ? this.#tag(`elif ${value()}`) + this.#inner(depth) : "") +
          (chance(0.5) ? this.#tag("else") + this.#inner(depth) : "") + this.#tag("endif");
      case 3:
      case 4:
      case 5: {
        const target = pick(["item", "item", "v", "k, item"]);
        const over = target === "k, item"
          ? pick(["d.items()", "[(1, 2), (3, 4)]", "d|dictsort", "[[1]]"])
          : pick([
            "list",
            "words",
            "range(3)",
            "[]",
            "rows|map(attribute='name')",
            "'abc'",
            "missing",
            "n",
          ]);
        const test = chance(0.2)
          ? ` if ${pick(["item", "item != 1", "loop is defined", "v"])}`
          : "";
        const recursive = chance(0.1);
        this.#loops++;
        const inside = this.#inner(depth) +
          (chance(0.25)
            ? this.#tag(`if ${pick(["loop.index == 2", "item == 2", "loop.last"])}`) +
              this.#tag(pick(["break", "continue"])) + this.#tag("endif")
            : "") +
          (recursive
            ? this.#tag("if loop.depth < 3") + this.#show("loop([1])") + this.#tag("endif")
            : "") +
          this.#inner(depth);
        this.#loops--;
        const otherwise = chance(0.25) ? this.#tag("else") + this.#inner(depth) : "";
        return this.#tag(`for ${target} in ${over}${test}${recursive ? " recursive" : ""}`) +
          inside +
          otherwise + this.#tag("endfor");
      }
      case 6: {
        const before = this.#loops;
        this.#loops = 0;
        const text = this.#tag(`macro m(${pick(["", "a", "a, b=2", "a=v, b=a", "v"])})`) +
          this.#show(pick(["a", "b", "v", "kwargs", "varargs", "caller()", "caller", "item"])) +
          this.#inner(depth - 1) + this.#tag("endmacro");
        this.#loops = before;
        this.#macros++;
        return text +
          this.#show(pick(["m()", "m(1)", "m(1, 2)", "m(b=3)", "m(1, 2, 3)", "m(c=4)", "m.name"]));
      }
      case 7:
        return this.#tag(
          `call${pick(["", "(q)", "(q=1)"])} ${pick(["m()", "m(1)", "namespace(x=1)"])}`,
        ) +
          this.#inner(depth) + this.#tag("endcall");
      case 8:
        return this.#tag(
          `set ${pick(VARIABLE_NAMES)}${pick(["", " | upper", " | replace('x', 'y')|trim"])}`,
        ) +
          this.#inner(depth) + this.#tag("endset");
      case 9:
        return this.#tag(
          `filter ${pick(["upper", "trim", "replace('a', 'b')|upper", "indent(2)"])}`,
        ) +
          this.#inner(depth) + this.#tag("endfilter");
      case 10:
        return this.#tag(`with ${pick(["", "v = 1", "v = n, w = v", `item = ${value()}`])}`) +
          this.#inner(depth) + this.#tag("endwith");
      case 11:
        return `{#${pick(["", "-", "+"])} {{ ${this.#text()} ${pick(["", "-", "+"])}#}`;
      case 12:
        return this.#tag("raw").replace("+%}", "%}") + this.#text() + "{{ x }}{% if %}" +
          this.#text() +
          this.#tag("endraw");
      case 13:
        return this.#tag("generation") + this.#inner(depth) + this.#tag("endgeneration");
      case 14:
        return this.#tag(`block b${random.below(1000)}${chance(0.3) ? " scoped" : ""}`) +
          this.#inner(depth) + this.#tag("endblock");
      case 15:
        return chance(0.3)
          ? this.#tag(`autoescape ${pick(["true", "false", "v"])}`) + this.#show("'<' ~ v") +
            this.#inner(depth) + this.#tag("endautoescape")
          : this.#tag(`print ${value()}, ${value()}`);
      default:
        return this.#show(value());
    }
  }
}
