/**
 * A runner that its model file has taken over does its worst. One of two paired clients is its accomplice: a sealed reply is the
 * runner's network. What it gives away, makes up or says gains nothing at another runner, another client, the next start, or
 * the gateway. Each item shows first, or beside it, that the attack works with what a runner held once: the client's own key.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Bytes, fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from "../../src/bytes.ts";
import { SEALED_TYPE } from "../../src/api/media_types.ts";
import { type Credentials, sealedFetch } from "../../src/client/mod.ts";
import { Nonces } from "../../src/gateway/nonces.ts";
import { PROOF_NONCES, ProofGate } from "../../src/gateway/proof.ts";
import { openKeySource } from "../../src/keys/mod.ts";
import { ModelStore } from "../../src/models/store.ts";
import { type KeyDocument, makeKeyDocument } from "../../src/sealed/key_document.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { makeProof } from "../../src/sealed/proof.ts";
import { deriveHostPsk, deriveRunnerPsk } from "../../src/sealed/psk.ts";
import { sealRequest, type VerifiedKey, verifyKeyDocument } from "../../src/sealed/sender.ts";
import { recipientId, suiteById } from "../../src/sealed/suite.ts";
import { keysetHost } from "../support/keyset_host.ts";
import { ROOT, type Served, startServe } from "../support/serve.ts";

interface Dump {
  hid: string;
  rn: string;
  held: { pskId: string; psk: string }[];
  frames: string[];
  words: { id: string; c: string; gen: number; attest: string }[];
}

async function bundle(out: string): Promise<string> {
  const entry = join(ROOT, "tests/e2e/patched_runner.ts");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform=deno", "--output", out, entry],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return out;
}

const generate = (model: string, prompt: string, more = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    ...{ model, prompt, stream: false, options: { num_predict: 1 }, ...more },
  }),
});

/** What the gateway relays of a runner's key document to whoever asks, and what it says. */
async function documentOf(
  served: Served,
  model: string,
  { pskId }: Credentials,
  c = randomBytes(16),
) {
  const url = new URL("/sealed/v1/key", served.gatewayUrl);
  url.search = `model=${model}&id=${pskId}&c=${toHex(c)}`;
  const response = await fetch(url);
  assert.equal(response.status, 200, await response.clone().text());
  return { document: await response.json() as KeyDocument, c };
}

/** The status of a request to `model` under a psk_id and whatever key somebody has for it. */
async function tryKey(
  served: Served,
  model: string,
  pskId: string,
  keyFor: (document: KeyDocument) => Uint8Array,
  asker: Credentials,
): Promise<number> {
  const { document } = await documentOf(served, model, asker);
  const suite = suiteById(1);
  const pk = fromBase64Url(document.pk);
  const key: VerifiedKey = {
    suite,
    publicKey: await suite.hpke.kem.DeserializePublicKey(pk),
    rk: recipientId(pk),
    runnerPsk: keyFor(document) as Bytes,
    gen: document.gen,
    exp: document.exp,
    clockOffsetMs: 0,
  };
  const { body } = await sealRequest(key, {
    ...{ pskId, method: "POST", path: "/api/generate", headers: {}, now: Date.now() },
    body: utf8(generate(model, "Hi").body),
  });
  const headers = { "content-type": SEALED_TYPE };
  const response = await fetch(`${served.gatewayUrl}/sealed/v1`, { method: "POST", headers, body });
  await response.body?.cancel();
  return response.status;
}

Deno.test("a runner that its model file has taken over, and a client that helps it, gain nothing elsewhere", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  const host = await keysetHost(folder, 2);
  const models = await ModelStore.open(join(host.dataDir, "models"));
  for (const name of ["bad", "good"]) await models.importGguf(join(ROOT, "models/demo.gguf"), name);
  const runner = await bundle(join(folder, "runner.js"));
  const served = await startServe({
    ...host.serve,
    env: { ...host.serve.env, TEST_RUNNER: runner },
    args: [...host.serve.args, "--model=bad"],
    entry: join(ROOT, "tests/e2e/patched_main.ts"),
  });
  const [victim, accomplice] = [host.client(0), host.client(1)];
  /** A client that stores nothing unless told to. */
  const client = (credentials: Credentials, renewed?: (c: Credentials) => Promise<void>) =>
    sealedFetch({
      gateway: served.gatewayUrl,
      credentials: () => Promise.resolve(credentials),
      ...(renewed && { renewed }),
    });
  const order = async (prompt: string, model = "bad") => {
    const response = await client(accomplice)("/api/generate", generate(model, prompt));
    return await response.json();
  };
  const ask = async (credentials: Credentials, model: string, more = {}) => {
    const response = await client(credentials)("/api/generate", generate(model, "Hi", more));
    await response.text();
    return response.status;
  };
  /** The key that a host's own code would derive, from what a runner held once. */
  const rightKey = ({ psk, hid }: Credentials) => (document: KeyDocument) =>
    deriveRunnerPsk(deriveHostPsk(psk, hid), fromBase64Url(document.rn));
  try {
    let dump!: Dump;
    await t.step(
      "it gives away all that it holds: keys of those that asked it, for this start, and no others",
      async () => {
        await ask(victim, "good");
        dump = await order("!dump");
        const theirs = (d: Dump, { pskId }: Credentials) => d.held.filter((h) => h.pskId === pskId);
        assert.equal(theirs(dump, victim).length, 0, "the victim has not asked this one");
        await ask(victim, "bad");
        dump = await order("!dump");
        assert.equal(
          theirs(dump, victim)[0]!.psk,
          toHex(
            deriveRunnerPsk(deriveHostPsk(victim.psk, victim.hid), fromHex(dump.rn)),
          ),
          "the theft is real",
        );
        const text = JSON.stringify(dump);
        const { masterKey, transport } = host.first;
        for (
          const secret of [
            ...[masterKey, transport, host.local().psk, victim.psk, accomplice.psk],
            deriveHostPsk(victim.psk, victim.hid),
          ]
        ) {
          assert.ok(!text.includes(toHex(secret)) && !text.includes(secret.toBase64()));
        }
      },
    );
    const stolen = () => fromHex(dump.held.find(({ pskId }) => pskId === victim.pskId)!.psk);

    await t.step("at another runner its keys open nothing", async () => {
      const { pskId } = victim;
      // The control: there it is good for something, and the client's own key would be here too.
      assert.equal(await tryKey(served, "bad", pskId, stolen, accomplice), 200);
      assert.equal(await tryKey(served, "good", pskId, rightKey(victim), accomplice), 200);
      assert.equal(await tryKey(served, "good", pskId, stolen, accomplice), 401);
    });

    await t.step("at the gateway they prove nothing", async () => {
      const keys = await openKeySource({
        ...{ dataDir: host.dataDir, env: {}, interactive: false },
        store: host.manager.store,
      });
      using ring = await keys.ring();
      const gate = new ProofGate({
        nonces: new Nonces(PROOF_NONCES),
        proofKey: (id) => {
          const key = ring.proofKey(id);
          return Promise.resolve(key && { key, hid: ring.hid });
        },
      });
      const request = { method: "GET", target: "/api/tags", body: new Uint8Array(0) };
      const prove = (psk: Uint8Array) => {
        const { pskId, hid } = victim;
        return gate.check(makeProof(request, { psk, pskId, hid, now: Date.now() + 10 }), request);
      };
      await prove(victim.psk);
      for (const psk of [stolen(), deriveHostPsk(victim.psk, victim.hid)]) {
        await assert.rejects(prove(psk), { code: "auth" });
      }
      keys[Symbol.dispose]();
    });

    await t.step(
      "before another client, who answers in the gateway's place cannot pass for a runner with them",
      async () => {
        const suite = suiteById(1);
        const own = await suite.hpke.kem.GenerateKeyPair(true);
        const pk = await suite.hpke.kem.SerializePublicKey(own.publicKey);
        const now = Date.now();
        const recorded = dump.words.find(({ id }) => id === victim.pskId)!;
        const challenge = randomBytes(16);
        for (const model of ["bad", "good"]) {
          const core = {
            ...{ suite: 1, hid: fromHex(dump.hid), rn: fromHex(dump.rn), gen: recorded.gen },
            ...{ pk, nbf: now - 1000, exp: now + 1000, now },
          };
          const forged = makeKeyDocument(core, {
            ...{ runnerPsk: stolen(), attest: fromHex(recorded.attest), model, challenge },
          });
          const options = { ...victim, model, challenge, sentAt: now, receivedAt: now };
          await assert.rejects(verifyKeyDocument(forged, options), { code: "auth" });
          // The control: with the host's word for this challenge, which no runner can make, the same forgery passes.
          const { document } = await documentOf(served, "bad", victim, challenge);
          assert.equal(document.rn, toBase64Url(core.rn));
          const fresh: Dump = await order("!dump");
          const word = fresh.words.find(({ c }) => c === toHex(challenge))!;
          const vouched = makeKeyDocument(core, {
            ...{ runnerPsk: stolen(), attest: fromHex(word.attest), model: "bad", challenge },
          });
          await verifyKeyDocument(vouched, { ...options, model: "bad" });
        }
      },
    );

    await t.step("renewals that it makes up change nothing that a client stores", async () => {
      const madeUp = { psk_id: `client.${"f".repeat(16)}.${victim.pskId.split(".")[2]}` };
      const old = JSON.stringify({ ...madeUp, psk: toBase64Url(randomBytes(32)) });
      const stored: Credentials[] = [];
      const careful = client(victim, (c) => Promise.resolve(void stored.push(c)));
      for (const k of [utf8(old), randomBytes(200), fromHex(dump.frames[0]!)]) {
        await order(`!renew ${victim.pskId} ${toBase64Url(k)}`);
        const response = await careful("/api/generate", generate("bad", "Hi"));
        assert.equal(response.status, 200);
        await response.text();
      }
      assert.deepEqual(stored, []);
      assert.equal(await ask(victim, "good"), 200);
      // The control: a client that took what a reply says at its word had that, and nothing else any more.
      const { psk_id: pskId, psk } = JSON.parse(old);
      const believer = { pskId, psk: fromBase64Url(psk), hid: victim.hid };
      await assert.rejects(ask(believer, "good"), { code: "auth" });
    });

    const get = (path: string) => fetch(new URL(path, served.gatewayUrl));
    const keyPath = `/sealed/v1/key?model=bad&id=${victim.pskId}&c=${"0".repeat(32)}`;

    await t.step("headers that it makes up are not the gateway's", async () => {
      const names = ["secllama-encryption", "secllama-isolation", "set-cookie", "x-made-up"];
      const before = await get(keyPath);
      await before.body?.cancel();
      const forged = Object.fromEntries(names.map((name) => [name, "made-up"]));
      // The last one is a runner's to say: it shows that what is made up gets as far as the gateway.
      await order(`!head ${JSON.stringify({ ...forged, "cache-control": "private" })}`);
      const after = await get(keyPath);
      await after.body?.cancel();
      assert.equal(after.headers.get("cache-control"), "private");
      for (const name of names) assert.equal(after.headers.get(name), before.headers.get(name));
      // Whoever is led to this address would run what it says, in the gateway's origin.
      await order(`!head ${JSON.stringify({ "content-type": "text/html" })}`);
      const page = await get(keyPath);
      await page.body?.cancel();
      assert.equal(page.headers.get("content-type"), "application/octet-stream");
      assert.equal(page.headers.get("x-content-type-options"), "nosniff");
      await order("!head {}");
    });

    await t.step("a report that it makes up once it runs changes no status", async () => {
      const status = async () => await (await get("/api/security/status")).text();
      assert.ok((await status()).includes("madeupatstart"), "the attack works at its start");
      const lockdown = [{ layer: "stage 2", enforced: true, observed: "made-up" }];
      const permissions = { madeuplater: "granted" };
      const ready = { t: "ready", loadMs: 0, sees: true, lockdown, attacks: [], permissions };
      await order(`!say ${JSON.stringify(ready)}`).catch(() => {});
      await order("!dump").catch(() => {});
      assert.ok(
        !(await status()).includes('"made-up"') && !(await status()).includes("madeuplater"),
      );
      assert.equal(await ask(victim, "good"), 200);
    });

    await t.step("a flood of messages ends it, and keeps nobody else waiting", async () => {
      // The control: some are taken.
      const { rn } = await order("!dump") as Dump;
      await order("!flood 1000");
      assert.equal((await order("!dump") as Dump).rn, rn);
      const flood = order("!flood 1000000").catch(() => {});
      assert.equal(await ask(victim, "good"), 200);
      await flood;
      assert.notEqual((await order("!dump") as Dump).rn, rn, "it was ended, and is another one");
      assert.equal(await ask(victim, "good"), 200);
    });

    await t.step("at the next start its keys open nothing", async () => {
      // Who asked for a key document keeps it loaded for minutes: it ends by itself.
      await order("!exit").catch(() => {});
      for (let names = "bad"; names.includes("bad");) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        names = await (await fetch(`${served.gatewayUrl}/api/ps`)).text();
      }
      const { document } = await documentOf(served, "bad", accomplice);
      assert.notEqual(toHex(fromBase64Url(document.rn)), dump.rn);
      const { pskId } = victim;
      assert.equal(await tryKey(served, "bad", pskId, rightKey(victim), victim), 200);
      assert.equal(await tryKey(served, "bad", pskId, stolen, victim), 401);
    });

    await t.step("its word does not end a client's key, nor do its refusals", async () => {
      await host.manager.rotate();
      const { kid } = (await host.manager.list())[0]!;
      const newest = `client.${kid}.${victim.pskId.split(".")[2]}`;
      assert.equal(await ask(victim, "good"), 200, "in its grace");
      // Somebody names the victim's newest key in a request that opens nothing, while the runner says what it likes.
      await order(`!say ${JSON.stringify({ t: "renewed", id: newest })}`).catch(() => {});
      await tryKey(served, "good", newest, () => randomBytes(32), victim);
      assert.equal(await ask(victim, "good"), 200);
      // A client that takes up its newest key while the runner refuses that: it goes back, and is not locked out.
      let disk: Credentials = victim;
      const renewing = sealedFetch({
        gateway: served.gatewayUrl,
        credentials: () => Promise.resolve(disk),
        renewed: (credentials) => Promise.resolve(void (disk = credentials)),
      });
      const send = async (model: string) => {
        const response = await renewing("/api/generate", generate(model, "Hi"));
        await response.text();
        return response.status;
      };
      await order(`!refuse ${newest}`);
      assert.equal(await send("bad"), 200);
      assert.deepEqual([disk.pskId, disk.previous?.pskId], [newest, victim.pskId]);
      await send("bad").catch((error) => assert.equal(error.code, "auth"));
      assert.equal(disk.previous?.pskId, victim.pskId, "a refusal drops nothing");
      assert.equal(await send("good"), 200);
      assert.deepEqual([disk.pskId, disk.previous], [newest, undefined]);
      // The control: had the host believed that the victim has its newest key, its old one would be gone by now.
      const { id } = (await host.manager.clients().read()).clients[1]!;
      await host.manager.clients().confirm(new Map([[id, kid]]));
      await assert.rejects(ask(accomplice, "good"), { code: "auth" });
    });
  } finally {
    await served.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
