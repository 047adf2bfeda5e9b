/**
 * A record: what the issuer has for one host, sealed to it and signed. Whatever carries it can keep it back, and can neither read,
 * change nor make one, nor pass it off as another.
 *
 * ```
 * clear     = JSON {kind, hid, base, at, parts?, changes?}             what it is, in clear
 * contents  = u32 | JSON | secrets of 32 bytes each                    secrets never become text
 * sealed    = of a base's part 0: u16 | enc | HPKE base mode, suite 2 (info "secllama/1 fleet record", AAD fid | clear)
 *             of all others:      nonce[12] | AES-256-GCM (key: the first secret of that part 0, AAD fid | clear)
 * signature = Ed25519("secllama/1 fleet record" | fid | SHA-256(clear) | SHA-256(sealed))
 * record    = JSON {clear, sealed, signature}
 * ```
 */
import { type Bytes, concat, fromBase64Url, toBase64Url, u16, utf8, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { type FleetPin, verifySignature } from "../sealed/member.ts";
import {
  gcmOpen,
  gcmSeal,
  KEY_BYTES,
  NONCE_BYTES,
  randomBytes,
  sha256,
} from "../sealed/primitives.ts";
import { type Suite, suiteById } from "../sealed/suite.ts";
import { secret } from "../secret.ts";

const INFO = utf8("secllama/1 fleet record");
const SUITE = 2;
const LENGTH_BYTES = 4;

/** What a record is. */
export interface Clear {
  /** `base`: a part of all clients; `change`: some of them, anew or gone; `head`: which of both count, and until when. */
  readonly kind: "base" | "change" | "head";
  /** The host's id, 32 hexadecimal digits. */
  readonly hid: string;
  /** Grows with each base. */
  readonly base: number;
  /** Of a base its part, from 0; of changes since the base its number, from 1; of heads it grows with each. */
  readonly at: number;
  /** With a head: of the base. */
  readonly parts?: number;
  /** With a head: since the base. */
  readonly changes?: number;
}

/** What is in it. */
export interface Contents {
  readonly json: unknown;
  /** 32 bytes each. The caller wipes them. */
  readonly secrets: readonly Bytes[];
}

/** Signs as the issuer. */
export type Sign = (message: Uint8Array) => Promise<Bytes>;

/** A host's key pair for bundles, opaque to all but HPKE. */
export type BundleKeyPair = Awaited<ReturnType<Suite["hpke"]["kem"]["DeriveKeyPair"]>>;

/** The key pair of a seed of 32 bytes, and its public key's bytes. */
export async function bundleKeys(seed: Uint8Array): Promise<{ pair: BundleKeyPair; pk: Bytes }> {
  const { kem } = suiteById(SUITE).hpke;
  const pair = await kem.DeriveKeyPair(new Uint8Array(seed), false);
  return { pair, pk: new Uint8Array(await kem.SerializePublicKey(pair.publicKey)) };
}

/** Whether these are the bytes of a host's public key. */
export async function isBundleKey(pk: Uint8Array): Promise<boolean> {
  const { hpke, publicKeyBytes } = suiteById(SUITE);
  if (pk.length !== publicKeyBytes) return false;
  return await hpke.kem.DeserializePublicKey(new Uint8Array(pk)).then(() => true, () => false);
}

/** A record's text. @param o.to Of a base's part 0: the host's public key; of all others the base's own key. */
export async function sealRecord(
  clear: Clear,
  contents: Contents,
  o: {
    readonly fid: Uint8Array;
    readonly to: { pk: Uint8Array } | { key: Uint8Array };
    readonly sign: Sign;
  },
): Promise<string> {
  const text = JSON.stringify(clear);
  const about = concat(o.fid, utf8(text));
  using plain = secret(pack(contents));
  const sealed = "pk" in o.to
    ? await sealTo(o.to.pk, about, plain)
    : sealUnder(o.to.key, about, plain);
  const signature = await o.sign(signed(o.fid, text, sealed));
  return JSON.stringify({
    clear: text,
    sealed: toBase64Url(sealed),
    signature: toBase64Url(signature),
  });
}

/** A record whose signature holds. */
export interface SignedRecord {
  readonly clear: Clear;
  readonly about: Bytes;
  readonly sealed: Bytes;
}

/**
 * Reads a record and checks that the issuer made it for this host.
 * @throws {SecLlamaError} `key-refused`.
 */
export async function verifyRecord(
  text: string,
  pin: FleetPin,
  hid: string,
): Promise<SignedRecord> {
  let clearText: string, sealed: Bytes, signature: Bytes, clear: Clear;
  try {
    const fields = Object(JSON.parse(text));
    clearText = String(fields.clear);
    sealed = fromBase64Url(String(fields.sealed));
    signature = fromBase64Url(String(fields.signature));
    clear = Object(JSON.parse(clearText));
  } catch (cause) {
    throw refused("is damaged", cause);
  }
  if (clear.hid !== hid) throw refused("is for another host");
  if (!await verifySignature(pin.issuer, signed(pin.fid, clearText, sealed), signature)) {
    throw refused("is not signed by the fleet's issuer");
  }
  return { clear, about: concat(pin.fid, utf8(clearText)), sealed };
}

/** Opens a base's part 0. @throws {SecLlamaError} `key-refused`. */
export async function openTo(
  pair: BundleKeyPair,
  { about, sealed }: SignedRecord,
): Promise<Contents> {
  try {
    const length = sealed[0]! << 8 | sealed[1]!;
    const { hpke } = suiteById(SUITE);
    const context = await hpke.setupRecipient(pair, sealed.slice(2, 2 + length), { info: INFO });
    using plain = secret(new Uint8Array(await context.open(sealed.slice(2 + length), about)));
    return unpack(plain);
  } catch (cause) {
    throw refused("does not open", cause);
  }
}

/** Opens any other record. @throws {SecLlamaError} `key-refused`. */
export function openUnder(key: Uint8Array, { about, sealed }: SignedRecord): Contents {
  try {
    using plain = secret(
      gcmOpen(key, sealed.subarray(0, NONCE_BYTES), about, sealed.subarray(NONCE_BYTES)),
    );
    return unpack(plain);
  } catch (cause) {
    throw refused("does not open", cause);
  }
}

/** What is wrong with the fleet's file, or with what its store has. */
export function refused(what: string, cause?: unknown): SecLlamaError {
  return new SecLlamaError("key-refused", `the fleet's file ${what}`, {
    hint: HINTS.newestFleetFile,
    ...(cause === undefined ? {} : { cause }),
  });
}

async function sealTo(pk: Uint8Array, about: Bytes, plain: Uint8Array): Promise<Bytes> {
  const { hpke } = suiteById(SUITE);
  const recipient = await hpke.kem.DeserializePublicKey(new Uint8Array(pk));
  const { enc, context } = await hpke.setupSender(recipient, { info: INFO });
  return concat(u16(enc.length), enc, await context.seal(plain, about));
}

function sealUnder(key: Uint8Array, about: Bytes, plain: Uint8Array): Bytes {
  const nonce = randomBytes(NONCE_BYTES);
  return concat(nonce, gcmSeal(key, nonce, about, plain));
}

function signed(fid: Uint8Array, clear: string, sealed: Uint8Array): Bytes {
  return concat(INFO, fid, sha256(utf8(clear)), sha256(sealed));
}

function pack({ json, secrets }: Contents): Bytes {
  const text = utf8(JSON.stringify(json));
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, text.length);
  return concat(length, text, ...secrets);
}

/** Copies: what it is given is the caller's to wipe. */
function unpack(plain: Uint8Array): Contents {
  const length = new DataView(plain.buffer, plain.byteOffset).getUint32(0);
  const json = JSON.parse(utf8Decode(plain.subarray(LENGTH_BYTES, LENGTH_BYTES + length)));
  // One piece of memory, which all of them are views of: a hundred thousand of their own would cost seconds.
  const all = new Uint8Array(plain.subarray(LENGTH_BYTES + length));
  const secrets: Bytes[] = [];
  for (let at = 0; at < all.length; at += KEY_BYTES) secrets.push(all.subarray(at, at + KEY_BYTES));
  return { json, secrets };
}
