/** Listed texts as an automaton, and an automaton's texts as a list. */
import type { Work } from "../../src/budget.ts";
import {
  type Automaton,
  type Budget,
  type Edge,
  isEmpty,
  MOST_IN_A_PIECE,
  type State,
  STEPS_PER_STATE,
  trimWork,
} from "./automaton.ts";
import { Inexpressible } from "./refusal.ts";

/** Just these texts, in turns. @throws {Inexpressible} when a limit is reached. */
export function* wordsWork(texts: readonly string[], budget: Budget): Work<Automaton> {
  interface Node {
    accepts: boolean;
    readonly next: Map<number, Node>;
  }
  const make = (): Node => ({ accepts: false, next: new Map() });
  const root = make();
  const nodes = [root];
  let done = 0;
  let yielded = 0;
  for (const text of texts) {
    let node = root;
    let made = 0;
    for (const character of text) {
      const code = character.codePointAt(0)!;
      let child = node.next.get(code);
      if (child === undefined) {
        node.next.set(code, child = make());
        nodes.push(child);
        // Often enough that a text of megabytes is refused at its beginning.
        if (++made % 1000 === 0) {
          budget.take(1000 * STEPS_PER_STATE);
          // As much as could be made without turns.
          if (nodes.length * STEPS_PER_STATE > MOST_IN_A_PIECE) {
            throw new Inexpressible("it makes the grammar too large");
          }
          yield;
        }
      }
      node = child;
    }
    budget.take(1 + made % 1000 * STEPS_PER_STATE);
    node.accepts = true;
    if (++done % 64 !== 0 && nodes.length < yielded + 1000) continue;
    yielded = nodes.length;
    yield;
  }
  // From the ends to the start, so that what goes on alike is one state at once: no rounds are needed.
  const ids = new Map<Node, number>();
  const known = new Map<string, number>();
  const states: State[] = [];
  for (const node of nodes.reverse()) {
    const edges = [...node.next].sort(([a], [b]) => a - b).map(([code, child]) => ({
      from: code,
      to: code,
      target: ids.get(child)!,
    }));
    const name = `${node.accepts}${edges.map(({ from, target }) => `,${from}>${target}`).join("")}`;
    let id = known.get(name);
    if (id === undefined) {
      known.set(name, id = states.length);
      states.push({ accepts: node.accepts, edges });
    }
    ids.set(node, id);
    if (++done % 1000 === 0) yield;
  }
  const start = ids.get(root)!;
  // The start comes first; nothing leads to it, as a text has an end.
  const last = states.length - 1;
  const moved = (id: number) => id === start ? 0 : id === 0 ? last : id;
  const ordered: State[] = [];
  for (const { accepts, edges } of states) {
    ordered.push({
      accepts,
      edges: edges.map((edge) => ({ ...edge, target: moved(edge.target) })),
    });
    if (ordered.length % 1000 === 0) yield;
  }
  [ordered[0], ordered[last]] = [ordered[last]!, ordered[0]!];
  return yield* trimWork({ states: ordered });
}

/** All texts of an automaton that accepts no more than `most`; else `undefined`. */
export function allWords({ states }: Automaton, most: number): string[] | undefined {
  if (isEmpty({ states })) return [];
  const found: string[] = [];
  const open = new Set<number>();
  // Not by calls inside each other: a text may have thousands of characters.
  const way: { id: number; text: string; next: Iterator<[code: number, target: number]> }[] = [];
  const enter = (id: number, text: string): boolean => {
    const { accepts, edges } = states[id]!;
    if (open.has(id)) return false; // a circle: endless
    if (edges.some(({ from, to }) => to - from >= most)) return false;
    open.add(id);
    way.push({ id, text, next: codesOf(edges) });
    if (accepts) found.push(text);
    return found.length <= most;
  };
  if (!enter(0, "")) return undefined;
  for (let last; (last = way.at(-1)) !== undefined;) {
    const { done, value } = last.next.next();
    if (done) {
      open.delete(last.id);
      way.pop();
    } else if (!enter(value[1], last.text + String.fromCodePoint(value[0]))) return undefined;
  }
  return found;
}

function* codesOf(edges: readonly Edge[]): Iterator<[code: number, target: number], void> {
  for (const { from, to, target } of edges) {
    for (let code = from; code <= to; code++) yield [code, target];
  }
}
