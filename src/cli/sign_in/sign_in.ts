/** The gateway's part of signing in: which provider, and credentials for an ID token that names our key. */
import { cannotReach, certificateFault } from "../../client/certificate_fault.ts";
import { PAIRING_SUITE } from "../../api/pairing_words.ts";
import { JSON_TYPE } from "../../api/media_types.ts";
import { readError } from "../../api/errors.ts";
import { ROUTES } from "../../api/routes.ts";
import { SIGN_IN_INFO, signInNonceInput } from "../../api/sign_in.ts";
import { fromBase64Url, toBase64Url, utf8, utf8Decode } from "../../bytes.ts";
import { parseAuthority } from "../../config/authority.ts";
import { SecLlamaError } from "../../errors.ts";
import { isLoopbackHost } from "../../loopback.ts";
import { suiteById } from "../../sealed/suite.ts";
import { secret } from "../../secret.ts";
import { gatewayAuthorities } from "../../tls/system_authorities.ts";

/** Of each of its two requests, ms. */
const TIMEOUT_MS = 30_000;
const NO_GATEWAY = "is it the right address, and does a gateway serve there?";
const NO_AUTHORITY = "give a certificate as a PEM file";
const STRANGER =
  "give the certificate of its authority, from its administrator: --ca FILE; or have this system trust it";

/** The identity provider, as the gateway names it. */
export interface Provider {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
}

/** A sign-in that has begun. */
export interface SignIn {
  readonly provider: Provider;
  /** What the ID token must have. */
  readonly nonce: string;
  /** Credentials for the token. @throws {SecLlamaError} The gateway's refusal. */
  redeem(idToken: string): Promise<{
    readonly credentials: { pskId: string; psk: Uint8Array; hid: Uint8Array };
    readonly name: string;
    readonly role: string;
    readonly expires: string;
  }>;
}

/** @throws {SecLlamaError} `downgrade` for what is no provider. */
export function readProvider(
  o: { issuer?: unknown; clientId?: unknown; scope?: unknown },
): Provider {
  const { issuer, clientId, scope } = o;
  const all = [issuer, clientId, scope].every((one) => typeof one === "string" && one !== "");
  if (!all || !isWebAddress(URL.parse(String(issuer)))) {
    throw new SecLlamaError("downgrade", "the gateway names no identity provider", {
      hint: NO_GATEWAY,
    });
  }
  return { issuer, clientId, scope } as Provider;
}

/** Whether it is https, or http on this machine for who tries it out. */
export function isWebAddress(url: URL | null): url is URL {
  return url?.protocol === "https:" || url?.protocol === "http:" && isLoopbackHost(url.hostname);
}

/**
 * Asks the gateway who the provider is, and makes the key that what it gives is sealed to.
 * @param certificate PEM; undefined: an authority that the system trusts vouches for it.
 * @param signal Ends both of its requests.
 * @throws {SecLlamaError} `gateway-unreachable`, `not-found` where nobody can sign in, `bad-config` for a certificate that is none,
 * `cancelled`.
 */
export async function newSignIn(
  gateway: URL,
  certificate: string | undefined,
  signal: AbortSignal,
): Promise<SignIn> {
  const path = new URL(ROUTES.signIn.path.slice(1), gateway.href.replace(/\/?$/, "/"));
  if (certificate !== undefined) parseAuthority(certificate, "--ca", NO_AUTHORITY);
  const client = Deno.createHttpClient({ caCerts: await gatewayAuthorities(certificate) });
  const ask = async (init: RequestInit) => {
    const until = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const failed = (cause: unknown): never => {
      if (signal.aborted) {
        throw new SecLlamaError("cancelled", "the sign-in was broken off", { cause });
      }
      const fault = certificateFault(cause);
      // What helps who is paired, to pair anew, does not help who signs in.
      throw new SecLlamaError("gateway-unreachable", cannotReach(path.host, fault), {
        hint: (fault?.isStranger ? STRANGER : fault?.hint) ?? NO_GATEWAY,
        cause,
      });
    };
    const answer = await fetch(path, { ...init, client, redirect: "manual", signal: until })
      .catch(failed);
    if (!answer.ok) throw await readError(answer, () => noGateway(path.host, answer.status));
    const text = await answer.text().catch(failed);
    return fieldsOf(text);
  };
  const { issuer, client_id: clientId, scope } = await ask({});
  const provider = readProvider({ issuer, clientId, scope });
  const { hpke } = suiteById(PAIRING_SUITE);
  const pair = await hpke.kem.GenerateKeyPair(false);
  const pk = new Uint8Array(await hpke.kem.SerializePublicKey(pair.publicKey));
  const hash = await crypto.subtle.digest("SHA-256", signInNonceInput(pk));
  return {
    provider,
    nonce: toBase64Url(new Uint8Array(hash)),
    async redeem(idToken) {
      const { sealed, name, role, expires } = await ask({
        method: "POST",
        headers: { "content-type": JSON_TYPE },
        body: JSON.stringify({ id_token: idToken, pk: toBase64Url(pk) }),
      });
      try {
        if (typeof name !== "string" || typeof role !== "string" || typeof expires !== "string") {
          throw new TypeError("no text");
        }
        const bytes = fromBase64Url(String(sealed));
        const end = 2 + (bytes[0]! << 8 | bytes[1]!);
        const context = await hpke.setupRecipient(pair, bytes.slice(2, end), {
          info: SIGN_IN_INFO,
        });
        using json = secret(await context.open(bytes.slice(end), utf8(idToken)));
        const { psk_id: pskId, psk, hid } = JSON.parse(utf8Decode(json));
        const credentials = { pskId, psk: fromBase64Url(psk), hid: fromBase64Url(hid) };
        return { credentials, name, role, expires };
      } catch (cause) {
        throw new SecLlamaError("downgrade", "the gateway's answer to the sign-in is none", {
          cause,
        });
      }
    },
  };
}

/** What answers so may be a balancer whose gateways are away, a page that asks who one is, or any other server. */
function noGateway(host: string, status: number): SecLlamaError {
  return new SecLlamaError(
    "gateway-unreachable",
    `no gateway answers at ${host}: status ${status}`,
    {
      hint: NO_GATEWAY,
    },
  );
}

/** What an answer's JSON has; nothing, if it is none: a page of some other server's. */
function fieldsOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
