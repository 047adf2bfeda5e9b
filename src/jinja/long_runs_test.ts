/** Filters, tests and methods of texts with long runs of one thing, as a client may send them: in proportion to their length. */
import assert from "node:assert/strict";
import { Budget, runAtOnce } from "../budget.ts";
import { SecLlamaError } from "../errors.ts";
import { inProportion } from "../../tests/support/patience.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { FILTERS } from "./filters.ts";
import { JinjaError, Template } from "./mod.ts";
import { TESTS } from "./tests.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const DRAWS = FULL ? 1500 : 40;
const UNITS = 150_000;

const METHODS =
  ("capitalize casefold count('ab') endswith('a') expandtabs find('aab') format isalnum isalpha isascii isdecimal " +
    "isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join(['a']) ljust(3) lower lstrip partition('ab') " +
    "replace('ab','c') rfind('ab') rpartition('ab') rsplit rstrip split splitlines strip('a') strip swapcase title upper zfill(3)")
    .split(" ").map((method) => method.includes("(") ? method : `${method}()`);
const USES: readonly string[] = [
  ...[...FILTERS.keys()].map((name) => `{{ x | ${name} }}`),
  ...["replace('ab', 'c')", "truncate(9)", "wordwrap(9)", "urlize(9)"].map((one) =>
    `{{ x | ${one} }}`
  ),
  ...[...TESTS.keys()].map((name) => `{{ x is ${name} }}`),
  ...METHODS.map((method) => `{{ x.${method} }}`),
  ...["{{ x % 1 }}", "{{ x % () }}", "{{ x == x ~ 'a' }}", "{{ 'aab' in x }}"],
];
const RUNS: readonly string[] = [
  ..."a \n\t\"'\\[]{}0<>.-_&@%,A".split(""),
  ...["&lt;", "1_", "{{", "{}", "{a", "{0", "{0[", "%(", "\ud800", "\udc00", "é", "😀", "\u0660"],
  ...["a.", "a@", "<a ", "<!--", "a-", "ǅ", "a\n"],
];
const AROUND = [["", ""], ["b", "b"], ["1", "x"], ["x@a", "!"], ["1.", "e"], ["1e", "x"]] as const;

/** What a use of the text comes to is not of interest, so long as it is an answer or a refusal. */
function use(template: string, x: string): void {
  try {
    runAtOnce(new Template(template).render({ x }, { budget: new Budget({ what: "it" }) }));
  } catch (error) {
    assert.ok(error instanceof JinjaError || error instanceof SecLlamaError, String(error));
  }
}

const run = (unit: string) => unit.repeat(Math.ceil(UNITS / unit.length));

// Each cost the square of its length.
for (const filter of ["int", "float", "filesizeformat"]) {
  for (const [what, unit] of [["spaces", " "], ["digits", "0"], ["digits of others", "\u0660"]]) {
    Deno.test(`long runs: ${what} within what is no number: ${filter}`, async () => {
      await inProportion(filter, () => use(`{{ x | ${filter} }}`, `1${run(unit!)}x`));
    });
  }
}

for (const unit of [" ", "a", "-", "a-", "\u3000", "😀"]) {
  for (const width of [1, 9, 1000]) {
    Deno.test(`long runs: ${JSON.stringify(unit)} in lines of ${width}`, async () => {
      await inProportion("wordwrap", () => {
        const x = `b ${run(unit)}b`;
        const lines = new Template(`{{ x | wordwrap(${width}) }}`);
        return runAtOnce(lines.render({ x }, { budget: new Budget({ what: "it" }) }));
      });
    });
  }
}

for (const seed of seeds(DRAWS)) {
  Deno.test(`long runs: text in a template, drawn, seed: ${seed}`, async () => {
    const random = seeded(seed);
    const one = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
    const [template, unit, [before, behind]] = [one(USES), one(RUNS), one(AROUND)];
    await inProportion(JSON.stringify({ template, before, unit, behind }), () => {
      use(template, `${before}${run(unit)}${behind}`);
    });
  });
}
