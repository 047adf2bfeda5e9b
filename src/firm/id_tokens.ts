/**
 * ID tokens of the firm's identity provider (OpenID Connect Core 1.0, section 3.1.3.7), as the gateway checks them. Signatures and
 * claims are checked by `jose`; what is ours is whom a token is good for: whoever made the key that its nonce names, and once.
 */
import { createHash } from "node:crypto";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type JWTPayload,
  jwtVerify,
} from "jose";
import { collect } from "../api/body.ts";
import { anotherIssuer, signInNonceInput } from "../api/sign_in.ts";
import { type Bytes, toBase64Url, toHex, utf8Decode } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { Pot } from "../shares.ts";

/** Signatures by a key that only the provider has: no MAC, and never none. */
const ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];
/** A token is for signing in now, not for later. */
const MAX_AGE_S = 600;
const SKEW_S = 60;
const TIMEOUT_MS = 10_000;
const MAX_TOKEN = 64 * 1024;
/** Of the provider's description, and of its keys, bytes. */
const MAX_DOCUMENT = 1024 * 1024;
/** Tokens that were used and are remembered until they could not be used any more. */
const MAX_USED = 100_000;
/** Of these each person has so many, as long as a quarter of all holds out. */
const FLOOR_USED = 16;

/** Who may sign in, and as what. */
export interface SignInTerms {
  /** The provider's address, as its tokens have it. */
  readonly issuer: string;
  /** What this gateway is called there. */
  readonly clientId: string;
  /** The claim that has a person's groups. */
  readonly groupsClaim: string;
  /** Group → role, the first that fits; the group `*` is anybody. */
  readonly roles: readonly (readonly [group: string, role: string])[];
  /** How long a session lives without a new token, ms. */
  readonly sessionMs: number;
  /**
   * Whether a token without a nonce may come: providers put none into what they give for a device's code (RFC 8628). Such a token is
   * good for whoever has it, once.
   */
  readonly device: boolean;
}

/** Whom a token is about. */
export interface Person {
  /** Of issuer and subject, 32 hexadecimal digits: people and names change, it does not. */
  readonly subject: string;
  /** What people call them, fit for the list of clients. */
  readonly name: string;
  /** By their groups; undefined: none lets them in. */
  readonly role: string | undefined;
}

/** The nonce that a token must have to be good for the owner of this key: nobody else's use for it opens anything. */
export function signInNonce(publicKey: Uint8Array): string {
  const hash = createHash("sha256").update(signInNonceInput(publicKey)).digest();
  return toBase64Url(new Uint8Array(hash));
}

/** Checks tokens of one provider. */
export class IdTokens {
  readonly #terms: SignInTerms;
  readonly #now: () => number;
  readonly #fetch: typeof fetch;
  /** Unix seconds, as tokens have them. */
  readonly #startS: number;
  #keys: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;
  /** Token's hash → whose it is, and when it can be forgotten, in the order of their coming. */
  readonly #used = new Map<string, { readonly subject: string; readonly until: number }>();
  /** How many of them each person has: shared, so that no few of them keep the others out. */
  readonly #shares: Pot;

  /** @param o.now Unix ms. `used`: tokens that are remembered. */
  constructor(
    terms: SignInTerms,
    o: { now?: () => number; fetch?: typeof fetch; used?: number } = {},
  ) {
    const limit = o.used ?? MAX_USED;
    this.#shares = new Pot({ limit, floor: FLOOR_USED, reserve: limit / 4 });
    this.#terms = terms;
    this.#now = o.now ?? Date.now;
    this.#fetch = o.fetch ?? fetch;
    this.#startS = Math.floor(this.#now() / 1000);
  }

  /**
   * Whom a token is about, the first time it comes.
   * @param publicKey Whom it is good for; undefined: who is known already, by their subject.
   * @throws {SecLlamaError} `auth`, one message for every reason; `gateway-unreachable` if the provider's keys cannot be had, or
   * what it gives for them is none.
   */
  async check(token: string, publicKey: Uint8Array | undefined): Promise<Person> {
    if (token.length > MAX_TOKEN) throw refused();
    const { issuer, clientId, groupsClaim, roles } = this.#terms;
    const keys = await (this.#keys ??= this.#findKeys());
    let claims: JWTPayload;
    let typ: string | undefined;
    try {
      ({ payload: claims, protectedHeader: { typ } } = await jwtVerify(token, keys, {
        issuer,
        audience: clientId,
        algorithms: ALGORITHMS,
        requiredClaims: ["exp", "iat", "sub"],
        maxTokenAge: MAX_AGE_S,
        clockTolerance: SKEW_S,
        currentDate: new Date(this.#now()),
      }));
    } catch (cause) {
      if (cause instanceof SecLlamaError) throw cause; // of #fetchKeys
      throw refused(cause);
    }
    const { sub, azp, aud, nonce } = claims;
    // A provider signs other things for us with the same key, which sign nobody in: logout+jwt, at+jwt (RFC 8725, section 3.11).
    if (typ !== undefined && !/^(?:application\/)?jwt$/i.test(typ)) throw refused();
    if (typeof sub !== "string" || !/^[\x20-\x7e]{1,255}$/.test(sub)) throw refused();
    // Of several audiences the one that asked for it must be named (section 3.1.3.7, 4 and 5).
    const others = Array.isArray(aud) && aud.length > 1 || azp !== undefined;
    if (others && azp !== clientId) throw refused();
    const unbound = nonce === undefined && this.#terms.device;
    if (publicKey !== undefined && !unbound && nonce !== signInNonce(publicKey)) throw refused();
    // What was used before this process's start is not remembered; with a nonce it is good for its key only, however often it comes.
    if (publicKey !== undefined && unbound && claims.iat! < this.#startS) throw refused();
    const subject = hash(`${issuer}\0${sub}`).slice(0, 32);
    this.#once(token, subject);
    const groups = claims[groupsClaim];
    const member = Array.isArray(groups) ? groups : [];
    return {
      subject,
      name: nameOf(claims),
      role: roles.find(([group]) => group === "*" || member.includes(group))?.[1],
    };
  }

  /** @throws {SecLlamaError} `auth` for a token that was used; `busy` for who has used too many. */
  #once(token: string, subject: string): void {
    const now = this.#now();
    for (const [used, of] of this.#used) {
      if (of.until > now) break;
      this.#used.delete(used);
      this.#shares.give(of.subject, 1);
    }
    // Without the signature: base64url and ECDSA have several texts for one.
    const key = hash(token.slice(0, token.lastIndexOf(".")));
    if (this.#used.has(key)) throw refused();
    if (!this.#shares.take(subject, 1)) {
      throw new SecLlamaError("busy", "too many sign in at once");
    }
    this.#used.set(key, { subject, until: now + (MAX_AGE_S + 2 * SKEW_S) * 1_000 });
  }

  /** The provider's keys, whose failure is no fault of the token's. @throws {SecLlamaError} `gateway-unreachable`. */
  async #fetchKeys(url: string, init: RequestInit): Promise<Response> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const answer = await this.#fetch(url, { ...init, signal });
      const text = await textOf(answer);
      if (answer.status !== 200) throw new Error(`it answered ${answer.status}`);
      createLocalJWKSet(JSON.parse(text));
      return new Response(text);
    } catch (cause) {
      throw unreachable(this.#terms.issuer, cause);
    }
  }

  async #findKeys(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    const { issuer } = this.#terms;
    try {
      const at = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
      const answer = await this.#fetch(at, {
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const found = JSON.parse(await textOf(answer)) as { issuer?: unknown; jwks_uri?: unknown };
      const uri = new URL(String(found.jwks_uri));
      // OpenID Connect Discovery 1.0, section 4.3.
      if (answer.ok && typeof found.issuer === "string" && found.issuer !== issuer) {
        throw anotherIssuer(issuer, found.issuer);
      }
      if (!answer.ok || found.issuer !== issuer) throw new Error("no issuer");
      if (uri.protocol !== new URL(issuer).protocol) throw new Error("another protocol");
      return createRemoteJWKSet(uri, {
        [customFetch]: (url: string, init: RequestInit) => this.#fetchKeys(url, init),
      });
    } catch (cause) {
      // The next one tries again.
      this.#keys = undefined;
      if (cause instanceof SecLlamaError && cause.code === "gateway-unreachable") throw cause;
      throw unreachable(issuer, cause);
    }
  }
}

/** What a provider says, which may not be without end. */
async function textOf(answer: Response): Promise<string> {
  return utf8Decode(await collect(answer.body, MAX_DOCUMENT));
}

function nameOf({ preferred_username, email, name, sub }: JWTPayload): string {
  const found = [preferred_username, email, name, sub].find((one) =>
    typeof one === "string" && one !== ""
  );
  const fit = String(found).replaceAll(/[^\p{L}\p{N} ._-]+/gu, "-").replaceAll(
    /^[ ._-]+|[ ]+$/gu,
    "",
  );
  return fit.slice(0, 56).trimEnd() || "person";
}

function hash(text: string): string {
  return toHex(new Uint8Array(createHash("sha256").update(text).digest()) as Bytes);
}

function refused(cause?: unknown): SecLlamaError {
  return new SecLlamaError("auth", "the sign-in is not accepted", {
    hint: "sign in again: secllama login",
    ...(cause === undefined ? {} : { cause }),
  });
}

function unreachable(issuer: string, cause: unknown): SecLlamaError {
  return new SecLlamaError("gateway-unreachable", `the identity provider does not answer`, {
    hint: `the gateway must reach ${issuer}`,
    cause,
  });
}
