/** Model files whose weights are written by hand, place by place. Not used by the runner. */
import { ALIGNMENT, byteLength, header, type Keys, type Tensor } from "./testing_gguf.ts";

/** The value at a place of a tensor; the first number of a place is the fastest. */
export type Fill = (at: readonly number[]) => number;

/** A tensor of 32-bit floats. */
export function tensor(name: string, dims: number[], fill: Fill): [Tensor, Fill] {
  return [{ name, dims, type: "f32" }, fill];
}

/** Writes the file. */
export function write(path: string, keys: Keys, tensors: readonly [Tensor, Fill][]): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const put = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  };
  put(header(keys, tensors.map(([one]) => one)));
  for (const [one, fill] of tensors) {
    const values = new Float32Array(byteLength(one) / 4);
    const at = one.dims.map(() => 0);
    for (const index of values.keys()) {
      values[index] = fill(at);
      for (let dim = 0; dim < at.length && ++at[dim]! === one.dims[dim]; dim++) at[dim] = 0;
    }
    put(new Uint8Array(values.buffer));
    put(new Uint8Array((ALIGNMENT - values.byteLength % ALIGNMENT) % ALIGNMENT));
  }
}
