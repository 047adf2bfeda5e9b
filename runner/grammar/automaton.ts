/**
 * Deterministic automata over code points: what a text of a schema may be, as a thing that can be intersected and
 * complemented. An edge that is absent leads nowhere. Source: Hopcroft, Motwani, Ullman, "Introduction to Automata
 * Theory", chapters 2 and 4.
 */
import { runAtOnce, type Work } from "../../src/budget.ts";
import { LAST_CODE } from "./code_set.ts";
import { Inexpressible } from "./refusal.ts";

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly target: number;
}

export interface State {
  readonly accepts: boolean;
  /** Sorted, disjoint; neighbours with the same target are one. */
  readonly edges: readonly Edge[];
}

/** State 0 is the start. Every state but the start leads to an accepting one. */
export interface Automaton {
  readonly states: readonly State[];
}

/** States and edges that are looked at between two places to yield. */
export const EDGES_PER_YIELD = 4096;
/** Steps from which on work stops where it can: about a tenth of a second. */
const STEPS_PER_PIECE = 100_000;
/** Steps that work may take where it cannot stop. */
export const MOST_IN_A_PIECE = 4 * STEPS_PER_PIECE;

/** Steps for a state of listed texts, or one that is written as a rule. */
export const STEPS_PER_STATE = 5;

/** Edges, members of a list and characters of a key that are looked at for one step. */
const LOOKS_PER_STEP = 8;

/** What all automata of one schema may come to, in all and in one piece. */
export class Budget {
  #left: number;
  #piece = 0;

  constructor(steps: number) {
    this.#left = steps;
  }

  /** @throws {Inexpressible} when a limit is reached. */
  take(steps: number): void {
    this.#left -= steps;
    this.#piece += steps;
    if (this.#left < 0 || this.#piece > MOST_IN_A_PIECE) {
      throw new Inexpressible("it makes the grammar too large");
    }
  }

  /** For what is only looked at: edges, members of lists, names. @throws {Inexpressible} when a limit is reached. */
  look(count: number): void {
    this.take(count / LOOKS_PER_STEP);
  }

  /** Others have worked meanwhile. */
  begin(): void {
    this.#piece = 0;
  }

  /**
   * Stops here if it is time, to be begun anew from the start: what was found out by then must be remembered.
   * @throws {Pause}
   */
  pauseIfDue(): void {
    if (this.#piece > STEPS_PER_PIECE) throw new Pause();
  }
}

/** Not an error: what asked for this work is to be done again when it is done, and goes faster then. */
export class Pause {
  constructor(readonly work: Work<unknown> = nothing()) {}
}

function* nothing(): Work<void> {}

/** States of one automaton. */
const MAX_STATES = 12_000;

export const NOTHING: Automaton = { states: [{ accepts: false, edges: [] }] };

export const ANYTHING: Automaton = {
  states: [{ accepts: true, edges: [{ from: 0, to: LAST_CODE, target: 0 }] }],
};

export function isEmpty({ states }: Automaton): boolean {
  // No state but the start can be without a way to the end.
  return states.length === 1 && !states[0]!.accepts;
}

export function accepts({ states }: Automaton, text: string): boolean {
  let state = states[0]!;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const edge = state.edges.find(({ from, to }) => from <= code && code <= to);
    if (edge === undefined) return false;
    state = states[edge.target]!;
  }
  return state.accepts;
}

/** Explores from a start what `step` says of each state. @param step The state's edges by target keys. */
export function* exploreWork<T>(
  start: T,
  key: (state: T) => string,
  look: (state: T) => {
    accepts: boolean;
    edges: readonly { from: number; to: number; target: T }[];
  },
  budget: Budget,
): Work<Automaton> {
  const ids = new Map<string, number>([[key(start), 0]]);
  const queue: T[] = [start];
  const states: State[] = [];
  let looked = 0;
  for (let at = 0; at < queue.length; at++) {
    const { accepts, edges } = look(queue[at]!);
    const out: { from: number; to: number; target: number }[] = [];
    for (const { from, to, target } of edges) {
      const name = key(target);
      let id = ids.get(name);
      if (id === undefined) {
        ids.set(name, id = queue.length);
        queue.push(target);
        if (queue.length > MAX_STATES) throw new Inexpressible("it makes the grammar too large");
      }
      const last = out.at(-1);
      if (last !== undefined && last.to + 1 === from && last.target === id) last.to = to;
      else out.push({ from, to, target: id });
    }
    budget.take(1 + out.length);
    // Those that were joined cost as much to make.
    budget.look(edges.length);
    states.push({ accepts, edges: out });
    // What an edge is made of costs more than the edge.
    looked += 64 + 8 * edges.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  // Without states that lead to no end, and made as small as it can be.
  return yield* minimise(yield* trimWork({ states }), budget);
}

/** Without states that lead to no end. */
export function* trimWork({ states }: Automaton): Work<Automaton> {
  const before = yield* statesBefore(states);
  const alive = new Set<number>();
  const queue = states.flatMap(({ accepts }, id) => accepts ? [id] : []);
  for (let id; (id = queue.pop()) !== undefined;) {
    if (alive.has(id)) continue;
    alive.add(id);
    // One by one: arguments of a call are few.
    for (const one of before[id]!) queue.push(one);
  }
  if (!alive.has(0)) return NOTHING;
  return yield* renumber(states, (id) => alive.has(id) ? id : -1);
}

/** Keeps what is reached from the start, under the numbers that `classOf` gives (-1: leave out). */
function* renumber(states: readonly State[], classOf: (id: number) => number): Work<Automaton> {
  let looked = 0;
  const ids = new Map<number, number>([[classOf(0), 0]]);
  const kept: number[] = [0];
  const out: State[] = [];
  for (let at = 0; at < kept.length; at++) {
    const { accepts, edges } = states[kept[at]!]!;
    const next: { from: number; to: number; target: number }[] = [];
    for (const edge of edges) {
      const group = classOf(edge.target);
      if (group < 0) continue;
      let id = ids.get(group);
      if (id === undefined) {
        ids.set(group, id = kept.length);
        kept.push(edge.target);
      }
      const last = next.at(-1);
      if (last !== undefined && last.to + 1 === edge.from && last.target === id) last.to = edge.to;
      else next.push({ from: edge.from, to: edge.to, target: id });
    }
    out.push({ accepts, edges: next });
    looked += 1 + edges.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  return { states: out };
}

/** What a state goes on to, by the groups of its targets: as a text, which is the same for states that go on alike. */
function nameOf({ edges }: State, groups: readonly number[]): string {
  let name = "";
  let [lastTo, lastGroup] = [-2, -1];
  for (const { from, to, target } of edges) {
    const group = groups[target]!;
    if (from !== lastTo + 1 || group !== lastGroup) name += `,${lastTo}|${from}>${group}`;
    [lastTo, lastGroup] = [to, group];
  }
  return `${name},${lastTo}`;
}

/**
 * Splits groups of states until those of a group go on alike (Moore). Of a group that splits, the largest part stays what it is, so that
 * a state is renamed a few times only (Hopcroft); and only states that lead to renamed ones are looked at again.
 */
function* minimise(automaton: Automaton, budget: Budget): Work<Automaton> {
  const { states } = automaton;
  const before = yield* statesBefore(states);
  const groups: number[] = states.map(({ accepts }) => accepts ? 1 : 0);
  const members: Set<number>[] = [new Set(), new Set()];
  groups.forEach((group, id) => members[group]!.add(id));
  let looked = 0;
  for (let open: Iterable<number> = states.keys(), again = true; again;) {
    /** The states to be looked at, by their groups and by how they go on. */
    const found = new Map<number, Map<string, number[]>>();
    for (const id of open) {
      const state = states[id]!;
      const parts = found.get(groups[id]!) ?? new Map<string, number[]>();
      found.set(groups[id]!, parts);
      const name = nameOf(state, groups);
      const part = parts.get(name);
      if (part === undefined) parts.set(name, [id]);
      else part.push(id);
      budget.look(1 + state.edges.length);
      looked += 8 + state.edges.length;
      if (looked < EDGES_PER_YIELD) continue;
      looked = 0;
      yield;
    }
    const renamed: number[] = [];
    for (const [group, parts] of found) {
      const all = members[group]!;
      const lists = [...parts.values()];
      const seen = lists.reduce((sum, list) => sum + list.length, 0);
      // Those that were not looked at go on as they did: they are a part as well.
      if (lists.length === 1 && seen === all.size) continue;
      const largest = lists.reduce((most, list) => list.length > most.length ? list : most);
      if (all.size - seen < largest.length) {
        const others = new Set(lists.flat());
        if (seen < all.size) lists.push([...all].filter((id) => !others.has(id)));
        lists.splice(lists.indexOf(largest), 1);
      }
      for (const list of lists) {
        const added = members.push(new Set(list)) - 1;
        for (const id of list) {
          all.delete(id);
          groups[id] = added;
          renamed.push(id);
        }
      }
    }
    const next = new Set<number>();
    for (const id of renamed) for (const one of before[id]!) next.add(one);
    [open, again] = [next, next.size > 0];
  }
  return yield* renumber(states, (id) => groups[id]!);
}

/** From where each state is reached; of many edges in a row to one state, one tells as much. */
function* statesBefore(states: readonly State[]): Work<number[][]> {
  const before: number[][] = states.map(() => []);
  let looked = 0;
  for (const [from, { edges }] of states.entries()) {
    let last = -1;
    for (const { target } of edges) {
      if (target !== last) before[target]!.push(from);
      last = target;
    }
    looked += 1 + edges.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  return before;
}

/** Texts that both accept. */
export function both(a: Automaton, b: Automaton, budget: Budget): Automaton {
  return runAtOnce(bothWork(a, b, budget));
}

/** The same in turns. */
export function* bothWork(a: Automaton, b: Automaton, budget: Budget): Work<Automaton> {
  if (a === ANYTHING) return b;
  if (b === ANYTHING) return a;
  let [isA, isB] = [true, true];
  const made = yield* exploreWork<readonly [number, number]>(
    [0, 0],
    ([x, y]) => `${x},${y}`,
    ([x, y]) => {
      const [one, two] = [a.states[x]!, b.states[y]!];
      budget.look(one.edges.length + two.edges.length);
      const edges: { from: number; to: number; target: readonly [number, number] }[] = [];
      for (let i = 0, j = 0; i < one.edges.length && j < two.edges.length;) {
        const [e, f] = [one.edges[i]!, two.edges[j]!];
        const [from, to] = [Math.max(e.from, f.from), Math.min(e.to, f.to)];
        if (from <= to) edges.push({ from, to, target: [e.target, f.target] });
        if (e.to < f.to) i++;
        else j++;
      }
      const characters = charactersOf(edges);
      isA &&= (!one.accepts || two.accepts) && characters === charactersOf(one.edges);
      isB &&= (!two.accepts || one.accepts) && characters === charactersOf(two.edges);
      return { accepts: one.accepts && two.accepts, edges };
    },
    budget,
  );
  // Where one takes nothing away, the other stays the same to all that know it.
  return isA ? a : isB ? b : made;
}

function charactersOf(edges: readonly { from: number; to: number }[]): number {
  return edges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

/**
 * All texts that it does not accept. As small as what it is made of, since states that go on differently still do: so it costs a look
 * at each state and edge, which cost as much when they were made.
 */
export function negation(automaton: Automaton): Automaton {
  return runAtOnce(negationWork(automaton));
}

/** The same in turns. */
export function* negationWork({ states }: Automaton): Work<Automaton> {
  const rest = states.length;
  const out: State[] = [];
  let looked = 0;
  for (const { accepts, edges } of states) {
    const full: Edge[] = [];
    let next = 0;
    for (const edge of edges) {
      if (edge.from > next) full.push({ from: next, to: edge.from - 1, target: rest });
      full.push(edge);
      next = edge.to + 1;
    }
    if (next <= LAST_CODE) full.push({ from: next, to: LAST_CODE, target: rest });
    out.push({ accepts: !accepts, edges: full });
    looked += 1 + full.length;
    if (looked < EDGES_PER_YIELD) continue;
    looked = 0;
    yield;
  }
  out.push({ accepts: true, edges: [{ from: 0, to: LAST_CODE, target: rest }] });
  return yield* trimWork({ states: out });
}
