/**
 * A forward-only reader of a file's first bytes, for parsers that must not trust a single number in them.
 *
 * It holds one chunk, refuses to pass the end of the file or the header cap, and never allocates by a length it was
 * told: a string is checked against what is left of the file before a byte of it is kept. Little-endian, as GGUF is.
 */
import { SecLlamaError } from "../errors.ts";

/** What the reader reads: an open file (from its current position) or bytes in memory. */
export type ByteSource = Uint8Array | Pick<Deno.FsFile, "read" | "seek">;

const CHUNK_BYTES = 256 * 1024;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The error of every refused file; `what` completes "not a usable GGUF file: …". */
export function badModel(what: string): SecLlamaError {
  return new SecLlamaError("bad-model", `not a usable GGUF file: ${what}`, {
    hint: "download the model again; SecLlama loads GGUF files of version 2 and 3",
  });
}

/**
 * `ensure(n)` makes `n` bytes available and returns a promise only when it had to read, so that a parser of a million
 * small fields awaits once a chunk: `const p = r.ensure(4); if (p) await p; r.u32()`.
 */
export class HeaderReader {
  readonly #source: ByteSource;
  readonly #size: number;
  readonly #cap: number;
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  /** Next byte within the buffer, and how many it holds. */
  #at = 0;
  #end = 0;
  /** Offset in the file of the buffer's first byte. */
  #base = 0;

  /** @param options.sizeBytes size of the whole file; `capBytes`, how far the header may reach. */
  constructor(source: ByteSource, options: { sizeBytes: number; capBytes: number }) {
    this.#source = source;
    this.#size = options.sizeBytes;
    this.#cap = Math.min(options.sizeBytes, options.capBytes);
    this.#buffer = new Uint8Array(CHUNK_BYTES);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Bytes of the file, or of the header cap, that are left. */
  get remaining(): number {
    return this.#cap - this.offset;
  }

  /** @throws {SecLlamaError} `bad-model` if fewer than `n` bytes are left. */
  #reserve(n: number): void {
    if (n <= this.remaining) return;
    throw badModel(
      this.#cap < this.#size
        ? `the header is larger than ${this.#cap >> 20} MiB`
        : "the file ends within the header",
    );
  }

  /** Makes `n` bytes (at most 64 KiB) available. */
  ensure(n: number): Promise<void> | undefined {
    if (this.#end - this.#at >= n) return undefined;
    this.#reserve(n);
    return this.#fill(n);
  }

  async #fill(n: number): Promise<void> {
    this.#buffer.copyWithin(0, this.#at, this.#end);
    this.#base += this.#at;
    this.#end -= this.#at;
    this.#at = 0;
    while (this.#end < n) {
      const room = this.#buffer.subarray(this.#end);
      let got: number | null;
      if (this.#source instanceof Uint8Array) {
        const from = this.#base + this.#end;
        const part = this.#source.subarray(from, from + room.length);
        room.set(part);
        got = part.length || null;
      } else {
        got = await this.#source.read(room);
      }
      if (got === null) throw badModel("the file ends within the header");
      this.#end += got;
    }
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }
  i8(): number {
    return this.#view.getInt8(this.#advance(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }
  i16(): number {
    return this.#view.getInt16(this.#advance(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }
  f32(): number {
    return this.#view.getFloat32(this.#advance(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#advance(8), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }
  i64(): bigint {
    return this.#view.getBigInt64(this.#advance(8), true);
  }

  #advance(n: number): number {
    const at = this.#at;
    if (at + n > this.#end) throw new RangeError("read past what ensure() made available");
    this.#at = at + n;
    return at;
  }

  /**
   * A u64 that counts things of at least `unitBytes` each that follow in the header.
   * @throws {SecLlamaError} `bad-model` if that many cannot follow.
   */
  count(unitBytes: number, what: string): number {
    const value = this.u64();
    if (value > BigInt(Math.floor(this.remaining / unitBytes))) {
      throw badModel(`${what} reaches past the end of the file`);
    }
    return Number(value);
  }

  /** The next `n` bytes as text. The caller has checked `n` against a limit; here it is checked against the file. */
  async text(n: number, options: { strict: boolean; what: string }): Promise<string> {
    this.#reserve(n);
    const parts: Uint8Array[] = [];
    let left = n;
    while (left > 0) {
      const wait = this.ensure(Math.min(left, 64 * 1024));
      if (wait) await wait;
      const take = Math.min(left, this.#end - this.#at);
      parts.push(this.#buffer.slice(this.#at, this.#at + take));
      this.#at += take;
      left -= take;
    }
    const bytes = parts.length === 1 ? parts[0]! : new Uint8Array(n);
    if (parts.length > 1) {
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
    }
    if (!options.strict) return decoder.decode(bytes);
    try {
      return strictDecoder.decode(bytes);
    } catch {
      throw badModel(`${options.what} is not UTF-8`);
    }
  }

  /** Passes over `n` bytes without keeping them. */
  async skip(n: number): Promise<void> {
    this.#reserve(n);
    const buffered = this.#end - this.#at;
    if (n <= buffered) {
      this.#at += n;
      return;
    }
    const next = this.offset + n;
    if (!(this.#source instanceof Uint8Array)) {
      await this.#source.seek(n - buffered, Deno.SeekMode.Current);
    }
    this.#base = next;
    this.#at = 0;
    this.#end = 0;
  }

  /**
   * Passes over `count` length-prefixed strings, and says which text, empty ones aside, is there a second time. It keeps 64
   * bits of each, not the text; a file made so that two texts have the same is refused for nothing.
   */
  async firstRepeated(count: number): Promise<string | undefined> {
    // The first half → the second, or all of them where several texts share the first.
    const seen = new Map<number, number | Set<number>>();
    let repeated: string | undefined;
    for (let i = 0; i < count; i++) {
      const wait = this.ensure(8);
      if (wait) await wait;
      const length = this.count(1, "a string");
      // Longer ones are no tokens.
      if (length === 0 || length > 4096 || repeated !== undefined) {
        await this.skip(length);
        continue;
      }
      const more = this.ensure(length);
      if (more) await more;
      const [first, second] = this.#hash(length);
      const before = seen.get(first);
      if (before === undefined) seen.set(first, second);
      else if (typeof before === "number" ? before === second : before.has(second)) {
        repeated = decoder.decode(this.#buffer.subarray(this.#at, this.#at + length));
      } else if (typeof before === "number") seen.set(first, new Set([before, second]));
      else before.add(second);
      this.#at += length;
    }
    return repeated;
  }

  /** 64 bits of the next bytes: FNV-1a, and a second one from another start. */
  #hash(length: number): [number, number] {
    let [a, b] = [0x811c9dc5, 0x9747b28c];
    for (let at = this.#at; at < this.#at + length; at++) {
      a = Math.imul(a ^ this.#buffer[at]!, 0x01000193);
      b = Math.imul(b ^ this.#buffer[at]!, 0x5bd1e995) ^ (b >>> 13);
    }
    return [a >>> 0, b >>> 0];
  }

  /** Passes over `count` length-prefixed strings; returns once all were seen to lie within the file. */
  async skipStrings(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const wait = this.ensure(8);
      if (wait) await wait;
      const length = this.count(1, "a string");
      if (length <= this.#end - this.#at) this.#at += length;
      else await this.skip(length);
    }
  }
}
