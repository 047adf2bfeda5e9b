/**
 * Passages by what a model made of them: vectors of length 1, kept as whole numbers of eight bits, which costs about a thousandth
 * of a cosine. A pack has those of up to some 64 passages, all of one model.
 *
 *     model[8] | dimensions u32 | vectors u32 | scale f32 × vectors | i8 × dimensions × vectors          little-endian
 */
import { type Bytes, concat } from "../bytes.ts";

export const MODEL_BYTES = 8;
const HEAD_BYTES = MODEL_BYTES + 8;
/** Larger ones than any model makes. */
export const MOST_DIMENSIONS = 16_384;
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

  /** Puts the cosine of each with `question` into `scores`, from `first` on. Where dimensions differ: nothing. */
  compare({ values, scale }: Question, scores: Float64Array, first: number): void {
    const { dimensions, count } = this;
    if (values.length !== dimensions) return;
    const own = this.#values;
    let at = 0;
    for (let i = 0; i < count; i++) {
      let [sum, other] = [0, 0];
      const end = at + dimensions - 1;
      let k = 0;
      // Two sums, so that one addition need not wait for the other.
      for (; at < end; at += 2, k += 2) {
        sum = sum + own[at]! * values[k]! | 0;
        other = other + own[at + 1]! * values[k + 1]! | 0;
      }
      if (at === end) sum = sum + own[at++]! * values[k]! | 0;
      scores[first + i] = (sum + other) * this.#scales[i]! * scale;
    }
  }

  /** Overwrites it: much of a text can be told from its vector. */
  wipe(): void {
    this.#bytes.fill(0);
  }
}

/** The vector of a question, in whole numbers. */
export interface Question {
  readonly values: Int8Array;
  readonly scale: number;
}

/** @throws {RangeError} As {@link packVectors}. */
export function questionOf(vector: Float32Array): Question {
  const pack = packVectors(new Uint8Array(MODEL_BYTES), [vector]);
  const view = new DataView(pack.buffer, pack.byteOffset);
  const values = new Int8Array(pack.buffer, pack.byteOffset + HEAD_BYTES + 4, vector.length);
  return { values, scale: view.getFloat32(HEAD_BYTES, true) };
}
