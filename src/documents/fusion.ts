/** Several rankings as one: reciprocal rank fusion (Cormack, Clarke, Büttcher 2009), with their k = 60. */

const K = 60;

/** Ids with what each is worth, the best first; of equal ones the one that an earlier ranking has first. */
export function fused(rankings: readonly (readonly number[])[]): { id: number; score: number }[] {
  const scores = new Map<number, number>();
  for (const ranking of rankings) {
    for (const [at, id] of ranking.entries()) {
      scores.set(id, (scores.get(id) ?? 0) + 1 / (K + at + 1));
    }
  }
  return [...scores].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}
