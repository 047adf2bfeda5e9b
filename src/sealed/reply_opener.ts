/** The reply's record layer, the client's end; `reply_sealer.ts` draws it. */
import { type Bytes, equalConstantTime } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { parseReplyEnvelope, type ReplyEnvelope } from "./envelope.ts";
import {
  ByteQueue,
  FRAME_ABORT,
  FRAME_FINAL,
  FRAME_HEADER_BYTES,
  frameNonce,
  type FrameType,
  parseFrameHeader,
  REPLY_BUCKET,
  unpad,
} from "./frames.ts";
import { gcmOpenLarge, OpenFailed } from "./primitives.ts";
import { REPLY_MAGIC, type ReplyKeys, replyKeys, RS_BYTES } from "./reply_keys.ts";
import { COMMIT_BYTES } from "./suite.ts";

const PREFIX_BYTES = REPLY_MAGIC.length + RS_BYTES + COMMIT_BYTES;

/**
 * Opens one reply as it arrives. Bytes leave only after their frame has verified; the stream's end is accepted only
 * after FINAL. After the first error every call throws the same error.
 */
export class ReplyOpener {
  readonly #secret: Uint8Array;
  readonly #enc: Uint8Array;
  readonly #queue = new ByteQueue();
  #keys: ReplyKeys | undefined;
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
    const start = this.#queue.peek(Math.min(this.#queue.length, REPLY_MAGIC.length))!;
    if (start.some((byte, i) => byte !== REPLY_MAGIC[i])) {
      throw new SecLlamaError(
        "downgrade",
        "the gateway answered with something that is not sealed",
      );
    }
    const prefix = this.#queue.take(PREFIX_BYTES);
    if (prefix === undefined) return false;
    const rs = prefix.subarray(REPLY_MAGIC.length, REPLY_MAGIC.length + RS_BYTES);
    const keys = replyKeys(this.#secret, this.#enc, rs);
    if (!equalConstantTime(keys.commit, prefix.subarray(REPLY_MAGIC.length + RS_BYTES))) {
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
