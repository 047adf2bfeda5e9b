/** What a provider's answers mean to a session that is to go on: over, or to be tried again. */
import assert from "node:assert/strict";
import { code } from "../../keys/testing.ts";
import { refreshed } from "./provider.ts";

Deno.test("sign-in: a provider that refuses ends the session; one that is away, or answers garbage, does not", async () => {
  let answer: () => Response | Promise<Response> = () => new Response();
  let discovery: (() => Response) | undefined;
  let issuer = "";
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    if (!new URL(request.url).pathname.startsWith("/.well-known")) return answer();
    return discovery?.() ?? Response.json({
      issuer,
      token_endpoint: `${issuer}/token`,
      authorization_endpoint: `${issuer}/auth`,
    });
  });
  issuer = `http://127.0.0.1:${server.addr.port}`;
  const provider = { issuer, clientId: "secllama", scope: "openid" };
  const said = () => code(refreshed(provider, "a refresh token"));
  const error = (status: number, error: string) => () => Response.json({ error }, { status });
  const over = {
    "taken back": error(400, "invalid_grant"),
    "another client's": error(401, "invalid_client"),
    "refused": error(400, "access_denied"),
    "no ID token": () => Response.json({ access_token: "x", token_type: "bearer" }),
  };
  const away = {
    "status 500": error(500, "invalid_grant"),
    "status 503": () => new Response("away", { status: 503 }),
    "too many": () => new Response("", { status: 429 }),
    "says so": error(400, "temporarily_unavailable"),
    "its own fault": error(400, "server_error"),
    "a page": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
    "a redirect": () => new Response(null, { status: 302, headers: { location: "/" } }),
    "no JSON": () => new Response("{", { headers: { "content-type": "application/json" } }),
    "other JSON": () => Response.json(["x"]),
  };
  try {
    for (const [name, one] of Object.entries(over)) {
      answer = one;
      assert.equal(await said(), "auth", name);
    }
    for (const [name, one] of Object.entries(away)) {
      answer = one;
      assert.equal(await said(), "gateway-unreachable", name);
    }
    for (
      const [name, one] of Object.entries({
        "discovery 500": () => new Response("", { status: 500 }),
        "discovery 404": () => new Response("", { status: 404 }),
        "discovery is a page": () => new Response("<html>"),
        "discovery of nobody": () => Response.json({ token_endpoint: `${issuer}/token` }),
      })
    ) {
      discovery = one;
      assert.equal(await said(), "gateway-unreachable", name);
    }
    const well = { issuer, authorization_endpoint: `${issuer}/auth` };
    for (const token_endpoint of [undefined, 5, "::", "http://192.0.2.1/token", "file:///token"]) {
      discovery = () => Response.json({ ...well, token_endpoint });
      assert.equal(await said(), "gateway-unreachable", `token endpoint ${token_endpoint}`);
    }
    // It does answer: what is wrong is what the gateway's setting calls it.
    const other = "https://elsewhere.example";
    discovery = () => Response.json({ issuer: other });
    await assert.rejects(refreshed(provider, "a refresh token"), {
      code: "gateway-unreachable",
      message: `the identity provider calls itself ${other}, and was asked as ${issuer}`,
      hint: /SECLLAMA_OIDC_ISSUER/,
    });
  } finally {
    await server.shutdown();
  }
  assert.equal(await said(), "gateway-unreachable", "nobody listens");
});

Deno.test("sign-in: what waits for a provider is broken off before the refresh token was sent, and not after", async () => {
  const held = Promise.withResolvers<void>();
  const stop = [new AbortController(), new AbortController()];
  let [issuer, asks] = ["", 0];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      if (!new URL(request.url).pathname.startsWith("/.well-known")) {
        stop[1]!.abort();
        return Response.json({ error: "invalid_grant" }, { status: 400 });
      }
      if (asks++ === 0) {
        stop[0]!.abort();
        await held.promise;
      }
      return Response.json({
        issuer,
        token_endpoint: `${issuer}/token`,
        authorization_endpoint: `${issuer}/auth`,
      });
    },
  );
  issuer = `http://127.0.0.1:${server.addr.port}`;
  const provider = { issuer, clientId: "secllama", scope: "openid" };
  try {
    assert.equal(await code(refreshed(provider, "a refresh token", stop[0]!.signal)), "cancelled");
    // The provider's own answer, which could have been a new token.
    assert.equal(await code(refreshed(provider, "a refresh token", stop[1]!.signal)), "auth");
  } finally {
    held.resolve();
    await server.shutdown();
  }
});
