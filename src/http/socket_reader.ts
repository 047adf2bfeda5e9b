/**
 * Buffered reading of one connection. At most one read is under way at any time and everyone who waits shares it, so that
 * watching for the client's end during an answer and reading the next request's head never compete for bytes.
 */

const FIRST_BYTES = 4 * 1024;
const FULL_BYTES = 64 * 1024;

export class SocketReader {
  readonly #conn: Pick<Deno.Conn, "read">;
  #buffer = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  #pending: Promise<boolean> | undefined;
  #ended = false;

  constructor(conn: Pick<Deno.Conn, "read">) {
    this.#conn = conn;
  }

  /** The bytes that are here; valid until the next call of `fill`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** No more room: whoever waits for more must take something first. */
  get full(): boolean {
    return this.length === FULL_BYTES;
  }

  /** The first `n` bytes that are here, as a copy, removed from the buffer. */
  take(n: number): Uint8Array<ArrayBuffer> {
    const out = this.#buffer.slice(this.#start, this.#start + n);
    this.drop(n);
    return out;
  }

  /** Removes the first `n` bytes. */
  drop(n: number): void {
    this.#start += n;
    if (this.#start === this.#end && !this.#pending) this.#start = this.#end = 0;
  }

  /** Much is to come: read it in large pieces. */
  expectMuch(): void {
    if (this.#buffer.length < FULL_BYTES && !this.#pending) this.#grow(FULL_BYTES);
  }

  /** Waits for more bytes; false when the client has ended its side. @throws if the connection broke. */
  fill(): Promise<boolean> {
    return this.#pending ??= this.#read();
  }

  async #read(): Promise<boolean> {
    if (this.#ended) return false;
    this.#makeRoom();
    try {
      const n = await this.#conn.read(this.#buffer.subarray(this.#end));
      if (n === null) this.#ended = true;
      else this.#end += n;
      return n !== null;
    } finally {
      this.#pending = undefined;
    }
  }

  #makeRoom(): void {
    if (this.#end < this.#buffer.length) return;
    if (this.full) throw new RangeError("the buffer is full");
    this.#grow(this.#start > 0 ? this.#buffer.length : 4 * this.#buffer.length);
  }

  /** Moves what is here to the start of a buffer of `size` bytes: the same one, or a larger. */
  #grow(size: number): void {
    const larger = size > this.#buffer.length ? new Uint8Array(size) : this.#buffer;
    larger.set(this.bytes);
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = larger;
  }
}
