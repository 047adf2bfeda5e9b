/**
 * The body of a request, read as fast as the handler takes it, within a size, a pause and an overall pace. What the connection's
 * buffer holds is read ahead, so that it shows who has sent a whole request, however late its handler comes to it.
 *
 * Chunked coding (RFC 9112 section 7.1) is taken strictly: a size of at most 8 hexadecimal digits, CR LF everywhere,
 * extensions and trailers passed over within small bounds.
 */
import { SecLlamaError } from "../errors.ts";
import type { Limits } from "./limits.ts";
import type { SocketReader } from "./socket_reader.ts";

const MAX_SIZE_LINE = 256;
const MAX_TRAILER_BYTES = 4 * 1024;
/** What a chunked body ends with, whatever its trailer. */
const CHUNKED_END = [13, 10, 13, 10];
const SIZE_LINE = /^([0-9a-fA-F]{1,8})[ \t]*(?:;[\t\x20-\x7e]*)?$/;

export class RequestBody {
  readonly #reader: SocketReader;
  readonly #limits: Limits;
  readonly #maxBytes: number;
  readonly #tooLarge: (most: number) => SecLlamaError;
  readonly #failed = Promise.withResolvers<never>();
  readonly #complete = Promise.withResolvers<void>();
  readonly #onFirstWait: () => void;
  #isComplete = false;
  #error: SecLlamaError | undefined;
  #length: number | undefined;
  /** Left of the body or, chunked, of the current chunk. */
  #left: number;
  #received = 0;
  #startedAt = 0;
  #waiting = false;
  #ahead = false;
  #stopped = false;
  /** When the wait that is under way must have ended, on `performance.now()`; Infinity: none is. */
  deadline = Infinity;

  /**
   * @param options.contentLength undefined: chunked. `onFirstWait` is called when the handler first wants bytes that have
   *   not come, which is when `100 Continue` is due.
   */
  constructor(
    reader: SocketReader,
    options: {
      contentLength: number | undefined;
      maxBytes: number;
      tooLarge: (most: number) => SecLlamaError;
      limits: Limits;
      onFirstWait: () => void;
    },
  ) {
    this.#reader = reader;
    this.#limits = options.limits;
    this.#maxBytes = options.maxBytes;
    this.#tooLarge = options.tooLarge;
    this.#onFirstWait = options.onFirstWait;
    this.#length = options.contentLength;
    this.#left = options.contentLength ?? 0;
    this.#failed.promise.catch(() => {});
    if (options.contentLength === 0) this.#finish();
    else void this.#readAhead();
  }

  /** Bytes of it have not come that the buffer has room for. */
  get isOwed(): boolean {
    if (this.#isComplete || this.#reader.full) return false;
    if (this.#length !== undefined) return this.#reader.length < this.#left;
    return CHUNKED_END.some((byte, at) => this.#reader.bytes.at(at - CHUNKED_END.length) !== byte);
  }

  /** Its exchange is over: nothing more of it is read ahead. */
  stop(): void {
    this.#stopped = true;
  }

  /** Settles when the last byte was taken from the connection. */
  get complete(): Promise<void> {
    return this.#complete.promise;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Why reading ended early: `timeout`, `too-large`, `bad-request` or `cancelled`. */
  get error(): SecLlamaError | undefined {
    return this.#error;
  }

  /** What `new Request` takes: nothing, the bytes if all are here, or a stream. */
  init(): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null {
    if (this.#isComplete) return null;
    if (this.#length !== undefined && this.#reader.length >= this.#length) {
      const bytes = this.#reader.take(this.#length);
      this.#finish();
      return bytes;
    }
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const chunk = await this.#next();
          if (chunk) controller.enqueue(chunk);
          else controller.close();
        } catch (error) {
          controller.error(error);
        }
      },
    }, { highWaterMark: 0 });
  }

  /** Ends the reading; whoever reads the body gets the error. */
  fail(error: SecLlamaError): void {
    this.#error ??= error;
    this.#failed.reject(this.#error);
  }

  /** Until the buffer is full, or has all. Whoever takes of it calls this again. Never throws. */
  async #readAhead(): Promise<void> {
    if (this.#ahead) return;
    this.#ahead = true;
    try {
      while (!this.#stopped && this.isOwed && await this.#reader.fill());
    } catch { /* the handler is told, when it reads */ }
    this.#ahead = false;
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#error) throw this.#error;
    if (this.#isComplete) return undefined;
    if (this.#startedAt === 0) this.#startedAt = performance.now();
    try {
      if (this.#length === undefined && this.#left === 0 && !(await this.#nextChunk())) {
        return undefined;
      }
      if (this.#reader.length === 0) await this.#wait();
      const chunk = this.#reader.take(Math.min(this.#left, this.#reader.length));
      this.#left -= chunk.length;
      this.#received += chunk.length;
      if (this.#left === 0) {
        if (this.#length === undefined) await this.#expectLineEnd();
        else this.#finish();
      }
      void this.#readAhead();
      return chunk;
    } catch (error) {
      this.fail(
        error instanceof SecLlamaError
          ? error
          : new SecLlamaError("cancelled", "the connection broke in the request's body", {
            cause: error,
          }),
      );
      throw this.#error;
    }
  }

  /** Reads a chunk's size line; false after the last chunk and its trailers. */
  async #nextChunk(): Promise<boolean> {
    const match = SIZE_LINE.exec(await this.#line(MAX_SIZE_LINE));
    if (!match) throw malformed();
    const size = parseInt(match[1]!, 16);
    if (size === 0) {
      for (let left = MAX_TRAILER_BYTES;;) {
        const line = await this.#line(left);
        if (line === "") break;
        left -= line.length + 2;
        if (left <= 0) throw malformed();
      }
      this.#finish();
      return false;
    }
    if (this.#received + size > this.#maxBytes) throw this.#tooLarge(this.#maxBytes);
    this.#left = size;
    return true;
  }

  async #expectLineEnd(): Promise<void> {
    if ((await this.#line(0)) !== "") throw malformed();
  }

  /** A line of at most `limit` bytes without its CR LF. */
  async #line(limit: number): Promise<string> {
    for (;;) {
      const { bytes } = this.#reader;
      const end = bytes.indexOf(10);
      if (end > limit + 1 || (end < 0 && bytes.length > limit + 1)) throw malformed();
      if (end >= 0) {
        if (bytes[end - 1] !== 13) throw malformed();
        const line = new TextDecoder().decode(bytes.subarray(0, end - 1));
        this.#reader.drop(end + 1);
        return line;
      }
      await this.#wait();
    }
  }

  async #wait(): Promise<void> {
    if (!this.#waiting) {
      this.#waiting = true;
      this.#onFirstWait();
      this.#reader.expectMuch();
    }
    const now = performance.now();
    const { bodyPauseMs, bodyMs, bodyBytesPerSecond } = this.#limits;
    const overall = this.#startedAt + bodyMs + 1000 * this.#received / bodyBytesPerSecond;
    this.deadline = Math.min(now + bodyPauseMs, overall);
    try {
      if (!(await Promise.race([this.#reader.fill(), this.#failed.promise]))) {
        throw new SecLlamaError("cancelled", "the client ended within the request's body");
      }
    } finally {
      this.deadline = Infinity;
    }
  }

  #finish(): void {
    this.#isComplete = true;
    this.#complete.resolve();
  }
}

function malformed(): SecLlamaError {
  return new SecLlamaError("bad-request", "the chunked body is malformed");
}
