/** Writes a GGUF file from its metadata and tensors. Source: the GGUF specification, docs/gguf.md of ggml. */

const VALUE = { u32: 4, i32: 5, f32: 6, boolean: 7, string: 8, array: 9 } as const;
const ALIGNMENT = 32;
/** `ggml_type` of f32 and q8_0. */
const F32 = 0;
const Q8_0 = 8;
const Q8_BLOCK = 32;

export interface Tensor {
  readonly name: string;
  /** The fastest dimension first. */
  readonly dims: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A tensor of one value throughout. */
export function constantTensor(name: string, dims: readonly number[], value: number): Tensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return {
    name,
    dims,
    type: F32,
    bytes: new Uint8Array(new Float32Array(count).fill(value).buffer),
  };
}

/** A tensor of any values. */
export function floatTensor(name: string, dims: readonly number[], values: Float32Array): Tensor {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dims, type: F32, bytes };
}

/**
 * A matrix of small whole numbers, times a scale.
 * @param values Row by row, -127 to 127; a row has a multiple of 32.
 */
export function wholeTensor(
  name: string,
  { width, values, scale }: { width: number; values: Int8Array; scale: number },
): Tensor {
  const blocks = values.length / Q8_BLOCK;
  const bytes = new Uint8Array(blocks * (Q8_BLOCK + 2));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const at = block * (Q8_BLOCK + 2);
    view.setFloat16(at, scale, true);
    const from = block * Q8_BLOCK;
    bytes.set(new Uint8Array(values.buffer, values.byteOffset + from, Q8_BLOCK), at + 2);
  }
  return { name, dims: [width, values.length / width], type: Q8_0, bytes };
}

/** The metadata, in order. */
export class Metadata {
  readonly #bytes = new Bytes();
  #count = 0;

  u32(key: string, value: number): void {
    this.#key(key, VALUE.u32).u32(value);
  }
  f32(key: string, value: number): void {
    this.#key(key, VALUE.f32).f32(value);
  }
  boolean(key: string, value: boolean): void {
    this.#key(key, VALUE.boolean).u8(Number(value));
  }
  string(key: string, value: string): void {
    this.#key(key, VALUE.string).string(value);
  }
  strings(key: string, values: readonly string[]): void {
    const out = this.#list(key, VALUE.string, values.length);
    for (const value of values) out.string(value);
  }
  f32s(key: string, values: readonly number[]): void {
    const out = this.#list(key, VALUE.f32, values.length);
    for (const value of values) out.f32(value);
  }
  i32s(key: string, values: readonly number[]): void {
    const out = this.#list(key, VALUE.i32, values.length);
    for (const value of values) out.u32(value);
  }

  /** The whole file. */
  file(tensors: readonly Tensor[]): Uint8Array<ArrayBuffer> {
    const out = new Bytes();
    out.raw(new TextEncoder().encode("GGUF"));
    out.u32(3);
    out.u64(tensors.length);
    out.u64(this.#count);
    out.raw(this.#bytes.take());
    let offset = 0;
    for (const { name, dims, type, bytes } of tensors) {
      out.string(name);
      out.u32(dims.length);
      for (const dim of dims) out.u64(dim);
      out.u32(type);
      out.u64(offset);
      offset += Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT;
    }
    out.pad();
    for (const { bytes } of tensors) {
      out.raw(bytes);
      out.pad();
    }
    return out.take();
  }

  #key(key: string, type: number): Bytes {
    this.#count++;
    this.#bytes.string(key);
    this.#bytes.u32(type);
    return this.#bytes;
  }

  #list(key: string, type: number, length: number): Bytes {
    const out = this.#key(key, VALUE.array);
    out.u32(type);
    out.u64(length);
    return out;
  }
}

/** Bytes that grow; numbers are little-endian. */
class Bytes {
  #bytes = new Uint8Array(1 << 20);
  #length = 0;

  u8(value: number): void {
    this.#view(1).setUint8(0, value);
  }
  u32(value: number): void {
    this.#view(4).setUint32(0, value, true);
  }
  u64(value: number): void {
    this.#view(8).setBigUint64(0, BigInt(value), true);
  }
  f32(value: number): void {
    this.#view(4).setFloat32(0, value, true);
  }
  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }
  raw(bytes: Uint8Array): void {
    const { byteOffset } = this.#view(bytes.length);
    this.#bytes.set(bytes, byteOffset);
  }
  pad(): void {
    this.#view((ALIGNMENT - this.#length % ALIGNMENT) % ALIGNMENT);
  }
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** The next bytes, as they are to be written. */
  #view(count: number): DataView {
    while (this.#length + count > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length += count;
    return new DataView(this.#bytes.buffer, this.#length - count, count);
  }
}
