/**
 * Proofs of inclusion in a long log: the roots of its complete blocks of lines are kept, so that a proof reads a few hundred leaves
 * and not all of them. A kept root says nothing by itself: what is made of it is held against a signed head.
 */
import type { Bytes } from "../bytes.ts";
import type { AuditDatabase } from "./database.ts";
import { Frontier, inclusionProofBy } from "./tree.ts";

/** Leaves of a block: a power of two. */
const BLOCK = 256;
/** Blocks that are read before others of this process have a turn. */
const AT_ONCE = 32;

/** The blocks of one log, for one process. */
export class Blocks {
  readonly #db: AuditDatabase;
  readonly #roots: Bytes[] = [];
  #reading: Promise<void> = Promise.resolve();

  /** Reads nothing yet. */
  constructor(db: AuditDatabase) {
    this.#db = db;
  }

  /** The inclusion proof of line `index` in the tree of the first `size` lines, which there must be. */
  async proof(index: number, size: number): Promise<Bytes[]> {
    await (this.#reading = this.#reading.then(() => this.#read(Math.floor(size / BLOCK))));
    return inclusionProofBy((start, end) => this.#root(start, end), index, size);
  }

  async #read(blocks: number): Promise<void> {
    while (this.#roots.length < blocks) {
      const start = this.#roots.length * BLOCK;
      this.#roots.push(rootOf(this.#db.leaves(start, start + BLOCK)));
      if (this.#roots.length % AT_ONCE === 0) await new Promise((next) => setTimeout(next));
    }
  }

  /** A block's root stands in the tree where its leaves do, since ranges are split at multiples of powers of two. */
  #root(start: number, end: number): Bytes {
    if (start % BLOCK !== 0 || end - start < BLOCK) return rootOf(this.#db.leaves(start, end));
    const frontier = new Frontier();
    let at = start;
    for (; at + BLOCK <= end; at += BLOCK) frontier.append(this.#roots[at / BLOCK]!);
    if (at < end) frontier.append(rootOf(this.#db.leaves(at, end)));
    return frontier.root();
  }
}

function rootOf(leaves: readonly Bytes[]): Bytes {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}
