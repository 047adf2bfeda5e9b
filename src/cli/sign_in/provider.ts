/** The provider's part of signing in, by `openid-client`: a code with PKCE in a browser, or a code for another device. */
import * as oidc from "openid-client";
import { anotherIssuer } from "../../api/sign_in.ts";
import { SecLlamaError } from "../../errors.ts";
import { isLoopbackHost } from "../../loopback.ts";
import { openInBrowser } from "../browser.ts";
import { type CommandContext, flag } from "../command.ts";
import { systemFetch } from "../../tls/system_authorities.ts";
import { isWebAddress, type Provider, type SignIn } from "./sign_in.ts";

/** So long somebody has to sign in, ms. */
const WAIT_MS = 600_000;

let trusting: Promise<typeof fetch> | undefined;

/** Asks the provider, and trusts whom the system does. It looks at the system's file once, which a proxy may not do later. */
export function providerFetch(): Promise<typeof fetch> {
  return trusting ??= systemFetch();
}

/** What the provider gave. */
interface Tokens {
  readonly idToken: string;
  readonly refreshToken: string | undefined;
}

/**
 * Signs in, as the options say.
 * @throws {SecLlamaError} `gateway-unreachable` if the provider is away, `auth` if it refused, `cancelled`, `timeout`.
 */
export async function signedInBy(context: CommandContext, signIn: SignIn): Promise<Tokens> {
  const { signal } = context;
  const waiting = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
  return await asked(async () => {
    const config = await discovered(signIn.provider);
    return flag(context, "device")
      ? await byDevice(context, config, signIn, waiting)
      : await byBrowser(context, config, signIn, waiting);
  }, waiting);
}

/**
 * New tokens for a refresh token.
 * @param signal Ends it as long as the refresh token was not sent: one that was may have a successor, which is waited for.
 * @throws {SecLlamaError} `auth` if the session is over, `gateway-unreachable`: try it again; `cancelled`.
 */
export async function refreshed(
  provider: Provider,
  refreshToken: string,
  signal?: AbortSignal,
): Promise<Tokens> {
  const config = await asked(async () => await discovered(provider, signal), signal);
  if (signal?.aborted) throw waitedFor(signal.reason);
  return await asked(async () => tokensOf(await oidc.refreshTokenGrant(config, refreshToken)));
}

async function discovered(
  { issuer, clientId }: Provider,
  signal?: AbortSignal,
): Promise<oidc.Configuration> {
  const url = new URL(issuer);
  // Of this machine, for who tries it out; anything else is https.
  const plain = url.protocol === "http:" && isLoopbackHost(url.hostname);
  const config = await oidc.discovery(url, clientId, undefined, oidc.None(), {
    ...(plain ? { execute: [oidc.allowInsecureRequests] } : {}),
    [oidc.customFetch]: (url, options) => heard(url, options, signal),
  }).catch((error) => {
    throw otherIssuer(issuer, error);
  });
  config[oidc.customFetch] = heard;
  return config;
}

/** Tells a provider that is away from one that refuses. */
async function heard(
  url: string,
  options: oidc.CustomFetchOptions,
  signal?: AbortSignal,
): Promise<Response> {
  const signals = [options.signal, signal].filter((one) => one !== undefined);
  const init = { ...options, signal: AbortSignal.any(signals) } as RequestInit;
  const fetch = await providerFetch();
  const answer = await fetch(url, init).catch((cause) => {
    throw away(cause);
  });
  if (answer.status < 500) return answer;
  await answer.body?.cancel();
  throw away(new Error(`status ${answer.status}`));
}

async function byBrowser(
  { env, tui }: CommandContext,
  config: oidc.Configuration,
  { provider: { scope }, nonce }: SignIn,
  waiting: AbortSignal,
): Promise<Tokens> {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const came = Promise.withResolvers<URL>();
  // RFC 8252, section 7.3: the port is whichever is free.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const url = new URL(request.url);
      if (url.pathname !== "/callback" || url.searchParams.get("state") !== expectedState) {
        return new Response("not found\n", { status: 404 });
      }
      came.resolve(url);
      return new Response("You can close this page and go back to the terminal.\n");
    },
  );
  if (!isWebAddress(URL.parse(String(config.serverMetadata().authorization_endpoint)))) {
    throw misdescribed();
  }
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `http://127.0.0.1:${server.addr.port}/callback`,
    scope,
    prompt: "consent",
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: expectedState,
    nonce,
  });
  if (!await openInBrowser(address.href, env)) tui.note("Open this address in a browser:");
  tui.out(address.href);
  waiting.addEventListener("abort", () => came.reject(waiting.reason), { once: true });
  const current = await came.promise;
  return tokensOf(
    await oidc.authorizationCodeGrant(config, current, {
      pkceCodeVerifier,
      expectedState,
      expectedNonce: nonce,
      idTokenExpected: true,
    }),
  );
}

async function byDevice(
  { tui }: CommandContext,
  config: oidc.Configuration,
  { provider: { scope }, nonce }: SignIn,
  waiting: AbortSignal,
): Promise<Tokens> {
  if (config.serverMetadata().device_authorization_endpoint === undefined) {
    throw new SecLlamaError("auth", "the identity provider signs nobody in by a code", {
      hint: "without --device: sign in on a machine that has a browser",
    });
  }
  const device = await oidc.initiateDeviceAuthorization(config, { scope, nonce });
  tui.note("On any device with a browser, open this address and confirm this code:");
  tui.out(device.verification_uri_complete ?? device.verification_uri);
  tui.out(device.user_code);
  return tokensOf(
    await oidc.pollDeviceAuthorizationGrant(config, device, undefined, { signal: waiting }),
  );
}

function tokensOf(answer: oidc.TokenEndpointResponse): Tokens {
  if (answer.id_token !== undefined) {
    return { idToken: answer.id_token, refreshToken: answer.refresh_token };
  }
  throw new SecLlamaError("auth", "the identity provider gave no ID token");
}

/** What `openid-client` says of answers that no provider gives. */
const GARBAGE = [
  "OAUTH_RESPONSE_IS_NOT_CONFORM",
  "OAUTH_RESPONSE_IS_NOT_JSON",
  "OAUTH_PARSE_ERROR",
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
  "OAUTH_TIMEOUT",
];

/** What it says of a description that lacks what a sign-in needs, or has it at no address of the web. */
const MISDESCRIBED = [
  "OAUTH_MISSING_SERVER_METADATA",
  "OAUTH_INVALID_SERVER_METADATA",
  "OAUTH_HTTP_REQUEST_FORBIDDEN",
  "OAUTH_REQUEST_PROTOCOL_FORBIDDEN",
];

/** What the provider says is a stranger's word, and may have a token in it. */
async function asked<T>(ask: () => Promise<T>, waiting?: AbortSignal): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (waiting?.aborted) throw waitedFor(waiting.reason);
    for (let at = cause; at instanceof Error; at = at.cause) {
      if (at instanceof SecLlamaError) throw at;
    }
    const { error, code, status } = cause as { error?: unknown; code?: unknown; status?: unknown };
    // RFC 6749, section 4.1.2.1.
    const isAway = error === "temporarily_unavailable" || error === "server_error" ||
      error === undefined && (GARBAGE.includes(String(code)) || status === 429);
    if (isAway) throw away(cause);
    if (error === undefined && MISDESCRIBED.includes(String(code))) throw misdescribed(cause);
    const said = typeof error === "string" && /^[a-z_]{1,40}$/.test(error) ? `: ${error}` : "";
    throw new SecLlamaError("auth", `the identity provider did not sign you in${said}`, {
      hint: "sign in again: secllama login URL",
      cause,
    });
  }
}

/** The error of a provider whose description names another issuer than it was asked as; any other error as it is. */
function otherIssuer(issuer: string, error: unknown): unknown {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  const { attribute, body } = Object(cause) as { attribute?: unknown; body?: { issuer?: unknown } };
  return code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED" && attribute === "issuer"
    ? anotherIssuer(issuer, body?.issuer, error)
    : error;
}

/** It may be mended, and ends no session. */
function misdescribed(cause?: unknown): SecLlamaError {
  return new SecLlamaError(
    "gateway-unreachable",
    "the identity provider's description lacks an address that a sign-in needs",
    {
      hint: "its administrator sees it at its /.well-known/openid-configuration",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function away(cause: unknown): SecLlamaError {
  return new SecLlamaError("gateway-unreachable", "the identity provider does not answer", {
    hint: "is it reachable from this machine? then try again",
    cause,
  });
}

function waitedFor(reason: unknown): SecLlamaError {
  return reason instanceof DOMException && reason.name === "TimeoutError"
    ? new SecLlamaError("timeout", "nobody signed in within ten minutes", {
      hint: "run the command again",
      cause: reason,
    })
    : new SecLlamaError("cancelled", "the sign-in was broken off", { cause: reason });
}
