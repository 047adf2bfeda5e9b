/** Signing in by the firm's identity provider, as client and gateway agree on it. */
import { type Bytes, utf8 } from "../bytes.ts";

/** HPKE's info of the credentials that come back; the additional data is the ID token. */
export const SIGN_IN_INFO: Bytes = utf8("secllama/1 sign-in");
/** What is asked of the provider: who it is, their groups, and to stay signed in. */
export const SIGN_IN_SCOPE = "openid email profile groups offline_access";

/** What a token's nonce is the hash of. @param publicKey The client's, for this once. */
export function signInNonceInput(publicKey: Uint8Array): Bytes {
  const prefix = utf8("secllama sign-in\0");
  const input = new Uint8Array(prefix.length + publicKey.length);
  input.set(prefix);
  input.set(publicKey, prefix.length);
  return input;
}
