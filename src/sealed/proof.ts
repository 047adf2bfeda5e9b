/**
 * Metadata proofs: how a client shows that it holds a pre-shared key when it asks for something that is not sealed, so that
 * a stranger loads and lists nothing.
 *
 * ```
 * Secllama-Proof: id=<psk_id>[;h=<hid, 32 hex digits>];t=<unix ms>;n=<32 hex digits>;mac=<43 base64url digits>
 * mac = HMAC-SHA256(HKDF(host PSK, info = "secllama/1 metadata", 32),
 *                   "SLM1" | hid[16] | u16 | method | u16 | target | t u64 | n[16] | SHA-256(body))
 * ```
 * Each `u16` is the length of what follows it; `hid` is the id of the host that is asked, so that a proof shown to one host is
 * nothing at another. A client of a fleet names that host in `h`, so that another one can say that it is another. It authenticates
 * and hides nothing: names of models travel as they are, inside TLS. Pure; the gateway verifies with a key that opens no message.
 */
import {
  type Bytes,
  equalConstantTime,
  fromBase64Url,
  fromHex,
  toBase64Url,
  toHex,
  u64,
  utf8,
} from "../bytes.ts";
import { wipe } from "../secret.ts";
import { isPskId } from "./header.ts";
import { hmacSha256, randomBytes, sha256 } from "./primitives.ts";
import { deriveHostPsk, deriveProofKey } from "./psk.ts";
import { lengthPrefixed } from "./suite.ts";

export const PROOF_HEADER = "secllama-proof";
/** On an answer with status 425: the gateway's unix ms. */
export const NOW_HEADER = "secllama-now";
export const PROOF_NONCE_BYTES = 16;

/** What a proof is about. */
export interface ProvenRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  readonly body: Uint8Array;
}

interface Proof {
  readonly pskId: string;
  /** The host that it says it is for; undefined: it does not say. */
  readonly hid: Bytes | undefined;
  readonly time: number;
  /** Hexadecimal. */
  readonly nonce: string;
  readonly mac: Bytes;
}

/**
 * The header's value. `psk` is the client's, `hid` the id of the host that is asked, `now` its clock as far as the client knows
 * it; `named`: the host is one of a fleet's, and the proof says which. `nonce` is for vectors.
 */
export function makeProof(
  request: ProvenRequest,
  options: {
    psk: Uint8Array;
    pskId: string;
    hid: Uint8Array;
    now: number;
    named?: boolean;
    nonce?: Uint8Array;
  },
): string {
  const nonce = options.nonce ?? randomBytes(PROOF_NONCE_BYTES);
  const hostPsk = deriveHostPsk(options.psk, options.hid);
  const key = deriveProofKey(hostPsk);
  const host = options.named ? `;h=${toHex(options.hid)}` : "";
  try {
    const mac = proofMac({ key, hid: options.hid }, request, options.now, nonce);
    return `id=${options.pskId}${host};t=${options.now};n=${toHex(nonce)};mac=${toBase64Url(mac)}`;
  } finally {
    wipe(key);
    wipe(hostPsk);
  }
}

/** Reads a header's value; undefined if it is not of the form above. */
export function parseProof(value: string): Proof | undefined {
  const match =
    /^id=([^;]{1,255})(?:;h=([0-9a-f]{32}))?;t=(\d{1,15});n=([0-9a-f]{32});mac=([A-Za-z0-9_-]{43})$/
      .exec(value);
  if (!match || !isPskId(match[1]!)) return undefined;
  try {
    const mac = fromBase64Url(match[5]!);
    const hid = match[2] === undefined ? undefined : fromHex(match[2]);
    return { pskId: match[1]!, hid, time: Number(match[3]), nonce: match[4]!, mac };
  } catch {
    return undefined;
  }
}

/**
 * Whether `proof` was made with the proof key of its psk_id for this request to this host. Looks at no clock and no earlier
 * nonce.
 */
export function verifyProof(
  proof: Proof,
  request: ProvenRequest,
  host: { key: Uint8Array; hid: Uint8Array },
): boolean {
  return equalConstantTime(
    proofMac(host, request, proof.time, fromHex(proof.nonce)),
    proof.mac,
  );
}

function proofMac(
  { key, hid }: { key: Uint8Array; hid: Uint8Array },
  { method, target, body }: ProvenRequest,
  time: number,
  nonce: Uint8Array,
): Bytes {
  return hmacSha256(
    key,
    utf8("SLM1"),
    hid,
    lengthPrefixed(utf8(method)),
    lengthPrefixed(utf8(target)),
    u64(time),
    nonce,
    sha256(body),
  );
}
