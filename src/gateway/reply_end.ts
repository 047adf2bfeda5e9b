/**
 * Finds the beginning of a sealed reply's last frame in bytes that go by: `"SLR1" | rs[32] | commit[32] | frame+`, each frame with its
 * type and length in the clear (docs/wire.md). A runner that lies about them harms its own reply: no client takes one as complete
 * that does not end with a final frame.
 */

const HEAD_BYTES = 4 + 32 + 32;
const FRAME_HEADER_BYTES = 4;
const FRAME_MORE = 0;
const FRAME_FINAL = 1;

/** Watches one reply. */
export class ReplyEnd {
  /** Bytes until the next frame's header. */
  #skip = HEAD_BYTES;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #have = 0;
  #last: number | undefined;

  /** Whether the reply ended as complete ones do; undefined: its last frame has not come yet. */
  get complete(): boolean | undefined {
    return this.#last === undefined ? undefined : this.#last === FRAME_FINAL;
  }

  /**
   * How many of these bytes are before the last frame; all of them where it does not begin in them. A header that is cut by the
   * end of the bytes counts as before.
   */
  before(bytes: Uint8Array): number {
    if (this.#last !== undefined) return 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, bytes.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const start = at;
      while (this.#have < FRAME_HEADER_BYTES && at < bytes.length) {
        this.#header[this.#have++] = bytes[at++]!;
      }
      if (this.#have < FRAME_HEADER_BYTES) break;
      this.#have = 0;
      const [type, high, middle, low] = this.#header;
      if (type !== FRAME_MORE) {
        this.#last = type;
        return start;
      }
      this.#skip = (high! << 16) | (middle! << 8) | low!;
    }
    return bytes.length;
  }
}
