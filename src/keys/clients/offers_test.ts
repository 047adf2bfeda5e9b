/** Offers to pair by words: used once, guessed at thrice, expired, several at a time; and what their file gives away. */
import assert from "node:assert/strict";
import { PAIRING_INFO, PAIRING_LIFE_MS, pairingAad } from "../../api/pairing_words.ts";
import { fromBase64Url, toBase64Url, toHex, utf8Decode } from "../../bytes.ts";
import { suiteById } from "../../sealed/suite.ts";
import { ManifestFile } from "../keyset/manifest_file.ts";
import { openKeySource } from "../source.ts";
import { MemoryStore } from "../stores/testing_memory.ts";
import { code, withFolder } from "../testing.ts";
import { PairingOffers } from "./offers.ts";

const FINGERPRINT = new Uint8Array(10).fill(7);
const LAPTOP = { name: "laptop", replace: false, may: [] } as const;
const { hpke } = suiteById(2);

function source(folder: string, store = new MemoryStore()) {
  return openKeySource({ dataDir: folder, env: {}, interactive: false, store, autoInit: true });
}

async function place(folder: string, store?: MemoryStore, now = () => Date.now()) {
  const keys = await source(folder, store);
  return { keys, offers: new PairingOffers(new ManifestFile(folder), keys, now) };
}

async function newKey() {
  const pair = await hpke.kem.GenerateKeyPair(false);
  return { pair, pk: await hpke.kem.SerializePublicKey(pair.publicKey) };
}

const { pair: PAIR, pk: PK } = await newKey();

/** A secret that none of these is. */
function wrongFor(...secrets: readonly Uint8Array[]): Uint8Array {
  for (let n = 0;; n++) {
    const wrong = Uint8Array.of(0, 0, n);
    if (!secrets.some((one) => toHex(one) === toHex(wrong))) return wrong;
  }
}

async function opened(sealed: Uint8Array, secret: Uint8Array, pair = PAIR) {
  const length = sealed[0]! << 8 | sealed[1]!;
  const context = await hpke.setupRecipient(pair, sealed.slice(2, 2 + length), {
    info: PAIRING_INFO,
  });
  const aad = pairingAad({ fingerprint: FINGERPRINT, secret: new Uint8Array(secret) });
  return JSON.parse(utf8Decode(await context.open(sealed.slice(2 + length), aad)));
}

Deno.test("offers: the right secret pairs once, sealed to the client's key and bound to the words", () =>
  withFolder(async (folder) => {
    const { keys, offers } = await place(folder);
    const offer = await offers.open(LAPTOP, FINGERPRINT);
    const own = offer.secret.slice();
    assert.deepEqual((await keys.clients().read()).clients, [], "nobody is in before it is used");
    const { sealed } = await offers.redeem(own, PK);
    const [client] = (await keys.clients().read()).clients;
    using ring = await keys.ring();
    const expected = ring.credentials(client!.id)!;
    const got = await opened(sealed, own);
    assert.equal(got.psk_id, expected.pskId);
    assert.deepEqual(fromBase64Url(got.psk), new Uint8Array(expected.psk));
    assert.equal(await offers.state(offer.id), "used");
    // Replayed, with the same key and with another.
    assert.equal(await code(offers.redeem(own, PK)), "pairing-refused");
    assert.equal(await code(offers.redeem(own, (await newKey()).pk)), "pairing-refused");
    assert.equal((await keys.clients().read()).clients.length, 1);
    // For nobody else, and for no other words.
    const stranger = await newKey();
    await assert.rejects(opened(sealed, own, stranger.pair));
    await assert.rejects(opened(sealed, wrongFor(own)));
  }));

Deno.test("offers: three wrong tries end it, whoever makes them, and the right words are void then", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const { keys, offers } = await place(folder, store);
    // The control: after two wrong tries the right one still pairs.
    const first = await offers.open(LAPTOP, FINGERPRINT);
    const own = first.secret.slice();
    for (let i = 0; i < 2; i++) {
      assert.equal(await code(offers.redeem(wrongFor(own), PK)), "pairing-refused");
    }
    assert.equal(await code(offers.redeem(own, PK)), "ok");

    const second = await offers.open({ ...LAPTOP, name: "b" }, FINGERPRINT);
    const other = second.secret.slice();
    // Another process of the host counts on: nothing is remembered in memory only.
    const elsewhere = (await place(folder, store)).offers;
    assert.equal(await code(offers.redeem(wrongFor(other), PK)), "pairing-refused");
    assert.equal(await code(elsewhere.redeem(wrongFor(other), PK)), "pairing-refused");
    assert.equal(await code(offers.redeem(wrongFor(other), PK)), "pairing-refused");
    assert.equal(await offers.state(second.id), "guessed");
    assert.equal(await code(offers.redeem(other, PK)), "pairing-refused");
    assert.equal(await code(elsewhere.redeem(other, PK)), "pairing-refused");
    assert.deepEqual((await keys.clients().read()).clients.map((c) => c.name), ["laptop"]);
    // And a new offer is open for who had been refused.
    const third = await offers.open({ ...LAPTOP, name: "b" }, FINGERPRINT);
    assert.equal(await code(elsewhere.redeem(third.secret, PK)), "ok");
  }));

Deno.test("offers: guesses at the same time do not get a try more than three", () =>
  withFolder(async (folder) => {
    const { keys, offers } = await place(folder);
    const offer = await offers.open(LAPTOP, FINGERPRINT);
    const own = offer.secret.slice();
    const tries = Array.from({ length: 12 }, () => code(offers.redeem(wrongFor(own), PK)));
    assert.deepEqual(new Set(await Promise.all(tries)), new Set(["pairing-refused"]));
    assert.equal(await offers.state(offer.id), "guessed");
    // Two that know the secret come at once: one is paired.
    const again = await offers.open(LAPTOP, FINGERPRINT);
    const both = again.secret.slice();
    const codes = await Promise.all([1, 2].map(() => code(offers.redeem(both, PK))));
    assert.deepEqual(codes.sort(), ["ok", "pairing-refused"]);
    assert.equal((await keys.clients().read()).clients.length, 1);
  }));

Deno.test("offers: after ten minutes, or withdrawn, the words are void", () =>
  withFolder(async (folder) => {
    let time = Date.UTC(2026, 0, 1);
    const { keys, offers } = await place(folder, undefined, () => time);
    const offer = await offers.open(LAPTOP, FINGERPRINT);
    time += PAIRING_LIFE_MS - 1;
    assert.equal(await offers.state(offer.id), "open");
    time += 1;
    assert.equal(await offers.state(offer.id), "expired");
    assert.equal(await offers.anyOpen(), false);
    assert.equal(await code(offers.redeem(offer.secret, PK)), "pairing-refused");

    const other = await offers.open(LAPTOP, FINGERPRINT);
    await offers.withdraw(other.id);
    assert.equal(await offers.state(other.id), "withdrawn");
    assert.equal(await code(offers.redeem(other.secret, PK)), "pairing-refused");
    assert.equal(await offers.state("0000"), "gone");
    assert.deepEqual((await keys.clients().read()).clients, []);
  }));

Deno.test("offers: a clock that is set back lengthens no offer's life", () =>
  withFolder(async (folder) => {
    let time = Date.UTC(2100, 0, 1);
    const { keys, offers } = await place(folder, undefined, () => time);
    const offer = await offers.open(LAPTOP, FINGERPRINT);
    time -= 59_000;
    assert.equal(await offers.state(offer.id), "open", "it had only drifted");
    time = Date.UTC(2026, 0, 1);
    assert.equal(await offers.state(offer.id), "expired");
    assert.equal(await code(offers.redeem(offer.secret.slice(), PK)), "pairing-refused");
    assert.deepEqual((await keys.clients().read()).clients, []);
  }));

Deno.test("offers: several at a time, each its own client; never more than eight", () =>
  withFolder(async (folder) => {
    const { keys, offers } = await place(folder);
    const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const made = [];
    for (const name of names) made.push(await offers.open({ ...LAPTOP, name }, FINGERPRINT));
    assert.equal(new Set(made.map(({ secret }) => toHex(secret))).size, 8);
    assert.equal(await code(offers.open({ ...LAPTOP, name: "i" }, FINGERPRINT)), "key-refused");
    assert.equal(await code(offers.redeem(made[5]!.secret, PK)), "ok");
    assert.equal(await code(offers.redeem(made[2]!.secret, PK)), "ok");
    assert.deepEqual((await keys.clients().read()).clients.map((c) => c.name), ["f", "c"]);
    assert.equal(await offers.state(made[0]!.id), "open");
    // A wrong try counts against all of them: nobody gets three for each.
    const wrong = wrongFor(...made.map(({ secret }) => secret));
    for (let i = 0; i < 3; i++) await code(offers.redeem(wrong, PK));
    assert.equal(await offers.anyOpen(), false);
  }));

Deno.test("offers: a taken name is said at once, a client is replaced only when the new one comes", () =>
  withFolder(async (folder) => {
    const { keys, offers } = await place(folder);
    const old = await keys.clients().add("laptop");
    assert.equal(await code(offers.open(LAPTOP, FINGERPRINT)), "key-refused");
    assert.equal(await code(offers.open({ ...LAPTOP, name: " x" }, FINGERPRINT)), "usage");
    const offer = await offers.open({ name: "laptop", replace: true, may: ["stop"] }, FINGERPRINT);
    const live = async () =>
      (await keys.clients().read()).clients.filter((c) => c.revoked === null);
    assert.deepEqual((await live()).map((c) => c.id), [old.id]);
    assert.equal(await code(offers.redeem(offer.secret, PK)), "ok");
    const [client, ...more] = await live();
    assert.equal(more.length, 0);
    assert.notEqual(client!.id, old.id);
    assert.deepEqual(client!.may, ["stop"]);
  }));

Deno.test("offers: words that were right and paired nobody are not said to be used", () =>
  withFolder(async (folder) => {
    const { keys, offers } = await place(folder);
    const [first, second] = [
      await offers.open(LAPTOP, FINGERPRINT),
      await offers.open(LAPTOP, FINGERPRINT),
    ];
    assert.equal(await code(offers.redeem(first.secret, PK)), "ok");
    assert.equal(await code(offers.redeem(second.secret.slice(), PK)), "key-refused");
    assert.equal(await offers.state(second.id), "failed");
    // Nor are they good once more, when the name is free.
    await keys.clients().revoke("laptop");
    assert.equal(await code(offers.redeem(second.secret, PK)), "pairing-refused");
  }));

Deno.test("offers: one that is opened while a try is refused is open", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const { offers } = await place(folder, store);
    await offers.withdraw((await offers.open(LAPTOP, FINGERPRINT)).id);
    const keys = await source(folder, store);
    let reads = 0;
    let opened: Uint8Array | undefined;
    const gateway = new PairingOffers(new ManifestFile(folder), {
      changes: () => keys.changes(),
      ring: () => keys.ring(),
      clients: () => keys.clients(),
      storage() {
        const storage = keys.storage();
        return Object.assign(Object.create(storage), {
          wrap: storage.wrap.bind(storage),
          async unwrap(...args: Parameters<typeof storage.unwrap>) {
            const plain = await storage.unwrap(...args);
            // The second look, after the lock was given back.
            if (++reads === 2) opened = (await offers.open(LAPTOP, FINGERPRINT)).secret;
            return plain;
          },
        });
      },
    });
    assert.equal(await code(gateway.redeem(wrongFor(), PK)), "pairing-refused");
    assert.ok(opened, "an offer was opened meanwhile");
    assert.equal(await code(gateway.redeem(opened, PK)), "ok");
  }));

Deno.test("offers: the file gives no secret away, is private, and what was changed in it opens nothing", () =>
  withFolder(async (folder) => {
    const { offers } = await place(folder);
    const { secret, id } = await offers.open(LAPTOP, FINGERPRINT);
    const own = secret.slice();
    const path = `${folder}/pairing-offers.json`;
    const text = await Deno.readTextFile(path);
    const { offers: [wrapped] } = JSON.parse(text);
    const inside = new TextDecoder("latin1").decode(fromBase64Url(wrapped));
    const said = [toHex(own), toBase64Url(own), "laptop", "secret"];
    for (const form of said) assert.ok(!inside.includes(form) && !text.includes(`"${form}"`), form);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    for (
      const damaged of [
        JSON.stringify({ v: 1, offers: [wrapped.slice(0, -3) + "AAA"] }),
        JSON.stringify({ v: 1, offers: [1, null, "x"] }),
        "{",
      ]
    ) {
      await Deno.writeTextFile(path, damaged);
      assert.equal(await offers.state(id), "gone", damaged);
      assert.equal(await code(offers.redeem(own, PK)), "pairing-refused", damaged);
    }
    const newer = JSON.stringify({ v: 2, offers: [wrapped] });
    await Deno.writeTextFile(path, newer);
    assert.equal(await code(offers.redeem(own, PK)), "pairing-refused");
    assert.equal(await code(offers.open({ ...LAPTOP, name: "next" }, FINGERPRINT)), "key-corrupt");
    assert.equal(await Deno.readTextFile(path), newer);
  }));

Deno.test("offers: a request of a wrong form costs no try and no offer", () =>
  withFolder(async (folder) => {
    const { offers } = await place(folder);
    const { secret, id } = await offers.open(LAPTOP, FINGERPRINT);
    for (
      const [tried, pk] of [[secret.slice(1), PK], [secret, PK.slice(1)], [new Uint8Array(), PK]]
    ) {
      assert.equal(await code(offers.redeem(tried!, pk!)), "malformed");
    }
    assert.equal(await offers.state(id), "open");
    assert.equal(await code(offers.redeem(secret, PK)), "ok");
  }));
