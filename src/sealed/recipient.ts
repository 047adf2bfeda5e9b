/**
 * The runner's end of sealed/1: opens requests, announces recipient keys, hands out reply sealers. Holds the private keys and
 * the replay windows in memory and does no I/O.
 *
 * A request passes in this order, and nothing is handed on before all of it holds: header → recipient key → commitment →
 * every frame up to FINAL and nothing after it → clock → replay window.
 */
import type { KeyPair } from "hpke";
import { isSameModel } from "../api/model_name.ts";
import { SEALED_BYTES } from "../api/routes.ts";
import { type Bytes, concat, equalConstantTime, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { secret } from "../secret.ts";
import type { Pot } from "../shares.ts";
import { BodyReader } from "./body_reader.ts";
import {
  DEFAULT_RECIPIENT_KEY_LIFE_MS,
  type RecipientKey,
  RecipientKeys,
} from "./recipient_keys.ts";
import { parseRequestEnvelope, type RequestEnvelope } from "./envelope.ts";
import {
  FRAME_ABORT,
  FRAME_HEADER_BYTES,
  FRAME_MORE,
  type FrameType,
  parseFrameHeader,
  REQUEST_BUCKET,
  unpad,
} from "./frames.ts";
import type { RequestHeader } from "./header.ts";
import { HeldBytes, requestBytes } from "./held_bytes.ts";
import type { Context } from "./hpke.ts";
import { CHALLENGE_BYTES, type KeyDocument, makeKeyDocument } from "./key_document.ts";
import { KEY_BYTES, randomBytes } from "./primitives.ts";
import { DEFAULT_REPLAY_ENTRIES } from "./replay.ts";
import { ReplySealer } from "./reply_sealer.ts";
import { COMMIT_BYTES, EXPORT_COMMIT, EXPORT_RESPONSE, requestInfo, type Suite } from "./suite.ts";
import { plural } from "../plural.ts";

interface RecipientLimits {
  /** Bytes of one sealed request, header and all. */
  readonly bodyBytes: number;
  /** Bytes of all requests at one time, from their opening until they are released. */
  readonly heldBytes: number;
  /** Entries of one recipient key's replay window. */
  readonly replayEntries: number;
  /** How far a request's time may be from ours, either way. */
  readonly skewMs: number;
}

export const DEFAULT_LIMITS: RecipientLimits = {
  bodyBytes: SEALED_BYTES,
  heldBytes: 256 * 1024 * 1024,
  replayEntries: DEFAULT_REPLAY_ENTRIES,
  skewMs: 120_000,
};

export interface RecipientOptions {
  /** Looks a runner PSK up; undefined if there is none, or no longer. */
  readonly psk: (pskId: string) => Uint8Array | undefined;
  /** The host's id, 16 bytes, and the number of this start, 32 bytes: what the PSKs were derived for. */
  readonly hid: Uint8Array;
  readonly rn: Uint8Array;
  /** The canonical name of the model that this runner serves: "demo:latest". */
  readonly model: string;
  /** Suites on offer, the preferred one first. Only suite 1 unless told otherwise. */
  readonly suites?: readonly number[];
  readonly limits?: Partial<RecipientLimits>;
  /** What requests hold their bytes of, where others than this recipient's count too. Default: one of its own. */
  readonly pot?: Pot;
  /** How long a recipient key is announced; it opens requests for twice as long. One hour. */
  readonly recipientKeyLifeMs?: number;
  /** Unix ms. */
  readonly now?: () => number;
  /** Ms of a clock that nobody sets; where `now` is given, that one by default. */
  readonly own?: () => number;
  /** Padding step of the replies to a client, in bytes: 64 times a power of two. Default: 64. */
  readonly replyBucket?: (pskId: string) => number | undefined;
  /** Fixed randomness for reproducible vectors; never set otherwise. */
  readonly fixed?: {
    readonly random?: (length: number) => Uint8Array;
    readonly keyPair?: (suite: Suite) => Promise<KeyPair>;
  };
}

export interface OpenedRequest {
  readonly pskId: string;
  readonly request: RequestEnvelope;
  readonly body: Bytes;
  /** Seals the one reply to this request. */
  readonly reply: ReplySealer;
  /** Gives back what its bytes take of what requests may hold: to be called when the request is over. */
  readonly release: () => void;
}

export class Recipient {
  readonly #options: RecipientOptions;
  readonly #limits: RecipientLimits;
  readonly #suites: readonly number[];
  readonly #keys: RecipientKeys;
  readonly #now: () => number;
  /** Stands in for a PSK that does not exist, so that an unknown id takes the same path as a wrong key. */
  readonly #nobody = randomBytes(KEY_BYTES);
  readonly #pot: Pot;

  /** A recipient without recipient keys: `rollIfDue` makes the first. */
  constructor(options: RecipientOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#suites = options.suites ?? [1];
    this.#now = options.now ?? Date.now;
    this.#pot = options.pot ?? requestBytes(this.#limits.heldBytes);
    this.#keys = new RecipientKeys({
      suites: this.#suites,
      lifeMs: options.recipientKeyLifeMs ?? DEFAULT_RECIPIENT_KEY_LIFE_MS,
      replayEntries: this.#limits.replayEntries,
      now: this.#now,
      own: options.own ?? options.now ?? (() => performance.now()),
      ...(options.fixed?.keyPair && { generate: options.fixed.keyPair }),
    });
  }

  /** A recipient with its first recipient keys made. */
  static async init(options: RecipientOptions): Promise<Recipient> {
    const recipient = new Recipient(options);
    await recipient.rollIfDue();
    return recipient;
  }

  /** Makes a new recipient key if there is none or the newest has been announced for its life; call it every minute or so. */
  rollIfDue(): Promise<void> {
    return this.#keys.rollIfDue();
  }

  /** Hexadecimal `rk` of every recipient key that opens requests now, newest first. */
  recipientIds(): string[] {
    return this.#keys.valid().map((key) => key.rk);
  }

  /**
   * Announces the newest recipient key to the holder of a PSK. Rolls first if that is due.
   * @param request `challenge` is the client's 16 random bytes, `gen` and `attest` the host's word for this document; without
   * `suite` the preferred one is taken.
   * @throws {SecLlamaError} `auth` for an unknown psk_id; `model-not-found` if the model is another than this runner's;
   * `unsupported-suite`; `malformed` if the challenge has another length.
   */
  async keyDocument(
    request: {
      pskId: string;
      challenge: Uint8Array;
      model: string;
      gen: number;
      attest: Uint8Array;
      suite?: number;
    },
  ): Promise<KeyDocument> {
    if (request.challenge.length !== CHALLENGE_BYTES) {
      throw new SecLlamaError(
        "malformed",
        `c has ${plural(request.challenge.length, "byte")}, must have ${CHALLENGE_BYTES}`,
      );
    }
    if (!isSameModel(request.model, this.#options.model)) {
      throw new SecLlamaError("model-not-found", "this runner serves another model");
    }
    const suite = request.suite ?? this.#suites[0]!;
    if (!this.#suites.includes(suite)) throw unsupported(suite);
    // A copy: its owner zeroes the array when the key is replaced.
    using runnerPsk = secret(this.#options.psk(request.pskId)?.slice());
    if (runnerPsk === undefined) throw unauthenticated();
    await this.#keys.rollIfDue();
    await this.#keys.offer(suite);
    // None only while the successor of a used-up key is being made.
    if (this.#keys.current(suite) === undefined) await this.#keys.roll();
    await this.#keys.offer(suite);
    const key = this.#keys.current(suite);
    if (key === undefined) throw new SecLlamaError("busy", "the recipient key is used up");
    const { hid, rn } = this.#options;
    const { gen, attest, model, challenge } = request;
    const { publicKey: pk } = key;
    return makeKeyDocument(
      { suite, hid, rn, gen, pk, ...this.#keys.times() },
      { runnerPsk, attest, model, challenge },
    );
  }

  /**
   * Opens one sealed request. Resolves only once every byte of it has been authenticated and it is known to be new. Its bytes
   * count for its client until it is released, or was refused.
   * @param body The bytes as they arrive; left early on an error.
   * @throws {SecLlamaError} `malformed`, `unsupported-suite`, `key-mismatch`, `auth`, `too-large`, `cancelled` (the
   * client broke off), `clock`, `replay`, `replay-window-full`, `busy`.
   */
  async open(body: AsyncIterable<Uint8Array>): Promise<OpenedRequest> {
    const held = new HeldBytes(this.#pot);
    const reader = new BodyReader(body, {
      bodyBytes: this.#limits.bodyBytes,
      reserve: (bytes) => held.add(bytes),
    });
    try {
      return await this.#open(reader, held);
    } catch (error) {
      held.release();
      throw error;
    } finally {
      await reader.close();
    }
  }

  async #open(reader: BodyReader, held: HeldBytes): Promise<OpenedRequest> {
    const { header, bytes } = await reader.requestHeader();
    if (!this.#suites.includes(header.suite)) throw unsupported(header.suite);
    const key = this.#keys.find(header.rk);
    if (key === undefined || key.suite.id !== header.suite) {
      throw new SecLlamaError("key-mismatch", "the request is sealed to a key that is not in use", {
        hint: HINTS.keyDocument,
      });
    }
    const { context, enc } = await this.#setUp(reader, key, header, bytes);
    // Before, whoever knows the id could hold what is this client's; and what came is one chunk.
    held.begin(header.pskId, reader.received);
    const data = await openFrames(reader, context);
    // From here on nothing waits: the window's answer and the return are one step.
    if (this.#options.psk(header.pskId) === undefined) throw unauthenticated();
    const { envelope, rest } = parseRequestEnvelope(data.first);
    this.#checkClock(envelope.time);
    this.#checkReplay(key, enc);
    const bucket = this.#options.replyBucket?.(header.pskId);
    const reply = new ReplySealer(data.secret, enc, {
      ...(bucket !== undefined && { bucket }),
      ...(this.#options.fixed?.random && { random: this.#options.fixed.random }),
    });
    const whole = data.more.length === 0 ? rest : concat(rest, ...data.more);
    const release = () => held.release();
    return { pskId: header.pskId, request: envelope, body: whole, reply, release };
  }

  async #setUp(
    reader: BodyReader,
    key: RecipientKey,
    header: RequestHeader,
    bytes: Uint8Array,
  ): Promise<{ context: Context; enc: Bytes }> {
    const enc = await reader.take(key.suite.encBytes);
    const commit = enc && await reader.take(COMMIT_BYTES);
    if (enc === undefined || commit === undefined) throw unauthenticated();
    let context: Context;
    let expected: Uint8Array;
    // A copy: when keys are replaced, the owner zeroes the array that a set-up under way still reads.
    using psk = secret((this.#options.psk(header.pskId) ?? this.#nobody).slice());
    try {
      context = await key.suite.hpke.setupRecipient(key.keyPair, enc, {
        info: requestInfo(bytes),
        psk,
        pskId: utf8(header.pskId),
      });
      expected = context.export(EXPORT_COMMIT, COMMIT_BYTES);
    } catch {
      throw unauthenticated();
    }
    if (!equalConstantTime(expected, commit)) throw unauthenticated();
    return { context, enc };
  }

  #checkClock(time: number): void {
    if (Math.abs(time - this.#now()) <= this.#limits.skewMs) return;
    throw new SecLlamaError("clock", "the request's time is too far from the runner's clock", {
      hint: "fetch the key document again and seal with its clock",
    });
  }

  #checkReplay(key: RecipientKey, enc: Uint8Array): void {
    const verdict = key.window.admit(enc);
    if (verdict === "fresh") return;
    if (verdict === "replay") {
      throw new SecLlamaError("replay", "this request has been received before");
    }
    this.#keys.retire(key);
    // Rolling is under way when the client comes back; a failure to roll shows at the next key document.
    this.#keys.roll().catch(() => {});
    throw new SecLlamaError(
      "replay-window-full",
      "the recipient key is used up, a new one is made",
      {
        hint: HINTS.keyDocument,
      },
    );
  }
}

interface OpenedFrames {
  readonly first: Bytes;
  readonly more: Bytes[];
  readonly secret: Uint8Array;
}

/** All frames up to FINAL, which must be the body's end. Nothing of it leaves before every frame has authenticated. */
async function openFrames(reader: BodyReader, context: Context): Promise<OpenedFrames> {
  const opening: Promise<Bytes>[] = [];
  let failed = false;
  let type: FrameType = FRAME_MORE;
  while (type === FRAME_MORE && !failed) {
    const aad = await reader.take(FRAME_HEADER_BYTES);
    const header = aad && parseFrameHeader(aad, REQUEST_BUCKET);
    const sealed = header && await reader.take(header.sealedBytes);
    if (sealed === undefined) throw unauthenticated();
    type = header!.type;
    // Not awaited one by one: the next arrives, and large ones are opened, beside each other.
    const opened = context.open(sealed, aad!);
    opened.catch(() => failed = true);
    opening.push(opened);
    // What fails at once, as small frames do, is seen before more is read.
    await undefined;
  }
  const parts: Bytes[] = [];
  try {
    for (const opened of opening) {
      const data = unpad(await opened);
      if (data === undefined) throw unauthenticated();
      parts.push(data);
    }
  } catch {
    throw unauthenticated();
  }
  if (type === FRAME_ABORT) {
    throw new SecLlamaError("cancelled", "the client broke off the request");
  }
  if (!await reader.atEnd()) throw unauthenticated();
  const [first, ...more] = parts;
  return { first: first!, more, secret: context.export(EXPORT_RESPONSE, KEY_BYTES) };
}

/** The one shape of every failure to authenticate: unknown id, commitment, tag, order, truncation. */
function unauthenticated(): SecLlamaError {
  return new SecLlamaError("auth", "the request does not authenticate");
}

function unsupported(suite: number): SecLlamaError {
  return new SecLlamaError("unsupported-suite", `suite ${suite} is not offered here`);
}
