/** ID tokens by generation: any mixture of changes lets in exactly if each of its parts does; and what a provider may say for keys. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type CryptoKey as JoseKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { code } from "../keys/testing.ts";
import { IdTokens, signInNonce, type SignInTerms } from "./id_tokens.ts";
import { seeded } from "../../tests/support/seeds.ts";

const PK = new Uint8Array(32).fill(5);
const NOW = Date.parse("2026-11-29T12:00:00Z");
const SECONDS = NOW / 1000;
const ISSUER = "https://login.firm.example";
const COUNT = Deno.env.get("SECLLAMA_FULL") ? 20_000 : 150;

const TERMS: SignInTerms = {
  issuer: ISSUER,
  clientId: "gateway",
  groupsClaim: "groups",
  roles: [["*", "guest"]],
  sessionMs: 3_600_000,
  device: false,
};

/** A provider, answered from memory. */
class Rig {
  keys: unknown;
  answers = 0;
  /** In the place of the provider's answer. */
  instead: ((path: string) => Promise<Response> | Response | undefined) | undefined;

  constructor(keys: unknown) {
    this.keys = keys;
  }

  tokens(more: Partial<SignInTerms> = {}, o: { used?: number } = {}): IdTokens {
    return new IdTokens({ ...TERMS, ...more }, {
      ...o,
      now: () => NOW,
      fetch: (async (address: string | URL | Request) => {
        const { pathname } = new URL(String(address));
        this.answers++;
        return await this.instead?.(pathname) ?? Response.json(
          pathname.includes(".well-known")
            ? { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` }
            : { keys: this.keys },
        );
      }) as typeof fetch,
    });
  }
}

let number = 0;

function claims(): JWTPayload {
  return {
    iss: ISSUER,
    sub: "anna",
    aud: "gateway",
    iat: SECONDS - 5,
    exp: SECONDS + 300,
    nonce: signInNonce(PK),
    jti: String(number++),
  };
}

/** What a change does to claims and header, and whether the token then still lets in. */
interface Change {
  readonly name: string;
  /** Of which part; two changes of one part would hide each other. */
  readonly part: string;
  readonly lets: boolean;
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
}

const change = (part: string, lets: boolean, values: readonly unknown[]): Change[] =>
  values.map((value) => ({
    part,
    lets,
    name: `${part} ${JSON.stringify(value)?.slice(0, 40)}`,
    claims: { [part]: value },
  }));

const CHANGES: readonly Change[] = [
  ...change("iss", false, [`${ISSUER}/`, ISSUER.toUpperCase(), "", null, [ISSUER], undefined, 1]),
  ...change("aud", true, [["gateway"]]),
  ...change("aud", false, ["wiki", "", "Gateway", [], ["wiki"], ["gateway", "wiki"], null, {
    gateway: true,
  }, undefined]),
  ...change("azp", true, ["gateway"]),
  ...change("azp", false, ["wiki", "", null, ["gateway"], 0]),
  ...change("iat", true, [SECONDS + 30, SECONDS - 599, SECONDS - 640]),
  ...change("iat", false, [
    SECONDS + 90,
    SECONDS + 86_400,
    SECONDS - 700,
    0,
    -1,
    "now",
    String(SECONDS),
    null,
    undefined,
    1e300,
  ]),
  ...change("exp", true, [SECONDS - 30, SECONDS + 1e9]),
  ...change("exp", false, [SECONDS - 90, 0, -1, "later", String(SECONDS + 300), null, undefined]),
  ...change("nbf", true, [SECONDS - 100, SECONDS + 30]),
  ...change("nbf", false, [SECONDS + 90, "soon", null, {}]),
  ...change("sub", true, ["0", "ben", "a".repeat(255)]),
  ...change("sub", false, [
    undefined,
    null,
    "",
    0,
    {},
    ["anna"],
    "a".repeat(256),
    "an\nna",
    "änna",
  ]),
  ...change("nonce", false, [
    undefined,
    null,
    "",
    signInNonce(new Uint8Array(32)),
    [signInNonce(PK)],
    `${signInNonce(PK)}=`,
  ]),
  ...change("groups", true, ["x", {}, null, ["a", 1, null], undefined]),
  ...change("email", true, ["<script>", {}, 1, null, "\u202eevil"]),
  { name: "typ JWT", part: "typ", lets: true, header: { typ: "JWT" } },
  { name: "typ application/jwt", part: "typ", lets: true, header: { typ: "application/jwt" } },
  ...["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", ""].map((typ): Change => ({
    name: `typ ${typ}`,
    part: "typ",
    lets: false,
    header: { typ },
  })),
  { name: "crit", part: "crit", lets: false, header: { crit: ["x"], x: 1 } },
  { name: "kid", part: "kid", lets: false, header: { kid: "two" } },
];

const signed = (
  payload: Record<string, unknown>,
  key: JoseKey | Uint8Array,
  header: Record<string, unknown> = {},
) =>
  new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "one", ...header }).sign(key, {
    crit: { x: false },
  });

Deno.test(`id tokens: ${COUNT} mixtures of changes: one that is wrong is enough, and harmless ones stay harmless`, async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const rig = new Rig([{ ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" }]);
  const tokens = rig.tokens();
  const random = seeded(20261129);
  const said = { let: 0, refused: 0 };
  for (let i = 0; i < COUNT; i++) {
    // Each by itself first.
    const chosen = i < CHANGES.length
      ? [CHANGES[i]!]
      : Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
        CHANGES[Math.floor(random() * CHANGES.length)]!).filter((one, at, all) =>
          all.findIndex(({ part }) => part === one.part) === at
        );
    const token = await signed(
      Object.assign({ ...claims() }, ...chosen.map((one) => one.claims ?? {})),
      privateKey,
      Object.assign({}, ...chosen.map((one) => one.header ?? {})),
    );
    // Two audiences may come if the one that asked is named: the one rule of two parts.
    const pair = chosen.some(({ name }) => name.startsWith('aud ["gateway","wiki"]')) &&
      chosen.some(({ name }) => name === 'azp "gateway"');
    const lets = chosen.every((one) => one.lets || pair && one.part === "aud");
    const result = await code(tokens.check(token, PK));
    assert.equal(result, lets ? "ok" : "auth", chosen.map(({ name }) => name).join("; "));
    said[lets ? "let" : "refused"]++;
  }
  assert.ok(said.let > COUNT / 40 && said.refused > COUNT / 4, JSON.stringify(said));
});

Deno.test("id tokens: other keys, no key, the public key as a secret, keys that the token itself brings", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const other = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  const tokens = new Rig([jwk]).tokens();
  await tokens.check(await signed({ ...claims() }, privateKey), PK);
  const foreign = await exportJWK(other.publicKey);
  const secrets = [JSON.stringify(jwk), await exportSPKI(publicKey), jwk.x!, "", "secret"];
  const bad: [string, string][] = [
    ["alg none", new UnsecuredJWT(claims()).encode()],
    ["foreign", await signed({ ...claims() }, other.privateKey)],
    ["foreign, its key with it", await signed({ ...claims() }, other.privateKey, { jwk: foreign })],
    ["foreign, jku", await signed({ ...claims() }, other.privateKey, { jku: "https://evil/keys" })],
    ["foreign, x5u", await signed({ ...claims() }, other.privateKey, { x5u: "https://evil/x" })],
    ["foreign, no kid", await signed({ ...claims() }, other.privateKey, { kid: undefined })],
  ];
  for (const secret of secrets) {
    for (const alg of ["HS256", "HS384", "HS512"]) {
      const key = new TextEncoder().encode(secret.padEnd(64));
      bad.push([`${alg} with ${secret.slice(0, 20)}`, await signed({ ...claims() }, key, { alg })]);
    }
  }
  const good = await signed({ ...claims() }, privateKey);
  const [head, body, signature] = good.split(".") as [string, string, string];
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, 0, ["ES256"], "ES256K", "RSA1_5"]) {
    bad.push([`alg ${alg}`, [part({ alg, kid: "one" }), body, signature].join(".")]);
    bad.push([`alg ${alg}, unsigned`, [part({ alg, kid: "one" }), body, ""].join(".")]);
  }
  bad.push(
    ["no signature", `${head}.${body}.`],
    ["two parts", `${head}.${body}`],
    ["four parts", `${good}.x`],
    ["five parts, as if encrypted", `${good}.x.y`],
    ["the payload is a token", await signed({ jwt: good }, privateKey, { cty: "JWT" })],
    ["the payload is a list", [head, part([claims()]), signature].join(".")],
    ["huge", "a".repeat(65_537)],
    ["huge and signed", await signed({ ...claims(), pad: "x".repeat(70_000) }, privateKey)],
    ["nested", `${"[".repeat(30_000)}.${"[".repeat(30_000)}.x`],
    ["nested header", `${Buffer.from("[".repeat(20_000)).toString("base64url")}.${body}.x`],
    ["NUL", "\0.\0.\0"],
    ["zero signature", [head, body, Buffer.alloc(64).toString("base64url")].join(".")],
  );
  for (const [name, token] of bad) assert.equal(await code(tokens.check(token, PK)), "auth", name);
  // What was tried beside it used nothing up.
  assert.equal((await tokens.check(good, PK)).role, "guest");
});

Deno.test("id tokens: a used one does not come again with its signature written another way", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  const { nonce: _, ...rest } = claims();
  const unbound = { ...rest, iat: SECONDS };
  const token = await signed(unbound, privateKey);
  const [head, body, signature] = token.split(".") as [string, string, string];
  // ECDSA: (r, n - s) holds where (r, s) does (SEC 1); base64url: the last character has bits that say nothing.
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const bytes = Buffer.from(signature, "base64url");
  const s = n - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  const twin = Buffer.concat([
    bytes.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, "0"), "hex"),
  ]);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = letters.indexOf(signature.at(-1)!);
  const variants = [
    twin.toString("base64url"),
    signature.slice(0, -1) + letters[last + 1],
    `${signature}==`,
    `${signature}=`,
    ` ${signature}`,
  ].map((one) => [head, body, one].join("."));
  const device = () => new Rig([jwk]).tokens({ device: true });
  // The control: by itself at least the twin would be let in.
  assert.equal(await code(device().check(variants[0]!, PK)), "ok");
  const tokens = device();
  assert.equal(await code(tokens.check(token, PK)), "ok");
  for (const variant of [token, ...variants]) {
    assert.equal(await code(tokens.check(variant, PK)), "auth", variant.slice(-90));
  }
});

Deno.test("id tokens: a provider whose keys cannot be had is away, and no sign-in is refused for that", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  const rig = new Rig([jwk]);
  const tokens = rig.tokens();
  const token = await signed({ ...claims() }, privateKey);
  const ways: Record<string, () => Promise<Response> | Response> = {
    "status 500": () => new Response("{}", { status: 500 }),
    "status 404": () => new Response("no such page", { status: 404 }),
    "a redirect": () => new Response(null, { status: 302, headers: { location: "/x" } }),
    "not JSON": () => new Response("<html>"),
    "no keys": () => Response.json({ keyz: [] }),
    "keys that are none": () => Response.json({ keys: ["x", 1] }),
    "no end": () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)),
        }),
      ),
    "no UTF-8": () => new Response(new Uint8Array([0x7b, 0xff, 0x7d])),
    "no connection": () => Promise.reject(new TypeError("connection refused")),
    "too late": () => Promise.reject(new DOMException("late", "TimeoutError")),
  };
  for (const at of [".well-known", "/keys"]) {
    for (const [name, answer] of Object.entries(ways)) {
      rig.instead = (path) => path.includes(at) ? answer() : undefined;
      assert.equal(await code(tokens.check(token, PK)), "gateway-unreachable", `${at}: ${name}`);
    }
  }
  rig.instead = undefined;
  assert.equal((await tokens.check(token, PK)).role, "guest", "and it has not been used up");
});

Deno.test("id tokens: however many tokens some people use, one more person signs in", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "one", alg: "ES256", use: "sig" };
  // Five people that have a fifth each would leave nothing.
  const tokens = new Rig([jwk]).tokens({}, { used: 400 });
  for (let person = 0; person < 8; person++) {
    let last = "";
    let number = 0;
    for (; number < 80 && last !== "busy"; number++) {
      const claimed = { ...claims(), sub: `person ${person}`, jti: `${person} ${number}` };
      last = await code(tokens.check(await signed(claimed, privateKey), PK));
      assert.ok(last === "ok" || last === "busy", last);
    }
    assert.ok(number >= 16, `person ${person}: ${number}`);
  }
});
