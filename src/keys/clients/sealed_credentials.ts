/** A new client's credentials, sealed to a key that it made for this once: whoever is in between learns nothing. */
import { PAIRING_SUITE } from "../../api/pairing_words.ts";
import { type Bytes, concat, toBase64Url, u16, utf8 } from "../../bytes.ts";
import { SecLlamaError } from "../../errors.ts";
import { secret } from "../../secret.ts";
import { suiteById } from "../../sealed/suite.ts";
import type { RingSource } from "../key_source.ts";

/** Seals to one client. */
export type SealTo = (
  keys: RingSource,
  id: string,
  bound: { readonly info: Bytes; readonly aad: Bytes },
) => Promise<Bytes>;

/**
 * Reads the client's public key, of suite {@link PAIRING_SUITE}, before anything is given. What it returns makes
 * `u16 length | enc | ciphertext` of `{psk_id, psk, hid}` as JSON.
 * @throws {SecLlamaError} `malformed` for what is no public key.
 */
export async function sealerTo(publicKey: Uint8Array): Promise<SealTo> {
  const { hpke, publicKeyBytes } = suiteById(PAIRING_SUITE);
  const malformed = (cause?: unknown) =>
    new SecLlamaError("malformed", "the request to pair has a bad public key", { cause });
  if (publicKey.length !== publicKeyBytes) throw malformed();
  const recipient = await hpke.kem.DeserializePublicKey(new Uint8Array(publicKey))
    .catch((cause) => {
      throw malformed(cause);
    });
  return async (keys, id, { info, aad }) => {
    using ring = await keys.ring();
    const credentials = ring.credentials(id);
    if (credentials === undefined) throw new SecLlamaError("internal", "the client has no key");
    using psk = secret(credentials.psk);
    using json = secret(utf8(JSON.stringify({
      psk_id: credentials.pskId,
      psk: toBase64Url(psk),
      hid: toBase64Url(credentials.hid),
    })));
    const { enc, context } = await hpke.setupSender(recipient, { info });
    return concat(u16(enc.length), enc, await context.seal(json, aad));
  };
}
