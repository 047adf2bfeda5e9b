import { runAtOnce } from "../../src/budget.ts";
import assert from "node:assert/strict";
import { Budget, isEmpty, negation } from "./automaton.ts";
import { ReplyGrammar } from "./schema_grammar.ts";
import { patternWork } from "./pattern.ts";
import { propertySet } from "./properties.ts";
import { Inexpressible } from "./refusal.ts";
import { textRule } from "./text_rules.ts";
import { TestGrammar } from "./testing_gbnf.ts";
import { seeded } from "../../tests/support/seeds.ts";

const COUNT = Deno.env.get("SECLLAMA_FULL") === "1" ? 1500 : 20;

/** A random expression of everything that is read. */
function expression(random: () => number, depth = 3): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)]!;
  const atom = (): string => {
    if (depth > 0 && random() < 0.25) {
      const inner = expression(random, depth - 1);
      return pick([`(?:${inner})`, `(${inner})`, `(?=${inner})`, `(?!${inner})`]);
    }
    return pick([
      "a",
      "b",
      "ab",
      "1",
      " ",
      ".",
      "\\d",
      "\\w",
      "\\s",
      "\\D",
      "\\W",
      "[a-c]",
      "[^a1]",
      "[\\w.]",
      "\\.",
      "é",
      "\\p{L}",
      "\\P{ASCII}",
      "[\\p{Script=Greek}\\P{L}b]",
      "[^\\p{Lu}\\d]",
    ]);
  };
  const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
    const one = atom();
    if (/^\(\?[=!]/.test(one) || one === "ab") return one;
    return one + pick(["", "", "", "?", "*", "+", "{2}", "{1,2}"]);
  });
  if (random() < 0.2) parts.unshift("^");
  if (random() < 0.2) parts.push("$");
  if (random() < 0.1) parts.splice(1, 0, pick(["\\b", "\\B"]));
  const text = parts.join("");
  return random() < 0.15 ? `${text}|${expression(random, 0)}` : text;
}

/** As ECMAScript says: from one character to the next. V8 tries inside a surrogate pair too: it finds /(?!\W*$)/u in "🍬" at 1. */
function matchesSomewhere(sticky: RegExp, text: string): boolean {
  for (let at = 0;; at += text.codePointAt(at)! > 0xffff ? 2 : 1) {
    sticky.lastIndex = at;
    if (sticky.test(text)) return true;
    if (at >= text.length) return false;
  }
}

Deno.test("pattern: Unicode's properties are those of the engine, character by character", () => {
  for (const name of ["L", "Lu", "Script=Greek", "Emoji", "ASCII", "Any", "Cn", "Co"]) {
    const set = propertySet(name)!;
    const expression = new RegExp(`^\\p{${name}}$`, "u");
    const isIn = (code: number) => set.some(([from, to]) => from <= code && code <= to);
    // Around each end of a range, and every 997th.
    const codes = set.flatMap(([from, to]) => [from - 1, from, to, to + 1]);
    for (let code = 0; code <= 0x10ffff; code += 997) codes.push(code);
    for (const code of codes) {
      if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) continue;
      const text = String.fromCodePoint(code);
      assert.equal(isIn(code), expression.test(text), `${name} ${code.toString(16)}`);
    }
  }
  for (const name of ["Nope", "Script=Nope", "L}|\\p{L", "", "RGI_Emoji"]) {
    assert.equal(propertySet(name), undefined);
  }
});

Deno.test("pattern: what must match matches in ECMAScript, and what may not does not", () => {
  let tried = 0;
  for (let seed = 0; seed < COUNT; seed++) {
    const random = seeded(seed);
    const source = expression(random);
    const reference = new RegExp(source, "uy");
    try {
      const must = runAtOnce(patternWork(source, "must", new Budget(500_000)));
      const mayNot = negation(runAtOnce(patternWork(source, "may", new Budget(500_000))));
      for (const [automaton, expected] of [[must, true], [mayNot, false]] as const) {
        if (isEmpty(automaton)) continue;
        const grammar = new ReplyGrammar();
        const texts = new TestGrammar(
          runAtOnce(grammar.text(textRule(grammar, automaton, "plain", new Budget(500_000)))),
        );
        for (let count = 0; count < 8; count++) {
          const text = texts.sample(random, 25);
          assert.equal(
            matchesSomewhere(reference, text),
            expected,
            `${seed}: /${source}/ and ${JSON.stringify(text)}`,
          );
          tried++;
        }
      }
    } catch (error) {
      if (!(error instanceof Inexpressible)) throw error;
    }
  }
  assert.ok(tried > COUNT * 4, `only ${tried} texts`);
});
