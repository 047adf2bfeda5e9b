/**
 * Vectors that others published, against the primitives under sealed/1: Wycheproof's AES-GCM, HKDF and X25519, HPKE's
 * base and psk modes, NIST's GCM. Found in the folder that SECLLAMA_VECTORS names, else in `shared/vectors` beside the
 * repository, else where Debian's packages put them; skipped, and said so, where they are not.
 */
import assert from "node:assert/strict";
import { concat, fromHex, toHex } from "../../src/bytes.ts";
import { gcmOpen, gcmOpenLarge, gcmSeal, OpenFailed } from "../../src/sealed/primitives.ts";
import { hkdf, makeSuite } from "../../src/sealed/suite.ts";
import { x25519, x25519Private, x25519Public } from "../../src/sealed/x25519.ts";

const FOLDERS = [
  Deno.env.get("SECLLAMA_VECTORS"),
  new URL("../../../shared/vectors", import.meta.url).pathname,
];
const CAVP =
  "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM/gcmDecrypt256.rsp";
const CIRCL =
  "/usr/share/gocode/src/github.com/cloudflare/circl/hpke/testdata/vectors_v08_779d028.json";

interface Wycheproof<Group, Case> {
  testGroups: (Group & { tests: (Case & { tcId: number; result: string; comment: string })[] })[];
}

/** Registers a test over the first of `paths` that can be read; without one it is ignored, and why is printed. */
function vectorTest(
  name: string,
  paths: readonly string[],
  run: (text: string) => void | Promise<void>,
): void {
  let text: string | undefined;
  for (const path of paths) {
    try {
      text ??= Deno.readTextFileSync(path);
    } catch {
      // The next one, or ignored below.
    }
  }
  if (text === undefined) console.log(`SKIPPED ${name}: cannot read any of ${paths.join(", ")}`);
  Deno.test({ name, ignore: text === undefined, fn: () => run(text!) });
}

function inFolders(name: string): string[] {
  return FOLDERS.filter((folder) => folder !== undefined).map((folder) => `${folder}/${name}`);
}

vectorTest("Wycheproof AES-256-GCM", inFolders("wp_aes_gcm.json"), async (text) => {
  type Group = { keySize: number; ivSize: number; tagSize: number };
  type Case = { [field in "key" | "iv" | "aad" | "msg" | "ct" | "tag"]: string };
  const file: Wycheproof<Group, Case> = JSON.parse(text);
  let count = 0;
  for (const group of file.testGroups) {
    // The only sizes that sealed/1 has.
    if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) continue;
    for (const test of group.tests) {
      const [key, iv, aad, msg] = [test.key, test.iv, test.aad, test.msg].map(fromHex);
      const sealed = concat(fromHex(test.ct), fromHex(test.tag));
      if (test.result === "valid") {
        assert.equal(toHex(gcmSeal(key!, iv!, aad!, msg!)), toHex(sealed), `tcId ${test.tcId}`);
        assert.equal(toHex(gcmOpen(key!, iv!, aad!, sealed)), test.msg, `tcId ${test.tcId}`);
      } else {
        assert.equal(test.result, "invalid");
        assert.throws(() => gcmOpen(key!, iv!, aad!, sealed), OpenFailed, `tcId ${test.tcId}`);
        await assert.rejects(gcmOpenLarge(key!, iv!, aad!, sealed), OpenFailed);
      }
      count++;
    }
  }
  assert.ok(count > 50, `only ${count} vectors`);
  console.log(`Wycheproof AES-256-GCM: ${count} vectors`);
});

vectorTest("Wycheproof HKDF-SHA256", inFolders("wp_hkdf.json"), async (text) => {
  type Case = { ikm: string; salt: string; info: string; size: number; okm: string };
  const file: Wycheproof<object, Case> = JSON.parse(text);
  let count = 0;
  for (const { tests } of file.testGroups) {
    for (const test of tests) {
      const derive = async () =>
        toHex(await hkdf(fromHex(test.ikm), fromHex(test.info), test.size, fromHex(test.salt)));
      if (test.result === "valid") assert.equal(await derive(), test.okm, `tcId ${test.tcId}`);
      else await assert.rejects(derive, RangeError, `tcId ${test.tcId}`);
      count++;
    }
  }
  assert.ok(count > 50, `only ${count} vectors`);
  console.log(`Wycheproof HKDF-SHA256: ${count} vectors`);
});

vectorTest("Wycheproof X25519", inFolders("wp_x25519.json"), async (text) => {
  type Case = { public: string; private: string; shared: string };
  const file: Wycheproof<object, Case> = JSON.parse(text);
  // All-zero results must be refused (RFC 9180 section 7.1.4). Ours is for suite 1, the platform's for suite 2.
  const ours = (secret: Uint8Array, point: Uint8Array) =>
    Promise.resolve().then(() => x25519(x25519Private(secret), x25519Public(point)));
  const pkcs8 = fromHex("302e020100300506032b656e04220420");
  const platforms = async (secret: Uint8Array, point: Uint8Array) => {
    const { subtle } = crypto;
    const der = concat(pkcs8, secret);
    const key = await subtle.importKey("pkcs8", der, "X25519", false, ["deriveBits"]);
    const peer = await subtle.importKey("raw", new Uint8Array(point), "X25519", true, []);
    return new Uint8Array(await subtle.deriveBits({ name: "X25519", public: peer }, key, 256));
  };
  let [count, refusedZero] = [0, 0];
  for (const { tests } of file.testGroups) {
    for (const test of tests) {
      for (const derive of [ours, platforms]) {
        const result = derive(fromHex(test.private), fromHex(test.public));
        if (/^0+$/.test(test.shared)) {
          await assert.rejects(result, `tcId ${test.tcId}`);
          refusedZero++;
        } else {
          assert.notEqual(test.result, "invalid");
          assert.equal(toHex(await result), test.shared, `tcId ${test.tcId}`);
        }
      }
      count++;
    }
  }
  assert.ok(count > 400 && refusedZero > 5, `only ${count} vectors`);
  console.log(
    `Wycheproof X25519: ${count} vectors, ${refusedZero / 2} with an all-zero result refused`,
  );
});

interface HpkeVector {
  mode: number;
  kem_id: number;
  kdf_id: number;
  aead_id: number;
  enc: string;
  ikmE: string;
  ikmR: string;
  pkRm: string;
  info: string;
  psk?: string;
  psk_id?: string;
  encryptions: { aad: string; ciphertext: string; plaintext: string }[];
  exports: { exporter_context: string; L: number; exported_value: string }[];
}

const HPKE_FILES = [...inFolders("hpke-x25519-a256.json"), CIRCL];
vectorTest("HPKE X25519, HKDF-SHA256, AES-256-GCM, base and psk", HPKE_FILES, async (text) => {
  const all: HpkeVector[] = JSON.parse(text);
  let [vectors, encryptions, exports] = [0, 0, 0];
  for (const v of all) {
    if (v.mode > 1 || v.kem_id !== 0x20 || v.kdf_id !== 1 || v.aead_id !== 2) continue;
    const suite = makeSuite(1, (kem) => ({
      ...kem,
      GenerateKeyPair: () => kem.DeriveKeyPair(fromHex(v.ikmE), false),
    })).hpke;
    const pair = await suite.kem.DeriveKeyPair(fromHex(v.ikmR), false);
    assert.equal(toHex(await suite.kem.SerializePublicKey(pair.publicKey)), v.pkRm);
    const options = {
      info: fromHex(v.info),
      ...(v.mode === 1 && { psk: fromHex(v.psk!), pskId: fromHex(v.psk_id!) }),
    };
    const { enc, context } = await suite.setupSender(pair.publicKey, options);
    assert.equal(toHex(enc), v.enc);
    const recipient = await suite.setupRecipient(pair, enc, options);
    for (const { aad, ciphertext, plaintext } of v.encryptions) {
      assert.equal(toHex(await context.seal(fromHex(plaintext), fromHex(aad))), ciphertext);
      assert.equal(toHex(await recipient.open(fromHex(ciphertext), fromHex(aad))), plaintext);
      encryptions++;
    }
    for (const { exporter_context, L, exported_value } of v.exports) {
      for (const side of [context, recipient]) {
        assert.equal(toHex(side.export(fromHex(exporter_context), L)), exported_value);
      }
      exports++;
    }
    vectors++;
  }
  assert.ok(vectors >= 2 && encryptions > 100 && exports >= 6);
  console.log(`HPKE: ${vectors} vectors, ${encryptions} encryptions, ${exports} exports`);
});

vectorTest("NIST CAVP GCM-256", [...inFolders("gcmDecrypt256.rsp"), CAVP], (text) => {
  let count = 0;
  const sizes: { [name: string]: number } = {};
  for (const block of text.split(/\r?\n\r?\n/)) {
    for (const [, name, value] of block.matchAll(/^\[(\w+) = (\d+)\]/gm)) {
      sizes[name!] = Number(value);
    }
    if (sizes["IVlen"] !== 96 || sizes["Taglen"] !== 128 || !block.includes("Count")) continue;
    const field = (name: string) =>
      fromHex(new RegExp(`^${name} = ?([0-9a-f]*)`, "m").exec(block)?.[1] ?? "");
    const sealed = concat(field("CT"), field("Tag"));
    const open = () => gcmOpen(field("Key"), field("IV"), field("AAD"), sealed);
    if (/^FAIL/m.test(block)) assert.throws(open, OpenFailed);
    else assert.equal(toHex(open()), toHex(field("PT")));
    count++;
  }
  assert.ok(count > 100, `only ${count} vectors`);
  console.log(`NIST CAVP GCM-256: ${count} vectors`);
});
