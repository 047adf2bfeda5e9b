/** ID tokens that must not let anybody in, each one change away from one that does, which is tried first. */
import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { code } from "../keys/testing.ts";
import { IdTokens, signInNonce } from "./id_tokens.ts";

const PK = new Uint8Array(32).fill(5);
const NOW = Date.parse("2026-11-29T12:00:00Z");

Deno.test("id tokens: expired, foreign, unsigned, for another, replayed; each against the one that holds", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const other = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  let issuer = "";
  let said = "";
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      new URL(request.url).pathname === "/keys"
        ? Response.json({ keys: [jwk] })
        : Response.json({ issuer: said, jwks_uri: `${issuer}/keys` }),
  );
  issuer = said = `http://127.0.0.1:${server.addr.port}`;
  const terms = {
    issuer,
    clientId: "gateway",
    groupsClaim: "groups",
    roles: [["ml", "staff"], ["*", "guest"]] as const,
    sessionMs: 3_600_000,
    device: false,
  };
  const seconds = NOW / 1000;
  let number = 0;
  const claims = (change: JWTPayload = {}): JWTPayload => ({
    iss: issuer,
    sub: "anna",
    aud: "gateway",
    iat: seconds - 5,
    exp: seconds + 300,
    nonce: signInNonce(PK),
    jti: String(number++),
    email: "anna@firm.example",
    groups: ["ml"],
    ...change,
  });
  const signed = (payload: JWTPayload, key = privateKey, header = {}) =>
    new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "one", ...header }).sign(key);
  const tokens = () => new IdTokens(terms, { now: () => NOW });
  try {
    const check = tokens();
    const person = await check.check(await signed(claims()), PK);
    assert.deepEqual([person.name, person.role], ["anna-firm.example", "staff"]);
    const bob = await check.check(await signed(claims({ sub: "bob", groups: ["x"] })), PK);
    assert.equal(bob.role, "guest");
    assert.notEqual(bob.subject, person.subject);
    const none = new IdTokens({ ...terms, roles: [["ml", "staff"]] }, { now: () => NOW });
    assert.equal((await none.check(await signed(claims({ groups: "ml" })), PK)).role, undefined);

    const twice = await signed(claims());
    await check.check(twice, PK);
    assert.equal(await code(check.check(twice, PK)), "auth", "replayed");

    const bad: Record<string, string> = {
      expired: await signed(claims({ exp: seconds - 100, iat: seconds - 200 })),
      old: await signed(claims({ iat: seconds - 2_000, exp: seconds + 9_000 })),
      "of tomorrow": await signed(claims({ iat: seconds + 86_400, exp: seconds + 90_000 })),
      "not yet": await signed(claims({ nbf: seconds + 600 })),
      "another issuer's": await signed(claims({ iss: "https://elsewhere.example" })),
      "for another": await signed(claims({ aud: "wiki" })),
      "for two, asked by the other": await signed(
        claims({ aud: ["gateway", "wiki"], azp: "wiki" }),
      ),
      "for two, nobody named": await signed(claims({ aud: ["gateway", "wiki"] })),
      "another's key": await signed(claims(), other.privateKey),
      "unknown kid": await signed(claims(), privateKey, { kid: "two" }),
      "another nonce": await signed(claims({ nonce: signInNonce(new Uint8Array(32)) })),
      "no nonce": await signed(claims({ nonce: undefined as unknown as string })),
      "no subject": await signed(claims({ sub: undefined as unknown as string })),
      "alg none": new UnsecuredJWT(claims()).encode(),
      // The public key as an HMAC key: what "alg" says must not choose how a key is used.
      "alg HS256": await new SignJWT(claims()).setProtectedHeader({ alg: "HS256", kid: "one" })
        .sign(new TextEncoder().encode(JSON.stringify(jwk))),
      "no token": "x.y.z",
      empty: "",
      long: "a".repeat(100_000),
    };
    const [head, body, signature] = (await signed(claims())).split(".") as [string, string, string];
    const random = seeded(SEED);
    for (let i = 0; i < 40; i++) {
      const part = i % 2 === 0 ? body : signature;
      const at = Math.floor(random() * (part.length - 1));
      const changed = part.slice(0, at) + (part[at] === "A" ? "B" : "A") + part.slice(at + 1);
      bad[`changed ${i}`] = [
        head,
        i % 2 === 0 ? changed : body,
        i % 2 === 0 ? signature : changed,
      ].join(".");
    }
    for (const [name, token] of Object.entries(bad)) {
      assert.equal(await code(check.check(token, PK)), "auth", name);
    }
    // Where devices may come, one without a nonce is let in, once, and one for another key is not.
    let now = NOW - 5_000;
    const devices = new IdTokens({ ...terms, device: true }, { now: () => now });
    now = NOW;
    const unbound = await signed(claims({ nonce: undefined as unknown as string }));
    assert.equal((await devices.check(unbound, PK)).role, "staff");
    assert.equal(await code(devices.check(unbound, PK)), "auth");
    // A gateway that was started since does not know what was used, and takes none of before; one with a nonce opens nothing twice.
    const restarted = new IdTokens({ ...terms, device: true }, { now: () => NOW });
    assert.equal(await code(restarted.check(unbound, PK)), "auth");
    assert.equal((await restarted.check(await signed(claims()), PK)).role, "staff");
    const since = claims({ nonce: undefined as unknown as string, iat: seconds });
    assert.equal((await restarted.check(await signed(since), PK)).role, "staff");
    for (const name of ["another nonce", "alg none", "expired", "for another"]) {
      assert.equal(await code(devices.check(bad[name]!, PK)), "auth", name);
    }
    // One that is known already needs no nonce; all else holds for it.
    const later = await signed(claims({ nonce: undefined as unknown as string }));
    assert.equal((await check.check(later, undefined)).subject, person.subject);
    assert.equal(await code(check.check(bad["for another"]!, undefined)), "auth");
    // A provider that says it is another, or is away, is asked again the next time.
    said = "https://elsewhere.example";
    const lied = tokens();
    await assert.rejects(lied.check(await signed(claims()), PK), {
      code: "gateway-unreachable",
      message: `the identity provider calls itself ${said}, and was asked as ${issuer}`,
    });
    said = issuer;
    assert.equal((await lied.check(await signed(claims()), PK)).name, "anna-firm.example");
  } finally {
    await server.shutdown();
  }
});
