/**
 * Passages by the words that they share with a question: BM25 (Robertson, Zaragoza 2009, section 3) with k1 = 1.2 and b = 0.75.
 *
 * The index is in segments of at most {@link SEGMENT} texts. A segment is bytes, which are looked up as they lie, so that an
 * index that was kept costs nothing to take up again. Words are in it as 53 bits of a hash; two words of one hash count as one.
 *
 *     texts u32 | words u32 | postings u32 | 0 u32 | hash f64 × words, rising | end of its postings u32 × words
 *     | words of the text u32 × texts | posting u16 × postings: text × 64 + how often          little-endian, as all our systems are
 */

import { foldedWords } from "../api/folding.ts";
import { wipe } from "../secret.ts";

const K1 = 1.2;
const B = 0.75;

/** Texts of one segment: their number and a count are in 16 bits. */
export const SEGMENT = 1024;
/** Counts of a word in one text that are told apart; the score hardly grows beyond. */
const MOST_COUNT = 63;
const HEAD_BYTES = 16;

/** Words in one case and form, without the ends that most languages of Europe put to plurals. */
export function wordsOf(text: string): string[] {
  return stems(foldedWords(text));
}

function stems(words: readonly string[]): string[] {
  return words.map((word) => word.length > 3 ? word.replace(/(?:es|s)$/, "") : word);
}

/** The words of a question, also as they are in an index that an earlier version of this program made. */
function wordsOfQuestion(text: string): Set<string> {
  const earlier = text.normalize("NFKC").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set([...wordsOf(text), ...stems(earlier)]);
}

/** 53 bits of a word: two FNV-1a-like hashes, mixed as MurmurHash3 does in the end. */
function hashOf(word: string): number {
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (let i = 0; i < word.length; i++) {
    const unit = word.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
  }
  return mixed(a ^ b >>> 15) * 2 ** 21 + (mixed(b ^ a >>> 13) >>> 11);
}

function mixed(value: number): number {
  let h = Math.imul(value ^ value >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return (h ^ h >>> 16) >>> 0;
}

/** The bytes of a segment over texts. @param texts At most {@link SEGMENT}. */
export function segmentOf(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const lists = new Map<number, number[]>();
  const lengths = new Uint32Array(texts.length);
  for (const [at, text] of texts.entries()) {
    const counts = new Map<number, number>();
    const words = wordsOf(text);
    for (const word of words) {
      const hash = hashOf(word);
      counts.set(hash, (counts.get(hash) ?? 0) + 1);
    }
    for (const [hash, count] of counts) {
      const posting = at * (MOST_COUNT + 1) + Math.min(count, MOST_COUNT);
      const list = lists.get(hash);
      if (list === undefined) lists.set(hash, [posting]);
      else list.push(posting);
    }
    lengths[at] = words.length;
  }
  const hashes = Float64Array.from(lists.keys()).sort();
  const ends = new Uint32Array(hashes.length);
  let count = 0;
  for (const [i, hash] of hashes.entries()) ends[i] = count += lists.get(hash)!.length;
  const postings = new Uint16Array(count);
  for (const [i, hash] of hashes.entries()) postings.set(lists.get(hash)!, i && ends[i - 1]!);
  const head = Uint32Array.of(texts.length, hashes.length, count, 0);
  const parts = [head, hashes, ends, lengths, postings];
  const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const { buffer, byteLength } of parts) {
    bytes.set(new Uint8Array(buffer), at);
    at += byteLength;
  }
  return bytes;
}

/** A segment's bytes, to be looked up in. */
export class Segment {
  readonly texts: number;
  readonly #hashes: Float64Array;
  readonly #ends: Uint32Array;
  readonly lengths: Uint32Array;
  readonly #postings: Uint16Array;

  /** @param bytes Used as they lie. @throws {RangeError} If they are no segment. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
    const { buffer, byteOffset: start } = aligned;
    const [texts, words, postings] = new Uint32Array(buffer, start, HEAD_BYTES / 4);
    this.texts = texts!;
    this.#hashes = new Float64Array(buffer, start + HEAD_BYTES, words);
    let at = start + HEAD_BYTES + 8 * words!;
    this.#ends = new Uint32Array(buffer, at, words);
    this.lengths = new Uint32Array(buffer, at += 4 * words!, texts);
    this.#postings = new Uint16Array(buffer, at + 4 * texts!, postings);
  }

  /** Texts with the word and how often each has it, as {@link MOST_COUNT} tells; empty: none. */
  postings(hash: number): Uint16Array {
    let [low, high] = [0, this.#hashes.length];
    while (low < high) {
      const middle = low + high >>> 1;
      if (this.#hashes[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    if (this.#hashes[low] !== hash) return this.#postings.subarray(0, 0);
    return this.#postings.subarray(low && this.#ends[low - 1]!, this.#ends[low]!);
  }

  /** Overwrites it: words could be tried out on it. */
  wipe(): void {
    wipe(new Uint8Array(this.#hashes.buffer));
  }
}

/** What each text is worth for a question, 0 without any of its words; texts are numbered through all segments. */
export function scoresByWords(segments: readonly Segment[], question: string): Float64Array {
  const n = segments.reduce((sum, { texts }) => sum + texts, 0);
  const total = segments.reduce(
    (sum, { lengths }) => sum + lengths.reduce((all, length) => all + length, 0),
    0,
  );
  const average = total / Math.max(n, 1);
  const scores = new Float64Array(n);
  for (const hash of new Set([...wordsOfQuestion(question)].map(hashOf))) {
    const lists = segments.map((segment) => segment.postings(hash));
    const having = lists.reduce((sum, { length }) => sum + length, 0);
    const idf = Math.log(1 + (n - having + 0.5) / (having + 0.5));
    let first = 0;
    for (const [i, { texts, lengths }] of segments.entries()) {
      for (const posting of lists[i]!) {
        const [text, times] = [posting >>> 6, posting & MOST_COUNT];
        const norm = K1 * (1 - B + B * (lengths[text]! / average));
        scores[first + text]! += (idf * times * (K1 + 1)) / (times + norm);
      }
      first += texts;
    }
  }
  return scores;
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
