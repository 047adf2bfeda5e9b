/** The provider's part of signing in, by `openid-client`: a code with PKCE in a browser, or a code for another device. */
import * as oidc from "openid-client";
import { SecLlamaError } from "../../errors.ts";
import { isLoopback } from "../../loopback.ts";
import { openInBrowser } from "../browser.ts";
import { type CommandContext, flag } from "../command.ts";
import type { Provider, SignIn } from "./sign_in.ts";

/** So long somebody has to sign in, ms. */
const WAIT_MS = 600_000;

/** What the provider gave. */
interface Tokens {
  readonly idToken: string;
  readonly refreshToken: string | undefined;
}

/** Signs in, as the options say. @throws {SecLlamaError} `gateway-unreachable`, `auth` if it was refused, `cancelled`. */
export async function signedInBy(context: CommandContext, signIn: SignIn): Promise<Tokens> {
  return await asked(async () => {
    const config = await discovered(signIn.provider);
    return flag(context, "device")
      ? await byDevice(context, config, signIn)
      : await byBrowser(context, config, signIn);
  });
}

/** New tokens for a refresh token. @throws {SecLlamaError} `auth` if the session is over. */
export async function refreshed(provider: Provider, refreshToken: string): Promise<Tokens> {
  return await asked(async () =>
    tokensOf(await oidc.refreshTokenGrant(await discovered(provider), refreshToken))
  );
}

async function discovered({ issuer, clientId }: Provider): Promise<oidc.Configuration> {
  const url = new URL(issuer);
  // Of this machine, for who tries it out; anything else is https.
  const plain = url.protocol === "http:" && isLoopback(url.hostname);
  return await oidc.discovery(url, clientId, undefined, oidc.None(), {
    ...(plain ? { execute: [oidc.allowInsecureRequests] } : {}),
  });
}

async function byBrowser(
  { env, tui, signal }: CommandContext,
  config: oidc.Configuration,
  { provider: { scope }, nonce }: SignIn,
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
  const waiting = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
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
  { tui, signal }: CommandContext,
  config: oidc.Configuration,
  { provider: { scope }, nonce }: SignIn,
): Promise<Tokens> {
  const device = await oidc.initiateDeviceAuthorization(config, { scope, nonce });
  tui.note("On any device with a browser, open this address and confirm this code:");
  tui.out(device.verification_uri_complete ?? device.verification_uri);
  tui.out(device.user_code);
  const waiting = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
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

/** What the provider says is a stranger's word, and may have a token in it. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof SecLlamaError) throw cause;
    const code = (cause as { error?: unknown }).error;
    const said = typeof code === "string" && /^[a-z_]{1,40}$/.test(code) ? `: ${code}` : "";
    throw new SecLlamaError("auth", `the identity provider did not sign you in${said}`, {
      hint: "sign in again: secllama login URL",
      cause,
    });
  }
}
