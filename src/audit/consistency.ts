/** Consistency proofs of RFC 9162, section 2.1.4: that one tree is the beginning of another. */
import type { Bytes } from "../bytes.ts";
import { HASH_BYTES, nodeHash, sameHash, split } from "./tree.ts";

/** Two trees of one log, and the hashes that prove the first to be the beginning of the second. */
export interface Consistency {
  /** Leaves of the first tree. */
  readonly first: number;
  /** Its root. */
  readonly firstRoot: Uint8Array;
  /** Leaves of the second tree. */
  readonly second: number;
  /** Its root. */
  readonly secondRoot: Uint8Array;
  /** The proof: hashes in the order of section 2.1.4.1. */
  readonly path: readonly Bytes[];
}

/**
 * The proof that the first `first` of `second` leaves are the beginning (section 2.1.4.1).
 * @param root That of the leaves from `start` up to `end`, not included: ranges of the first tree are whole subtrees of its right edge.
 * @throws {RangeError} Unless `0 < first <= second`.
 */
export function consistencyProofBy(
  root: (start: number, end: number) => Bytes,
  first: number,
  second: number,
): Bytes[] {
  if (!(first > 0 && first <= second)) throw new RangeError("no tree is the beginning of that");
  const path: Bytes[] = [];
  let [start, end] = [0, second];
  // While nothing was left out on the left, who checks has the root of the first tree already.
  let isWhole = true;
  while (first < end) {
    const middle = start + split(end - start);
    if (first <= middle) {
      path.push(root(middle, end));
      end = middle;
    } else {
      path.push(root(start, middle));
      start = middle;
      isWhole = false;
    }
  }
  if (!isWhole) path.push(root(start, end));
  return path.reverse();
}

/** Whether the path proves it (section 2.1.4.2). */
export function isConsistent({ first, firstRoot, second, secondRoot, path }: Consistency): boolean {
  if (![first, second].every(Number.isSafeInteger) || !(first > 0 && first <= second)) return false;
  if (path.some((hash) => hash.length !== HASH_BYTES)) return false;
  if (first === second) return path.length === 0 && sameHash(firstRoot, secondRoot, HASH_BYTES);
  // Of a first tree that is a whole subtree, its root stands at the beginning.
  const isWhole = first % 2 ** Math.floor(Math.log2(first)) === 0;
  const [seed, ...rest] = isWhole ? [new Uint8Array(firstRoot), ...path] : path;
  if (seed === undefined) return false;
  let [fn, sn] = [first - 1, second - 1];
  for (; fn % 2 === 1; fn = (fn - 1) / 2) sn = Math.floor(sn / 2);
  let [fr, sr] = [seed, seed];
  for (const hash of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      [fr, sr] = [nodeHash(hash, fr), nodeHash(hash, sr)];
      for (; fn % 2 === 0 && fn !== 0; fn /= 2) sn = Math.floor(sn / 2);
    } else {
      sr = nodeHash(sr, hash);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && sameHash(fr, firstRoot, HASH_BYTES) && sameHash(sr, secondRoot, HASH_BYTES);
}
