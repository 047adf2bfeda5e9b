/** Random expressions and templates, the same for the same seed. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** What the generated templates are rendered with. */
export const VARIABLES = {
  s: "Hello, World",
  empty: "",
  spaced: "  two words \n",
  lines: "one\ntwo\r\n\nthree\tx",
  quotes: `it's "quoted" \\ <b>&amp;</b>`,
  wide: "naïve 😀 ẞtraße Ǆ",
  n: 7,
  negative: -3,
  big: 12345678901,
  f: 2.5,
  tiny: 0.000012,
  yes: true,
  no: false,
  nothing: null,
  list: [3, 1, 2],
  words: ["pear", "Apple", "fig", "apple"],
  mixed: [1, "a", null, true, 2.5, [1], { k: "v" }],
  rows: [
    { name: "b", n: 2, tags: ["x"], role: "user" },
    { name: "A", n: 1, tags: [], role: "assistant", extra: { deep: 1 } },
    { name: "c", n: 2, tags: ["y", "z"], role: "user" },
  ],
  d: { b: 1, a: "x", C: null, items: 3, "k y": [1, 2] },
  nested: { a: { b: { c: [10, 20, { d: "end" }] } } },
  none_list: [],
  none_dict: {},
};

const NAMES = [...Object.keys(VARIABLES), "missing"];
const TEXTS = [
  "''",
  "'a'",
  "'ab'",
  "'x y'",
  "'Hello'",
  "','",
  "'o'",
  "'\\n'",
  "'%s'",
  "'{}'",
  "'é😀'",
  "' lead'",
  "'42'",
  "'3.7'",
  "'TRUE'",
  "'<a href=\"x\">'",
  '"it\'s"',
  "'k'",
  "'name'",
  "'n'",
  "'0'",
];
const NUMBERS = [
  "0",
  "1",
  "2",
  "3",
  "-1",
  "10",
  "255",
  "0.5",
  "1.5",
  "2.0",
  "1e3",
  "100000",
  "-7",
  "1_000",
];
const OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">="];
const WORD_OPERATORS = ["and", "or", "in", "not in"];

/** Filter → its arguments, each one of some kinds: t text, i int, e expression, b bool, a attribute. */
const FILTERS: readonly string[] = [
  "abs",
  "attr(t)",
  "batch(i)|list",
  "batch(2, e)|list",
  "capitalize",
  "center(i)",
  "count",
  "d(e)",
  "default(e)",
  "default(e, true)",
  "dictsort",
  "dictsort(b)",
  "dictsort(by='value')",
  "dictsort(reverse=b)",
  "e",
  "escape",
  "filesizeformat",
  "filesizeformat(b)",
  "first",
  "float",
  "float(e)",
  "forceescape",
  "format(e)",
  "format(e, e)",
  "groupby(a)",
  "groupby(a, default=e)",
  "indent",
  "indent(i)",
  "indent(i, b)",
  "indent('> ', b, b)",
  "int",
  "int(i)",
  "int(base=16)",
  "items|list",
  "join",
  "join(t)",
  "join(t, a)",
  "join(t, attribute=a)",
  "last",
  "length",
  "list",
  "lower",
  "map('upper')|list",
  "map('int')|list",
  "map('string')|join(t)",
  "map(attribute=a)|list",
  "map(attribute=a, default=e)|list",
  "map('default', e)|list",
  "max",
  "max(attribute=a)",
  "min",
  "min(b)",
  "pprint",
  "reject|list",
  "reject('none')|list",
  "reject('equalto', e)|list",
  "rejectattr(a)|list",
  "rejectattr(a, 'equalto', e)|list",
  "replace(t, t)",
  "replace(t, t, i)",
  "reverse|list",
  "reverse",
  "round",
  "round(i)",
  "round(1, 'floor')",
  "round(1, 'ceil')",
  "safe",
  "select|list",
  "select('string')|list",
  "select('number')|list",
  "select('gt', e)|list",
  "select('in', e)|list",
  "selectattr(a)|list",
  "selectattr(a, 'equalto', e)|list",
  "selectattr(a, 'defined')|list",
  "slice(2)|list",
  "slice(3, e)|list",
  "sort",
  "sort(b)",
  "sort(case_sensitive=b)",
  "sort(attribute=a)",
  "sort(attribute='n,name')",
  "string",
  "string|length",
  "striptags",
  "sum",
  "sum(attribute=a)",
  "sum(start=e)",
  "title",
  "tojson",
  "tojson(indent=2)",
  "tojson(ensure_ascii=true)",
  "tojson(sort_keys=true)",
  "tojson(separators=(',', ':'))",
  "trim",
  "trim(t)",
  "truncate(5)",
  "truncate(i, b)",
  "truncate(4, b, '.', 0)",
  "unique|list",
  "unique(true)|list",
  "unique(attribute=a)|list",
  "upper",
  "urlencode",
  "urlize",
  "wordcount",
  "wordwrap(5)",
  "wordwrap(4, b)",
  "xmlattr",
];
const TESTS = [
  "boolean",
  "callable",
  "defined",
  "divisibleby(i)",
  "divisibleby 2",
  "eq(e)",
  "equalto(e)",
  "escaped",
  "even",
  "false",
  "filter",
  "float",
  "ge(e)",
  "gt(e)",
  "greaterthan(e)",
  "in(e)",
  "integer",
  "iterable",
  "le(e)",
  "lower",
  "lt(e)",
  "mapping",
  "ne(e)",
  "none",
  "number",
  "odd",
  "sameas(none)",
  "sameas(true)",
  "sequence",
  "string",
  "test",
  "true",
  "undefined",
  "upper",
];
const METHODS = [
  "upper()",
  "lower()",
  "title()",
  "capitalize()",
  "swapcase()",
  "casefold()",
  "strip()",
  "strip(t)",
  "lstrip(t)",
  "rstrip()",
  "rstrip(t)",
  "split()",
  "split(t)",
  "split(t, i)",
  "split(none, 1)",
  "split(sep=t, maxsplit=1)",
  "rsplit(t, 1)",
  "rsplit(none, i)",
  "splitlines()",
  "splitlines(true)",
  "partition(t)",
  "rpartition(t)",
  "replace(t, t)",
  "replace(t, t, 1)",
  "startswith(t)",
  "startswith((t, t))",
  "startswith(t, i)",
  "endswith(t)",
  "endswith((t, t))",
  "find(t)",
  "rfind(t)",
  "find(t, i)",
  "index(t)",
  "index(e)",
  "count(t)",
  "count(e)",
  "count(t, i, i)",
  "removeprefix(t)",
  "removesuffix(t)",
  "ljust(i)",
  "rjust(i, '*')",
  "center(i, '-')",
  "zfill(i)",
  "expandtabs(4)",
  "join(e)",
  "join(words)",
  "format(e)",
  "format(e, e)",
  "format(a=e)",
  "isalpha()",
  "isdigit()",
  "isalnum()",
  "isspace()",
  "isupper()",
  "islower()",
  "istitle()",
  "isnumeric()",
  "isdecimal()",
  "isidentifier()",
  "isascii()",
  "isprintable()",
  "translate({111: '0', 108: none})",
  "items()",
  "keys()",
  "values()",
  "get(t)",
  "get(e, e)",
  "copy()",
  "pop()",
  "pop(t, e)",
  "append(e)",
  "extend(e)",
  "insert(i, e)",
  "update({'z': 1})",
  "update(z=e)",
  "setdefault(t, e)",
  "remove(e)",
  "sort()",
  "reverse()",
  "clear()",
  "bit_length()",
  "is_integer()",
  "nosuch()",
];
const FORMATS = [
  "'%s'",
  "'%r'",
  "'%d'",
  "'%5d|'",
  "'%-6s|'",
  "'%06.2f'",
  "'%+d'",
  "'%x'",
  "'%#o'",
  "'%e'",
  "'%g'",
  "'%.3g'",
  "'%c'",
  "'%%'",
  "'%(a)s'",
  "'%s %s'",
  "'%5.1f%%'",
  "'%.2s'",
  "'%*d'",
  "'%i'",
  "'%G'",
  "'%z'",
  "'%'",
];
const SPECS = [
  "",
  ":>8",
  ":<8",
  ":^8",
  ":*^9",
  ":d",
  ":05d",
  ":,",
  ":_",
  ":.2f",
  ":+.1f",
  ":e",
  ":g",
  ":%",
  ":x",
  ":#x",
  ":#b",
  ":010.3f",
  ":.3",
  ":s",
  ":n",
  ":c",
  "!r",
  "!s:>6",
  ":-10",
  ":=+8",
  ":015,.2f",
  ":z",
];
const ATTRIBUTES = [
  "'name'",
  "'n'",
  "'extra.deep'",
  "'tags'",
  "'missing'",
  "'tags.0'",
  "0",
  "'role'",
];

export class Generator {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  expression(depth: number): string {
    const { random } = this;
    if (depth <= 0) return this.#atom();
    const inner = () => this.expression(depth - 1 - random.below(2));
    switch (random.below(16)) {
      case 0:
        return this.#atom();
      case 1:
      case 2:
        return `${this.#operand(inner())} ${random.pick(OPERATORS)} ${this.#operand(inner())}`;
      case 3:
        return `${this.#operand(inner())} ${random.pick(WORD_OPERATORS)} ${this.#operand(inner())}`;
      case 4:
        return `(${inner()} if ${this.#operand(inner())}${
          random.chance(0.7) ? ` else ${inner()}` : ""
        })`;
      case 5:
      case 6:
      case 7:
        return `${this.#operand(inner())}|${this.#filled(random.pick(FILTERS), depth)}`;
      case 8:
        return `${this.#operand(inner())} is ${random.chance(0.3) ? "not " : ""}${
          this.#filled(random.pick(TESTS), depth)
        }`;
      case 9:
      case 10:
        return `${this.#operand(inner())}.${this.#filled(random.pick(METHODS), depth)}`;
      case 11:
        return `${random.pick(NAMES)}[${this.#subscript(depth)}]`;
      case 12:
        return this.#literal(depth);
      case 13:
        return random.chance(0.5)
          ? `${random.pick(FORMATS)} % ${
            random.chance(0.3) ? `(${inner()}, ${inner()})` : this.#operand(inner())
          }`
          : `'[{${random.pick(SPECS)}}]'.format(${inner()})`;
      case 14:
        return `${random.chance(0.5) ? "not " : random.pick(["-", "+"])}${this.#operand(inner())}`;
      default:
        return `${this.#operand(inner())}.${
          random.pick(["name", "n", "a", "items", "b.c", "0", "k", "__class__"])
        }`;
    }
  }

  #atom(): string {
    const { random } = this;
    const kind = random.below(10);
    if (kind < 5) return random.pick(NAMES);
    if (kind < 7) return random.pick(TEXTS);
    if (kind < 9) return random.pick(NUMBERS);
    return random.pick(["true", "false", "none", "[]", "{}", "()", "range(3)", "range(5, 0, -2)"]);
  }

  #literal(depth: number): string {
    const { random } = this;
    const items = Array.from({ length: random.below(4) }, () => this.expression(depth - 2));
    switch (random.below(4)) {
      case 0:
        return `[${items.join(", ")}]`;
      case 1:
        return `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
      case 2:
        return `{${
          items.map((item) => `${random.pick([...TEXTS, "1", "none", "(1, 2)"])}: ${item}`).join(
            ", ",
          )
        }}`;
      default:
        return `dict(a=${items[0] ?? "1"}, b=${items[1] ?? "'x'"})`;
    }
  }

  #subscript(depth: number): string {
    const { random } = this;
    const index = () => random.pick(["", "0", "1", "-1", "2", "-2", "5", "n", "'a'", "none"]);
    switch (random.below(4)) {
      case 0:
        return `${index()}:${index()}`;
      case 1:
        return `${index()}:${index()}:${random.pick(["", "1", "2", "-1", "-2", "0"])}`;
      case 2:
        return this.expression(Math.min(depth - 1, 1));
      default:
        return random.pick(["0", "-1", "1", "'a'", "'name'", "0.5", "true", "'items'"]);
    }
  }

  #operand(text: string): string {
    return /^[\w.]+$/.test(text) || /^'[^']*'$/.test(text) || /^[([{].*[)\]}]$/.test(text)
      ? (/^[([{]/.test(text) || /^[-\d]/.test(text) ? `(${text})` : text)
      : `(${text})`;
  }

  /** The letters of arguments, filled in. */
  #filled(call: string, depth: number): string {
    const { random } = this;
    const open = call.indexOf("(");
    if (open < 0) return call;
    return call.slice(0, open) + call.slice(open).replace(
      /(?<=[(,=] ?)[tieba](?=[,)])/g,
      (kind) => {
        switch (kind) {
          case "t":
            return random.pick(TEXTS);
          case "i":
            return random.pick(["0", "1", "2", "3", "5", "8", "12", "-1", "n"]);
          case "b":
            return random.pick(["true", "false"]);
          case "a":
            return random.pick(ATTRIBUTES);
          default:
            return this.expression(Math.min(depth - 1, 1));
        }
      },
    );
  }
}

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
