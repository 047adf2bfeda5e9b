/** Signing in by the firm's identity provider, as client and gateway agree on it. */
import { type Bytes, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { printable } from "./texts.ts";

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

/**
 * A provider that answers, and calls itself something else than it was asked as (OpenID Connect Discovery 1.0, section 4.3): a slash at
 * the end is enough.
 * @param said What its description has, a stranger's word.
 */
export function anotherIssuer(asked: string, said: unknown, cause?: unknown): SecLlamaError {
  const name = printable(said);
  return new SecLlamaError(
    "gateway-unreachable",
    name === undefined
      ? `the identity provider at ${asked} does not say which issuer it is`
      : `the identity provider calls itself ${name}, and was asked as ${asked}`,
    {
      hint: "the administrator sets SECLLAMA_OIDC_ISSUER to the issuer that its " +
        "/.well-known/openid-configuration names, to the letter",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
