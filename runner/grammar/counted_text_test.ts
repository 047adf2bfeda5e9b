import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { callSyntax } from "../api/call_syntax.ts";
import { buildGrammar } from "../api/grammar.ts";
import { DEFAULT_OPTIONS } from "../api/options.ts";
import { demoTest } from "../engine/testing.ts";
import { GrammarProbe } from "../engine/testing_grammar.ts";
import { accepts, type Automaton, both, Budget } from "./automaton.ts";
import { countedTexts, isCountable, placesOf } from "./counted_text.ts";
import { ReplyGrammar } from "./schema_grammar.ts";
import { patternWork } from "./pattern.ts";
import { TestGrammar } from "./testing_gbnf.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const BUDGET = () => new Budget(50_000_000);
const automaton = (pattern: string) => runAtOnce(patternWork(pattern, "must", BUDGET()));

/** The grammar of a pattern's texts within bounds, and how many characters it has. */
function counted(pattern: string, least: number, most: number | undefined, also?: string) {
  const grammar = new ReplyGrammar();
  let of = automaton(pattern);
  if (also !== undefined) of = both(of, automaton(also), BUDGET());
  const waiting: Iterable<void>[] = [];
  const rule = countedTexts(grammar, of, "plain", BUDGET())
    .within({ least, most }, (work) => waiting.push(work));
  for (const work of waiting) for (const _ of work);
  const text = runAtOnce(grammar.text(grammar.of(rule)));
  return { of, grammar: new TestGrammar(text), size: text.length };
}

/** The ways that a text takes between places: the longest, and what all count as. */
function ways(automaton: Automaton, text: string) {
  const places = placesOf(automaton);
  let [id, length, longest, counts] = [0, 0, 0, 0];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    id = automaton.states[id]!.edges.find(({ from, to }) => from <= code && code <= to)!.target;
    longest = Math.max(longest, ++length);
    if (!places.has(id)) continue;
    counts += length <= 3 ? length : 8;
    length = 0;
  }
  return { longest, counts: counts + length };
}

/** As the closing tag of markup is kept out. */
const NO_TAG = "^(?![\\s\\S]*</parameter>\\s*<)[\\s\\S]*$";

Deno.test("counted texts: what is permitted is of the pattern and within the bounds, and hardly less, by generation", () => {
  const patterns = [
    "^[\\s\\S]*$",
    "^[^<]*$",
    "^a[\\s\\S]*b$",
    "a.*b",
    "^[a-z0-9_-]+$",
    "^\\S+@\\S+$",
    "^data:[\\s\\S]*$",
    "^(?:yz|[^yz])*$",
    "^x?[^x]*(?:xx[^x]*)*$",
  ];
  let [sampled, taken] = [0, 0];
  for (const seed of seeds(FULL ? 3 : 1)) {
    const random = seeded(seed);
    const below = (n: number) => Math.floor(random() * n);
    const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
    const pieces = [
      "a",
      "b",
      "yz",
      "x",
      "xx",
      "<",
      "<<",
      "</",
      "</par",
      "</a>",
      "@",
      "\n",
      "é",
      "😀",
    ];
    for (const pattern of patterns) {
      const least = pick([0, 0, 1, 2, 20, 100]);
      const most = pick([undefined, least + 8, least + 40, 200, 300, 1000]);
      const { of, grammar } = counted(pattern, least, most, pick([undefined, NO_TAG]));
      const length = (text: string) => [...text].length;
      const where = (text: string) => `${pattern} ${least}..${most}: ${JSON.stringify(text)}`;
      for (let round = 0; round < 4; round++) {
        const text = grammar.sample(random, 400);
        sampled++;
        assert.ok(accepts(of, text), where(text));
        assert.ok(length(text) >= least && length(text) <= (most ?? Infinity), where(text));
      }
      for (let round = 0; round < 20; round++) {
        let text = pattern.startsWith("^data") ? "data:" : "";
        const wanted = below(Math.min(most ?? 400, 400) + 20);
        const one = random() < 0.5
          ? pieces
          : pick([["a", "b"], ["x", "a"], ["y", "z"], ["@", "a"]]);
        while (length(text) < wanted) text += pick(one);
        if (pattern.includes("b")) text = `a${text}b`;
        const fits = accepts(of, text) && length(text) >= least &&
          length(text) <= (most ?? Infinity);
        if (!fits) {
          assert.ok(!grammar.accepts(text), where(text));
          continue;
        }
        const { longest, counts } = ways(of, text);
        // Of each block the last characters may be wasted, and some before the least number of them.
        const room = ((most ?? 60_000) - 8) * 88 / 96 - 8;
        if (longest > 8 || counts > room) continue;
        taken++;
        assert.ok(grammar.accepts(text), where(text));
      }
    }
  }
  assert.ok(taken > 20 && sampled > 20, `${taken}, ${sampled}`);
});

Deno.test("counted texts: bounds that differ share all but the counting, and a large one costs a rule a block", () => {
  const small = counted("^[\\s\\S]*$", 0, 200, NO_TAG);
  const large = counted("^[\\s\\S]*$", 0, 2000, NO_TAG);
  const largest = counted("^[\\s\\S]*$", 0, 60_000, NO_TAG);
  assert.ok(large.size < 1.2 * small.size, `${large.size}`);
  assert.ok(largest.size < 4 * small.size, `${largest.size}`);
});

Deno.test("counted texts: what dwells nowhere, or is long on its way, is not for these rules", () => {
  for (
    const pattern of ["^abc$", "^(?:ab)*$", "^[a-z]*(?:0123456789)+[a-z]*$"]
  ) {
    assert.ok(!isCountable(automaton(pattern)), pattern);
  }
  for (const pattern of ["^a*$", "^.*$", "a", "^[^x]*(?:xyz[^x]*)*$"]) {
    assert.ok(isCountable(automaton(pattern)), pattern);
  }
});

const TEMPLATES = {
  "<tool_call><function=": (text: string) =>
    `<tool_call>\n<function=note>\n<parameter=text>\n${text}\n</parameter>\n</function>\n</tool_call>`,
  "<minimax:tool_call>": (text: string) =>
    `<minimax:tool_call>\n<invoke name="note">\n<parameter name="text">${text}</parameter>\n</invoke>\n</minimax:tool_call>`,
  "<|tool_call>": (text: string) => `<|tool_call>call:note{text:<|"|>${text}<|"|>}<tool_call|>`,
};

/** Of calls of one tool with one text. */
function grammarOf(template: string, text: unknown): string {
  const parameters = { type: "object", properties: { text }, required: ["text"] };
  const tools = [{ name: "note", parameters }];
  const prompt = { kind: "chat", messages: [], tools, toolChoice: "required" } as const;
  const request = { model: "demo", prompt, options: DEFAULT_OPTIONS, truncate: true };
  const thought = { tags: undefined, opensThought: false };
  return runAtOnce(buildGrammar(request, thought, callSyntax({ source: template })))!;
}

const HTML = "<ul>\n<li>a < b && c << d</li>\n</ul> </p> é ".repeat(4);

demoTest(
  "counted texts: tools' texts of some thousand characters are written in markup, as llama.cpp reads it",
  (model) => {
    const probe = new GrammarProbe(model);
    try {
      for (const [template, write] of Object.entries(TEMPLATES).slice(0, FULL ? 3 : 1)) {
        for (
          const text of [
            { type: "string", maxLength: 200 },
            { type: "string", minLength: 1, maxLength: 2000 },
            { type: ["string", "null"], maxLength: 2000 },
            { type: "string", pattern: "a.*b", maxLength: 2000 },
          ]
        ) {
          const grammar = grammarOf(template, text);
          const permits = (said: string) => probe.accepts(grammar, write(said));
          const where = `${template} ${JSON.stringify(text)}`;
          assert.equal(permits(HTML), true, where);
          assert.equal(permits(`a < b ${"x".repeat(2000)}`), false, where);
          assert.equal(permits(HTML.repeat(8)), text.maxLength > 1400, where);
          if (!FULL) continue;
          const begun = write(HTML).slice(0, write("").lastIndexOf("\n<") - 30 + HTML.length);
          const free = probe.cost(grammarOf(template, { type: "string" }), begun);
          const ratio = (probe.cost(grammar, begun) / free).toFixed(1);
          console.log(`${where}: a step takes ${ratio} times that of a free text`);
        }
      }
    } finally {
      probe.free();
    }
    return Promise.resolve();
  },
);
