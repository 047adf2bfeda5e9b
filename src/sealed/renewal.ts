/**
 * A client's new key after a rotation, on its way through a runner that cannot read it, nor make one.
 *
 * ```
 * renewal = nonce[12] | AES-256-GCM(HKDF(old PSK, "secllama/1 renewal"), nonce, AAD = "SLN1" | hid[16], JSON)
 * JSON    = {"psk_id": …, "psk": base64url[32], "gen": how many times the host has changed its keys}
 * ```
 * `old PSK` is the client's own, the one it is asked to leave: its client and the host's key code hold it, and nobody else.
 */
import { type Bytes, concat, fromBase64Url, utf8, utf8Decode } from "../bytes.ts";
import { isPskId } from "./header.ts";
import { gcmOpenLarge, hkdfSha256, KEY_BYTES, NONCE_BYTES } from "./primitives.ts";
import { wipe } from "../secret.ts";

/** A sealed renewal is some 200 bytes; nothing real comes near this. */
export const MAX_RENEWAL_BYTES = 1024;

export interface Renewal {
  readonly pskId: string;
  /** 32 bytes. */
  readonly psk: Bytes;
  readonly gen: number;
}

/** Opens what renewal_sealer.ts made; undefined if it does not authenticate or is no renewal. */
export async function openRenewal(
  sealed: Uint8Array,
  oldPsk: Uint8Array,
  hid: Uint8Array,
): Promise<Renewal | undefined> {
  if (sealed.length > MAX_RENEWAL_BYTES || sealed.length < NONCE_BYTES) return undefined;
  const key = renewalKey(oldPsk);
  let json: Bytes | undefined;
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    json = await gcmOpenLarge(key, nonce, renewalAad(hid), sealed.subarray(NONCE_BYTES));
    const { psk_id: pskId, psk, gen } = JSON.parse(utf8Decode(json));
    const bytes = fromBase64Url(psk);
    const good = typeof pskId === "string" && isPskId(pskId) && bytes.length === KEY_BYTES &&
      Number.isSafeInteger(gen) && gen >= 0;
    return good ? { pskId, psk: bytes, gen } : undefined;
  } catch {
    return undefined;
  } finally {
    wipe(key, json);
  }
}

/** `HKDF(old PSK, "secllama/1 renewal")`. */
export function renewalKey(oldPsk: Uint8Array): Bytes {
  return hkdfSha256(oldPsk, new Uint8Array(0), utf8("secllama/1 renewal"), KEY_BYTES);
}

/** `"SLN1" | hid`. */
export function renewalAad(hid: Uint8Array): Bytes {
  return concat(utf8("SLN1"), hid);
}
