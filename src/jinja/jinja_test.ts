/** What needs no reference: bounds, pauses, and what is deliberately otherwise. tests/jinja holds the engine against Jinja2. */
import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../budget.ts";
import { SecLlamaError } from "../errors.ts";
import { JinjaError, Template } from "./mod.ts";

const budget = () =>
  new Budget({ what: "the chat template", field: "messages" }, { steps: 300_000 });

function render(template: string, variables: Record<string, unknown> = {}): string {
  return runAtOnce(new Template(template).render(variables, { budget: budget() }));
}

const fails = (kind: string, pattern: RegExp) => (error: unknown) =>
  error instanceof JinjaError && error.kind === kind && pattern.test(error.message);

/** Each would take for ever, or all memory. */
const ENDLESS: readonly (readonly [template: string, variables?: Record<string, unknown>])[] = [
  ["{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"],
  ["{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}"],
  ["{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}"],
  ["{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}"],
  ["{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | tojson }}"],
  ["{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}"],
  ["{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(80) }}"],
  ["{% macro f() %}{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}{% endmacro %}{{ f() }}"],
  ["{% set l = [1] %}{% for x in l %}{{ l.append(1) }}{% endfor %}"],
  ["{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"],
  ["{% block b %}{{ self.b() }}{% endblock %}"],
  ["{{ 'x' * 10 ** 12 }}"],
  ["{{ [1] * 10 ** 12 }}"],
  ["{{ (1, 2) * 10 ** 12 }}"],
  ["{{ 9 ** (9 ** 9) }}"],
  ["{{ '%999999999d' % 1 }}"],
  ["{{ '%.999999999f' % 1 }}"],
  ["{{ '%*d' % (999999999, 1) }}"],
  ["{{ '{:>999999999}'.format(1) }}"],
  ["{{ '{:{}}'.format(1, 999999999) }}"],
  ["{{ ('a' * 100000).replace('', 'b' * 100000) }}"],
  ["{{ ('a' * 100000) | replace('a', 'b' * 100000) }}"],
  ["{{ ('b' * 100000).join(['x'] * 100000) }}"],
  ["{{ ['x'] * 100000 | join('b' * 100000) }}{{ (['x'] * 100000) | join('b' * 100000) }}"],
  ["{{ 'a' | center(10 ** 12) }}"],
  ["{{ 'a' | indent(10 ** 12) }}"],
  ["{{ 'a'.ljust(10 ** 12) }}"],
  ["{{ 'a'.zfill(10 ** 12) }}"],
  ["{{ '\\t'.expandtabs(10 ** 12) }}"],
  ["{{ [[1]] | tojson(indent=10 ** 12) }}"],
  ["{{ [1] | batch(10 ** 12, 0) | list }}"],
  ["{{ [1] | slice(10 ** 12) | list }}"],
  ["{{ range(10 ** 12) }}"],
  ["{% for c in x %}{{ x[loop.index0] }}{% endfor %}", { x: "😀".repeat(50_000) }],
];

for (const [template, variables] of ENDLESS) {
  Deno.test(`jinja: bounded: ${template}`, () => {
    assert.throws(
      () => render(template, variables),
      (error) =>
        error instanceof JinjaError ||
        (error instanceof SecLlamaError && error.code === "bad-request"),
    );
  });
}

Deno.test("jinja: nesting without end is refused, not a crash", () => {
  for (
    const template of [
      `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}`,
      `{{ ${"[".repeat(5000)}${"]".repeat(5000)} }}`,
      `{{ ${"not ".repeat(50_000)}1 }}`,
      `{{ ${"-".repeat(50_000)}1 }}`,
      `{{ ${"1+".repeat(100_000)}1 }}`,
      `{{ x${"|trim".repeat(100_000)} }}`,
      "{% if 1 %}".repeat(5000) + "{% endif %}".repeat(5000),
      "{% for x in y %}".repeat(5000) + "{% endfor %}".repeat(5000),
      "x".repeat(2 ** 20 + 1),
      "{% set l = [] %}{{ l.append(l) }}{{ l }}",
      "{% set l = [] %}{{ l.append(l) }}{{ l | tojson }}",
    ]
  ) assert.throws(() => render(template), JinjaError);
});

Deno.test("jinja: a rendering pauses, in whatever its loops are", () => {
  for (
    const around of [
      ["", ""],
      ["{% if true %}", "{% endif %}"],
      ["{% set x %}", "{% endset %}"],
      ["{% filter upper %}", "{% endfilter %}"],
      ["{% with a = 1 %}", "{% endwith %}"],
      ["{% block b %}", "{% endblock %}"],
      ["{% for x in [1] %}", "{% endfor %}"],
      ["{% for x in [] %}{% else %}", "{% endfor %}"],
    ]
  ) {
    const template = `${around[0]}{% for i in range(20000) %}{{ i }}{% endfor %}${around[1]}`;
    const work = new Template(template).render({}, { budget: budget() });
    let pauses = 0;
    while (!work.next().done) pauses++;
    assert.ok(pauses > 10, `${around[0]} ${pauses}`);
  }
});

Deno.test("jinja: nothing of JavaScript's can be reached", () => {
  for (
    const name of [
      "constructor",
      "__proto__",
      "prototype",
      "toString",
      "valueOf",
      "hasOwnProperty",
      "map",
      "call",
    ]
  ) {
    for (
      const owner of [
        "'x'",
        "[1]",
        "{'a': 1}",
        "(1,)",
        "1",
        "1.5",
        "true",
        "none",
        "range",
        "x",
        "f",
        "namespace(a=1)",
      ]
    ) {
      const template =
        `{% macro f() %}{% endmacro %}{{ (${owner}).${name} }}{{ (${owner})['${name}'] }}`;
      assert.equal(render(template, { x: { own: 1 } }), "", template);
    }
  }
  assert.equal(render("{{ constructor }}{{ toString }}{{ __proto__ }}"), "");
  // Such keys are keys like any other.
  const odd = JSON.parse('{"__proto__": 1, "constructor": 2}');
  assert.equal(
    render("{{ x.__proto__ }}{{ x['constructor'] }}{{ x }}", { x: odd }),
    "12{'__proto__': 1, 'constructor': 2}",
  );
});

Deno.test("jinja: lists and dicts can be changed, and the caller's are not", () => {
  const x = { list: [1] };
  assert.equal(
    render("{{ x.list.append(2) }}{{ x.update(y=3) }}{{ x }}", { x }),
    "NoneNone{'list': [1, 2], 'y': 3}",
  );
  assert.deepEqual(x, { list: [1] });
});

Deno.test("jinja: an error says what and where", () => {
  assert.throws(
    () => new Template("a\n\n{% if %}"),
    fails("syntax", /Expected an expression.*line 3/),
  );
  assert.throws(
    () => new Template("{{ x | nosuch }}"),
    fails("syntax", /No filter named 'nosuch'/),
  );
  assert.throws(
    () => new Template("{% for x in y %}"),
    fails("syntax", /'endfor' or 'else'|'endfor'/),
  );
  assert.throws(
    () => render("{{ raise_exception('only two roles') }}"),
    fails("raised", /^only two roles$/),
  );
  assert.throws(
    () => render("{{ a.b.c }}", { a: {} }),
    fails("undefined", /'dict object' has no attribute 'b'/),
  );
  assert.throws(() => render("{{ 1 + 'a' }}"), fails("type", /unsupported operand/));
});

Deno.test("jinja: one template may be rendered many times at once", () => {
  const template = new Template(
    "{% set x = n %}{% for i in range(2000) %}{% endfor %}{{ x }}{% macro m() %}{{ n }}{% endmacro %}{{ m() }}",
  );
  const works = [1, 2, 3].map((n) => template.render({ n }, { budget: budget() }));
  const texts: string[] = [];
  while (texts.length < 3) {
    for (const [index, work] of works.entries()) {
      const next = work.next();
      if (next.done && next.value !== undefined) texts[index] = next.value;
    }
    if (texts.filter((text) => text !== undefined).length === 3) break;
  }
  assert.deepEqual(texts, ["11", "22", "33"]);
});
