/**
 * The record layer: frames, padding and the queue that cuts frames out of a byte stream. No cryptography.
 *
 * ```
 * frame     = type u8 (0 more, 1 final, 2 abort) | ctlen u24 | ciphertext | tag[16]      ctlen counts ciphertext and tag
 * plaintext = data | 0x80 | 0x00*        to a multiple of 256 bytes (request) or 64 (reply), at most 1 MiB
 * ```
 * A frame's place is its nonce and its header is its AAD, so drop, reorder, duplication and a changed type all fail to
 * authenticate.
 */
import type { Bytes } from "../bytes.ts";
import { TAG_BYTES } from "./primitives.ts";

export const FRAME_MORE = 0;
export const FRAME_FINAL = 1;
export const FRAME_ABORT = 2;
export type FrameType = typeof FRAME_MORE | typeof FRAME_FINAL | typeof FRAME_ABORT;

export const FRAME_HEADER_BYTES = 4;
/** Padded plaintext of the largest frame. */
export const MAX_PLAINTEXT_BYTES = 1024 * 1024;
/** Data of the largest frame: one byte always goes to the padding mark. */
export const MAX_DATA_BYTES = MAX_PLAINTEXT_BYTES - 1;
/** Padding multiple of each direction, in bytes. */
export const REQUEST_BUCKET = 256;
export const REPLY_BUCKET = 64;

/** The byte that ends the data of every frame. */
export const PADDING_MARK = 0x80;

/** Bytes that `dataBytes` take once they are padded. */
export function paddedBytes(dataBytes: number, bucket: number): number {
  return Math.ceil((dataBytes + 1) / bucket) * bucket;
}

/** `data | 0x80 | 0x00*` to a multiple of `bucket` bytes. */
export function pad(data: Uint8Array, bucket: number): Bytes {
  const out = new Uint8Array(paddedBytes(data.length, bucket));
  out.set(data);
  out[data.length] = PADDING_MARK;
  return out;
}

/**
 * The data under the padding, a view of `plaintext`, or undefined if there is no mark. More zeroes than needed are
 * fine: a sender may pad to larger steps. Runs on authenticated plaintext only, so its timing tells nobody anything.
 */
export function unpad<T extends Uint8Array>(plaintext: T): T | undefined {
  let end = plaintext.length - 1;
  while (end >= 0 && plaintext[end] === 0) end--;
  if (end < 0 || plaintext[end] !== PADDING_MARK) return undefined;
  return plaintext.subarray(0, end) as T;
}

/** The 4 header bytes of a frame whose plaintext, padded, has `plaintextBytes`. */
export function encodeFrameHeader(type: FrameType, plaintextBytes: number): Bytes {
  const length = plaintextBytes + TAG_BYTES;
  return Uint8Array.of(type, length >>> 16, length >>> 8, length);
}

/** Type and ciphertext length of a frame, or undefined if no sender of this version writes such a header. */
export function parseFrameHeader(
  header: Uint8Array,
  bucket: number,
): { type: FrameType; sealedBytes: number } | undefined {
  const type = header[0]!;
  const sealedBytes = (header[1]! << 16) | (header[2]! << 8) | header[3]!;
  const plaintextBytes = sealedBytes - TAG_BYTES;
  if (type !== FRAME_MORE && type !== FRAME_FINAL && type !== FRAME_ABORT) return undefined;
  if (plaintextBytes < bucket || plaintextBytes > MAX_PLAINTEXT_BYTES) return undefined;
  if (plaintextBytes % bucket !== 0) return undefined;
  return { type, sealedBytes };
}

/** `base XOR seq`, the sequence number big-endian at the end (RFC 9180 section 5.2). */
export function frameNonce(base: Uint8Array, seq: number): Bytes {
  if (!Number.isSafeInteger(seq) || seq < 0) throw new RangeError("sequence number out of range");
  const nonce = new Uint8Array(base);
  for (let i = nonce.length - 1, rest = seq; rest > 0; i--) {
    nonce[i]! ^= rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  return nonce;
}

/** Bytes in, runs of exactly `n` bytes out. Holds what was pushed and not taken, nothing more. */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];
  #offset = 0;
  #length = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The next `n` bytes without taking them, or undefined if fewer wait. */
  peek(n: number): Bytes | undefined {
    if (this.#length < n) return undefined;
    const out = new Uint8Array(n);
    let filled = 0;
    let offset = this.#offset;
    for (const chunk of this.#chunks) {
      if (filled === n) break;
      const part = chunk.subarray(offset, offset + n - filled);
      out.set(part, filled);
      filled += part.length;
      offset = 0;
    }
    return out;
  }

  /** Takes the next `n` bytes, or returns undefined if fewer wait. */
  take(n: number): Bytes | undefined {
    const out = this.peek(n);
    if (out !== undefined) this.#drop(n);
    return out;
  }

  #drop(n: number): void {
    this.#length -= n;
    let whole = 0;
    while (n > 0) {
      const left = this.#chunks[whole]!.length - this.#offset;
      if (n < left) {
        this.#offset += n;
        break;
      }
      n -= left;
      whole++;
      this.#offset = 0;
    }
    this.#chunks.splice(0, whole);
  }
}
