/** A picture that is ready to be read by the model: what stands for it among the tokens of a prompt. */

/** Cells of the cache that one piece of a picture takes. In a prompt its id stands once for each of them. */
export interface PictureChunk {
  /** Below 0, so that it is no token. The same picture for the same client has the same id as long as it is remembered. */
  readonly id: number;
  /** llama.cpp's `mtmd_input_chunk`. */
  readonly pointer: Deno.PointerValue;
  /** Cells of the cache that it takes. */
  readonly cells: number;
  /** Positions that it advances the text by; fewer than the cells where a model counts rows and columns. */
  readonly positions: number;
}

/**
 * Tokens and pieces of one picture. It is made with one holder; the last one that lets go frees the native memory, so that no step
 * of the engine finds it gone.
 */
export class Picture implements Disposable {
  /** The model's own tokens around it, and ids of its pieces. */
  readonly tokens: Int32Array;
  /** Its pieces, in their order. */
  readonly chunks: readonly PictureChunk[];
  readonly #free: () => void;
  #holders = 1;

  /** With one holder. `free` frees the pieces, when nobody holds it any more. */
  constructor(o: { tokens: Int32Array; chunks: readonly PictureChunk[]; free: () => void }) {
    this.tokens = o.tokens;
    this.chunks = o.chunks;
    this.#free = o.free;
  }

  /** Another holder: to be disposed of once more. */
  hold(): this {
    if (this.#holders === 0) throw new Error("the picture was let go");
    this.#holders++;
    return this;
  }

  /** One holder lets go. */
  [Symbol.dispose](): void {
    if (this.#holders === 0) return;
    if (--this.#holders === 0) this.#free();
  }
}
