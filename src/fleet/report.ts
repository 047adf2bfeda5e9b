/**
 * What a host says of itself to the other hosts and the issuer: who is there, with which models and how much to do. It is sealed
 * under a key that the fleet's hosts have, so whatever carries it cannot read it; a host that was taken out has an older key.
 *
 * ```
 * report = base64url(nonce[12] | AES-256-GCM(report key, AAD "secllama/1 fleet report" | hid, JSON))
 * ```
 */
import {
  type Bytes,
  concat,
  fromBase64Url,
  fromHex,
  toBase64Url,
  utf8,
  utf8Decode,
} from "../bytes.ts";
import { gcmOpen, gcmSeal, NONCE_BYTES, randomBytes, sha256 } from "../sealed/primitives.ts";

const INFO = utf8("secllama/1 fleet report");

/** A host's word on itself. */
export interface HostReport {
  readonly label: string;
  /** Unix ms, its clock. */
  readonly at: number;
  readonly version: string;
  /** Which of the issuer's heads counts there. */
  readonly head: number;
  /** Rows of `/api/tags`. */
  readonly models: readonly { readonly name: string }[];
  /** Rows of `/api/ps`. */
  readonly loaded: readonly { readonly name: string }[];
  /** Requests under way in all, and how many it works on at once for each model. */
  readonly active: number;
  readonly parallel: number;
}

/** The key of the hosts' reports, 32 bytes: another one after each host that is taken out. @param seed The issuer's. */
export function reportKeyOf(seed: Uint8Array, removed: number): Bytes {
  return sha256(concat(utf8("secllama/1 fleet reports"), seed, utf8(`${removed}`)));
}

/** @param hid 32 hexadecimal digits. */
export function sealReport(report: HostReport, key: Uint8Array, hid: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const about = concat(INFO, fromHex(hid));
  return toBase64Url(concat(nonce, gcmSeal(key, nonce, about, utf8(JSON.stringify(report)))));
}

/** The report, or undefined if it is another host's, or under another key. */
export function openReport(text: string, key: Uint8Array, hid: string): HostReport | undefined {
  try {
    const sealed = fromBase64Url(text);
    const about = concat(INFO, fromHex(hid));
    const json = gcmOpen(key, sealed.subarray(0, NONCE_BYTES), about, sealed.subarray(NONCE_BYTES));
    return JSON.parse(utf8Decode(json));
  } catch {
    return undefined;
  }
}
