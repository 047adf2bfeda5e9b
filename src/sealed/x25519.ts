/** X25519 (RFC 7748) on `node:crypto`, synchronous. */
import { Buffer } from "node:buffer";
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { type Bytes, concat, fromBase64Url, fromHex } from "../bytes.ts";

/** An X25519 private key, opaque. */
export type X25519Private = KeyObject;
/** An X25519 public key, parsed once for many uses. */
export type X25519Public = KeyObject;

// RFC 8410: everything of an X25519 key in DER but its last 32 bytes.
const PKCS8_PREFIX = fromHex("302e020100300506032b656e04220420");
const SPKI_PREFIX = fromHex("302a300506032b656e032100");

/** A fresh X25519 key pair. */
export function x25519Generate(): { privateKey: X25519Private; publicKey: X25519Public } {
  return generateKeyPairSync("x25519");
}

/** A private key from its 32 bytes. */
export function x25519Private(bytes: Uint8Array): X25519Private {
  const key = Buffer.from(concat(PKCS8_PREFIX, bytes));
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** A public key from its 32 bytes. */
export function x25519Public(bytes: Uint8Array): X25519Public {
  const key = Buffer.from(concat(SPKI_PREFIX, bytes));
  return createPublicKey({ key, format: "der", type: "spki" });
}

/** The public key of a private one. */
export function x25519PublicOf(key: X25519Private): X25519Public {
  return createPublicKey(key as Parameters<typeof createPublicKey>[0]);
}

/** The 32 bytes of a key: of the scalar if it is private, of the point if it is public. */
export function x25519Bytes(key: X25519Private | X25519Public): Bytes {
  const { d, x } = key.export({ format: "jwk" });
  return fromBase64Url((key.type === "private" ? d : x)!);
}

/**
 * X25519 (RFC 7748 section 5).
 * @throws {Error} If the result is all zero, as a peer's point of low order makes it (RFC 9180 section 7.1.4).
 */
export function x25519(privateKey: X25519Private, publicKey: X25519Public): Bytes {
  const shared = new Uint8Array(diffieHellman({ privateKey, publicKey }));
  // The runtimes known refuse this themselves; the format must not depend on it.
  if (shared.every((byte) => byte === 0)) throw new Error("the shared secret is all zero");
  return shared;
}
