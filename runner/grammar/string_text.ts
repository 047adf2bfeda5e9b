/** Strings that a schema permits, as an automaton over their characters. */
import {
  ANYTHING,
  type Automaton,
  both,
  type Budget,
  explore,
  isEmpty,
  NOTHING,
} from "./automaton.ts";
import { Inexpressible } from "./refusal.ts";
import type { StringRules } from "./terms.ts";

/** States that an automaton may have with the length counted. */
const MAX_COUNTED = 8000;

interface Strings {
  readonly automaton: Automaton;
  /** Of any characters: only the length counts. */
  readonly least: number;
  readonly most: number | undefined;
}

/** @returns The automaton, and the lengths it does not keep to itself: only where it accepts any text. */
export function strings(rules: StringRules, budget: Budget): Strings {
  const { least, most, languages } = rules;
  if (most !== undefined && most < least) return { automaton: NOTHING, least: 0, most: undefined };
  let automaton = languages.map((one) => one.automaton)
    .reduce((a, b) => both(a, b, budget), ANYTHING);
  if (automaton !== ANYTHING) automaton = counted(automaton, least, most, budget);
  return automaton === ANYTHING
    ? { automaton, least, most }
    : { automaton, least: 0, most: undefined };
}

/** Whether no text fits, for certain. */
export function emptyStrings(rules: StringRules, budget: Budget): boolean {
  return isEmpty(strings(rules, budget).automaton);
}

/** Accepted texts of these lengths. */
function counted(
  automaton: Automaton,
  least: number,
  most: number | undefined,
  budget: Budget,
): Automaton {
  const { shortest, longest } = lengths(automaton);
  if (longest !== undefined && most !== undefined && longest <= most) most = undefined;
  if (shortest >= least) least = 0;
  if (least === 0 && most === undefined) return automaton;
  const states = automaton.states.length;
  if (least * states > MAX_COUNTED || shortest * states > MAX_COUNTED) {
    throw new Inexpressible("it makes the grammar too large together with the length");
  }
  // A shorter text than could be is permitted, too.
  const limit = Math.floor(MAX_COUNTED / states);
  if (most !== undefined && most > limit) most = Math.max(limit, least, shortest);
  const top = most ?? least;
  return explore<readonly [number, number]>(
    [0, 0],
    ([id, length]) => `${id},${length}`,
    ([id, length]) => {
      const { accepts, edges } = automaton.states[id]!;
      const next = most === undefined ? Math.min(length + 1, top) : length + 1;
      return {
        accepts: accepts && length >= least,
        edges: next > top
          ? []
          : edges.map(({ from, to, target }) => ({ from, to, target: [target, next] })),
      };
    },
    budget,
  );
}

/** Characters of the shortest and the longest text; no longest one: there is no end. */
function lengths({ states }: Automaton): { shortest: number; longest: number | undefined } {
  let shortest = 0;
  for (let layer = new Set([0]), seen = new Set([0]);; shortest++) {
    if ([...layer].some((id) => states[id]!.accepts)) break;
    layer = new Set([...layer].flatMap((id) => states[id]!.edges.map(({ target }) => target)));
    if ([...layer].every((id) => seen.has(id))) return { shortest: 0, longest: 0 }; // nothing is accepted
    layer.forEach((id) => seen.add(id));
  }
  const known = new Map<number, number>();
  const open = new Set<number>();
  const depth = (id: number): number => {
    const found = known.get(id);
    if (found !== undefined) return found;
    if (open.has(id)) return Infinity;
    open.add(id);
    const deepest = Math.max(0, ...states[id]!.edges.map(({ target }) => 1 + depth(target)));
    open.delete(id);
    known.set(id, deepest);
    return deepest;
  };
  const longest = states.length > 4000 ? Infinity : depth(0);
  return { shortest, longest: longest === Infinity ? undefined : longest };
}
