/** Rules for the texts that an automaton accepts, as they stand in JSON, or as they are. */
import { ANYTHING, type Automaton, type Edge, isEmpty } from "./automaton.ts";
import { ANY_CODE, type CodeSet, codeSet, intersect, minus, type Range } from "./code_set.ts";
import { type Grammar, literal, type Part, Rule } from "./gbnf.ts";

/** How characters of a text are written in a reply. */
type Notation = "json" | "plain";

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

/** A rule for an automaton's texts; nothing may fit it. */
export function textRule(grammar: Grammar, automaton: Automaton, notation: Notation): Rule {
  if (isEmpty(automaton)) return grammar.rule();
  if (automaton === ANYTHING && notation === "json") return grammar.of("char*");
  const { states } = automaton;
  const uses = states.map(() => 0);
  uses[0]!++;
  states.forEach(({ edges }) => edges.forEach(({ target }) => uses[target]!++));
  const rules = states.map(() => grammar.rule());
  states.forEach(({ accepts, edges }, id) => {
    const rule = rules[id]!;
    for (const [target, group] of byTarget(edges)) {
      for (const part of characters(codeSet(group), notation)) rule.or(part, rules[target]!);
    }
    if (accepts) rule.or();
  });
  const single = new Set(rules.filter((_, id) => uses[id] === 1));
  rules.forEach((rule) => joinChains(rule, single));
  return rules[0]!;
}

/** What has one way on is written with what follows, if nothing else leads there. */
function joinChains(rule: Rule, single: ReadonlySet<Rule>): void {
  for (const [at, alternative] of rule.alternatives.entries()) {
    const parts: Part[] = [...alternative];
    for (;;) {
      const last = parts.at(-1);
      if (!(last instanceof Rule) || !single.has(last) || last.alternatives.length !== 1) break;
      parts.pop();
      for (const part of last.alternatives[0]!) {
        const before = parts.at(-1);
        if (isLiteral(before) && isLiteral(part)) {
          parts[parts.length - 1] = before.slice(0, -1) + part.slice(1);
        } else parts.push(part);
      }
    }
    rule.alternatives[at] = parts;
  }
}

function isLiteral(part: Part | undefined): part is string {
  return typeof part === "string" && /^"(?:[^"\\]|\\.)*"$/.test(part);
}

function byTarget(edges: readonly Edge[]): Map<number, Range[]> {
  const out = new Map<number, Range[]>();
  for (const { from, to, target } of edges) {
    const list = out.get(target) ?? [];
    list.push([from, to]);
    out.set(target, list);
  }
  return out;
}

/** Ways to write one character of a set. */
function characters(set: CodeSet, notation: Notation): Part[] {
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
