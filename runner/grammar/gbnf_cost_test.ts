/** Grammars in GBNF that clients send: those that cost little are taken, those that might not are refused with the reason. */
import assert from "node:assert/strict";
import { inProportion } from "../../tests/support/patience.ts";
import { checkCost } from "./gbnf_cost.ts";
import { readGrammar } from "./gbnf_reader.ts";

/** In the manner of llama.cpp's own examples. */
const TAKEN: Readonly<Record<string, string>> = {
  "one of some words": 'root ::= "yes" | "yep" | "no"',
  "a list of lines": 'root ::= item+\nitem ::= "- " [^\\r\\n]+ "\\n"',
  "JSON": String.raw`
    root   ::= object
    value  ::= object | array | string | number | ("true" | "false" | "null") ws
    object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
    array  ::= "[" ws ( value ("," ws value)* )? "]" ws
    string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws # escapes
    number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
    ws     ::= [ \t\n]*`.replace("([0-9] | [1-9] [0-9]{0,15})", "[0-9]+"),
  "a move of chess": 'root ::= ("1. " move " " move "\\n")+\nmove ::= [NBKQR]? [a-h] [1-8] [+#]?',
  "arithmetic": 'root ::= term ([-+*/] term)*\nterm ::= [0-9]+ | "(" root ")"',
  "rules over lines, comments": 'root ::= # begin\n  "a" | # or\n  b\nb ::= "b"{2,3} .',
};

const REFUSED: readonly (readonly [source: string, reason: RegExp])[] = [
  ['start ::= "a"', /no rule root/],
  ["root ::= a", /the rule a is not there/],
  ['root ::= root "a" | "b"', /does not decide/],
  ['root ::= root "a"', /permits nothing, or begins with itself/],
  ['root ::= a "x"\na ::= root | "y"', /does not decide/],
  ['root ::= ("a"*)*', /nothing at all/],
  ['root ::= root root | "a"', /does not decide/],
  ['root ::= "a" root | "a" root root | ""', /does not decide/],
  ['root ::= "(" root ")" | "(" root ")" "x" | "y"', /does not decide/],
  ['root ::= a{1000} | "(" root ")"\na ::= [a-z]{1,1000}', /does not decide/],
  ['root ::= "a', /does not end/],
  ["root ::= [a", /does not end/],
  ["root ::= [z-a]", /wrong way round/],
  ["root ::= ( a", /"\)" is wanted/],
  ['root ::= "\\q"', /escape/],
  ['root = "a"', /"::=" is wanted/],
  ['root ::= "a"{3,2}', /wrong way round/],
  [`root ::= ${"(".repeat(100)}"a"${")".repeat(100)}`, /nests too deep/],
  [`root ::= ${'"a" '.repeat(5000)}`, /too large/],
  ["::= x", /name is wanted/],
];

for (const [what, source] of Object.entries(TAKEN)) {
  Deno.test(`gbnf: ${what} is taken`, () => checkCost(readGrammar(source)));
}

Deno.test("gbnf: what may cost much, or is none, is refused with the reason", () => {
  for (const [source, reason] of REFUSED) {
    assert.throws(() => checkCost(readGrammar(source)), { message: reason }, source);
  }
});

/** Rules that are each other's only content, the last of them a class of characters that do not touch. */
function namedClass(characters: number, rules: number): string {
  const lines = Array.from({ length: rules }, (_, at) => `r${rules - 1 - at} ::= r${rules - at}`);
  const codes = Array.from({ length: characters }, (_, at) => 0x3000 + 2 * at);
  return `r${rules} ::= [${String.fromCharCode(...codes)}]\n${lines.join("\n")}`;
}

Deno.test("gbnf: looking at a grammar takes time in proportion, whatever it holds", async () => {
  const chain = Array.from({ length: 1500 }, (_, at) => `r${at} ::= r${at + 1} | "${at}"`).join(
    "\n",
  );
  const doubling = Array.from({ length: 60 }, (_, at) => `d${at} ::= d${at + 1} d${at + 1}`).join(
    "\n",
  );
  for (
    const source of [
      `root ::= r0\n${chain}\nr1500 ::= "x"`,
      `root ::= d0\n${doubling}\nd60 ::= "x"`,
      `root ::= [${
        Array.from({ length: 9000 }, (_, at) => `\\u${(0x1000 + 2 * at).toString(16)}`).join("")
      }]*`,
      `root ::= r0\n${namedClass(5000, 3000)}`,
      `root ::= ${'("a"|'.repeat(20_000)}`,
      '"'.repeat(60_000),
    ]
  ) {
    await inProportion(source.slice(0, 30), () => {
      try {
        checkCost(readGrammar(source));
      } catch (error) {
        assert.match(String(error), /Inexpressible|large|nest|wanted|decide|end/);
      }
    });
  }
});
