/** The published vectors of sealed/1, against the code; and the code, against the vectors. */
import assert from "node:assert/strict";
import { concat, fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from "../../src/bytes.ts";
import { ERROR_TABLE, SecLlamaError } from "../../src/errors.ts";
import type { ReplyEnvelope } from "../../src/sealed/envelope.ts";
import { CredentialKeeper } from "../../src/client/credential_keeper.ts";
import type { Credentials } from "../../src/client/options.ts";
import { derOfPem, parsePairing } from "../../src/client/pairing.ts";
import { verifyMember } from "../../src/sealed/member.ts";
import { makeProof, parseProof, verifyProof } from "../../src/sealed/proof.ts";
import { Recipient } from "../../src/sealed/recipient.ts";
import { ReplyOpener } from "../../src/sealed/reply_opener.ts";
import { ReplySealer } from "../../src/sealed/reply_sealer.ts";
import { sealRequest, verifyKeyDocument } from "../../src/sealed/sender.ts";
import {
  clientPskId,
  deriveClientPsk,
  deriveHostPsk,
  deriveLocalPsk,
  deriveProofKey,
  deriveRunnerPsk,
  deriveTransport,
  localPskId,
} from "../../src/sealed/psk.ts";
import { openRenewal } from "../../src/sealed/renewal.ts";
import { sealRenewal } from "../../src/sealed/renewal_sealer.ts";
import { makeSuite, recipientId, suiteById } from "../../src/sealed/suite.ts";
import { FOLDER, render, reproducibleFiles } from "./sealed_1.ts";
import type {
  DerivationVector,
  KeyDocumentVector,
  MemberVector,
  PairingVector,
  ProofVector,
  RenewalVector,
  ReplyVector,
  RequestVector,
  VectorFile,
} from "./shapes.ts";

function load<T>(name: string): T[] {
  const file: VectorFile<T> = JSON.parse(Deno.readTextFileSync(new URL(name, FOLDER)));
  assert.ok(file.vectors.length > 0);
  return file.vectors;
}

/** Runs `act` and holds it against the class that the vector declares. */
async function expecting<T>(
  vector: { comment: string; expect: string },
  act: () => Promise<T>,
): Promise<T | undefined> {
  assert.ok(
    vector.expect === "ok" || Object.hasOwn(ERROR_TABLE, vector.expect),
    `${vector.comment}: unknown class ${vector.expect}`,
  );
  let result: T;
  try {
    result = await act();
  } catch (error) {
    assert.ok(error instanceof SecLlamaError, `${vector.comment}: ${error}`);
    assert.equal(error.code, vector.expect, vector.comment);
    return undefined;
  }
  assert.equal("ok", vector.expect, vector.comment);
  return result;
}

Deno.test("derivation", () => {
  for (const v of load<DerivationVector>("derivation.json")) {
    const transport = deriveTransport(fromHex(v.master_key));
    assert.equal(toHex(transport), v.transport);
    const { local, client } = v;
    assert.equal(localPskId(v.kid), local.psk_id);
    assert.equal(clientPskId(v.kid, client.id), client.psk_id);
    assert.equal(toHex(deriveLocalPsk(transport)), local.psk);
    assert.equal(toHex(deriveClientPsk(transport, fromHex(client.id))), client.psk);
    for (const { psk, host_psk, runner_psk } of [local, client]) {
      assert.equal(toHex(deriveHostPsk(fromHex(psk), fromHex(v.hid))), host_psk);
      assert.equal(toHex(deriveRunnerPsk(fromHex(host_psk), fromHex(v.rn))), runner_psk);
    }
    const all = [v.transport, ...[local, client].flatMap((k) => [k.psk, k.host_psk, k.runner_psk])];
    assert.equal(new Set(all).size, 7);
  }
});

Deno.test("key documents", async () => {
  for (const v of load<KeyDocumentVector>("key_document.json")) {
    const options = {
      psk: fromHex(v.psk),
      hid: fromHex(v.hid),
      model: v.model,
      challenge: fromHex(v.challenge),
      sentAt: 0,
      receivedAt: 0,
      suite: v.suite,
    };
    const key = await expecting(v, () => verifyKeyDocument(v.document, options));
    if (key !== undefined) assert.equal(toHex(key.runnerPsk), v.runner_psk);
  }
});

for (const suite of [1, 2]) {
  Deno.test(`requests of suite ${suite}, opened`, async () => {
    for (const v of load<RequestVector>(`request_suite_${suite}.json`)) {
      assert.equal(v.suite, suite);
      const recipient = await recipientOf(v);
      const open = () => recipient.open(ReadableStream.from([fromHex(v.wire)]));
      if (v.opened_before) await open();
      const opened = await expecting(v, open);
      if (opened === undefined) continue;
      assert.equal(opened.pskId, v.psk_id);
      assert.equal(opened.request.method, v.m);
      assert.equal(opened.request.path, v.p);
      assert.deepEqual({ ...opened.request.headers }, v.h);
      assert.equal(opened.request.time, v.t);
      assert.equal(toHex(opened.body), v.body);
      // The reply's keys come from the same secret.
      const reply = opened.reply.head(200, {}, { final: true });
      const opener = new ReplyOpener(fromHex(v.response_secret!), fromHex(v.enc!));
      assert.equal(((await opener.push(reply))[0] as ReplyEnvelope).status, 200);
      opener.end();
    }
  });
}

Deno.test("requests of suite 1, sealed again byte for byte", async () => {
  let count = 0;
  for (const v of load<RequestVector>("request_suite_1.json")) {
    if (v.expect !== "ok") continue;
    const publicKey = await suiteById(1).hpke.kem.DeserializePublicKey(fromHex(v.pk));
    const ephemeral = await suiteById(1).hpke.kem.DeserializePrivateKey(
      fromHex(v.ephemeral_sk!),
      false,
    );
    const ephemeralPublic = await suiteById(1).hpke.kem.DeserializePublicKey(fromHex(v.enc!));
    const suite = makeSuite(1, (kem) => ({
      ...kem,
      GenerateKeyPair: () => Promise.resolve({ privateKey: ephemeral, publicKey: ephemeralPublic }),
    }));
    const rk = recipientId(fromHex(v.pk));
    const runnerPsk = fromHex(v.runner_psk);
    const key = { suite, publicKey, rk, runnerPsk, gen: 0, exp: 0, clockOffsetMs: 0 };
    const { body } = await sealRequest(key, {
      pskId: v.psk_id,
      method: v.m!,
      path: v.p!,
      headers: v.h!,
      body: fromHex(v.body!),
      now: v.t!,
      ...(v.frame_bytes !== undefined && { frameBytes: v.frame_bytes }),
    });
    assert.equal(toHex(body), v.wire, v.comment);
    count++;
  }
  assert.ok(count >= 5);
});

Deno.test("replies, opened and sealed again byte for byte", async () => {
  for (const v of load<ReplyVector>("reply.json")) {
    const [secret, enc] = [fromHex(v.response_secret), fromHex(v.enc)];
    for (const size of [1 << 20, 1]) {
      const opened = await expecting(v, () => readReply(secret, enc, fromHex(v.wire), size));
      if (opened === undefined) continue;
      assert.equal(opened.head?.status, v.s);
      const { renewal } = opened.head!;
      assert.equal(renewal && toBase64Url(renewal), v.k);
      assert.deepEqual({ ...opened.head?.headers }, v.h);
      assert.equal(toHex(opened.body), v.pieces!.join(""));
    }
    if (v.expect !== "ok") continue;
    const sealer = new ReplySealer(secret, enc, {
      random: () => fromHex(v.rs!),
      ...(v.bucket !== undefined && { bucket: v.bucket }),
    });
    const renewal = v.k === undefined ? undefined : fromBase64Url(v.k);
    const pieces = v.pieces!.map(fromHex);
    const wire = concat(
      sealer.head(v.s!, v.h!, { renewal }),
      ...pieces.slice(0, -1).map((piece) => sealer.frame(piece)),
      sealer.final(pieces.at(-1)!),
    );
    assert.equal(toHex(wire), v.wire, v.comment);
  }
});

Deno.test("memberships of hosts in a fleet", async () => {
  for (const v of load<MemberVector>("member.json")) {
    const pin = { fid: fromHex(v.fid), issuer: fromHex(v.issuer) };
    const checked = verifyMember(v.member, pin, { hid: fromHex(v.hid), now: v.now });
    assert.equal(await checked.then(() => "ok", (error) => error.code), v.expect, v.comment);
  }
});

Deno.test("metadata proofs, made again and verified", () => {
  for (const v of load<ProofVector>("proof.json")) {
    const psk = fromHex(v.psk);
    const request = { method: v.method, target: v.target, body: fromHex(v.body) };
    const hid = fromHex(v.hid);
    const named = v.named === true;
    const options = { psk, pskId: v.psk_id, hid, now: v.t, nonce: fromHex(v.nonce), named };
    assert.equal(makeProof(request, options), v.header, v.comment);
    const proof = parseProof(v.header)!;
    const host = { hid, key: deriveProofKey(deriveHostPsk(psk, hid)) };
    assert.ok(verifyProof(proof, request, host), v.comment);
    assert.ok(!verifyProof(proof, request, { ...host, hid: new Uint8Array(16) }), v.comment);
    for (const change of [{ method: "PUT" }, { target: "/api/ps" }, { body: utf8("x") }]) {
      assert.ok(!verifyProof(proof, { ...request, ...change }, host), v.comment);
    }
  }
});

Deno.test("renewals, made again and opened by the client", async () => {
  for (const v of load<RenewalVector>("renewal.json")) {
    const [psk, hid] = [fromHex(v.psk), fromHex(v.hid)];
    const stored: Credentials[] = [];
    const keeper = new CredentialKeeper({
      credentials: () => Promise.resolve({ pskId: v.psk_id, psk, hid }),
      renewed: (credentials) => Promise.resolve(void stored.push(credentials)),
    });
    const used = (await keeper.attempts().next())!;
    await keeper.opened(used, v.gen, fromBase64Url(v.k));
    if (v.expect === "ignored") {
      assert.deepEqual(stored, [], v.comment);
      continue;
    }
    assert.equal(v.expect, "ok");
    const { psk_id: pskId, psk: renewed, gen } = v.fields!;
    assert.equal(stored[0]!.pskId, pskId, v.comment);
    assert.equal(toHex(stored[0]!.psk), renewed, v.comment);
    assert.deepEqual(stored[0]!.previous, { pskId: v.psk_id, psk });
    assert.equal((await openRenewal(fromBase64Url(v.k), psk, hid))!.gen, gen);
    const again = sealRenewal({ pskId, psk: fromHex(renewed), gen }, psk, hid, fromHex(v.nonce!));
    assert.equal(toBase64Url(again), v.k, v.comment);
  }
});

Deno.test("pairing strings", async () => {
  for (const v of load<PairingVector>("pairing.json")) {
    const pairing = await expecting(v, () => Promise.resolve().then(() => parsePairing(v.text)));
    if (pairing === undefined) continue;
    const { url, pskId, psk, hid, issuer, certificate, previous } = pairing;
    const fields = {
      ...{ url, psk_id: pskId, psk: toHex(psk), hid: toHex(hid) },
      ...(certificate !== undefined && { cert: toHex(derOfPem(certificate)) }),
      ...(issuer && { issuer: toHex(issuer) }),
      ...(previous && { previous: { psk_id: previous.pskId, psk: toHex(previous.psk) } }),
    };
    assert.deepEqual(fields, v.fields, v.comment);
  }
});

Deno.test("the files are what the generator makes", async () => {
  for (const [name, file] of Object.entries(await reproducibleFiles())) {
    const committed = await Deno.readTextFile(new URL(name, FOLDER));
    assert.ok(committed === render(file), `${name} differs: run tests/vectors/sealed_1.ts again`);
  }
});

Deno.test("every class of the format has a vector, in each suite", () => {
  const codes = (name: string) => new Set(load<{ expect: string }>(name).map((v) => v.expect));
  const request = [
    "ok",
    "malformed",
    "unsupported-suite",
    "key-mismatch",
    "auth",
    "cancelled",
    "clock",
    "replay",
    "replay-window-full",
    "too-large",
  ];
  for (const suite of [1, 2]) {
    assert.deepEqual([...codes(`request_suite_${suite}.json`)].sort(), [...request].sort());
  }
  const reply = ["auth", "downgrade", "malformed", "ok", "truncated"];
  assert.deepEqual([...codes("reply.json")].sort(), reply);
});

/** The runner of a vector: its recipient key, its clock, its limits. */
async function recipientOf(v: RequestVector): Promise<Recipient> {
  return await Recipient.init({
    model: "demo:latest",
    suites: [v.suite],
    now: () => v.now,
    hid: new Uint8Array(16),
    rn: new Uint8Array(32),
    psk: (id) => id === v.known.psk_id ? fromHex(v.known.runner_psk) : undefined,
    limits: {
      ...(v.body_limit !== undefined && { bodyBytes: v.body_limit }),
      ...(v.window_entries !== undefined && { replayEntries: v.window_entries }),
    },
    fixed: {
      keyPair: async (suite) => ({
        privateKey: await suite.hpke.kem.DeserializePrivateKey(fromHex(v.sk), false),
        publicKey: await suite.hpke.kem.DeserializePublicKey(fromHex(v.pk)),
      }),
    },
  });
}

async function readReply(secret: Uint8Array, enc: Uint8Array, wire: Uint8Array, size: number) {
  const opener = new ReplyOpener(secret, enc);
  let head: ReplyEnvelope | undefined;
  const body: Uint8Array[] = [];
  for (let at = 0; at < wire.length; at += size) {
    for (const part of await opener.push(wire.slice(at, at + size))) {
      if (part instanceof Uint8Array) body.push(part);
      else head = part;
    }
  }
  opener.end();
  return { head, body: concat(...body) };
}
