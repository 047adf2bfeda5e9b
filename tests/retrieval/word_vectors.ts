/**
 * Word vectors of our own, made of any texts in some seconds: how often words stand near each other (positive pointwise mutual
 * information with smoothed contexts: Levy, Goldberg, Dagan 2015), by a truncated singular value decomposition (randomized:
 * Halko, Martinsson, Tropp 2011). Frequent words count less (smooth inverse frequency: Arora, Liang, Ma 2017).
 *
 * They know what was in the texts and nothing else: enough to test with, and no rival of a trained embedding model.
 */

/** Words in lower case: letters and digits, as BERT's tokenizer cuts them. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").match(/[a-z0-9]+/g) ?? [];
}

const WINDOW = 8;
const SMOOTHING = 0.75;
const SIF = 1e-3;
const ITERATIONS = 3;

export interface WordVectors {
  readonly dimensions: number;
  /** Not of one length: the mean of a text's vectors is what the text is about. */
  readonly vectors: ReadonlyMap<string, Float64Array>;
}

/** Vectors of the words that the texts have at least twice. */
export function trainWordVectors(texts: readonly string[], dimensions: number): WordVectors {
  const sentences = texts.map(wordsOf);
  const counts = new Map<string, number>();
  for (const word of sentences.flat()) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts.keys()].filter((word) => counts.get(word)! > 1).sort();
  const rows = informationOf(sentences, words);
  const vectors = leadingVectors(rows, dimensions);
  return weighted(
    { dimensions, vectors: new Map(words.map((word, i) => [word, vectors[i]!])) },
    counts,
  );
}

/** Frequent words made short, and what all have in common taken out. */
export function weighted(
  { dimensions, vectors }: WordVectors,
  counts: ReadonlyMap<string, number>,
): WordVectors {
  const total = [...vectors.keys()].reduce((sum, word) => sum + (counts.get(word) ?? 1), 0);
  const common = new Float64Array(dimensions);
  let weights = 0;
  const weightOf = (word: string) => SIF / (SIF + (counts.get(word) ?? 1) / total);
  for (const [word, vector] of vectors) {
    const weight = weightOf(word) * (counts.get(word) ?? 1);
    weights += weight;
    vector.forEach((value, i) => common[i]! += weight * value);
  }
  return {
    dimensions,
    vectors: new Map([...vectors].map(([word, vector]) => [
      word,
      vector.map((value, i) => weightOf(word) * (value - common[i]! / weights)),
    ])),
  };
}

interface SparseRow {
  readonly columns: Int32Array;
  readonly values: Float64Array;
}

/** For each word, what standing near each other word tells. */
function informationOf(sentences: readonly string[][], words: readonly string[]): SparseRow[] {
  const ids = new Map(words.map((word, i) => [word, i]));
  const near: Map<number, number>[] = words.map(() => new Map());
  for (const sentence of sentences) {
    const known = sentence.map((word) => ids.get(word)).filter((id) => id !== undefined);
    for (const [at, id] of known.entries()) {
      for (let k = 1; k <= WINDOW && at + k < known.length; k++) {
        const other = known[at + k]!;
        near[id]!.set(other, (near[id]!.get(other) ?? 0) + 1 / k);
        near[other]!.set(id, (near[other]!.get(id) ?? 0) + 1 / k);
      }
    }
  }
  const sums = near.map((row) => [...row.values()].reduce((sum, one) => sum + one, 0));
  const all = sums.reduce((sum, one) => sum + one, 0);
  const smooth = sums.map((sum) => sum ** SMOOTHING);
  const smoothAll = smooth.reduce((sum, one) => sum + one, 0);
  return near.map((row, i) => {
    const found = [...row].map(([column, count]) =>
      [column, Math.log(count / all / (sums[i]! / all * smooth[column]! / smoothAll))] as const
    ).filter(([, value]) => value > 0);
    return {
      columns: Int32Array.from(found, ([column]) => column),
      values: Float64Array.from(found, ([, value]) => value),
    };
  });
}

/** Rows of U·√S of the decomposition, for a symmetric-like matrix. */
function leadingVectors(rows: readonly SparseRow[], dimensions: number): Float64Array[] {
  let state = 42;
  const random = () => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x6d2b79f5 | 0;
    return ((state ^ state >>> 14) >>> 0) / 2 ** 32 - 0.5;
  };
  const times = (columns: readonly Float64Array[]) =>
    columns.map((column) => {
      const out = new Float64Array(rows.length);
      for (let i = 0; i < rows.length; i++) {
        const { columns: at, values } = rows[i]!;
        let sum = 0;
        for (let k = 0; k < values.length; k++) sum += values[k]! * column[at[k]!]!;
        out[i] = sum;
      }
      return out;
    });
  let basis: Float64Array[] = Array.from(
    { length: dimensions },
    () => Float64Array.from(rows, random),
  );
  let sizes: number[] = [];
  for (let i = 0; i < ITERATIONS; i++) [basis, sizes] = orthonormal(times(basis));
  return rows.map((_, i) =>
    Float64Array.from(basis, (column, k) => column[i]! * Math.sqrt(sizes[k]!))
  );
}

/** Gram and Schmidt; with what was left of each column's length, about the singular value. */
function orthonormal(columns: readonly Float64Array[]): [Float64Array[], number[]] {
  const done: Float64Array[] = [];
  const sizes: number[] = [];
  const product = (a: Float64Array, b: Float64Array) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
    return sum;
  };
  for (const column of columns) {
    const one = column.slice();
    for (const other of done) {
      const along = product(one, other);
      for (let i = 0; i < one.length; i++) one[i]! -= along * other[i]!;
    }
    const size = Math.sqrt(product(one, one));
    done.push(one.map((value) => value / (size || 1)));
    sizes.push(size);
  }
  return [done, sizes];
}

/** The mean of a text's words, as the model file gives it but for its length. */
export function meanVector({ dimensions, vectors }: WordVectors, text: string): Float32Array {
  const sum = new Float32Array(dimensions);
  for (const word of wordsOf(text)) vectors.get(word)?.forEach((value, i) => sum[i]! += value);
  return sum;
}
