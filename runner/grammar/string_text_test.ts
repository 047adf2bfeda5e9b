import assert from "node:assert/strict";
import { runAtOnce } from "../../src/budget.ts";
import { seeded, seeds } from "../../tests/support/seeds.ts";
import { accepts, type Automaton, Budget } from "./automaton.ts";
import { patternWork } from "./pattern.ts";
import { stringsWork } from "./string_text.ts";
import { formatWork } from "./formats.ts";

const ROUNDS = Deno.env.get("SECLLAMA_FULL") === "1" ? 60 : 4;
const BUDGET = () => new Budget(50_000_000);

function bounded(automaton: Automaton, most: number): Automaton {
  const rules = { least: 0, most, languages: [{ key: "one", automaton }] };
  const made = runAtOnce(stringsWork(rules, BUDGET()));
  assert.equal(made.most, undefined);
  return made.automaton;
}

/** A text that it accepts; it takes the way on as long as there is one, more often than not. */
function walk({ states }: Automaton, random: () => number): string | undefined {
  let text = "";
  for (let id = 0;;) {
    const { accepts, edges } = states[id]!;
    if (edges.length === 0 || (accepts && random() < 0.002)) return accepts ? text : undefined;
    const { from, target } = edges[Math.floor(random() * edges.length)]!;
    text += String.fromCodePoint(from);
    id = target;
  }
}

Deno.test("strings: a web address of pydantic's HttpUrl may be long, and never longer than its bound", () => {
  const { automaton } = runAtOnce(formatWork("uri", BUDGET()));
  const http = bounded(automaton, 2083);
  const url = (length: number) => `https://www.example.org/${"a".repeat(length)}`;
  for (const length of [0, 20, 100, 300, 500]) assert.ok(accepts(http, url(length)), `${length}`);
  assert.ok(!accepts(http, url(2083)));
  assert.ok(!accepts(http, "no address"));
});

Deno.test("strings: texts of counted automata are in the pattern and within the bound, by generation", () => {
  const random = seeded(seeds(1)[0]!);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const fixed = () =>
    pick(["[a-c]{1,30}", "(?:ab|c){0,40}", "x{25}", "(?:[a-f]{1,12}-){0,6}", "k"]);
  const loop = () => pick(["[a-z]*", "(?:yz|w)*", "(?:%[0-9]{2}|[a-z])+", "q+"]);
  let walked = 0, long = 0;
  for (let count = 0; count < ROUNDS; count++) {
    const source = `^${fixed()}:${fixed()}/${loop()}\\?${loop()}${fixed()}$`;
    const automaton = runAtOnce(patternWork(source, "must", BUDGET()));
    const most = 60 + Math.floor(random() * 2000);
    const made = bounded(automaton, most);
    for (let drawn = 0; drawn < 20; drawn++) {
      const text = walk(made, random);
      if (text === undefined) continue;
      walked++;
      assert.ok(text.length <= most, `${source} ${most}: ${text.length}`);
      assert.match(text, new RegExp(source));
      if (text.length > 100) long++;
    }
  }
  assert.ok(walked > 5 * ROUNDS && long > 0, `${walked}, ${long}`);
});
