/** Reads a sealed body in exact pieces from chunks of any size, under a limit. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { ByteQueue } from "./frames.ts";
import { MAX_HEADER_BYTES, parseRequestHeader, type RequestHeader } from "./header.ts";

interface BodyReaderOptions {
  /** Bytes of the whole body. */
  readonly bodyBytes: number;
  /** Asked before a chunk is kept; throws to refuse it. */
  readonly reserve: (bytes: number) => void;
}

export class BodyReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #options: BodyReaderOptions;
  readonly #queue = new ByteQueue();
  #received = 0;
  #ended = false;

  constructor(body: AsyncIterable<Uint8Array>, options: BodyReaderOptions) {
    this.#source = body[Symbol.asyncIterator]();
    this.#options = options;
  }

  /** Bytes that passed `reserve`. */
  get received(): number {
    return this.#received;
  }

  /**
   * The request header and its bytes.
   * @throws {SecLlamaError} `malformed` or `unsupported-suite` as soon as that is certain; `malformed` if the body ends.
   */
  async requestHeader(): Promise<{ header: RequestHeader; bytes: Bytes }> {
    while (true) {
      const waiting = Math.min(this.#queue.length, MAX_HEADER_BYTES);
      const header = parseRequestHeader(this.#queue.peek(waiting)!);
      if (header !== "need-more") return { header, bytes: this.#queue.take(header.length)! };
      if (!await this.#pull()) throw new SecLlamaError("malformed", "the body ends in its header");
    }
  }

  /**
   * The next `n` bytes, or undefined if the body ends before.
   * @throws {SecLlamaError} `too-large` if they cannot fit the limit.
   */
  async take(n: number): Promise<Bytes | undefined> {
    if (this.#received - this.#queue.length + n > this.#options.bodyBytes) throw this.#tooLarge();
    while (this.#queue.length < n) {
      if (!await this.#pull()) return undefined;
    }
    return this.#queue.take(n);
  }

  /** Whether the body has ended and every byte was taken. */
  async atEnd(): Promise<boolean> {
    while (this.#queue.length === 0) {
      if (!await this.#pull()) return true;
    }
    return false;
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#source.return?.();
  }

  async #pull(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#source.next();
    if (next.done) {
      this.#ended = true;
      return false;
    }
    if (this.#received + next.value.length > this.#options.bodyBytes) throw this.#tooLarge();
    this.#options.reserve(next.value.length);
    this.#received += next.value.length;
    this.#queue.push(next.value);
    return true;
  }

  #tooLarge(): SecLlamaError {
    return new SecLlamaError(
      "too-large",
      `the sealed request is above ${this.#options.bodyBytes} bytes`,
    );
  }
}
