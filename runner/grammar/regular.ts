/** Regular expressions as data, and the automaton of one. Intersection and complement are parts like any other. */
import { runAtOnce, type Work } from "../../src/budget.ts";
import { type Automaton, bothWork, type Budget, exploreWork, negation } from "./automaton.ts";
import { ANY_CODE, type CodeSet } from "./code_set.ts";
import { Inexpressible } from "./refusal.ts";

export type Regular =
  | { readonly kind: "codes"; readonly codes: CodeSet }
  | { readonly kind: "sequence"; readonly parts: readonly Regular[] }
  | { readonly kind: "either"; readonly branches: readonly Regular[] }
  | { readonly kind: "all"; readonly parts: readonly Regular[] }
  | { readonly kind: "not"; readonly item: Regular }
  | { readonly kind: "automaton"; readonly automaton: Automaton }
  | {
    readonly kind: "repeat";
    readonly item: Regular;
    readonly least: number;
    readonly most: number | undefined;
  };

export const codes = (set: CodeSet): Regular => ({ kind: "codes", codes: set });
export const sequence = (...parts: readonly Regular[]): Regular =>
  parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
export const either = (...branches: readonly Regular[]): Regular =>
  branches.length === 1 ? branches[0]! : { kind: "either", branches };
export const all = (...parts: readonly Regular[]): Regular => ({ kind: "all", parts });
export const not = (item: Regular): Regular => ({ kind: "not", item });
export const repeat = (item: Regular, least: number, most?: number): Regular => ({
  kind: "repeat",
  item,
  least,
  most,
});
/** A text as it is. */
export const plain = (text: string): Regular =>
  sequence(...[...text].map((c) => codes([[c.codePointAt(0)!, c.codePointAt(0)!]])));

/** One of ASCII's. */
export const DIGIT: Regular = codes([[0x30, 0x39]]);
/** The empty text. */
export const EMPTY: Regular = { kind: "sequence", parts: [] };
export const NEVER: Regular = { kind: "either", branches: [] };
export const ANY_TEXT: Regular = repeat(codes(ANY_CODE), 0);

/** Between one state and another; edges without codes cost nothing to follow. */
class Network {
  readonly free: number[][] = [];
  readonly edges: { from: number; to: number; target: number }[][] = [];
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  state(): number {
    this.#budget.take(10);
    this.free.push([]);
    return this.edges.push([]) - 1;
  }

  /** Adds what leads from `start` to the state returned. */
  add(node: Regular, start: number): number {
    this.#budget.take(1);
    switch (node.kind) {
      case "codes": {
        const end = this.state();
        this.#budget.look(node.codes.length);
        for (const [from, to] of node.codes) this.edges[start]!.push({ from, to, target: end });
        return end;
      }
      case "sequence": {
        let at = start;
        for (const part of node.parts) at = this.add(part, at);
        return at;
      }
      case "either": {
        const end = this.state();
        for (const branch of node.branches) {
          const begin = this.state();
          this.free[start]!.push(begin);
          this.free[this.add(branch, begin)]!.push(end);
        }
        return end;
      }
      case "repeat":
        return this.#repeat(node, start);
      case "all":
      case "not":
      case "automaton":
        return this.#embed(automatonOf(node, this.#budget), start);
    }
  }

  #repeat(node: Regular & { kind: "repeat" }, start: number): number {
    let at = this.state();
    this.free[start]!.push(at);
    for (let count = 0; count < node.least; count++) at = this.add(node.item, at);
    if (node.most === undefined) {
      const begin = this.state();
      const end = this.state();
      this.free[at]!.push(begin);
      this.free[begin]!.push(end);
      this.free[this.add(node.item, begin)]!.push(begin);
      return end;
    }
    const end = this.state();
    for (let count = node.least; count < node.most; count++) {
      this.free[at]!.push(end);
      at = this.add(node.item, at);
    }
    this.free[at]!.push(end);
    return end;
  }

  #embed({ states }: Automaton, start: number): number {
    const base = states.map(() => this.state());
    const end = this.state();
    this.free[start]!.push(base[0]!);
    states.forEach(({ accepts, edges }, id) => {
      if (accepts) this.free[base[id]!]!.push(end);
      this.#budget.look(edges.length);
      for (const { from, to, target } of edges) {
        this.edges[base[id]!]!.push({ from, to, target: base[target]! });
      }
    });
    return end;
  }

  /** Some states and all that they lead to for free: those with edges, and the end. Sorted. */
  closeAll(ids: Iterable<number>, end: number): readonly number[] {
    const seen = new Set(ids);
    let looked = 0;
    for (const id of seen) {
      const free = this.free[id]!;
      for (const next of free) seen.add(next);
      looked += 1 + free.length;
    }
    this.#budget.look(looked);
    return [...seen].filter((id) => id === end || this.edges[id]!.length > 0)
      .sort((a, b) => a - b);
  }
}

/** Parts that stand in several places are made once. */
const made = new WeakMap<Regular, Automaton>();

/** @throws {Inexpressible} when it would be too large. */
export function automatonOf(node: Regular, budget: Budget): Automaton {
  return runAtOnce(automatonWork(node, budget));
}

/** The same in turns. @throws {Inexpressible} */
export function* automatonWork(node: Regular, budget: Budget): Work<Automaton> {
  if (node.kind === "automaton") return node.automaton;
  const known = made.get(node);
  if (known !== undefined) return known;
  const automaton = yield* make(node, budget);
  made.set(node, automaton);
  return automaton;
}

function* make(node: Regular, budget: Budget): Work<Automaton> {
  if (node.kind === "not") return negation(yield* automatonWork(node.item, budget));
  if (node.kind === "all") {
    let all: Automaton | undefined;
    for (const part of node.parts) {
      const one = yield* automatonWork(part, budget);
      all = all === undefined ? one : yield* bothWork(all, one, budget);
    }
    return all!;
  }
  // The network finds them made.
  for (const part of automataIn(node)) yield* automatonWork(part, budget);
  const network = new Network(budget);
  const start = network.state();
  const end = network.add(node, start);
  return yield* exploreWork(network.closeAll([start], end), (ids) => ids.join(), (ids) => ({
    accepts: ids.includes(end),
    edges: split(ids.flatMap((id) => network.edges[id]!), budget).map(({ from, to, targets }) => ({
      from,
      to,
      target: network.closeAll(targets, end),
    })),
  }), budget);
}

/** The parts that have automata of their own, the first ones of each way down. */
function automataIn(node: Regular): Set<Regular> {
  const found = new Set<Regular>();
  const seen = new Set<Regular>();
  const queue = [node];
  for (let one; (one = queue.pop()) !== undefined;) {
    if (seen.has(one)) continue;
    seen.add(one);
    if (one.kind === "all" || one.kind === "not") found.add(one);
    else if (one.kind === "sequence") queue.push(...one.parts);
    else if (one.kind === "either") queue.push(...one.branches);
    else if (one.kind === "repeat") queue.push(one.item);
  }
  return found;
}

/** Overlapping edges as disjoint ones, each with all targets. */
function split(
  edges: readonly { from: number; to: number; target: number }[],
  budget: Budget,
): { from: number; to: number; targets: Set<number> }[] {
  if (edges.length > 20_000) throw new Inexpressible("it makes the grammar too large");
  const starts = edges.toSorted((a, b) => a.from - b.from);
  const cuts = [...new Set(edges.flatMap(({ from, to }) => [from, to + 1]))].sort((a, b) => a - b);
  const out: { from: number; to: number; targets: Set<number> }[] = [];
  let open: { to: number; target: number }[] = [];
  for (let cut = 0, next = 0; cut + 1 < cuts.length; cut++) {
    const [from, to] = [cuts[cut]!, cuts[cut + 1]! - 1];
    budget.look(1 + open.length);
    open = open.filter((edge) => edge.to >= from);
    for (; next < starts.length && starts[next]!.from === from; next++) open.push(starts[next]!);
    if (open.length === 0) continue;
    const targets = new Set(open.map(({ target }) => target));
    const last = out.at(-1);
    const same = last !== undefined && last.to + 1 === from && last.targets.size === targets.size &&
      last.targets.isSubsetOf(targets);
    if (same) last.to = to;
    else out.push({ from, to, targets });
  }
  return out;
}
