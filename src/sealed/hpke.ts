/**
 * HPKE (RFC 9180) as sealed/1 uses it: the key schedule, the contexts and the exporter over HKDF-SHA256 and
 * AES-256-GCM, for any KEM that the npm library `hpke` describes.
 *
 * The library has all of this too, in promises over one primitive at a time; the schedule here takes a third of its time,
 * since extract and expand are one call of the platform, and what depends on the header alone is kept. RFC 9180's vectors
 * hold over it, and a test opens with the library what this sealed, and the other way round.
 */
import type { KEM, Key, KeyPair } from "hpke";
import { type Bytes, concat, u16, utf8 } from "../bytes.ts";
import { frameNonce } from "./frames.ts";
import {
  gcmOpenLarge,
  gcmSealLarge,
  HASH_BYTES,
  hkdfExpand,
  hkdfExtract,
  hkdfSha256,
  KEY_BYTES,
  NONCE_BYTES,
} from "./primitives.ts";
import { wipe } from "../secret.ts";

/** A KEM as the library's factories make it. */
export type Kem = KEM;

/** Where the KEM of a suite comes from: `kems.ts` and its like hold one row for each. */
export interface KemRow {
  /** The suite byte of the wire. */
  readonly id: number;
  readonly name: string;
  readonly kem: () => Kem;
}

const KDF_ID = 0x0001;
const AEAD_ID = 0x0002;
const NONE = new Uint8Array(0);
const VERSION = utf8("HPKE-v1");
const [MODE_BASE, MODE_PSK] = [Uint8Array.of(0), Uint8Array.of(1)];
const LABELS = {
  pskIdHash: utf8("psk_id_hash"),
  infoHash: utf8("info_hash"),
  secret: utf8("secret"),
  key: utf8("key"),
  baseNonce: utf8("base_nonce"),
  exp: utf8("exp"),
  sec: utf8("sec"),
};

interface HpkeOptions {
  readonly info: Uint8Array;
  /** Both or neither: PSK mode or base mode (section 5.1). */
  readonly psk?: Uint8Array;
  readonly pskId?: Uint8Array;
}

/** HPKE over one KEM. */
export class Hpke {
  readonly kem: Kem;
  readonly #suiteId: Bytes;
  /** `key_schedule_context` of the last header, which is the same for every message of a client to one recipient key. */
  #lastContext: { id: Uint8Array; info: Uint8Array; bytes: Bytes } | undefined;

  constructor(kem: Kem) {
    this.kem = kem;
    this.#suiteId = concat(utf8("HPKE"), u16(kem.id), u16(KDF_ID), u16(AEAD_ID));
  }

  /** SetupBaseS and SetupPSKS (section 5.1). */
  async setupSender(
    publicKey: Key,
    options: HpkeOptions,
  ): Promise<{ enc: Bytes; context: Context }> {
    const { shared_secret, enc } = await this.kem.Encap(publicKey);
    return { enc: enc as Bytes, context: this.#schedule(shared_secret, options) };
  }

  /**
   * SetupBaseR and SetupPSKR (section 5.1).
   * @throws {Error} If `enc` is no encapsulation for this key, as far as the KEM can tell.
   */
  async setupRecipient(pair: KeyPair, enc: Uint8Array, options: HpkeOptions): Promise<Context> {
    const shared = await this.kem.Decap(enc, pair.privateKey, pair.publicKey);
    return this.#schedule(shared, options);
  }

  /** KeySchedule (section 5.1). */
  #schedule(shared: Uint8Array, { info, psk = NONE, pskId = NONE }: HpkeOptions): Context {
    if (psk.length === 0 !== (pskId.length === 0)) {
      throw new RangeError("a psk needs its id, and an id its psk");
    }
    const id = this.#suiteId;
    const context = this.#scheduleContext(psk.length > 0 ? MODE_PSK : MODE_BASE, pskId, info);
    const ikm = concat(VERSION, id, LABELS.secret, psk);
    // Extract and expand in one call, thrice, is quicker than one extract and three expands.
    const derive = (label: Uint8Array, length: number) =>
      hkdfSha256(ikm, shared, labeledInfo(id, label, context, length), length);
    try {
      return new Context(id, {
        key: derive(LABELS.key, KEY_BYTES),
        baseNonce: derive(LABELS.baseNonce, NONCE_BYTES),
        exporter: derive(LABELS.exp, HASH_BYTES),
      });
    } finally {
      wipe(ikm);
    }
  }

  #scheduleContext(mode: Uint8Array, pskId: Uint8Array, info: Uint8Array): Bytes {
    const last = this.#lastContext;
    if (last && last.bytes[0] === mode[0] && same(last.id, pskId) && same(last.info, info)) {
      return last.bytes;
    }
    const hash = (label: Uint8Array, bytes: Uint8Array) =>
      hkdfExtract(NONE, concat(VERSION, this.#suiteId, label, bytes));
    const bytes = concat(mode, hash(LABELS.pskIdHash, pskId), hash(LABELS.infoHash, info));
    this.#lastContext = { id: pskId.slice(), info: info.slice(), bytes };
    return bytes;
  }
}

/**
 * One direction of one exchange (section 5.2). It counts its own nonces, and there is no way to set the count: no nonce
 * can be used twice. One call at a time, as the count is the order.
 */
export class Context {
  readonly #suiteId: Bytes;
  readonly #schedule: { key: Bytes; baseNonce: Bytes; exporter: Bytes };
  #seq = 0;

  constructor(suiteId: Bytes, schedule: { key: Bytes; baseNonce: Bytes; exporter: Bytes }) {
    this.#suiteId = suiteId;
    this.#schedule = schedule;
  }

  /** Ciphertext and tag of the next message. The sequence number is taken before anything can wait or fail. */
  seal(plaintext: Uint8Array, aad: Uint8Array): Promise<Bytes> {
    return gcmSealLarge(this.#schedule.key, this.#nextNonce(), aad, plaintext);
  }

  /** Opens the next message. @throws {OpenFailed} If it does not authenticate; the context is then of no more use. */
  open(sealed: Uint8Array, aad: Uint8Array): Promise<Bytes> {
    return gcmOpenLarge(this.#schedule.key, this.#nextNonce(), aad, sealed);
  }

  /** Export (section 5.3). */
  export(exporterContext: Uint8Array, length: number): Bytes {
    const info = labeledInfo(this.#suiteId, LABELS.sec, exporterContext, length);
    return hkdfExpand(this.#schedule.exporter, info, length);
  }

  #nextNonce(): Bytes {
    return frameNonce(this.#schedule.baseNonce, this.#seq++);
  }
}

/** The `info` of LabeledExpand (section 4). */
function labeledInfo(
  suiteId: Uint8Array,
  label: Uint8Array,
  info: Uint8Array,
  length: number,
): Bytes {
  return concat(u16(length), VERSION, suiteId, label, info);
}

/** Of public bytes: ids and headers. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
