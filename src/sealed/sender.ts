/**
 * The client's end of sealed/1: checks a key document, seals requests, opens replies. Does no I/O; `src/client` makes a
 * `fetch` of it.
 */
import type { Key } from "hpke";
import { type Bytes, concat, equalConstantTime, fromBase64Url, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { wipe } from "../secret.ts";
import { encodeRequestEnvelope, type Headers1 } from "./envelope.ts";
import {
  encodeFrameHeader,
  FRAME_FINAL,
  FRAME_HEADER_BYTES,
  FRAME_MORE,
  MAX_DATA_BYTES,
  paddedBytes,
  PADDING_MARK,
  REQUEST_BUCKET,
} from "./frames.ts";
import { encodeRequestHeader } from "./header.ts";
import type { Context } from "./hpke.ts";
import { announcementMac, attest, type KeyAnnouncement } from "./key_document.ts";
import { verifyMember } from "./member.ts";
import { KEY_BYTES, TAG_BYTES } from "./primitives.ts";
import { deriveHostPsk, deriveRunnerPsk, HID_BYTES, RN_BYTES } from "./psk.ts";
import { ReplyOpener } from "./reply_opener.ts";
import {
  COMMIT_BYTES,
  EXPORT_COMMIT,
  EXPORT_RESPONSE,
  recipientId,
  requestInfo,
  type Suite,
  suiteById,
} from "./suite.ts";

export { ReplyOpener } from "./reply_opener.ts";

/** A runner's recipient key whose announcement verified under our PSK. */
export interface VerifiedKey {
  readonly suite: Suite;
  /** What we share with this start of this runner: HPKE's PSK, 32 bytes. */
  readonly runnerPsk: Bytes;
  /** How many times the host had changed its keys. */
  readonly gen: number;
  readonly publicKey: Key;
  /** The 8 bytes that name this key in a request header. */
  readonly rk: Bytes;
  /** Unix ms by the runner's clock. */
  readonly exp: number;
  /** Runner's clock minus ours, ms. */
  readonly clockOffsetMs: number;
}

/**
 * Checks a key document: its shape, that it is of the host that the PSK was made for, its mac (in constant time), that its key
 * is valid now and of the suite we asked for.
 * @param options `psk` is ours, `hid` the id of the host that we were paired with, or with `issuer` that of the fleet, whose
 * hosts show a `member`; `sentAt` and `receivedAt` are our unix ms
 * around the request; `suite` is 1 unless told otherwise.
 * @throws {SecLlamaError} `malformed` if it is no key document; `unsupported-suite` if it offers another suite than
 * asked for; `auth` if it is another host's or the mac is wrong, as it is for a key that the gateway put in; `clock` if the key
 * is not valid.
 */
export async function verifyKeyDocument(
  document: unknown,
  options: {
    psk: Uint8Array;
    hid: Uint8Array;
    model: string;
    challenge: Uint8Array;
    sentAt: number;
    receivedAt: number;
    suite?: number;
    issuer?: Uint8Array | undefined;
    member?: string | null;
  },
): Promise<VerifiedKey> {
  const wanted = options.suite ?? 1;
  const { announcement, mac } = readDocument(document);
  if (announcement.suite !== wanted) {
    throw new SecLlamaError(
      "unsupported-suite",
      `the runner offers suite ${announcement.suite}, must be ${wanted}`,
    );
  }
  const suite = suiteById(wanted);
  if (announcement.pk.length !== suite.publicKeyBytes) throw notADocument();
  if (options.issuer !== undefined) {
    const pin = { fid: options.hid, issuer: options.issuer };
    const { receivedAt: now } = options;
    await verifyMember(options.member ?? "", pin, { hid: announcement.hid, now });
  } else if (!equalConstantTime(announcement.hid, options.hid)) {
    throw new SecLlamaError("auth", "the gateway is another host than the key was made for", {
      hint: "check its address; or pair this machine anew: on the host, run: secllama pair NAME",
    });
  }
  const hostPsk = deriveHostPsk(options.psk, announcement.hid);
  const { model, challenge } = options;
  const { rn, gen } = announcement;
  let runnerPsk: Bytes;
  let word: Bytes;
  try {
    runnerPsk = deriveRunnerPsk(hostPsk, rn);
    word = attest(hostPsk, { rn, gen, model, challenge });
  } finally {
    wipe(hostPsk);
  }
  const expected = announcementMac(announcement, { runnerPsk, attest: word, model, challenge });
  if (!equalConstantTime(expected, mac)) {
    wipe(runnerPsk);
    throw new SecLlamaError("auth", "the runner's key does not authenticate", {
      hint: "the gateway may be another one than the key was made for",
    });
  }
  if (announcement.now < announcement.nbf || announcement.now >= announcement.exp) {
    wipe(runnerPsk);
    throw new SecLlamaError("clock", "the runner announced a key that is not valid");
  }
  let publicKey: Key;
  try {
    publicKey = await suite.hpke.kem.DeserializePublicKey(announcement.pk);
  } catch (cause) {
    wipe(runnerPsk);
    throw new SecLlamaError("malformed", "the runner's key is no public key", { cause });
  }
  return {
    suite,
    runnerPsk,
    gen,
    publicKey,
    rk: recipientId(announcement.pk),
    exp: announcement.exp,
    clockOffsetMs: announcement.now - Math.round((options.sentAt + options.receivedAt) / 2),
  };
}

/** Whether a request sealed now, by our clock, still reaches the key with `marginMs` to spare. */
export function isUsable(key: VerifiedKey, now: number, marginMs = 5000): boolean {
  return now + key.clockOffsetMs + marginMs < key.exp;
}

export interface SealOptions {
  readonly pskId: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers1;
  readonly body: Uint8Array;
  /** Our unix ms; the key's clock offset is added. */
  readonly now: number;
  /** Data bytes of a frame, for vectors with several small ones. Default: as many as fit. */
  readonly frameBytes?: number;
  /** The suite with a fixed ephemeral key, for reproducible vectors. Default: the key's. */
  readonly suite?: Suite;
}

/**
 * Seals one request for one sending; a retry seals again.
 * @returns The HTTP body, and the opener of its reply.
 * @throws {SecLlamaError} `too-large` if the headers are above 65,535 bytes as JSON.
 */
export async function sealRequest(
  key: VerifiedKey,
  options: SealOptions,
): Promise<{ body: Bytes; reply: ReplyOpener }> {
  const suite = options.suite ?? key.suite;
  const header = encodeRequestHeader({ suite: suite.id, rk: key.rk, pskId: options.pskId });
  const { enc, context } = await suite.hpke.setupSender(key.publicKey, {
    info: requestInfo(header),
    psk: key.runnerPsk,
    pskId: utf8(options.pskId),
  });
  const prefix = concat(header, enc, context.export(EXPORT_COMMIT, COMMIT_BYTES));
  const envelope = encodeRequestEnvelope({
    method: options.method,
    path: options.path,
    headers: options.headers,
    time: Math.round(options.now + key.clockOffsetMs),
  });
  const data = [envelope, options.body] as const;
  const body = await sealFrames(context, prefix, data, options.frameBytes ?? MAX_DATA_BYTES);
  return { body, reply: new ReplyOpener(context.export(EXPORT_RESPONSE, KEY_BYTES), enc) };
}

/** `prefix` and the frames of `envelope | body`, the last one FINAL, in one array. */
async function sealFrames(
  context: Context,
  prefix: Uint8Array,
  [envelope, body]: readonly [Uint8Array, Uint8Array],
  frameBytes: number,
): Promise<Bytes> {
  const dataBytes = envelope.length + body.length;
  const count = Math.max(1, Math.ceil(dataBytes / frameBytes));
  const sealing: Promise<void>[] = [];
  const overhead = FRAME_HEADER_BYTES + TAG_BYTES;
  const lastBytes = dataBytes - (count - 1) * frameBytes;
  const sealedBytes = (data: number) => paddedBytes(data, REQUEST_BUCKET) + overhead;
  const out = new Uint8Array(
    prefix.length + (count - 1) * sealedBytes(frameBytes) + sealedBytes(lastBytes),
  );
  out.set(prefix);
  for (let i = 0, at = prefix.length; i < count; i++) {
    const from = i * frameBytes;
    const length = Math.min(frameBytes, dataBytes - from);
    const plaintext = new Uint8Array(paddedBytes(length, REQUEST_BUCKET));
    // What of this frame is still envelope, then body.
    const head = envelope.subarray(from, from + length);
    plaintext.set(head);
    const bodyFrom = from + head.length - envelope.length;
    plaintext.set(body.subarray(bodyFrom, bodyFrom + length - head.length), head.length);
    plaintext[length] = PADDING_MARK;
    const header = encodeFrameHeader(i === count - 1 ? FRAME_FINAL : FRAME_MORE, plaintext.length);
    out.set(header, at);
    const place = at + FRAME_HEADER_BYTES;
    // Not awaited one by one: each takes its nonce in the call, and large ones run beside each other.
    sealing.push(context.seal(plaintext, header).then((sealed) => out.set(sealed, place)));
    at += plaintext.length + overhead;
  }
  await Promise.all(sealing);
  return out;
}

function readDocument(document: unknown): { announcement: KeyAnnouncement; mac: Bytes } {
  if (typeof document !== "object" || document === null) throw notADocument();
  const { suite, hid, rn, gen, pk, nbf, exp, now, mac } = document as { [field: string]: unknown };
  const bytes = (value: unknown, length?: number): Bytes => {
    if (typeof value !== "string" || value.length > 4096) throw notADocument();
    const decoded = fromBase64Url(value);
    if (length !== undefined && decoded.length !== length) throw notADocument();
    return decoded;
  };
  const whole = (value: unknown): number => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw notADocument();
    }
    return value;
  };
  if (typeof suite !== "number" || !Number.isInteger(suite) || suite < 0 || suite > 255) {
    throw notADocument();
  }
  try {
    return {
      announcement: {
        suite,
        hid: bytes(hid, HID_BYTES),
        rn: bytes(rn, RN_BYTES),
        gen: whole(gen),
        pk: bytes(pk),
        nbf: whole(nbf),
        exp: whole(exp),
        now: whole(now),
      },
      mac: bytes(mac),
    };
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    throw notADocument();
  }
}

function notADocument(): SecLlamaError {
  return new SecLlamaError("malformed", "the answer is not a key document");
}
