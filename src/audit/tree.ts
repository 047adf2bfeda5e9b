/**
 * The Merkle tree of RFC 9162, section 2.1: hashes of leaves and nodes, the root, and proofs that a leaf is in it and that one
 * tree is the beginning of another. Works on hashes of leaves; what a leaf says is elsewhere.
 */
import type { Bytes } from "../bytes.ts";
import { sha256 } from "./sha256.ts";

/** Bytes of every hash. */
export const HASH_BYTES = 32;

/** The root of a tree without leaves: SHA-256 of nothing. */
const EMPTY_ROOT: Bytes = sha256(new Uint8Array(0));

/** `SHA-256(0x00 | entry)`. */
export function leafHash(entry: Uint8Array): Bytes {
  const input = new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return sha256(input);
}

/** Whether the first `length` bytes of a hash are these, and no more. */
export function sameHash(hash: Uint8Array, bytes: Uint8Array, length: number): boolean {
  if (bytes.length !== length) return false;
  for (let i = 0; i < length; i++) if (hash[i] !== bytes[i]) return false;
  return true;
}

const pair = new Uint8Array(1 + 2 * HASH_BYTES);
pair[0] = 1;

/** `SHA-256(0x01 | left | right)`. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Bytes {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return sha256(pair);
}

/**
 * The right edge of a growing tree: the roots of its complete subtrees, the largest first. Enough to append and to tell the root. They
 * lie one behind the other and are joined in place: a log has millions of leaves.
 */
export class Frontier {
  #size = 0;
  #roots: Bytes = new Uint8Array(8 * HASH_BYTES);
  /** Roots that there are; behind these lies nothing. */
  #count = 0;

  /** Leaves of the tree. */
  get size(): number {
    return this.#size;
  }

  /** Adds a leaf by its hash, of which it takes a copy. @throws {RangeError} If it is no hash. */
  append(leaf: Uint8Array): void {
    if (leaf.length !== HASH_BYTES) throw new RangeError("not a leaf's hash");
    let end = this.#count * HASH_BYTES;
    if (end === this.#roots.length) {
      const more = new Uint8Array(2 * end);
      more.set(this.#roots);
      this.#roots = more;
    }
    this.#roots.set(leaf, end);
    for (let n = this.#size; n % 2 === 1; n = (n - 1) / 2) {
      end -= HASH_BYTES;
      for (let i = 0; i < 2 * HASH_BYTES; i++) pair[1 + i] = this.#roots[end + i]!;
      sha256(pair, this.#roots, end);
    }
    this.#count = end / HASH_BYTES + 1;
    this.#size++;
  }

  /** The root of the tree as it is. */
  root(): Bytes {
    return this.#each().reduceRight<Bytes | undefined>(
      (right, left) => right === undefined ? left : nodeHash(left, right),
      undefined,
    ) ?? EMPTY_ROOT;
  }

  /** The complete subtrees that it has the roots of, from the left: each is of the leaves from `start` up to `end`, not included. */
  subtrees(): { readonly start: number; readonly end: number; readonly root: Bytes }[] {
    let end = 0;
    return this.#each().map((root) => {
      const start = end;
      end += Math.max(1, split(this.#size - start + 1));
      return { start, end, root };
    });
  }

  /** The roots one after another, 32 bytes each; {@link Frontier.decode} reads them. */
  encode(): Bytes {
    return this.#roots.slice(0, this.#count * HASH_BYTES);
  }

  /** @throws {RangeError} If `bytes` are not the roots of a tree of `size` leaves. */
  static decode(size: number, bytes: Uint8Array): Frontier {
    const count = Number.isSafeInteger(size) ? ones(size) : NaN;
    if (bytes.length !== count * HASH_BYTES) throw new RangeError("not the roots of that size");
    const frontier = new Frontier();
    frontier.#size = size;
    frontier.#count = count;
    frontier.#roots = new Uint8Array(Math.max(8, count) * HASH_BYTES);
    frontier.#roots.set(bytes);
    return frontier;
  }

  #each(): Bytes[] {
    return Array.from(
      { length: this.#count },
      (_, i) => this.#roots.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES),
    );
  }
}

function ones(size: number): number {
  let count = 0;
  for (let n = size; n > 0; n = Math.floor(n / 2)) count += n % 2;
  return count;
}

/** The largest power of two below `n`, for `n` above 1. */
export function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Hashes of the leaves of a tree, by their number. */
type Leaves = (index: number) => Bytes;

/** The root of the leaves from `start` up to `end`, not included. */
export function rootOf(leaves: Leaves, start: number, end: number): Bytes {
  const frontier = new Frontier();
  for (let i = start; i < end; i++) frontier.append(leaves(i));
  return frontier.root();
}

/**
 * The inclusion proof of leaf `index` in the tree of the first `size` leaves: the hashes beside its way to the root, from the
 * leaf up (section 2.1.3.1).
 * @throws {RangeError} If there is no such leaf.
 */
export function inclusionProof(leaves: Leaves, index: number, size: number): Bytes[] {
  return inclusionProofBy((start, end) => rootOf(leaves, start, end), index, size);
}

/** {@link inclusionProof} where roots are known from elsewhere: `root` is that of the leaves from `start` up to `end`, not included. */
export function inclusionProofBy(
  root: (start: number, end: number) => Bytes,
  index: number,
  size: number,
): Bytes[] {
  if (!(index >= 0 && index < size)) throw new RangeError("there is no such leaf");
  const path: Bytes[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(root(middle, end));
      end = middle;
    } else {
      path.push(root(start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/** The root that a leaf and its proof make, or undefined if the proof cannot be one of such a tree (section 2.1.3.2). */
export function rootFromInclusion(
  leaf: Bytes,
  { index, size, path }: { index: number; size: number; path: readonly Bytes[] },
): Bytes | undefined {
  if (!(Number.isSafeInteger(index) && index >= 0 && index < size)) return undefined;
  let fn = index;
  let sn = size - 1;
  let root = leaf;
  for (const beside of path) {
    if (sn === 0 || beside.length !== HASH_BYTES) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(beside, root);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      root = nodeHash(root, beside);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? root : undefined;
}
