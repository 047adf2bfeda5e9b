/** Our HPKE against the library's, both ways; `tests/vectors/published_test.ts` has RFC 9180's vectors. */
import assert from "node:assert/strict";
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256 } from "hpke";
import { toHex, utf8 } from "../bytes.ts";
import { OpenFailed, randomBytes } from "./primitives.ts";
import { SUITE_IDS, suiteById } from "./suite.ts";

const AAD = utf8("aad");

/** More than 64 KiB takes the other path of the primitives. */
const MESSAGES = [randomBytes(0), randomBytes(100), randomBytes(70_000), randomBytes(1)];

for (const id of SUITE_IDS) {
  Deno.test(`suite ${id}: the library opens what we seal, and we open what it seals`, async () => {
    const { hpke } = suiteById(id);
    const library = new CipherSuite(() => hpke.kem, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
    for (const psk of [true, false]) {
      const pair = await hpke.kem.GenerateKeyPair(false);
      const options = {
        info: randomBytes(80),
        ...(psk && { psk: randomBytes(32), pskId: utf8("local.0123456789abcdef") }),
      };
      const ours = await hpke.setupSender(pair.publicKey, options);
      const theirs = await library.SetupSender(pair.publicKey, options);
      const openTheirs = await hpke.setupRecipient(pair, theirs.encapsulatedSecret, options);
      const openOurs = await library.SetupRecipient(pair, ours.enc, options);
      for (const message of MESSAGES) {
        const a = await openOurs.Open(await ours.context.seal(message, AAD), AAD);
        const b = await openTheirs.open(await theirs.ctx.Seal(message, AAD), AAD);
        assert.ok([a, b].every((opened) => toHex(opened) === toHex(message)));
      }
      const label = utf8("an exporter context");
      assert.deepEqual(ours.context.export(label, 77), await openOurs.Export(label, 77));
      assert.deepEqual(openTheirs.export(label, 16), await theirs.ctx.Export(label, 16));
    }
  });
}

Deno.test("another info, psk or psk_id, one after the other, opens nothing", async () => {
  const { hpke } = suiteById(1);
  const pair = await hpke.kem.GenerateKeyPair(false);
  const right = { info: utf8("info"), psk: randomBytes(32), pskId: utf8("id") };
  const { enc, context } = await hpke.setupSender(pair.publicKey, right);
  const sealed = await context.seal(utf8("message"), AAD);
  const open = async (options: typeof right) =>
    await (await hpke.setupRecipient(pair, enc, options)).open(sealed, AAD);
  // The schedule keeps what belongs to the last header: it must not outlive a change of it.
  for (
    const change of [
      { info: utf8("inf0") },
      { pskId: utf8("ie") },
      { psk: randomBytes(32) },
      { info: utf8("infoi"), pskId: utf8("d") },
    ]
  ) {
    assert.equal(toHex(await open(right)), toHex(utf8("message")));
    await assert.rejects(open({ ...right, ...change }), OpenFailed);
  }
  const { psk, pskId, info } = right;
  for (const half of [{ info, psk }, { info, pskId }]) {
    await assert.rejects(hpke.setupSender(pair.publicKey, half), RangeError);
  }
});

Deno.test("a context's messages open in their order and in no other", async () => {
  const { hpke } = suiteById(1);
  const pair = await hpke.kem.GenerateKeyPair(false);
  const { enc, context } = await hpke.setupSender(pair.publicKey, { info: AAD });
  const [first, second] = await Promise.all([
    context.seal(utf8("same"), AAD),
    context.seal(utf8("same"), AAD),
  ]);
  assert.notEqual(toHex(first), toHex(second));
  const recipient = await hpke.setupRecipient(pair, enc, { info: AAD });
  await assert.rejects(recipient.open(second, AAD), OpenFailed);
  const again = await hpke.setupRecipient(pair, enc, { info: AAD });
  assert.equal(toHex(await again.open(first, AAD)), toHex(utf8("same")));
  assert.equal(toHex(await again.open(second, AAD)), toHex(utf8("same")));
});
