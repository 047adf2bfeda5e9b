import assert from "node:assert/strict";
import { type Bytes, concat, toBase64Url } from "../bytes.ts";
import { type KeyDocument, makeKeyDocument } from "./key_document.ts";
import { randomBytes } from "./primitives.ts";
import { isUsable, verifyKeyDocument } from "./sender.ts";
import { suiteById } from "./suite.ts";
import { makeWorld, MODEL, PSK_ID, refused } from "./testing.ts";

async function announced(suite = 1) {
  const world = await makeWorld({ suites: [suite] });
  const challenge = randomBytes(16);
  const { host, recipient } = world;
  const asked = { pskId: PSK_ID, challenge, model: MODEL };
  const document = await host.document(recipient, asked);
  const { hid, rn, gen } = host;
  /** What the announcement says of the host and the start, and what it is authenticated with. */
  const core = { suite, hid, rn, gen };
  const keys = {
    runnerPsk: host.runnerPsk(PSK_ID)!,
    attest: host.word(PSK_ID, asked).attest,
    model: MODEL,
    challenge,
  };
  const options = {
    psk: world.psk,
    hid,
    model: MODEL,
    challenge,
    sentAt: world.clock.now,
    receivedAt: world.clock.now,
    suite,
  };
  return { world, document, options, core, keys };
}

Deno.test("a key that the gateway puts in is refused", async () => {
  const { document, options, core: own, keys } = await announced();
  const attacker = await suiteById(1).hpke.kem.GenerateKeyPair(false);
  const pk = await suiteById(1).hpke.kem.SerializePublicKey(attacker.publicKey);
  const substituted: KeyDocument = { ...document, pk: toBase64Url(pk) };
  // Without the mac it would pass: with one under the right PSK the same document is accepted.
  const core = { ...own, pk, nbf: document.nbf, exp: document.exp, now: document.now };
  await verifyKeyDocument(makeKeyDocument(core, keys), options);
  await refused(verifyKeyDocument(substituted, options), "auth");
  for (const change of [{ runnerPsk: randomBytes(32) }, { attest: randomBytes(32) }]) {
    const ownMac = makeKeyDocument(core, { ...keys, ...change });
    await refused(verifyKeyDocument(ownMac, options), "auth");
  }
});

Deno.test("every bit of a key document is under the mac", async () => {
  for (const suite of [1, 2]) {
    const { document, options } = await announced(suite);
    await verifyKeyDocument(document, options);
    for (const field of ["gen", "nbf", "exp", "now"] as const) {
      const changed = { ...document, [field]: document[field] + 1 };
      await refused(verifyKeyDocument(changed, options), "auth");
    }
    for (const field of ["hid", "rn", "pk", "mac"] as const) {
      const bytes = Uint8Array.fromBase64(document[field], { alphabet: "base64url" });
      for (let at = 0; at < bytes.length; at += suite === 1 ? 1 : 19) {
        const flipped = bytes.slice();
        flipped[at]! ^= 1 << (at % 8);
        const changed = { ...document, [field]: toBase64Url(flipped) };
        await refused(verifyKeyDocument(changed, options), "auth");
      }
    }
    // Recorded for another challenge, another model, another client, or of another host.
    await refused(verifyKeyDocument(document, { ...options, challenge: randomBytes(16) }), "auth");
    await refused(verifyKeyDocument(document, { ...options, model: "other" }), "auth");
    await refused(verifyKeyDocument(document, { ...options, psk: randomBytes(32) }), "auth");
    await refused(verifyKeyDocument(document, { ...options, hid: randomBytes(16) }), "auth");
  }
});

Deno.test("a document that is none is malformed, another suite is never taken instead", async () => {
  const { document, options } = await announced();
  const bad: unknown[] = [
    null,
    "text",
    [],
    {},
    { ...document, pk: undefined },
    { ...document, pk: document.pk + "=" },
    { ...document, pk: "AAAA" },
    { ...document, pk: "*".repeat(43) },
    { ...document, mac: 1 },
    { ...document, nbf: -1 },
    { ...document, exp: "1" },
    { ...document, now: 1.5 },
    { ...document, now: Number.MAX_SAFE_INTEGER + 1 },
    { ...document, suite: 256 },
    { ...document, suite: "1" },
    { ...document, pk: "A".repeat(5000) },
    { ...document, hid: undefined },
    { ...document, hid: document.hid + "AA" },
    { ...document, rn: document.rn.slice(4) },
    { ...document, gen: -1 },
    { ...document, gen: "1" },
  ];
  for (const value of bad) await refused(verifyKeyDocument(value, options), "malformed");
  await refused(verifyKeyDocument({ ...document, suite: 3 }, options), "unsupported-suite");
  await refused(verifyKeyDocument(document, { ...options, suite: 2 }), "unsupported-suite");
});

Deno.test("an expired announcement is refused, a kept key is used until it expires", async () => {
  const { world, options, core: own, keys } = await announced();
  const pk = randomBytes(32);
  const core = { ...own, pk, nbf: 1000, exp: 2000, now: 2000 };
  await refused(verifyKeyDocument(makeKeyDocument(core, keys), options), "clock");
  await refused(
    verifyKeyDocument(makeKeyDocument({ ...core, now: 999 }, keys), options),
    "clock",
  );
  const { key, clock } = world;
  assert.ok(isUsable(key, clock.now));
  assert.ok(isUsable(key, clock.now + 7_200_000 - 5001));
  assert.ok(!isUsable(key, clock.now + 7_200_000 - 5000));
});

Deno.test("the clock offset is taken at the middle of the round trip", async () => {
  const { document, options } = await announced();
  const key = await verifyKeyDocument(document, {
    ...options,
    sentAt: document.now - 5000,
    receivedAt: document.now - 4000,
  });
  assert.equal(key.clockOffsetMs, 4500);
});

Deno.test("the mac is the one that the format draws", async () => {
  // Written out with WebCrypto, apart from the code under test.
  const { document, options } = await announced();
  const text = (value: string) => new TextEncoder().encode(value);
  const bytes = (value: string) => Uint8Array.fromBase64(value, { alphabet: "base64url" });
  const u64 = (value: number) => {
    const out = new DataView(new ArrayBuffer(8));
    out.setBigUint64(0, BigInt(value));
    return new Uint8Array(out.buffer);
  };
  const hkdf = async (ikm: Uint8Array, info: Uint8Array, salt = new Uint8Array(0)) => {
    const key = await crypto.subtle.importKey("raw", ikm as Bytes, "HKDF", false, ["deriveBits"]);
    const parameters = { name: "HKDF", hash: "SHA-256", salt: salt as Bytes, info: info as Bytes };
    return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
  };
  const hmac = async (key: Uint8Array, ...message: Uint8Array[]) => {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const imported = await crypto.subtle.importKey("raw", key as Bytes, algorithm, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", imported, concat(...message)));
  };
  const [hid, rn] = [bytes(document.hid), bytes(document.rn)];
  const hostPsk = await hkdf(options.psk, concat(text("secllama/1 host"), hid));
  const runnerPsk = await hkdf(hostPsk, text("secllama/1 runner"), rn);
  const model = text("demo:latest");
  const core = concat(
    ...[text("SLK1"), Uint8Array.of(1), hid, rn, u64(document.gen), bytes(document.pk)],
    ...[document.nbf, document.exp, document.now].map(u64),
  );
  const attest = await hmac(
    await hkdf(hostPsk, text("secllama/1 attest")),
    ...[text("SLA1"), rn, u64(document.gen), model, options.challenge],
  );
  const key = await hkdf(runnerPsk, text("secllama/1 announce"), attest);
  assert.equal(document.mac, toBase64Url(await hmac(key, core, model, options.challenge)));
});
