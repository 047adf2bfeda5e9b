/**
 * COSE_Sign1 (RFC 9052, section 4.2) with Ed25519 (`EdDSA`, RFC 9053, section 2.2): one signer, its key named by its `kid`. What is
 * read is what {@link signCose} writes: no other algorithm, no header that is not understood, nothing that is only in the open.
 */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import { type Bytes, concat, fromHex, toHex } from "../bytes.ts";
import { secret } from "../secret.ts";
import { type Cbor, decodeCbor, encodeCbor, Tagged } from "./cbor.ts";
import { sha256 } from "./sha256.ts";

const TAG_SIGN1 = 18;
/** Labels of headers (RFC 9052, section 3.1). */
export const HEADER = { alg: 1, contentType: 3, kid: 4 } as const;
const ALG_EDDSA = -8;
const SIGNATURE_BYTES = 64;
/** RFC 8410: what stands before an Ed25519 seed in PKCS #8, and before a public key in SPKI. */
const PKCS8 = fromHex("302e020100300506032b657004220420");
const SPKI = fromHex("302a300506032b6570032100");

/** A public key of Ed25519. */
export class PublicKey {
  /** 32 bytes. */
  readonly raw: Bytes;
  /** First 8 bytes of SHA-256 of the key, hexadecimal: its name in a `kid`. */
  readonly id: string;
  readonly #key: KeyObject;

  /** The key of these bytes. @throws {RangeError} If `raw` is not 32 bytes. */
  constructor(raw: Bytes) {
    if (raw.length !== 32) throw new RangeError("an Ed25519 public key has 32 bytes");
    this.raw = raw;
    this.id = toHex(sha256(raw)).slice(0, 16);
    this.#key = createPublicKey({
      key: concat(SPKI, raw) as unknown as Buffer<ArrayBuffer>,
      format: "der",
      type: "spki",
    });
  }

  /** Whether `signature` over `message` was made with its private half. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    return signature.length === SIGNATURE_BYTES &&
      nodeVerify(null, message, this.#key, signature);
  }

  /** SubjectPublicKeyInfo (RFC 8410), DER. */
  spki(): Bytes {
    return concat(SPKI, this.raw);
  }

  /** Reads {@link PublicKey.spki}. @throws {RangeError} If `der` is not the SPKI of an Ed25519 key. */
  static fromSpki(der: Uint8Array): PublicKey {
    const start = der.subarray(0, SPKI.length);
    if (toHex(start) !== toHex(SPKI)) throw new RangeError("not an Ed25519 public key");
    return new PublicKey(new Uint8Array(der.slice(SPKI.length)));
  }
}

/** Signs with an Ed25519 key whose seed it was made from. */
export class SigningKey {
  /** Its public half. */
  readonly publicKey: PublicKey;
  readonly #key: KeyObject;

  /** The key of this seed. @param seed 32 bytes, which stay the caller's to wipe. */
  constructor(seed: Uint8Array) {
    using der = secret(concat(PKCS8, seed));
    this.#key = createPrivateKey({
      key: der as unknown as Buffer<ArrayBuffer>,
      format: "der",
      type: "pkcs8",
    });
    const spki = createPublicKey(this.#key).export({ format: "der", type: "spki" });
    this.publicKey = PublicKey.fromSpki(new Uint8Array(spki));
  }

  /** 64 bytes. */
  sign(message: Uint8Array): Bytes {
    return new Uint8Array(nodeSign(null, message, this.#key));
  }
}

/** `Sig_structure` (section 4.4), without external data: what the signature is over. */
export function sigStructure(protectedHeader: Bytes, payload: Bytes): Bytes {
  return encodeCbor(["Signature1", protectedHeader, new Uint8Array(0), payload]);
}

/** Headers by their label. */
type CoseHeaders = ReadonlyMap<number | string, Cbor>;

/** What {@link signBytes} signs. */
interface ToSign {
  /** Protected headers besides the algorithm and the key's id. */
  readonly headers: readonly (readonly [label: number | string, value: Cbor])[];
  /** Headers that the signature does not cover. */
  readonly open?: CoseHeaders;
  readonly payload: Bytes;
  /** The payload is known from elsewhere and is not in it. */
  readonly detached?: boolean;
}

/** A COSE_Sign1 of these bytes. */
export function signBytes(key: SigningKey, o: ToSign): Bytes {
  const header = encodeCbor(
    new Map<number | string, Cbor>([
      [HEADER.alg, ALG_EDDSA],
      ...o.headers,
      [HEADER.kid, fromHex(key.publicKey.id)],
    ]),
  );
  const signature = key.sign(sigStructure(header, o.payload));
  const payload = o.detached ? null : o.payload;
  return encodeCbor(new Tagged(TAG_SIGN1, [header, o.open ?? new Map(), payload, signature]));
}

/** A COSE_Sign1 as it was read; nothing says yet that its signature holds. */
interface Sign1 {
  /** The key that it names, hexadecimal. */
  readonly kid: string;
  /** Protected. */
  readonly headers: CoseHeaders;
  readonly open: CoseHeaders;
  /** null: it is detached. */
  readonly payload: Bytes | null;
  /** Whether this key signed it. @param detached The payload, where it is not in it. */
  verify(key: PublicKey, detached?: Bytes): boolean;
}

/** Reads what {@link signBytes} writes. @throws {SyntaxError} For another algorithm, and what is none. */
export function readBytes(bytes: Uint8Array): Sign1 {
  const item = decodeCbor(bytes);
  if (!(item instanceof Tagged) || item.tag !== TAG_SIGN1 || !Array.isArray(item.value)) {
    throw new SyntaxError("not a COSE_Sign1");
  }
  const [header, open, payload, signature] = item.value as Cbor[];
  if (
    item.value.length !== 4 || !(header instanceof Uint8Array) || !(open instanceof Map) ||
    !(payload instanceof Uint8Array || payload === null) || !(signature instanceof Uint8Array) ||
    signature.length !== SIGNATURE_BYTES
  ) throw new SyntaxError("not a COSE_Sign1");
  const headers = decodeCbor(header);
  if (!(headers instanceof Map)) throw new SyntaxError("unknown headers");
  if (headers.get(HEADER.alg) !== ALG_EDDSA) throw new SyntaxError("its algorithm is not EdDSA");
  const kid = headers.get(HEADER.kid);
  if (!(kid instanceof Uint8Array)) throw new SyntaxError("unknown headers");
  return {
    kid: toHex(kid),
    headers,
    open,
    payload,
    verify(key, detached) {
      const body = payload ?? detached;
      return body !== undefined && key.verify(sigStructure(header, body), signature);
    },
  };
}

/** A signed statement. @param contentType What the payload is, a media type. */
export function signCose(key: SigningKey, contentType: string, payload: Cbor): Bytes {
  const headers = [[HEADER.contentType, contentType]] as const;
  return signBytes(key, { headers, payload: encodeCbor(payload) });
}

/** A statement as it was read; nothing says yet that its signature holds. */
export interface CoseStatement {
  /** The key that it names, hexadecimal. */
  readonly kid: string;
  /** What it is a statement of, a media type. */
  readonly contentType: string;
  /** What it says. */
  readonly payload: Cbor;
  /** Whether this key signed it. */
  verify(key: PublicKey): boolean;
}

/** Reads a statement. @throws {SyntaxError} For anything that {@link signCose} does not write. */
export function readCose(bytes: Uint8Array): CoseStatement {
  const { kid, headers, open, payload, verify } = readBytes(bytes);
  if (payload === null || open.size !== 0) {
    throw new SyntaxError("not a COSE_Sign1 with its payload");
  }
  const contentType = headers.get(HEADER.contentType);
  if (headers.size !== 3 || typeof contentType !== "string") {
    throw new SyntaxError("unknown headers");
  }
  return { kid, contentType, payload: decodeCbor(payload), verify: (key) => verify(key) };
}
