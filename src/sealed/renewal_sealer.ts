/** Seals a renewal, which is the host's key code's business alone; renewal.ts draws it. */
import { type Bytes, concat, toBase64Url, utf8 } from "../bytes.ts";
import { gcmSeal, NONCE_BYTES, randomBytes } from "./primitives.ts";
import { type Renewal, renewalAad, renewalKey } from "./renewal.ts";
import { secret } from "../secret.ts";

/** The sealed renewal for the client whose PSK is `oldPsk`, on the host `hid`. `nonce` is for vectors. */
export function sealRenewal(
  { pskId, psk, gen }: Renewal,
  oldPsk: Uint8Array,
  hid: Uint8Array,
  nonce: Uint8Array = randomBytes(NONCE_BYTES),
): Bytes {
  using json = secret(utf8(JSON.stringify({ psk_id: pskId, psk: toBase64Url(psk), gen })));
  using key = secret(renewalKey(oldPsk));
  return concat(nonce, gcmSeal(key, nonce, renewalAad(hid), json));
}
