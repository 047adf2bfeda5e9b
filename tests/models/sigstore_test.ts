/**
 * Signatures of models against another implementation: Sigstore's own libraries (npm, by the authors of the bundle's format) read ours
 * and verify them, and what they make is verified by us. OpenSSF's model_signing itself is a Python package, which nothing here has.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { bundleFromJSON, bundleToJSON, toDSSEBundle } from "@sigstore/bundle";
import { crypto, dsse } from "@sigstore/core";
import { readSigner, signFiles, verifyBundle } from "../../src/models/signing.ts";

const FILES = [
  { name: "model.gguf", sha256: "11".repeat(32) },
  { name: "projector.gguf", sha256: "22".repeat(32) },
];
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];
const HASHES = ["sha256", "sha384", "sha512"];

function keys(namedCurve: string) {
  const pair = generateKeyPairSync("ec", {
    namedCurve,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { ...pair, hint: createHash("sha256").update(pair.publicKey).digest("hex") };
}

/** What Sigstore's verifier says of a bundle, under Node. */
async function verifiedByNode(o: { bundle: unknown; publicKey: string; hint: string }) {
  const main = new URL("./sigstore_main.cjs", import.meta.url).pathname;
  const node = new Deno.Command("node", {
    args: [main],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = node.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(o)));
  await writer.close();
  const { stdout, stderr } = await node.output();
  const [said, failed] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (said !== "verified\n") throw new Error(failed);
}

Deno.test("signatures: Sigstore's libraries read and verify ours, and find what was changed", async () => {
  const hasNode = await new Deno.Command("node", { args: ["--version"] }).output()
    .then(({ success }) => success, () => false);
  if (!hasNode) console.log("skipped: Sigstore's verifier: node is not installed");
  for (const [i, curve] of CURVES.entries()) {
    const { publicKey, privateKey, hint } = keys(curve);
    const text = signFiles("model", FILES, privateKey);
    const bundle = bundleFromJSON(JSON.parse(text));
    assert.equal(bundle.content.$case, "dsseEnvelope");
    const changed = JSON.parse(text);
    const statement = JSON.parse(atob(changed.dsseEnvelope.payload));
    statement.predicate.resources[0].digest = "33".repeat(32);
    changed.dsseEnvelope.payload = btoa(JSON.stringify(statement));
    const other = keys(curve).publicKey;
    /** By Sigstore's encoding of what is signed, with the hash that goes with the curve, as model_signing has it. */
    const verifyHere = (key: string, json: typeof changed) => {
      const { payloadType, payload, signatures } = json.dsseEnvelope;
      const pae = dsse.preAuthEncoding(payloadType, Buffer.from(payload, "base64"));
      const signature = Buffer.from(signatures[0].sig, "base64");
      const holds = crypto.verify(pae, createPublicKey(key), signature, HASHES[i]);
      if (!holds) throw new Error("signature verification failed");
      return Promise.resolve();
    };
    // Their verifier takes SHA-256 with any bare key.
    const verify = i === 0 && hasNode
      ? (key: string, bundle: unknown) => verifiedByNode({ bundle, publicKey: key, hint })
      : async (key: string, json: unknown) => await verifyHere(key, json as typeof changed);
    await verify(publicKey, JSON.parse(text));
    await assert.rejects(verify(other, JSON.parse(text)), /signature verification failed/, curve);
    await assert.rejects(verify(publicKey, changed), /signature verification failed/, curve);
    assert.throws(
      () =>
        verifyBundle(new TextEncoder().encode(JSON.stringify(changed)), [readSigner(publicKey)]),
      { code: "model-not-approved" },
    );
  }
});

Deno.test("signatures: a bundle that Sigstore's libraries make and sign is verified by us, by each curve", () => {
  for (const [i, curve] of CURVES.entries()) {
    const { publicKey, privateKey, hint } = keys(curve);
    // The statement as model_signing writes it (its specification, v1.0).
    const ours = JSON.parse(signFiles("model", FILES, privateKey));
    const artifact = Buffer.from(ours.dsseEnvelope.payload, "base64");
    const artifactType = "application/vnd.in-toto+json";
    const signature = sign(
      HASHES[i]!,
      dsse.preAuthEncoding(artifactType, artifact),
      privateKey,
    );
    const bundle = toDSSEBundle({ artifact, artifactType, signature, keyHint: hint });
    const bytes = new TextEncoder().encode(JSON.stringify(bundleToJSON(bundle)));
    assert.deepEqual(verifyBundle(bytes, [readSigner(publicKey)]), FILES);
    assert.throws(() => verifyBundle(bytes, [readSigner(keys(curve).publicKey)]), {
      code: "model-not-approved",
    });
  }
});
