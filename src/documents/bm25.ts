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

/** Counts of a word in one text that are told apart; the score hardly grows beyond. */
const MOST_COUNT = 255;

/** Numbers that grow in number. */
class Growing {
  #values = new Uint32Array(2);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Uint32Array(2 * this.length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  get values(): Uint32Array {
    return this.#values;
  }
}

/** An index over texts, each under the number that it was added as, from 0; at most 2^24. */
export class Bm25 {
  /** For each text that has the word, the text's number and how often, in 24 and 8 bits. */
  readonly #postings = new Map<string, Growing>();
  readonly #lengths = new Growing();
  #total = 0;

  /** Adds the next text. */
  add(text: string): void {
    const id = this.#lengths.length;
    const counts = new Map<string, number>();
    const words = wordsOf(text);
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const [word, count] of counts) {
      let list = this.#postings.get(word);
      if (list === undefined) this.#postings.set(word, list = new Growing());
      list.push(id * (MOST_COUNT + 1) + Math.min(count, MOST_COUNT));
    }
    this.#lengths.push(words.length);
    this.#total += words.length;
  }

  /**
   * The best `limit` texts with at least one of the words, the best first.
   * @param counts Which texts are looked at; what a word is worth is learnt from all.
   */
  search(
    question: string,
    limit: number,
    counts: (id: number) => boolean = () => true,
  ): { id: number; score: number }[] {
    const n = this.#lengths.length;
    const average = this.#total / Math.max(n, 1);
    const lengths = this.#lengths.values;
    const scores = new Float64Array(n);
    for (const word of new Set(wordsOf(question))) {
      const list = this.#postings.get(word);
      if (list === undefined) continue;
      const idf = Math.log(1 + (n - list.length + 0.5) / (list.length + 0.5));
      const { values, length } = list;
      for (let i = 0; i < length; i++) {
        const [id, times] = [values[i]! >>> 8, values[i]! & MOST_COUNT];
        const norm = K1 * (1 - B + B * (lengths[id]! / average));
        scores[id]! += (idf * times * (K1 + 1)) / (times + norm);
      }
    }
    return bestOf(scores.map((score, id) => score > 0 && counts(id) ? score : 0), limit);
  }
}

/** The `limit` largest that are over 0, the largest first, of equal ones the first. */
export function bestOf(scores: Float64Array, limit: number): { id: number; score: number }[] {
  const best: { id: number; score: number }[] = [];
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id]!;
    if (score <= 0 || best.length === limit && score <= best[limit - 1]!.score) continue;
    const at = best.findIndex((one) => one.score < score);
    best.splice(at < 0 ? best.length : at, 0, { id, score });
    if (best.length > limit) best.pop();
  }
  return best;
}
