/**
 * The reply's record layer, both ends: what the runner writes and what the client reads.
 *
 * ```
 * "SLR1" | rn[32] | commit[32] | frame+
 * key[32] | base[12] | commit[32] = HKDF(ikm = Export("secllama/1 response", 32), salt = enc | rn,
 *                                        info = "secllama/1 response keys", 76)
 * ```
 * `rn` is fresh for each reply, so the key serves one direction of one exchange.
 */
import { type Bytes, concat, equalConstantTime, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import {
  encodeReplyEnvelope,
  type Headers1,
  parseReplyEnvelope,
  type ReplyEnvelope,
} from "./envelope.ts";
import {
  ByteQueue,
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
  parseFrameHeader,
  REPLY_BUCKET,
  unpad,
} from "./frames.ts";
import {
  gcmOpenLarge,
  gcmSealInto,
  KEY_BYTES,
  NONCE_BYTES,
  OpenFailed,
  randomBytes,
  TAG_BYTES,
} from "./primitives.ts";
import { COMMIT_BYTES, hkdfSync } from "./suite.ts";

const MAGIC = utf8("SLR1");
const RN_BYTES = 32;
const PREFIX_BYTES = MAGIC.length + RN_BYTES + COMMIT_BYTES;

function replyKeys(secret: Uint8Array, enc: Uint8Array, rn: Uint8Array) {
  const length = KEY_BYTES + NONCE_BYTES + COMMIT_BYTES;
  const okm = hkdfSync(secret, "secllama/1 response keys", length, concat(enc, rn));
  return {
    key: okm.slice(0, KEY_BYTES),
    base: okm.slice(KEY_BYTES, KEY_BYTES + NONCE_BYTES),
    commit: okm.slice(KEY_BYTES + NONCE_BYTES),
  };
}

/**
 * Seals one reply. Call `head` once, `frame` as often as needed, then `final` or `abort` once; each returns the bytes to
 * send. Any other order is a bug and throws. Synchronous, as tokens come one at a time.
 */
export class ReplySealer {
  readonly #keys: ReturnType<typeof replyKeys>;
  readonly #rn: Uint8Array;
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
    this.#rn = (options.random ?? randomBytes)(RN_BYTES);
    this.#keys = replyKeys(secret, enc, this.#rn);
  }

  /**
   * The reply's start: prefix, status and headers, and `body` if its first bytes are known. With `final` the reply ends
   * there: the whole of a short reply in one call.
   * @throws {SecLlamaError} `too-large` if the headers are above 65,535 bytes as JSON.
   */
  head(
    status: number,
    headers: Headers1,
    options: { body?: Uint8Array; final?: boolean } = {},
  ): Bytes {
    if (this.#state !== "new") throw new Error("head() of a reply must come first and once");
    const envelope = encodeReplyEnvelope({ status, headers });
    const data = options.body === undefined ? envelope : concat(envelope, options.body);
    this.#state = "open";
    const prefix = concat(MAGIC, this.#rn, this.#keys.commit);
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

/**
 * Opens one reply as it arrives. Bytes leave only after their frame has verified; the stream's end is accepted only
 * after FINAL. After the first error every call throws the same error.
 */
export class ReplyOpener {
  readonly #secret: Uint8Array;
  readonly #enc: Uint8Array;
  readonly #queue = new ByteQueue();
  #keys: ReturnType<typeof replyKeys> | undefined;
  #header: { type: FrameType; sealedBytes: number; aad: Bytes } | undefined;
  #seq = 0;
  #headSeen = false;
  #finalSeen = false;
  #failure: SecLlamaError | undefined;

  constructor(secret: Uint8Array, enc: Uint8Array) {
    this.#secret = secret;
    this.#enc = enc;
  }

  /** Whether FINAL has been verified and nothing was wrong. */
  get done(): boolean {
    return this.#finalSeen && this.#failure === undefined;
  }

  /**
   * Takes bytes from the wire and returns what they complete, in order: the status and headers first, then body bytes.
   * One call at a time: await it before the next. What verified before a bad frame is still returned; the next call
   * then throws, so `end()` must always be called.
   * @throws {SecLlamaError} `downgrade` if the bytes are no sealed reply; `auth` if they do not verify; `truncated` if
   * the runner aborted; `malformed` if the authenticated status or headers are not HTTP.
   */
  async push(chunk: Uint8Array): Promise<(ReplyEnvelope | Bytes)[]> {
    if (this.#failure) throw this.#failure;
    const out: (ReplyEnvelope | Bytes)[] = [];
    try {
      this.#queue.push(chunk);
      await this.#read(out);
    } catch (error) {
      this.#failure = error instanceof SecLlamaError
        ? error
        : new SecLlamaError("auth", "the reply does not authenticate", { cause: error });
      if (out.length === 0) throw this.#failure;
    }
    return out;
  }

  /**
   * Call at the end of the stream.
   * @throws {SecLlamaError} `truncated` unless FINAL was the last frame; whatever a frame failed with before.
   */
  end(): void {
    if (this.#failure) throw this.#failure;
    if (this.#finalSeen) return;
    this.#failure = new SecLlamaError("truncated", "the reply ended before its last frame");
    throw this.#failure;
  }

  async #read(out: (ReplyEnvelope | Bytes)[]): Promise<void> {
    if (this.#keys === undefined && !this.#readPrefix()) return;
    while (this.#queue.length > 0) {
      if (this.#finalSeen) throw new OpenFailed();
      const data = await this.#readFrame();
      if (data === undefined) return;
      if (this.#headSeen) {
        if (data.length > 0) out.push(data);
        continue;
      }
      this.#headSeen = true;
      const { envelope, rest } = parseReplyEnvelope(data);
      out.push(envelope);
      if (rest.length > 0) out.push(rest);
    }
  }

  #readPrefix(): boolean {
    const start = this.#queue.peek(Math.min(this.#queue.length, MAGIC.length))!;
    if (start.some((byte, i) => byte !== MAGIC[i])) {
      throw new SecLlamaError(
        "downgrade",
        "the gateway answered with something that is not sealed",
      );
    }
    const prefix = this.#queue.take(PREFIX_BYTES);
    if (prefix === undefined) return false;
    const rn = prefix.subarray(MAGIC.length, MAGIC.length + RN_BYTES);
    const keys = replyKeys(this.#secret, this.#enc, rn);
    if (!equalConstantTime(keys.commit, prefix.subarray(MAGIC.length + RN_BYTES))) {
      throw new OpenFailed();
    }
    this.#keys = keys;
    return true;
  }

  async #readFrame(): Promise<Bytes | undefined> {
    if (this.#header === undefined) {
      const aad = this.#queue.take(FRAME_HEADER_BYTES);
      if (aad === undefined) return undefined;
      const header = parseFrameHeader(aad, REPLY_BUCKET);
      if (header === undefined) throw new OpenFailed();
      this.#header = { ...header, aad };
    }
    const { type, sealedBytes, aad } = this.#header;
    const sealed = this.#queue.take(sealedBytes);
    if (sealed === undefined) return undefined;
    this.#header = undefined;
    const nonce = frameNonce(this.#keys!.base, this.#seq++);
    const data = unpad(await gcmOpenLarge(this.#keys!.key, nonce, aad, sealed));
    if (data === undefined) throw new OpenFailed();
    if (type === FRAME_ABORT) {
      throw new SecLlamaError("truncated", "the runner broke off the reply");
    }
    if (type === FRAME_FINAL) this.#finalSeen = true;
    return data;
  }
}
