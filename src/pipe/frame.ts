/**
 * The frames between gateway and runner, and an incremental reader of them. Assumes an ordered, reliable byte stream;
 * is not a security boundary of its own: sealed bytes are opaque here.
 *
 * ```
 * frame = length u32 (of what follows) | type u8 | exchange u32 | payload        all big-endian
 * ```
 */
import { type Bytes, concat } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";

/** What a frame carries. Exchange 0 is the pipe itself. */
export const FRAME = {
  /** JSON, one-way, exchange 0. */
  control: 0,
  /** Binary secrets (pre-shared keys), gateway to runner, exchange 0. The payload is zeroed once parsed. */
  secret: 1,
  /** Opens an exchange; JSON head. Gateway to runner only. */
  open: 2,
  /** The answer's JSON head: once, before any data of the answer. Runner to gateway only. */
  head: 3,
  data: 4,
  /** No more data in this direction. */
  end: 5,
  /** u32: this many more bytes of data may be sent. */
  credit: 6,
  /** ASCII code: the exchange is over in both directions. */
  cancel: 7,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  readonly exchange: number;
  readonly payload: Bytes;
}

/** Most bytes of payload in one frame. Larger data is split by the writer; a larger frame is garbage. */
export const MAX_PAYLOAD_BYTES = 256 * 1024;
const HEADER_BYTES = 9;
const MAX_TYPE = FRAME.cancel;

/** The bytes of one frame. */
export function encodeFrame(type: FrameType, exchange: number, payload: Uint8Array): Bytes {
  const out = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, 5 + payload.length);
  out[4] = type;
  view.setUint32(5, exchange);
  out.set(payload, HEADER_BYTES);
  return out;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #held = 0;

  /**
   * The frames completed by `chunk`, in order. Payloads are copies.
   * @throws {SecLlamaError} `pipe-broken` for a frame that is too short, too long, or of an unknown type.
   */
  push(chunk: Uint8Array): Frame[] {
    this.#parts.push(chunk);
    this.#held += chunk.length;
    const frames: Frame[] = [];
    if (this.#held < 4) return frames;
    let at = 0;
    // Joining only when the frame at the head is complete keeps a large frame in small chunks from being quadratic.
    if (this.#parts.length > 1 && !this.#complete()) return frames;
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : concat(...this.#parts);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (bytes.length - at >= 4) {
      const length = checkedLength(view.getUint32(at));
      if (bytes.length - at < 4 + length) break;
      const type = bytes[at + 4]!;
      if (type > MAX_TYPE) throw broken(`frame type is ${type}, not 0 to ${MAX_TYPE}`);
      frames.push({
        type: type as FrameType,
        exchange: view.getUint32(at + 5),
        payload: bytes.slice(at + HEADER_BYTES, at + 4 + length) as Bytes,
      });
      at += 4 + length;
    }
    this.#parts = at < bytes.length ? [at === 0 ? bytes : bytes.slice(at)] : [];
    this.#held = bytes.length - at;
    return frames;
  }

  /** Bytes of an incomplete frame held. */
  get pendingBytes(): number {
    return this.#held;
  }

  #complete(): boolean {
    const head = new Uint8Array(4);
    let filled = 0;
    for (const part of this.#parts) {
      const take = Math.min(4 - filled, part.length);
      head.set(part.subarray(0, take), filled);
      filled += take;
      if (filled === 4) break;
    }
    return this.#held >= 4 + checkedLength(new DataView(head.buffer).getUint32(0));
  }
}

function checkedLength(length: number): number {
  if (length < 5 || length > 5 + MAX_PAYLOAD_BYTES) {
    throw broken(`frame length is ${length}, not 5 to ${5 + MAX_PAYLOAD_BYTES}`);
  }
  return length;
}

export function broken(message: string): SecLlamaError {
  return new SecLlamaError("pipe-broken", `pipe to the runner: ${message}`);
}
