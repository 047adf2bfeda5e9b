/**
 * The vectors that are nearest to a question. Of few, all are compared. Of many, those whose signs differ least from the question's
 * are looked at first, which costs a tenth; only these are compared (as in binary quantization with rescoring: Yamada, Asai,
 * Hajishirzi 2021). What is left out so is far away with near certainty, not for sure.
 */
import { bestOf } from "./bm25.ts";
import type { Question, VectorPack } from "./vectors.ts";

/** A pack, and the number of its first vector. */
export interface Placed {
  readonly pack: VectorPack;
  readonly first: number;
}

/** Numbers to be multiplied up to which all vectors are compared: some ten milliseconds. */
const EXACT = 4_000_000;
/** Vectors that are compared then, for each that is wanted. */
const LOOKED_AT = 40;

/**
 * Numbers of the `limit` nearest that are not away from it, the nearest first. Packs of other dimensions count for nothing.
 * @param count All numbers are below it.
 */
export function nearest(
  packs: readonly Placed[],
  question: Question,
  limit: number,
  count: number,
): number[] {
  const fitting = packs.filter(({ pack }) => pack.dimensions === question.values.length);
  const all = fitting.reduce((sum, { pack }) => sum + pack.count, 0);
  const most = LOOKED_AT * limit;
  const cosines = new Float64Array(count);
  const isExact = all * question.values.length <= EXACT || all <= most;
  const distances = new Uint16Array(isExact ? 0 : count);
  let bound = Infinity;
  if (!isExact) {
    const counts = new Uint32Array(question.values.length + 1);
    for (const { pack, first } of fitting) {
      pack.signDistances(question, distances, first);
      for (let i = first; i < first + pack.count; i++) counts[distances[i]!]!++;
    }
    let sum = 0;
    bound = counts.findIndex((one) => (sum += one) >= most);
  }
  for (const { pack, first } of fitting) {
    for (let i = 0; i < pack.count; i++) {
      if (isExact || distances[first + i]! <= bound) {
        cosines[first + i] = pack.cosine(question, i);
      }
    }
  }
  return bestOf(cosines, limit).map(({ id }) => id);
}
