/** Maths in answers: what is taken for a formula, and that of hostile TeX nothing comes but MathML of bounded size. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Part, partsOf, type Token } from "../../src/page/markdown_parts.ts";
import { elementOf } from "../../src/page/maths.tsx";
import { treeOf } from "../../src/page/maths_tree.ts";
import { SEED } from "../support/seeds.ts";

function allTokens(parts: readonly Part[]): Token[] {
  const found: Token[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === "object" && value !== null) {
      if ("type" in value && "raw" in value) found.push(value as Token);
      Object.values(value).forEach(visit);
    }
  };
  visit(parts.map((part) => part.kind === "tokens" ? part.tokens : []));
  return found;
}

const formulasOf = (text: string) =>
  allTokens(partsOf(text)).flatMap((token) =>
    token.type === "maths" ? [[token["tex"], token["display"]]] : []
  );

Deno.test("maths: dollars and TeX's brackets are formulas; money, code and what is not closed are text", () => {
  const cases: [text: string, formulas: [string, boolean][]][] = [
    ["The sum $a+b$ is $c$.", [["a+b", false], ["c", false]]],
    ["x \\(y\\) and \\[ w \\]", [["y", false], [" w ", true]]],
    ["$$\n\\frac12\n$$", [["\n\\frac12\n", true]]],
    ["  \\[\nx\n\ny\n\\]\n\nafter", [["\nx\n\ny\n", true]]],
    ["before\n$$x$$\nafter", [["x", true]]],
    ["> **$x^2$** in a quote\n\n- $y$\n\n| a |\n|---|\n| $z$ |", [["x^2", false], ["y", false], [
      "z",
      false,
    ]]],
    ["$x\\$y$", [["x\\$y", false]]],
    ["It costs $5 and $10, or US$5 to $6.", []],
    ["$ x $ and $y", []],
    ["`$x$` and \\$x\\$", []],
    ["```\n$x$\n```", []],
    ["$$", []],
    ["$a\n\nb$", []],
    [`$${"x".repeat(3000)}$`, []],
    ["```math\n\\frac12\n```\n\n> ```math\n> x\n> ```\n\n- ```math\n  y\n  ```", [[
      "\\frac12",
      true,
    ], [
      "x",
      true,
    ], ["y", true]]],
    [`\`\`\`math\n${"x".repeat(3000)}\n\`\`\``, []],
  ];
  for (const [text, formulas] of cases) assert.deepEqual(formulasOf(text), formulas, text);
  // So many are drawn, the others are text.
  assert.equal(formulasOf("$x$ and\n".repeat(5000)).length, 400);
  assert.equal(formulasOf("```math\nx\n```\n".repeat(5000)).length, 400);
  assert.equal(formulasOf("$x$\n\n" + "```math\nx\n```\n".repeat(5000)).length, 400);
  assert.equal(formulasOf(`\`\`\`math\n${"x+".repeat(900)}\n\`\`\`\n`.repeat(20)).length, 11);
});

Deno.test("maths: what the lexer makes of a text with formulas is all of that text", () => {
  const pieces = [
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "x",
    "5",
    " ",
    "\n",
    "\n\n",
    "`",
    "*",
    "\\",
    "- ",
    "> ",
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (list) => {
      const text = list.join("");
      const [part] = partsOf(text);
      if (part?.kind !== "tokens") return;
      // marked makes spaces of tabs, and ends an empty line's.
      const plain = (one: string) => one.replace(/[ \t\n]/g, "");
      assert.equal(plain(part.tokens.map(({ raw }) => raw).join("")), plain(text));
    }),
    { seed: SEED },
  );
});

/** Every element of a formula, with what it says. */
function elements(node: unknown): { type: string; props: Record<string, unknown> }[] {
  if (Array.isArray(node)) return node.flatMap(elements);
  if (typeof node !== "object" || node === null) return [];
  const { type, props } = node as { type: string; props: Record<string, unknown> };
  return [{ type, props }, ...elements(props["children"])];
}

const HOSTILE = [
  "\\href{javascript:hit=1}{x}",
  "\\url{http://evil.example}",
  "\\includegraphics{http://evil.example/x.png}",
  "\\htmlId{app}{x}",
  "\\htmlClass{composer}{x}",
  "\\htmlStyle{position:fixed}{x}",
  "\\htmlData{a=b}{x}",
  "\\class{composer}{x}",
  "\\id{app}{x}",
  "\\style{position:fixed;inset:0}{x}",
  "\\data{x}{y}",
  "\\color{#fff}{hidden}",
  "\\textcolor{white}{hidden}",
  "\\colorbox{red}{x}",
  "\\fontsize{1}{x}",
  "\\tiny hidden",
  "\\rule{10000em}{10000em}",
  "\\kern{10000em}x\\hspace{-9999em}y",
  "\\raisebox{-9999em}{x}",
  "\\tag{<img src=x onerror=hit=1>}",
  "\\label{app}\\ref{app}",
  "\\text{<script>hit=1</script>}",
  "\\text{\u202eabc\u0007}",
  "\\mathchoice{a}{b}{c}{d}",
  "\\begin{CD} A @>a>> B \\end{CD}",
  "\\def\\a#1{\\a{#1#1}}\\a{x}",
  "\\newcommand{\\a}{x}\\a",
  "\\let\\a=b\\a",
  "\\catcode`\\%=12",
  "\\cancel{x}\\boxed{y}\\bcancel{z}",
  "__proto__ \\__proto__ \\constructor",
  "{".repeat(500),
  "x^{".repeat(300) + "}".repeat(300),
  "\\sqrt{".repeat(100) + "x" + "}".repeat(100),
  "\\left(".repeat(200) + "\\right)".repeat(200),
  "\\begin{matrix}" + "&".repeat(1500) + "\\end{matrix}",
  "\\frac".repeat(300),
  "x'".repeat(900),
  "\\overbrace{".repeat(30) + "}".repeat(30),
];
const KNOWN =
  /^(?:math|m(?:row|i|n|o|s|space|text|frac|sqrt|root|style|error|padded|phantom|sub|sup|subsup|under|over|underover|multiscripts|prescripts|table|tr|td)|none)$/;

Deno.test("maths: of hostile TeX comes MathML alone, without an address, a name, a handler or a colour, and never too much", () => {
  const check = (tex: string) => {
    for (const display of [true, false]) {
      const tree = treeOf(tex, display);
      if (tree === undefined) continue;
      const all = elements(elementOf(tree));
      assert.ok(all.length <= 4000, `${all.length} elements: ${tex.slice(0, 60)}`);
      for (const { type, props } of all) {
        assert.match(type, KNOWN, tex);
        for (const [name, value] of Object.entries(props)) {
          if (name === "children") continue;
          assert.doesNotMatch(name, /^on|href|src|^id$|color|background|dangerously|^key$|^ref$/i);
          if (name === "class") assert.match(String(value), /^(?:boxed|struck)$/);
          const values = name === "style" ? Object.entries(value as object).flat() : [value];
          for (const one of values) {
            assert.match(String(one), /^[\w .%+-]{1,60}$/, `${name}: ${tex}`);
            for (const [, size, unit] of String(one).matchAll(/(-?[\d.]+)(em|pt|px)/g)) {
              assert.ok(Math.abs(Number(size)) <= (unit === "em" ? 20 : 200), `${one}: ${tex}`);
            }
          }
        }
      }
    }
  };
  HOSTILE.forEach(check);
  const pieces = [...HOSTILE.filter(({ length }) => length < 60), ..."{}[]&^_$%#~\\x1 "];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pieces), { maxLength: 12 }),
      (list) => check(list.join("")),
    ),
    { seed: SEED },
  );
  // What needs no command of its own is drawn.
  for (
    const tex of ["\\frac{1}{2}", "\\sum_{i=0}^n i^2", "\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}"]
  ) {
    assert.ok(treeOf(tex, true), tex);
  }
  assert.equal(treeOf("\\newcommand{\\a}{x}\\a", true), undefined);
});

Deno.test("maths: what Temml puts between a function and what it is of is no name of a character", () => {
  const said = (node: unknown): string =>
    Array.isArray(node)
      ? node.map(said).join("")
      : typeof node === "object" && node !== null
      ? said((node as { props: Record<string, unknown> }).props["children"])
      : typeof node === "string"
      ? node
      : "";
  for (
    const [tex, wanted] of [
      ["\\sin x", "sin\u2061x"],
      ["\\lim_{x\\to0} x", "limx→0\u2061x"],
      ["\\log_2 x", "log2\u2061x"],
      ["\\operatorname{f}(x)", "f\u2061(x)"],
      // Elsewhere it is hidden, and named.
      ["\\text{a\u2061b}", "aU+2061b"],
    ] as const
  ) {
    for (const display of [true, false]) {
      assert.equal(said(elementOf(treeOf(tex, display)!)), wanted, tex);
    }
  }
  assert.equal(treeOf("x".repeat(2001), true), undefined, "its bound is the lexer's alone");
});
