/** Rules for the texts that an automaton accepts, as they stand in JSON, or as they are. */
import { runAtOnce, type Work } from "../../src/budget.ts";
import {
  ANYTHING,
  type Automaton,
  type Budget,
  type Edge,
  EDGES_PER_YIELD,
  isEmpty,
  STEPS_PER_STATE,
} from "./automaton.ts";
import { ANY_CODE, type CodeSet, codeSet, intersect, minus, type Range } from "./code_set.ts";
import { type Grammar, literal, type Part, Rule } from "./gbnf.ts";

/** How characters of a text are written in a reply. */
export type TextWay = "json" | "plain";

/** States that are looked at between two places to yield. */
const STATES_PER_YIELD = 512;
/** In characters of the grammar. */
const LONG_CLASS = 200;
/** What JSON writes as an escape (RFC 8259, 7). */
const ESCAPED = codeSet([[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]]);
/** No character of UTF-8 stands for one of them alone. */
const SURROGATES = codeSet([[0xd800, 0xdfff]]);
/** llama.cpp ends texts there. */
const NUL = codeSet([[0, 0]]);
const SHORT: readonly (readonly [code: number, letter: string])[] = [
  [0x22, '"'],
  [0x5c, "\\\\"],
  [8, "b"],
  [12, "f"],
  [10, "n"],
  [13, "r"],
  [9, "t"],
];

/** A rule for an automaton's texts; nothing may fit it. @throws {Inexpressible} when a limit is reached. */
export function textRule(
  grammar: Grammar,
  automaton: Automaton,
  notation: TextWay,
  budget: Budget,
): Rule {
  const rule = grammar.rule();
  runAtOnce(textWork(grammar, { rule, automaton, notation, budget }));
  return rule;
}

/** Fills a rule with an automaton's texts, in turns. @throws {Inexpressible} when a limit is reached. */
export function* textWork(
  grammar: Grammar,
  { rule: first, automaton, notation, budget }: {
    readonly rule: Rule;
    readonly automaton: Automaton;
    readonly notation: TextWay;
    readonly budget: Budget;
  },
): Work<void> {
  if (isEmpty(automaton)) return;
  if (automaton === ANYTHING && notation === "json") return void first.or("char*");
  const { states } = automaton;
  budget.take(STEPS_PER_STATE * states.length);
  const uses = states.map(() => 0);
  uses[0]!++;
  states.forEach(({ edges }) => edges.forEach(({ target }) => uses[target]!++));
  const rules = states.map((_, id) => id === 0 ? first : grammar.rule());
  const long = new Map<Part, Rule>();
  /** A class of Unicode's is written once. */
  const once = (part: Part): Part => {
    if (typeof part !== "string" || part.length < LONG_CLASS) return part;
    const known = long.get(part) ?? grammar.of(part);
    long.set(part, known);
    return known;
  };
  // Many states go on by the same thousand ranges, or by all but one character, which take long to write.
  const written = new Map<string, Part[]>();
  const charactersOf = (group: readonly Range[]): Part[] => {
    const [[from, to]] = group as [Range];
    if (group.length === 1 && from === to) return characters(codeSet(group), notation);
    const key = JSON.stringify(group);
    const known = written.get(key) ?? characters(codeSet(group), notation).map(once);
    written.set(key, known);
    return known;
  };
  let looked = 0;
  for (const [id, { accepts, edges }] of states.entries()) {
    const rule = rules[id]!;
    for (const [target, group] of byTarget(edges)) {
      for (const part of charactersOf(group)) rule.or(once(part), rules[target]!);
    }
    if (accepts) rule.or();
    // Each is compared with those that were written before.
    looked += 16 + edges.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  yield;
  yield* joinChains(rules, new Set(rules.filter((_, id) => uses[id] === 1)));
}

/**
 * What has one way on is written with what follows, if nothing else leads there. Each rule is gone through once: those that are
 * written with another come behind it, and are left out.
 */
function* joinChains(rules: readonly Rule[], single: ReadonlySet<Rule>): Work<void> {
  const gone = new Set<Rule>();
  let looked = 0;
  for (const rule of rules) {
    if (gone.has(rule)) continue;
    for (const [at, alternative] of rule.alternatives.entries()) {
      const parts = new Joined();
      for (let next: readonly Part[] | undefined = alternative; next !== undefined;) {
        const after = onlyNext(next, single);
        parts.add(after === undefined ? next : next.slice(0, -1));
        if (after !== undefined) gone.add(after);
        next = after?.alternatives[0];
        if (++looked % STATES_PER_YIELD === 0) yield;
      }
      rule.alternatives[at] = parts.parts();
    }
  }
}

/** The rule at the end that nothing else leads to and that goes on in one way. */
function onlyNext(parts: readonly Part[], single: ReadonlySet<Rule>): Rule | undefined {
  const last = parts.at(-1);
  const is = last instanceof Rule && single.has(last) && last.alternatives.length === 1;
  return is ? last : undefined;
}

/** Parts, of which literals that stand together are one. */
class Joined {
  readonly #parts: Part[] = [];
  #literal: string[] = [];

  add(parts: readonly Part[]): void {
    for (const part of parts) {
      if (isLiteral(part)) this.#literal.push(part.slice(1, -1));
      else {
        this.#close();
        this.#parts.push(part);
      }
    }
  }

  parts(): Part[] {
    this.#close();
    return this.#parts;
  }

  #close(): void {
    if (this.#literal.length > 0) this.#parts.push(`"${this.#literal.join("")}"`);
    this.#literal = [];
  }
}

function isLiteral(part: Part | undefined): part is string {
  return typeof part === "string" && /^"(?:[^"\\]|\\.)*"$/.test(part);
}

export function byTarget(edges: readonly Edge[]): Map<number, Range[]> {
  const out = new Map<number, Range[]>();
  for (const { from, to, target } of edges) {
    const list = out.get(target) ?? [];
    list.push([from, to]);
    out.set(target, list);
  }
  return out;
}

/** Ways to write one character of a set. */
export function characters(set: CodeSet, notation: TextWay): Part[] {
  // The usual case of listed texts.
  if (set.length === 1 && set[0]![0] === set[0]![1] && isPlain(set[0]![0])) return [classOf(set)];
  const whole = intersect(set, ANY_CODE);
  if (notation === "plain") {
    const raw = minus(whole, codeSet([...SURROGATES, ...NUL]));
    return raw.length === 0 ? [] : [classOf(raw)];
  }
  if (whole.length === 1 && whole[0]![0] === 0 && whole[0]![1] === 0x10ffff) return ["char"];
  const out: Part[] = [];
  const raw = minus(minus(whole, ESCAPED), SURROGATES);
  if (raw.length > 0) out.push(classOf(raw));
  const has = (code: number) => set.some(([from, to]) => from <= code && code <= to);
  const letters = SHORT.filter(([code]) => has(code)).map(([, letter]) => letter);
  if (letters.length > 0) out.push(`"\\\\" [${letters.join("")}]`);
  const long = [...Array(0x20).keys()].filter((code) =>
    has(code) && !SHORT.some(([short]) => short === code)
  );
  for (const high of new Set(long.map((code) => code >> 4))) {
    const low = long.filter((code) => code >> 4 === high).map((code) => (code & 15).toString(16));
    out.push(`"\\\\u00${high.toString(16)}" [${low.join("")}]`);
  }
  return out;
}

/** A character of ASCII that is written as it is, in either notation. */
function isPlain(code: number): boolean {
  return code >= 0x20 && code < 0x7f && code !== 0x22 && code !== 0x5c;
}

function classOf(set: CodeSet): string {
  if (set.length === 1 && set[0]![0] === set[0]![1]) {
    const text = String.fromCodePoint(set[0]![0]);
    if (/[ -~]/.test(text)) return literal(text);
  }
  return `[${set.map(writeRange).join("")}]`;
}

function writeRange([from, to]: Range): string {
  const one = (code: number) =>
    /[0-9A-Za-z]/.test(String.fromCodePoint(code))
      ? String.fromCodePoint(code)
      : code > 0xffff
      ? `\\U${code.toString(16).padStart(8, "0")}`
      : code > 0xff
      ? `\\u${code.toString(16).padStart(4, "0")}`
      : `\\x${code.toString(16).padStart(2, "0")}`;
  return from === to ? one(from) : `${one(from)}-${one(to)}`;
}
