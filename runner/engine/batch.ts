/** The batch of one decode call, in memory that native code reads: allocated once, refilled each step. */
import { BATCH, writeField } from "./layout.ts";

export class Batch {
  /** The struct, to be passed by value. */
  readonly bytes = new Uint8Array(new ArrayBuffer(BATCH.size));
  readonly capacity: number;
  #count = 0;
  // Native code holds addresses of these: they live as long as the batch does, and each is made over an ArrayBuffer of
  // its own, as V8 keeps a small array made without one inside its heap, where a collection may move it.
  readonly #tokens: Int32Array<ArrayBuffer>;
  readonly #positions: Int32Array<ArrayBuffer>;
  readonly #sequenceCounts: Int32Array<ArrayBuffer>;
  readonly #sequencePointers: BigUint64Array<ArrayBuffer>;
  readonly #outputs: Int8Array<ArrayBuffer>;
  readonly #sequenceIds: Int32Array<ArrayBuffer>;
  readonly #sequenceAddress: bigint;

  /** @param sequences Number of sequence ids, from 0. */
  constructor(capacity: number, sequences: number) {
    this.capacity = capacity;
    this.#tokens = new Int32Array(new ArrayBuffer(4 * capacity));
    this.#positions = new Int32Array(new ArrayBuffer(4 * capacity));
    this.#sequenceCounts = new Int32Array(new ArrayBuffer(4 * capacity)).fill(1);
    this.#sequencePointers = new BigUint64Array(new ArrayBuffer(8 * capacity));
    this.#outputs = new Int8Array(new ArrayBuffer(capacity));
    this.#sequenceIds = new Int32Array(new ArrayBuffer(4 * sequences));
    for (let id = 0; id < sequences; id++) this.#sequenceIds[id] = id;
    this.#sequenceAddress = addressOf(this.#sequenceIds);
    const fields = BATCH.fields;
    writeField(this.bytes, fields.token, addressOf(this.#tokens));
    writeField(this.bytes, fields.pos, addressOf(this.#positions));
    writeField(this.bytes, fields.n_seq_id, addressOf(this.#sequenceCounts));
    writeField(this.bytes, fields.seq_id, addressOf(this.#sequencePointers));
    writeField(this.bytes, fields.logits, addressOf(this.#outputs));
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Appends a token and returns its index. Sequence ids must ascend over the batch, or llama.cpp splits it. */
  add(token: number, options: { position: number; sequence: number; output: boolean }): number {
    const at = this.#count++;
    if (at >= this.capacity) throw new RangeError(`batch is full: ${this.capacity} tokens`);
    this.#tokens[at] = token;
    this.#positions[at] = options.position;
    this.#sequencePointers[at] = this.#sequenceAddress + BigInt(4 * options.sequence);
    this.#outputs[at] = options.output ? 1 : 0;
    return at;
  }

  /** The struct for the tokens added so far. */
  seal(): Uint8Array<ArrayBuffer> {
    writeField(this.bytes, BATCH.fields.n_tokens, this.#count);
    return this.bytes;
  }
}

function addressOf(view: ArrayBufferView<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(view)));
}
