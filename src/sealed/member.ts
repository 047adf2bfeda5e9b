/**
 * A host's membership in a fleet: the issuer's signed word that the host `hid` may answer the fleet's clients for a while. A
 * client of a fleet pins the fleet's id and the issuer's key, and believes the key document of any host that shows such a word.
 *
 * ```
 * member    = fid[16] | hid[16] | nbf u64 | exp u64 | signature[64]
 * signature = Ed25519("secllama/1 fleet member" | fid | hid | nbf | exp)          (RFC 8032)
 * ```
 * Times are unix ms, as the issuer's clock goes. It travels in the header `Secllama-Member` of the answer with a key document,
 * base64url without padding. It is no secret, and lends nobody anything: the host must also have what it makes its documents with.
 */
import { type Bytes, concat, equalConstantTime, fromBase64Url, u64, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { HID_BYTES } from "./psk.ts";

/** With a key document of a fleet's host. */
export const MEMBER_HEADER = "secllama-member";
/** With 421: which host of the fleet was reached, `<label>.<hid, 32 hex digits>`. */
export const HOST_HEADER = "secllama-host";

const SIGNATURE_BYTES = 64;
const MEMBER_BYTES = 2 * HID_BYTES + 16 + SIGNATURE_BYTES;
/** A client's clock may be wrong by this much, either way. */
const MEMBER_SKEW_MS = 3_600_000;

/** What a fleet's client pins. */
export interface FleetPin {
  /** The fleet's id, 16 bytes. */
  readonly fid: Uint8Array;
  /** The issuer's Ed25519 public key, 32 bytes. */
  readonly issuer: Uint8Array;
}

/** Who may answer, and from when until when, unix ms. */
interface Membership {
  readonly hid: Uint8Array;
  readonly nbf: number;
  readonly exp: number;
}

/** What the issuer signs. */
export function memberMessage(fid: Uint8Array, { hid, nbf, exp }: Membership): Bytes {
  return concat(utf8("secllama/1 fleet member"), fid, hid, u64(nbf), u64(exp));
}

/**
 * Checks that `text` is the issuer's word for the host `hid`, now.
 * @param now The client's clock, unix ms.
 * @throws {SecLlamaError} `auth` if it is another host's, another fleet's or not the issuer's; `clock` if its time is over or
 * has not come.
 */
export async function verifyMember(
  text: string,
  { fid, issuer }: FleetPin,
  { hid, now }: { hid: Uint8Array; now: number },
): Promise<void> {
  const bytes = decode(text);
  const [theirs, host] = [bytes.slice(0, HID_BYTES), bytes.slice(HID_BYTES, 2 * HID_BYTES)];
  const times = new DataView(bytes.buffer, 2 * HID_BYTES, 16);
  const [nbf, exp] = [Number(times.getBigUint64(0)), Number(times.getBigUint64(8))];
  const signature = bytes.slice(MEMBER_BYTES - SIGNATURE_BYTES);
  if (!equalConstantTime(theirs, fid) || !equalConstantTime(host, hid)) throw notMember();
  const message = memberMessage(fid, { hid, nbf, exp });
  if (!await verifySignature(issuer, message, signature)) throw notMember();
  if (now + MEMBER_SKEW_MS < nbf || now - MEMBER_SKEW_MS >= exp) {
    throw new SecLlamaError("clock", "the host's membership in the fleet is not of this time", {
      hint: "check this machine's clock; a host that was taken out of the fleet may have answered",
    });
  }
}

/** Whether `signature` over `message` is of this Ed25519 key, 32 bytes. */
export async function verifySignature(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const raw = new Uint8Array(publicKey);
  const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  return await crypto.subtle.verify(
    "Ed25519",
    key,
    new Uint8Array(signature),
    new Uint8Array(message),
  );
}

function decode(text: string): Bytes {
  try {
    const bytes = text.length < 1024 ? fromBase64Url(text) : new Uint8Array(0);
    if (bytes.length === MEMBER_BYTES) return bytes.slice();
  } catch { /* said below */ }
  throw notMember();
}

function notMember(): SecLlamaError {
  return new SecLlamaError("auth", "the host that answered is none of the fleet", {
    hint: "check the gateway's address",
  });
}
