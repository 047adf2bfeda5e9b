/** Strings that a schema permits, as an automaton over their characters. */
import type { Work } from "../../src/budget.ts";
import {
  ANYTHING,
  type Automaton,
  bothWork,
  type Budget,
  EDGES_PER_YIELD,
  exploreWork,
  NOTHING,
} from "./automaton.ts";
import { areCountable, isCountable, TOO_LONG } from "./counted_text.ts";
import { Inexpressible } from "./refusal.ts";
import type { StringRules } from "./terms.ts";

/** States that an automaton may have with the length counted. */
const MAX_COUNTED = 8000;
/** Characters that are counted behind the first loop: enough for a web address, and quick to make. */
const MAX_BEHIND = 600;

export interface Strings {
  readonly automaton: Automaton;
  /** Within these lengths. They are none where the automaton keeps them. */
  readonly least: number;
  readonly most: number | undefined;
}

/**
 * @param whole The automaton is to keep the lengths, also where rules could count them.
 * @returns The automaton, and the lengths that it does not keep.
 */
export function* stringsWork(
  rules: StringRules,
  budget: Budget,
  whole = true,
): Work<Strings> {
  const { least, most, languages } = rules;
  if (most !== undefined && most < least) return { automaton: NOTHING, least: 0, most: undefined };
  let automaton = ANYTHING;
  for (const one of languages) automaton = yield* bothWork(automaton, one.automaton, budget);
  if (automaton === ANYTHING) return { automaton, least, most };
  return yield* counted(automaton, { least, most, whole }, budget);
}

/** Whether there is next to nothing to be done. */
export function isQuick({ least, most, languages }: StringRules): boolean {
  return languages.length < 2 && (languages.length === 0 || least === 0 && most === undefined);
}

/** Accepted texts of these lengths. */
function* counted(
  automaton: Automaton,
  bounds: { readonly least: number; readonly most: number | undefined; readonly whole: boolean },
  budget: Budget,
): Work<Strings> {
  let { least, most } = bounds;
  const { shortest, longest } = yield* lengths(automaton);
  if (longest !== undefined && most !== undefined && longest <= most) most = undefined;
  if (shortest >= least) least = 0;
  const kept = (automaton: Automaton) => ({ automaton, least: 0, most: undefined });
  if (least === 0 && most === undefined) return kept(automaton);
  if (most !== undefined && shortest > most) return kept(NOTHING);
  const states = automaton.states.length;
  if (!bounds.whole && areCountable({ least, most }) && isCountable(automaton)) {
    return { automaton, least, most };
  }
  if (least * states > MAX_COUNTED || shortest * states > MAX_COUNTED) {
    throw new Inexpressible(TOO_LONG);
  }
  // A shorter text than could be is permitted, too.
  const limit = Math.floor(MAX_COUNTED / states);
  let known: readonly (number | undefined)[] = [];
  if (most !== undefined && most > limit) {
    const behind = least === 0 ? loopsAlone(automaton, most) : undefined;
    if (behind !== undefined && behind.room > limit) ({ known, most } = behind);
    else most = Math.max(limit, least, shortest);
  }
  const top = most ?? least;
  const made = yield* exploreWork<readonly [number, number]>(
    [0, 0],
    ([id, length]) => `${id},${length}`,
    ([id, length]) => {
      const { accepts, edges } = automaton.states[id]!;
      const next = most === undefined ? Math.min(length + 1, top) : length + 1;
      const counted = edges.map(({ from, to, target }) => ({
        from,
        to,
        target: [target, known[target] ?? next] as const,
      }));
      return {
        accepts: accepts && length >= least,
        edges: counted.filter(({ target: [, after] }) => after <= top),
      };
    },
    budget,
  );
  return kept(made);
}

/**
 * Counts only behind the first loop: in front of it each state counts as the longest way to it, so that one copy of it is enough.
 * A web address has a scheme and a host of some length, and then a path of any.
 * @returns `known`: the ways to the states in front; `room`: characters that are left behind them.
 */
function loopsAlone({ states }: Automaton, most: number) {
  const waiting = states.map(() => 0);
  for (const { edges } of states) {
    for (const target of new Set(edges.map((edge) => edge.target))) waiting[target]!++;
  }
  const known: (number | undefined)[] = states.map(() => undefined);
  const longest = states.map(() => 0);
  const entries: number[] = [];
  // The start has no way to it but in a loop.
  const open = waiting[0] === 0 ? [0] : [];
  for (let id; (id = open.pop()) !== undefined;) {
    known[id] = longest[id]!;
    for (const target of new Set(states[id]!.edges.map((edge) => edge.target))) {
      longest[target] = Math.max(longest[target]!, longest[id]! + 1);
      if (--waiting[target]! === 0) open.push(target);
    }
  }
  for (const [id, { edges }] of states.entries()) {
    const way = known[id];
    if (way !== undefined && edges.some(({ target }) => known[target] === undefined)) {
      entries.push(way + 1);
    }
  }
  const looping = known.filter((one) => one === undefined).length;
  if (looping === 0 || entries.length === 0) return undefined;
  const copies = Math.floor((MAX_COUNTED - (states.length - looping)) / looping);
  const top = Math.min(most, Math.min(...entries) + Math.min(copies, MAX_BEHIND));
  return { known, most: top, room: top - Math.max(...entries) };
}

/** Characters of the shortest and the longest text; no longest one: there is no end. Not by calls inside each other. */
function* lengths(
  { states }: Automaton,
): Work<{ shortest: number; longest: number | undefined }> {
  const targets: number[][] = [];
  const waiting = states.map(() => 0);
  let looked = 0;
  for (const { edges } of states) {
    const some = [...new Set(edges.map(({ target }) => target))];
    targets.push(some);
    for (const target of some) waiting[target]!++;
    looked += 1 + edges.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  let shortest = 0;
  for (let layer = [0], seen = new Set([0]);; shortest++) {
    if (layer.length === 0) return { shortest: 0, longest: 0 }; // nothing is accepted
    if (layer.some((id) => states[id]!.accepts)) break;
    layer = layer.flatMap((id) => targets[id]!).filter((id) => !seen.has(id) && seen.add(id));
  }
  yield;
  // Topological order (Kahn): what is in a loop, or behind one, is never without one that waits.
  const longest = states.map(() => 0);
  const open = waiting[0] === 0 ? [0] : [];
  let done = 0;
  for (let id; (id = open.pop()) !== undefined; done++) {
    for (const target of targets[id]!) {
      longest[target] = Math.max(longest[target]!, longest[id]! + 1);
      if (--waiting[target]! === 0) open.push(target);
    }
  }
  if (done < states.length) return { shortest, longest: undefined };
  return { shortest, longest: longest.reduce((most, one) => Math.max(most, one), 0) };
}
