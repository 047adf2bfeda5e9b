/**
 * Proofs of inclusion in a long log: the roots of its complete blocks of lines are kept, so that a proof reads a few hundred leaves
 * and not all of them. A kept root says nothing by itself: what is made of it is held against a signed head.
 */
import type { Bytes } from "../bytes.ts";
import type { AuditDatabase } from "./database.ts";
import { Frontier, inclusionProofBy, nodeHash } from "./tree.ts";

/** Leaves of a block: a power of two. */
const BLOCK = 256;
/** Blocks that are read before others of this process have a turn. */
const AT_ONCE = 32;

/** The blocks of one log, for one process. */
export class Blocks {
  readonly #db: Pick<AuditDatabase, "leaves">;
  /** Of the blocks; of each two of these; of each two of those; … */
  readonly #levels: Bytes[][] = [[]];
  #reading: Promise<void> = Promise.resolve();

  /** Reads nothing yet. */
  constructor(db: Pick<AuditDatabase, "leaves">) {
    this.#db = db;
  }

  /** The inclusion proof of line `index` in the tree of the first `size` lines, which there must be. */
  async proof(index: number, size: number): Promise<Bytes[]> {
    // One that failed is no reason for the next to fail.
    const read = () => this.#read(Math.floor(size / BLOCK));
    await (this.#reading = this.#reading.then(read, read));
    return inclusionProofBy((start, end) => this.#root(start, end), index, size);
  }

  async #read(blocks: number): Promise<void> {
    for (let known = this.#levels[0]!.length; known < blocks; known++) {
      const start = known * BLOCK;
      this.#add(0, rootOf(this.#db.leaves(start, start + BLOCK)));
      if (known % AT_ONCE === 0) await new Promise((next) => setTimeout(next));
    }
  }

  #add(level: number, root: Bytes): void {
    const roots = this.#levels[level] ??= [];
    roots.push(root);
    if (roots.length % 2 === 0) this.#add(level + 1, nodeHash(roots.at(-2)!, root));
  }

  /** Ranges of a proof begin at multiples of the power of two that they are at most as long as: whole subtrees, the largest first. */
  #root(start: number, end: number): Bytes {
    if (start % BLOCK !== 0 || end - start < BLOCK) return rootOf(this.#db.leaves(start, end));
    const roots: Bytes[] = [];
    let at = start;
    while (at + BLOCK <= end) {
      let level = 0;
      const fits = (size: number) => at % size === 0 && at + size <= end;
      while (fits(BLOCK * 2 ** (level + 1))) level++;
      const size = BLOCK * 2 ** level;
      roots.push(this.#levels[level]![at / size]!);
      at += size;
    }
    if (at < end) roots.push(rootOf(this.#db.leaves(at, end)));
    return roots.reduceRight((right, left) => nodeHash(left, right));
  }
}

function rootOf(leaves: readonly Bytes[]): Bytes {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}
