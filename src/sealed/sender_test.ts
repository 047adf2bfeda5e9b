import assert from "node:assert/strict";
import { concat, toBase64Url } from "../bytes.ts";
import { type KeyDocument, makeKeyDocument } from "./key_document.ts";
import { randomBytes } from "./primitives.ts";
import { isUsable, verifyKeyDocument } from "./sender.ts";
import { suiteById } from "./suite.ts";
import { makeWorld, MODEL, PSK_ID, refused } from "./testing.ts";

async function announced(suite = 1) {
  const world = await makeWorld({ suites: [suite] });
  const challenge = randomBytes(16);
  const document = await world.recipient.keyDocument({ pskId: PSK_ID, challenge, model: MODEL });
  const options = {
    psk: world.psk,
    model: MODEL,
    challenge,
    sentAt: world.clock.now,
    receivedAt: world.clock.now,
    suite,
  };
  return { world, document, options };
}

Deno.test("a key that the gateway puts in is refused", async () => {
  const { document, options } = await announced();
  const attacker = await suiteById(1).hpke.kem.GenerateKeyPair(false);
  const pk = await suiteById(1).hpke.kem.SerializePublicKey(attacker.publicKey);
  const substituted: KeyDocument = { ...document, pk: toBase64Url(pk) };
  // Without the mac it would pass: with one under the right PSK the same document is accepted.
  const core = { suite: 1, pk, nbf: document.nbf, exp: document.exp, now: document.now };
  await verifyKeyDocument(makeKeyDocument(core, options), options);
  await refused(verifyKeyDocument(substituted, options), "auth");
  const ownMac = makeKeyDocument(core, { ...options, psk: randomBytes(32) });
  await refused(verifyKeyDocument(ownMac, options), "auth");
});

Deno.test("every bit of a key document is under the mac", async () => {
  for (const suite of [1, 2]) {
    const { document, options } = await announced(suite);
    await verifyKeyDocument(document, options);
    for (const field of ["nbf", "exp", "now"] as const) {
      const changed = { ...document, [field]: document[field] + 1 };
      await refused(verifyKeyDocument(changed, options), "auth");
    }
    for (const field of ["pk", "mac"] as const) {
      const bytes = Uint8Array.fromBase64(document[field], { alphabet: "base64url" });
      for (let at = 0; at < bytes.length; at += suite === 1 ? 1 : 19) {
        const flipped = bytes.slice();
        flipped[at]! ^= 1 << (at % 8);
        const changed = { ...document, [field]: toBase64Url(flipped) };
        await refused(verifyKeyDocument(changed, options), "auth");
      }
    }
    // Recorded for another challenge, another model, another client.
    await refused(verifyKeyDocument(document, { ...options, challenge: randomBytes(16) }), "auth");
    await refused(verifyKeyDocument(document, { ...options, model: "other" }), "auth");
    await refused(verifyKeyDocument(document, { ...options, psk: randomBytes(32) }), "auth");
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
  ];
  for (const value of bad) await refused(verifyKeyDocument(value, options), "malformed");
  await refused(verifyKeyDocument({ ...document, suite: 3 }, options), "unsupported-suite");
  await refused(verifyKeyDocument(document, { ...options, suite: 2 }), "unsupported-suite");
});

Deno.test("an expired announcement is refused, a kept key is used until it expires", async () => {
  const { world, options } = await announced();
  const pk = randomBytes(32);
  const core = { suite: 1, pk, nbf: 1000, exp: 2000, now: 2000 };
  await refused(verifyKeyDocument(makeKeyDocument(core, options), options), "clock");
  await refused(
    verifyKeyDocument(makeKeyDocument({ ...core, now: 999 }, options), options),
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
  const core = new Uint8Array(4 + 1 + 32 + 24);
  const view = new DataView(core.buffer);
  core.set(new TextEncoder().encode("SLK1"));
  core[4] = 1;
  core.set(Uint8Array.fromBase64(document.pk, { alphabet: "base64url" }), 5);
  [document.nbf, document.exp, document.now].forEach((time, i) => {
    view.setBigUint64(37 + 8 * i, BigInt(time));
  });
  const ikm = await crypto.subtle.importKey("raw", options.psk, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(0),
      info: new TextEncoder().encode("secllama/1 announce"),
    },
    ikm,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign"],
  );
  const message = concat(core, new TextEncoder().encode("demo:latest"), options.challenge);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, message));
  assert.equal(document.mac, toBase64Url(mac));
});
