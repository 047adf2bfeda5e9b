/**
 * The tree of pre-shared keys. From a key everything below it can be derived, and nothing above or beside it.
 *
 * ```
 * transport       = HKDF(K, "secllama/1 transport")                           the host's key code
 *   local PSK     = HKDF(transport, "secllama/1 local")                       and clients of this machine
 *   client PSK    = HKDF(transport, "secllama/1 client" | id[16])             and that client
 *     host PSK    = HKDF(local or client PSK, "secllama/1 host" | hid[16])
 *       runner PSK = HKDF(host PSK, salt = rn[32], "secllama/1 runner")       and one start of one runner
 * ```
 * All are 32 bytes, HKDF-SHA256 (RFC 5869) with an empty salt unless one is given. `hid` is the host's random id, made once;
 * `rn` is drawn at each start of a runner. A runner holds runner PSKs only.
 */
import { type Bytes, concat, toHex, utf8 } from "../bytes.ts";
import { hkdfSha256, KEY_BYTES } from "./primitives.ts";
import { plural } from "../plural.ts";

/** Bytes of a host's id. */
export const HID_BYTES = 16;
/** Bytes of the number that is drawn at each start of a runner. */
export const RN_BYTES = 32;
/** Bytes of a paired client's id. */
const CLIENT_ID_BYTES = 16;

const NO_SALT = new Uint8Array(0);

function derive(key: Uint8Array, info: Uint8Array, salt: Uint8Array = NO_SALT): Bytes {
  return hkdfSha256(key, salt, info, KEY_BYTES);
}

/** What every pre-shared key of a keyset's key `masterKey` comes from. */
export function deriveTransport(masterKey: Uint8Array): Bytes {
  return derive(masterKey, utf8("secllama/1 transport"));
}

/** The PSK of clients of the same machine. */
export function deriveLocalPsk(transport: Uint8Array): Bytes {
  return derive(transport, utf8("secllama/1 local"));
}

/**
 * The PSK of the paired client `id`.
 * @throws {RangeError} If `id` is not 16 bytes.
 */
export function deriveClientPsk(transport: Uint8Array, id: Uint8Array): Bytes {
  checkLength("client id", id, CLIENT_ID_BYTES);
  return derive(transport, concat(utf8("secllama/1 client"), id));
}

/**
 * What the host `hid` makes of a client's PSK (paired or local).
 * @throws {RangeError} If `hid` is not 16 bytes.
 */
export function deriveHostPsk(clientPsk: Uint8Array, hid: Uint8Array): Bytes {
  checkLength("hid", hid, HID_BYTES);
  return derive(clientPsk, concat(utf8("secllama/1 host"), hid));
}

/**
 * The key that HPKE takes: a client's with one start of one runner.
 * @throws {RangeError} If `rn` is not 32 bytes.
 */
export function deriveRunnerPsk(hostPsk: Uint8Array, rn: Uint8Array): Bytes {
  checkLength("rn", rn, RN_BYTES);
  return derive(hostPsk, utf8("secllama/1 runner"), rn);
}

/** The key of a host's attestations to a client; see key_document.ts. */
export function deriveAttestKey(hostPsk: Uint8Array): Bytes {
  return derive(hostPsk, utf8("secllama/1 attest"));
}

/** The key of a client's metadata proofs to one host. */
export function deriveProofKey(hostPsk: Uint8Array): Bytes {
  return derive(hostPsk, utf8("secllama/1 metadata"));
}

/** psk_id of this machine's own clients. */
export function localPskId(kid: string): string {
  return `local.${kid}`;
}

/** psk_id of the paired client with this id (bytes or 32 hexadecimal digits). */
export function clientPskId(kid: string, id: string | Uint8Array): string {
  return `client.${kid}.${typeof id === "string" ? id : toHex(id)}`;
}

/** The key and, for a paired client, the client's id that a psk_id names; undefined if it is of neither form. */
export function parsePskId(pskId: string): { kid: string; client?: string } | undefined {
  const match = /^(?:local\.([0-9a-f]{16})|client\.([0-9a-f]{16})\.([0-9a-f]{32}))$/.exec(pskId);
  if (!match) return undefined;
  return match[1] !== undefined ? { kid: match[1] } : { kid: match[2]!, client: match[3]! };
}

function checkLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new RangeError(`${what} has ${plural(bytes.length, "byte")}, must have ${length}`);
}
