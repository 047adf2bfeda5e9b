/**
 * The reply's record layer, the runner's end.
 *
 * ```
 * "SLR1" | rs[32] | commit[32] | frame+
 * key[32] | base[12] | commit[32] = HKDF(ikm = Export("secllama/1 response", 32), salt = enc | rs,
 *                                        info = "secllama/1 response keys", 76)
 * ```
 * `rs` is fresh for each reply, so the key serves one direction of one exchange.
 */
import { type Bytes, concat } from "../bytes.ts";
import { encodeReplyEnvelope, type Headers1 } from "./envelope.ts";
import {
  encodeFrameHeader,
  FRAME_ABORT,
  FRAME_FINAL,
  FRAME_HEADER_BYTES,
  FRAME_MORE,
  frameNonce,
  type FrameType,
  MAX_DATA_BYTES,
  MAX_PLAINTEXT_BYTES,
  pad,
  REPLY_BUCKET,
} from "./frames.ts";
import { gcmSealInto, randomBytes, TAG_BYTES } from "./primitives.ts";
import { REPLY_MAGIC, type ReplyKeys, replyKeys, RS_BYTES } from "./reply_keys.ts";

/**
 * Seals one reply. Call `head` once, `frame` as often as needed, then `final` or `abort` once; each returns the bytes to
 * send. Any other order is a bug and throws. Synchronous, as tokens come one at a time.
 */
export class ReplySealer {
  readonly #keys: ReplyKeys;
  readonly #rs: Uint8Array;
  readonly #bucket: number;
  #seq = 0;
  #state: "new" | "open" | "ended" = "new";

  /**
   * @param secret `Export("secllama/1 response", 32)` of the request's context.
   * @param enc The request's encapsulated key.
   * @param options `random` is for reproducible vectors; `bucket` pads to larger steps than 64 bytes, 64 times a power of two.
   */
  constructor(
    secret: Uint8Array,
    enc: Uint8Array,
    options: { random?: (length: number) => Uint8Array; bucket?: number } = {},
  ) {
    this.#bucket = options.bucket ?? REPLY_BUCKET;
    if (this.#bucket % REPLY_BUCKET !== 0 || MAX_PLAINTEXT_BYTES % this.#bucket !== 0) {
      throw new RangeError(
        `bucket is ${this.#bucket}, must be 64 times a power of two up to 1 MiB`,
      );
    }
    this.#rs = (options.random ?? randomBytes)(RS_BYTES);
    this.#keys = replyKeys(secret, enc, this.#rs);
  }

  /**
   * The reply's start: prefix, status and headers, and `body` if its first bytes are known. With `final` the reply ends
   * there: the whole of a short reply in one call. `renewal` is the client's new key after a rotation,
   * sealed to the client.
   * @throws {SecLlamaError} `too-large` if the headers are above 65,535 bytes as JSON.
   */
  head(
    status: number,
    headers: Headers1,
    options: { body?: Uint8Array; final?: boolean; renewal?: Uint8Array | undefined } = {},
  ): Bytes {
    if (this.#state !== "new") throw new Error("head() of a reply must come first and once");
    const { renewal } = options;
    const envelope = encodeReplyEnvelope({ status, headers, ...(renewal && { renewal }) });
    const data = options.body === undefined ? envelope : concat(envelope, options.body);
    this.#state = "open";
    const prefix = concat(REPLY_MAGIC, this.#rs, this.#keys.commit);
    return concat(prefix, this.#seal(options.final ? FRAME_FINAL : FRAME_MORE, data));
  }

  /** More body bytes; above 1 MiB they become several frames. */
  frame(data: Uint8Array): Bytes {
    return this.#seal(FRAME_MORE, data);
  }

  /** The end of the body, with its last bytes if any. Nothing can follow. */
  final(data: Uint8Array = new Uint8Array(0)): Bytes {
    return this.#seal(FRAME_FINAL, data);
  }

  /** Tells the client that the reply broke off on this side. Nothing can follow. */
  abort(): Bytes {
    return this.#seal(FRAME_ABORT, new Uint8Array(0));
  }

  #seal(type: FrameType, data: Uint8Array): Bytes {
    if (this.#state !== "open") throw new Error(`a reply that is ${this.#state} takes no frame`);
    if (type !== FRAME_MORE) this.#state = "ended";
    if (data.length <= MAX_DATA_BYTES) return this.#sealOne(type, data);
    const frames: Bytes[] = [];
    let at = 0;
    for (; data.length - at > MAX_DATA_BYTES; at += MAX_DATA_BYTES) {
      frames.push(this.#sealOne(FRAME_MORE, data.subarray(at, at + MAX_DATA_BYTES)));
    }
    frames.push(this.#sealOne(type, data.subarray(at)));
    return concat(...frames);
  }

  #sealOne(type: FrameType, data: Uint8Array): Bytes {
    const plaintext = pad(data, this.#bucket);
    const header = encodeFrameHeader(type, plaintext.length);
    const out = new Uint8Array(FRAME_HEADER_BYTES + plaintext.length + TAG_BYTES);
    out.set(header);
    const nonce = frameNonce(this.#keys.base, this.#seq++);
    gcmSealInto(out, FRAME_HEADER_BYTES, this.#keys.key, nonce, header, plaintext);
    return out;
  }
}
