/**
 * Passages by the words that they share with a question: BM25 (Robertson, Zaragoza 2009, section 3) with k1 = 1.2 and b = 0.75.
 */

const K1 = 1.2;
const B = 0.75;

/** Words in one case and form, without the ends that most languages of Europe put to plurals. */
function wordsOf(text: string): string[] {
  const words = text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.map((word) => word.length > 3 ? word.replace(/(?:es|s)$/, "") : word);
}

/** An index over texts, each under the number that it was added as, from 0. */
export class Bm25 {
  readonly #postings = new Map<string, number[]>();
  readonly #lengths: number[] = [];
  #total = 0;

  /** Adds the next text. */
  add(text: string): void {
    const id = this.#lengths.length;
    const counts = new Map<string, number>();
    const words = wordsOf(text);
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const [word, count] of counts) {
      const list = this.#postings.get(word);
      if (list === undefined) this.#postings.set(word, [id, count]);
      else list.push(id, count);
    }
    this.#lengths.push(words.length);
    this.#total += words.length;
  }

  /** The best `limit` texts with at least one of the words, the best first. */
  search(question: string, limit: number): { id: number; score: number }[] {
    const n = this.#lengths.length;
    const average = this.#total / Math.max(n, 1);
    const scores = new Map<number, number>();
    for (const word of new Set(wordsOf(question))) {
      const list = this.#postings.get(word);
      if (list === undefined) continue;
      const df = list.length / 2;
      const idf = Math.log(1 + (n - df + 0.5) / (df + 0.5));
      for (let i = 0; i < list.length; i += 2) {
        const [id, count] = [list[i]!, list[i + 1]!];
        const norm = K1 * (1 - B + B * (this.#lengths[id]! / average));
        scores.set(id, (scores.get(id) ?? 0) + (idf * count * (K1 + 1)) / (count + norm));
      }
    }
    return [...scores].map(([id, score]) => ({ id, score }))
      .sort((a, b) => b.score - a.score || a.id - b.id).slice(0, limit);
  }
}
