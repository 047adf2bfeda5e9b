/**
 * Rules for the texts of an automaton within bounds of their length that are too far apart to copy the automaton for each character.
 * Characters are counted where texts dwell: at places, which are the start and the states that go on to themselves. What lies between
 * two places is a rule of its own, of a known length, and stands in no copy.
 */
import type { Work } from "../../src/budget.ts";
import { ANYTHING, type Automaton, type Budget, isEmpty, STEPS_PER_STATE } from "./automaton.ts";
import { codeSet, type Range } from "./code_set.ts";
import type { Grammar, Part, Rule } from "./gbnf.ts";
import { Inexpressible } from "./refusal.ts";
import { byTarget, characters, type TextWay } from "./text_rules.ts";

/** Characters of a way from one place to the next; what takes a longer one is not permitted. */
const LONGEST_WAY = 8;
/** Ways up to this are counted as long as they are, those above as the longest: each length is one more to follow at a time. */
const EXACT_WAY = 3;
/** Characters of a block. Blocks are counted; of each the last few characters may be wasted. */
const BLOCK = 96;
/** A longer maximum counts as this one, a shorter text being permitted, too. */
const MOST = 65_536;
/** Characters that texts must have and that are counted one by one. */
const MAX_LEAST = 256;
const MAX_PLACES = 4;
/** Of one automaton. */
const MAX_STATES = 100;
const MAX_EDGES = 4000;

/** A way on from a place. */
interface Move {
  readonly to: number;
  /** Characters that it is counted as: no fewer than it has. */
  readonly counts: number;
  readonly rule: Rule;
}

export interface Bounds {
  readonly least: number;
  readonly most: number | undefined;
}

export const TOO_LONG = "it makes the grammar too large together with the length";

/** Characters that are left when those are there that must be; `undefined`: such bounds are not for these rules. */
function leftBehind(least: number, most = MOST): number | undefined {
  const rest = Math.min(most, MOST) - least - (least === 0 ? 0 : LONGEST_WAY - 1);
  return least > MAX_LEAST || rest < 0 ? undefined : rest;
}

export function areCountable({ least, most }: Bounds): boolean {
  return leftBehind(least, most) !== undefined;
}

/** Whether texts can be counted so, and all of them but for the last characters of a block. */
export function isCountable(automaton: Automaton): boolean {
  if (automaton === ANYTHING) return true;
  const edges = automaton.states.reduce((sum, { edges }) => sum + edges.length, 0);
  if (automaton.states.length > MAX_STATES || edges > MAX_EDGES) return false;
  const places = placesOf(automaton);
  if (places.size < 2 && !goesOnToItself(automaton, 0)) return false;
  if (places.size > MAX_PLACES) return false;
  const { states } = automaton;
  // No way between places may be longer: layers of the states that are reached without a place between.
  let layer = new Set(places);
  for (let length = 1; length <= LONGEST_WAY; length++) {
    const next = new Set<number>();
    for (const id of layer) {
      for (const { target } of states[id]!.edges) if (!places.has(target)) next.add(target);
    }
    if (next.size === 0) return true;
    layer = next;
  }
  return false;
}

function goesOnToItself({ states }: Automaton, id: number): boolean {
  return states[id]!.edges.some(({ target }) => target === id);
}

/** The start, and where many characters lead back at once. */
export function placesOf({ states }: Automaton): Set<number> {
  const loops = states.map(({ edges }, id) =>
    edges.reduce((sum, { from, to, target }) => target === id ? sum + to - from + 1 : sum, 0)
  );
  const widest = loops.reduce((most, one) => Math.max(most, one), 0);
  const places = loops.flatMap((loop, id) => loop > 0 && loop >= widest / 8 ? [id] : []);
  return new Set([0, ...places]);
}

const MADE = new WeakMap<Grammar, Map<string, Map<Automaton, CountedTexts>>>();

/** The rules of an automaton's texts in a grammar: all of its schemas share them. */
export function countedTexts(
  grammar: Grammar,
  automaton: Automaton,
  way: TextWay,
  budget: Budget,
): CountedTexts {
  const ways = MADE.get(grammar) ?? new Map<string, Map<Automaton, CountedTexts>>();
  MADE.set(grammar, ways);
  const texts = ways.get(way) ?? new Map<Automaton, CountedTexts>();
  ways.set(way, texts);
  const made = texts.get(automaton) ?? new CountedTexts(grammar, automaton, way, budget);
  texts.set(automaton, made);
  return made;
}

/** Rules of one automaton's texts in one grammar, for any bounds. */
class CountedTexts {
  readonly #grammar: Grammar;
  readonly #automaton: Automaton;
  readonly #way: TextWay;
  readonly #budget: Budget;
  readonly #places: ReadonlySet<number>;
  readonly #steps = new Map<string, Rule>();
  readonly #known = new Map<string, Rule | undefined>();
  readonly #moves = new Map<string, readonly Move[]>();
  readonly #asked = new Map<string, Rule>();

  constructor(grammar: Grammar, automaton: Automaton, way: TextWay, budget: Budget) {
    this.#grammar = grammar;
    this.#automaton = automaton;
    this.#way = way;
    this.#budget = budget;
    this.#places = placesOf(automaton);
  }

  /** The rule of the texts that are within bounds. @param later Takes the work that fills it. */
  within(bounds: Bounds, later: (work: Work<void>) => void): Rule {
    const key = `${bounds.least} ${bounds.most}`;
    let rule = this.#asked.get(key);
    if (rule === undefined) {
      this.#asked.set(key, rule = this.#grammar.rule());
      later(this.#fill(rule, bounds));
    }
    return rule;
  }

  /** @throws {Inexpressible} */
  *#fill(rule: Rule, { least, most: given }: Bounds): Work<void> {
    if (isEmpty(this.#automaton)) return;
    const rest = leftBehind(least, given);
    if (rest === undefined) throw new Inexpressible(TOO_LONG);
    // From the end to the start, so that what goes on is there.
    for (let left = rest % BLOCK; left <= rest; left += BLOCK) {
      for (const place of this.#places) yield* this.#upTo(place, left);
    }
    const layers: ReadonlyMap<number, Rule | undefined>[] = [];
    const after = new Map(
      [...this.#places].map((place) => [place, this.#made(`upTo ${place} ${rest}`)] as const),
    );
    for (let needed = 1; needed <= least; needed++) {
      const layer = new Map<number, Rule | undefined>();
      for (const place of this.#places) {
        const alternatives: (readonly Part[])[] = [];
        for (const { to, counts, rule } of this.#movesFrom(place, LONGEST_WAY)) {
          const next = counts >= needed ? after.get(to) : layers[needed - counts - 1]!.get(to);
          if (next !== undefined) alternatives.push([rule, next]);
        }
        const tail = this.#tail(place, needed, LONGEST_WAY);
        if (tail !== undefined) alternatives.push([tail]);
        layer.set(place, this.#ruleOf(alternatives));
      }
      layers.push(layer);
    }
    const first = least === 0 ? after.get(0) : layers.at(-1)!.get(0);
    if (first !== undefined) rule.or(first);
  }

  /** At most so many characters from a place to an end. What is of fewer blocks is there. */
  *#upTo(place: number, left: number): Work<void> {
    const key = `upTo ${place} ${left}`;
    if (this.#known.has(key)) return;
    if (left <= BLOCK) yield* this.#part(left);
    if (left <= BLOCK) return void this.#known.set(key, this.#made(`part ${place} ${left}`));
    yield* this.#part(BLOCK);
    const alternatives: (readonly Part[])[] = [];
    const part = this.#made(`part ${place} ${BLOCK}`);
    if (part !== undefined) alternatives.push([part]);
    for (const to of this.#places) {
      yield* this.#blocks(to);
      const block = this.#made(`block ${place} ${to} ${BLOCK}`);
      const next = this.#made(`upTo ${to} ${left - BLOCK}`);
      if (block !== undefined && next !== undefined) alternatives.push([block, next]);
    }
    this.#known.set(key, this.#ruleOf(alternatives));
  }

  /** Texts of a part of a block, up to the end of the text: from every place, of at most so many characters. */
  *#part(most: number): Work<void> {
    for (let left = 0; left <= most; left++) {
      for (const place of this.#places) {
        const key = `part ${place} ${left}`;
        if (this.#known.has(key)) continue;
        const alternatives: (readonly Part[])[] = [];
        if (this.#automaton.states[place]!.accepts) alternatives.push([]);
        this.#goOn(alternatives, place, left, (to, left) => `part ${to} ${left}`);
        const tail = this.#tail(place, 1, Math.min(left, LONGEST_WAY));
        if (tail !== undefined) alternatives.push([tail]);
        this.#known.set(key, this.#ruleOf(alternatives));
      }
    }
    yield;
  }

  /** Texts of a whole block, from every place to one: the next way on might be longer than what is left. */
  *#blocks(to: number): Work<void> {
    for (let left = 0; left <= BLOCK; left++) {
      for (const place of this.#places) {
        const key = `block ${place} ${to} ${left}`;
        if (this.#known.has(key)) continue;
        const alternatives: (readonly Part[])[] = [];
        if (left >= LONGEST_WAY) {
          this.#goOn(alternatives, place, left, (next, left) => `block ${next} ${to} ${left}`);
        } else if (place === to) alternatives.push([]);
        this.#known.set(key, this.#ruleOf(alternatives));
      }
    }
    yield;
  }

  #goOn(
    alternatives: (readonly Part[])[],
    place: number,
    left: number,
    keyOf: (to: number, left: number) => string,
  ): void {
    for (const { to, counts, rule } of this.#movesFrom(place, EXACT_WAY)) {
      const next = counts <= left ? this.#made(keyOf(to, left - counts)) : undefined;
      if (next !== undefined) alternatives.push([rule, next]);
    }
  }

  #made(key: string): Rule | undefined {
    return this.#known.get(key);
  }

  #ruleOf(alternatives: readonly (readonly Part[])[]): Rule | undefined {
    if (alternatives.length === 0) return undefined;
    this.#budget.take(STEPS_PER_STATE);
    const rule = this.#grammar.rule();
    for (const parts of alternatives) rule.or(...parts);
    return rule;
  }

  /** @param exact Characters up to which each length is a way of its own. */
  #movesFrom(place: number, exact: number): readonly Move[] {
    const key = `${place} ${exact}`;
    let moves = this.#moves.get(key);
    if (moves === undefined) {
      const found: Move[] = [];
      const add = (least: number, most: number) => {
        for (const to of this.#places) {
          const rule = this.#between(place, to, least, most);
          if (rule !== undefined) found.push({ to, counts: most, rule });
        }
      };
      for (let length = 1; length <= exact; length++) add(length, length);
      if (exact < LONGEST_WAY) add(exact + 1, LONGEST_WAY);
      this.#moves.set(key, moves = found);
    }
    return moves;
  }

  /** Texts from a state to a place by way of no place. */
  #between(id: number, to: number, least: number, most: number): Rule | undefined {
    return this.#once(`between ${id} ${to} ${least} ${most}`, (alternatives) => {
      for (const [target, step] of this.#stepsFrom(id)) {
        if (target === to && least <= 1) alternatives.push([step]);
        if (this.#places.has(target) || most === 1) continue;
        const next = this.#between(target, to, Math.max(least - 1, 1), most - 1);
        if (next !== undefined) alternatives.push([step, next]);
      }
    });
  }

  /** Texts from a state to an end by way of no place. */
  #tail(id: number, least: number, most: number): Rule | undefined {
    if (least > most) return undefined;
    return this.#once(`tail ${id} ${least} ${most}`, (alternatives) => {
      if (least <= 0 && this.#automaton.states[id]!.accepts) alternatives.push([]);
      if (most === 0) return;
      for (const [target, step] of this.#stepsFrom(id)) {
        if (this.#places.has(target)) continue;
        const next = this.#tail(target, Math.max(least - 1, 0), most - 1);
        if (next !== undefined) alternatives.push([step, next]);
      }
    });
  }

  #once(key: string, fill: (alternatives: (readonly Part[])[]) => void): Rule | undefined {
    if (this.#known.has(key)) return this.#known.get(key);
    const alternatives: (readonly Part[])[] = [];
    fill(alternatives);
    const rule = this.#ruleOf(alternatives);
    this.#known.set(key, rule);
    return rule;
  }

  *#stepsFrom(id: number): Generator<[target: number, step: Rule]> {
    for (const [target, group] of byTarget(this.#automaton.states[id]!.edges)) {
      const step = this.#step(group);
      if (step.alternatives.length > 0) yield [target, step];
    }
  }

  /** One character. */
  #step(group: readonly Range[]): Rule {
    const key = JSON.stringify(group);
    let step = this.#steps.get(key);
    if (step === undefined) {
      this.#steps.set(key, step = this.#grammar.rule());
      for (const part of characters(codeSet(group), this.#way)) step.or(part);
    }
    return step;
  }
}
