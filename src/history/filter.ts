/**
 * What a text certainly does not hold: a Bloom filter (Bloom 1970) with one hash over all its two and three bytes in a row. A tenth of
 * the text's size, so that a search opens the few texts that may have its words, and not each.
 */

const GRAM = 3;
/** Put before two bytes, so that they are no three. */
const SHORT = 1 << 24;
/** Bits per three bytes that are in the text: at most one in four others seems to be there, and a word has several. */
const BITS_EACH = 4;
const LEAST_BYTES = 16;

/** The filter of a text: a power of two bytes. */
export function filterOf(text: Uint8Array): Uint8Array<ArrayBuffer> {
  const grams = new Set<number>();
  for (const gram of gramsOf(text, GRAM)) grams.add(gram);
  for (const gram of gramsOf(text, GRAM - 1)) grams.add(gram);
  const wanted = Math.max(LEAST_BYTES, grams.size * BITS_EACH / 8);
  const filter = new Uint8Array(2 ** Math.ceil(Math.log2(wanted)));
  for (const gram of grams) {
    const bit = hash(gram) % (filter.length * 8);
    filter[bit >> 3]! |= 1 << (bit & 7);
  }
  return filter;
}

/** What a word is looked for by in each filter, made once. */
export function marksOf(word: Uint8Array): Uint32Array {
  return Uint32Array.from(gramsOf(word, Math.min(GRAM, word.length)), hash);
}

/** False: the text of this filter does not have the word of these marks. */
export function mayHold(filter: Uint8Array, marks: Uint32Array): boolean {
  const bits = filter.length * 8;
  for (let i = 0; i < marks.length; i++) {
    const bit = marks[i]! % bits;
    if ((filter[bit >> 3]! & 1 << (bit & 7)) === 0) return false;
  }
  return true;
}

/** All of so many bytes in a row; none of fewer than two. */
function* gramsOf(text: Uint8Array, length: number): Generator<number> {
  if (length < GRAM - 1) return;
  const first = length === GRAM ? 0 : SHORT;
  for (let i = 0; i + length <= text.length; i++) {
    let gram = first;
    for (let k = 0; k < length; k++) gram |= text[i + k]! << 8 * k;
    yield gram;
  }
}

/** The finalizer of MurmurHash3: every bit depends on every bit. */
function hash(gram: number): number {
  let h = gram;
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return (h ^ h >>> 16) >>> 0;
}
