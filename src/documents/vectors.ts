/**
 * Passages by what a model made of them: vectors of length 1, kept as whole numbers of eight bits, which costs about a thousandth
 * of a cosine. A pack has those of up to some 64 passages, all of one model.
 *
 *     model[8] | dimensions u32 | vectors u32 | scale f32 × vectors | i8 × dimensions × vectors          little-endian
 */
import { type Bytes, concat } from "../bytes.ts";
import { wipe } from "../secret.ts";

export const MODEL_BYTES = 8;
const HEAD_BYTES = MODEL_BYTES + 8;
/** Larger ones than any model makes. */
const MOST_DIMENSIONS = 16_384;
const MOST = 127;

/**
 * The bytes of a pack.
 * @param model Says which model made them: vectors of two models cannot be compared.
 * @throws {RangeError} If they are not as many numbers each, and all finite.
 */
export function packVectors(model: Bytes, vectors: readonly Float32Array[]): Bytes {
  const dimensions = vectors[0]?.length ?? 0;
  if (vectors.length === 0) throw new RangeError("there are no vectors");
  const scales = new Float32Array(vectors.length);
  const values = new Int8Array(dimensions * vectors.length);
  for (const [i, vector] of vectors.entries()) {
    if (vector.length !== dimensions || dimensions === 0 || dimensions > MOST_DIMENSIONS) {
      throw new RangeError("the vectors differ in length");
    }
    const unit = unitOf(vector);
    const most = unit.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    scales[i] = most / MOST;
    if (most > 0) values.set(unit.map((value) => Math.round(value / most * MOST)), i * dimensions);
  }
  const head = Uint32Array.of(dimensions, vectors.length);
  return concat(model, ...[head, scales, values].map(({ buffer }) => new Uint8Array(buffer)));
}

/** A vector of the same direction and length 1; of zeros, zeros. @throws {RangeError} If a number is not finite. */
function unitOf(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (!Number.isFinite(length)) throw new RangeError("a vector has a number that is none");
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** A pack, to be compared with. */
export class VectorPack {
  readonly dimensions: number;
  readonly count: number;
  readonly #bytes: Bytes;
  readonly #scales: Float32Array;
  readonly #values: Int8Array;
  #signs: Int32Array | undefined;

  /** @param bytes Used as they lie. @throws {RangeError} If they are no pack. */
  constructor(bytes: Bytes) {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    const { buffer, byteOffset: start } = aligned;
    const [dimensions, count] = new Uint32Array(buffer, start + MODEL_BYTES, 2);
    this.dimensions = dimensions!;
    this.count = count!;
    this.#bytes = aligned;
    this.#scales = new Float32Array(buffer, start + HEAD_BYTES, count);
    this.#values = new Int8Array(buffer, start + HEAD_BYTES + 4 * count!, dimensions! * count!);
  }

  /** Whether that model made it. */
  isOf(model: Bytes): boolean {
    return model.every((byte, i) => this.#bytes[i] === byte);
  }

  /** The cosine of one of them with a question of as many dimensions. */
  cosine({ values, scale }: Question, at: number): number {
    const own = this.#values;
    const start = at * this.dimensions;
    const end = start + this.dimensions;
    let [sum, other] = [0, 0];
    let [i, k] = [start, 0];
    // Two sums, so that one addition need not wait for the other.
    for (; i < end - 1; i += 2, k += 2) {
      sum = sum + Math.imul(own[i]!, values[k]!) | 0;
      other = other + Math.imul(own[i + 1]!, values[k + 1]!) | 0;
    }
    if (i < end) sum = sum + Math.imul(own[i]!, values[k]!) | 0;
    return (sum + other) * this.#scales[at]! * scale;
  }

  /** Puts into `distances`, from `first` on, in how many dimensions the sign of each is not the question's. */
  signDistances({ signs }: Question, distances: Uint16Array, first: number): void {
    const own = this.#signs ??= this.#makeSigns();
    const words = signs.length;
    for (let i = 0, at = 0; i < this.count; i++) {
      let sum = 0;
      for (let k = 0; k < words; k++, at++) sum += bitsOf(own[at]! ^ signs[k]!);
      distances[first + i] = sum;
    }
  }

  #makeSigns(): Int32Array {
    const { dimensions, count } = this;
    const words = Math.ceil(dimensions / 32);
    const signs = new Int32Array(words * count);
    for (let i = 0; i < count; i++) {
      const own = this.#values.subarray(i * dimensions, (i + 1) * dimensions);
      signsOf(own, signs.subarray(i * words, (i + 1) * words));
    }
    return signs;
  }

  /** Overwrites it: much of a text can be told from its vector. */
  wipe(): void {
    const signs = this.#signs;
    wipe(this.#bytes, signs && new Uint8Array(signs.buffer));
  }
}

/** The vector of a question, in whole numbers. */
export interface Question {
  readonly values: Int8Array;
  readonly scale: number;
  /** Whether each of them is under zero, 32 in a number. */
  readonly signs: Int32Array;
}

/** @throws {RangeError} As {@link packVectors}. */
export function questionOf(vector: Float32Array): Question {
  const pack = packVectors(new Uint8Array(MODEL_BYTES), [vector]);
  const view = new DataView(pack.buffer, pack.byteOffset);
  const values = new Int8Array(pack.buffer, pack.byteOffset + HEAD_BYTES + 4, vector.length);
  const signs = signsOf(values, new Int32Array(Math.ceil(values.length / 32)));
  return { values, scale: view.getFloat32(HEAD_BYTES, true), signs };
}

function signsOf(values: Int8Array, into: Int32Array): Int32Array {
  for (let i = 0; i < values.length; i++) if (values[i]! < 0) into[i >> 5]! |= 1 << (i & 31);
  return into;
}

/** How many bits are set (Warren, Hacker's Delight 2012, section 5-1). */
function bitsOf(word: number): number {
  let x = word - (word >>> 1 & 0x55555555);
  x = (x & 0x33333333) + (x >>> 2 & 0x33333333);
  return Math.imul(x + (x >>> 4) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
