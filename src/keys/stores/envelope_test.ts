import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../../bytes.ts";
import { deriveBoxKey, newKdf, openBox, parseBox, sealBox } from "./envelope.ts";
import { FileStore } from "./file.ts";
import { code, managerAt, quickKdf, withFolder } from "../testing.ts";
import { exportKeys } from "../keyset/transfer.ts";
import { MemoryStore } from "./testing_memory.ts";
import { processorMs } from "../../../tests/support/patience.ts";

const pass = () => utf8("a long passphrase");

Deno.test("envelope: seals and opens, with the parameters authenticated", async () => {
  const kdf = quickKdf();
  const key = await deriveBoxKey(pass(), kdf);
  const items = new Map([["a", utf8("one")], ["b", new Uint8Array(0)]]);
  const file = await sealBox(items, key, kdf);
  const box = parseBox(file, "x");
  assert.deepEqual([...await openBox(box, key, "x")], [...items]);
  assert.ok(!utf8Decode(file).includes("one"));

  // A weaker t under the same key would open without the AAD.
  const weaker = { ...box, kdf: { ...kdf, t: kdf.t + 1 } };
  assert.equal(await code(openBox(weaker, key, "x")), "key-locked");
  const changed = { ...box, data: box.data.slice() };
  changed.data[3]! ^= 1;
  assert.equal(await code(openBox(changed, key, "x")), "key-locked");
  assert.equal(await code(openBox(box, await deriveBoxKey(utf8("wrong"), kdf), "x")), "key-locked");
});

Deno.test("envelope: Argon2id as the reference implementation computes it", async () => {
  // P-H-C phc-winner-argon2, test.c: version 0x13, t=2, m=65536, p=1.
  const { argon2id } = await import("hash-wasm");
  const hash = await argon2id({
    password: "password",
    salt: "somesalt",
    memorySize: 65_536,
    iterations: 2,
    parallelism: 1,
    hashLength: 32,
    outputType: "hex",
  });
  assert.equal(hash, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
});

Deno.test("envelope: the default parameters are m=64 MiB, t=3, p=1", () => {
  const { m, t, p } = newKdf();
  assert.deepEqual([m, t, p], [65_536, 3, 1]);
});

Deno.test("envelope: weak, huge and malformed parameters are refused before any work", () => {
  const at = (kdf: object) =>
    utf8(JSON.stringify({
      v: 1,
      type: "secllama-keys",
      kdf: { ...newKdf(), ...kdf },
      nonce: "AAAAAAAAAAAAAAAA",
      data: "A".repeat(64),
    }));
  const refused = (bytes: Uint8Array, expected: string) =>
    assert.throws(() => parseBox(bytes, "x"), { code: expected });
  const before = processorMs();
  for (
    const weak of [{ m: 8, t: 1 }, { m: 47_103, t: 1 }, { m: 19_455, t: 2 }, { m: 7_167, t: 16 }]
  ) refused(at(weak), "key-refused");
  for (const huge of [{ m: 1_048_577 }, { t: 17 }, { p: 17 }, { m: 2 ** 60 }, { m: 1e400 }]) {
    refused(at(huge), "key-refused");
  }
  for (const odd of [{ m: "65536" }, { m: -1 }, { t: 0 }, { p: 0.5 }, { m: null }]) {
    refused(at(odd), "key-refused");
  }
  for (const odd of [{ name: "scrypt" }, { salt: 1 }, { salt: "AA" }]) {
    refused(at(odd), "key-corrupt");
  }
  for (const text of ["", "{", "[]", "null", '{"v":1}', '{"type":"secllama-keys"}']) {
    refused(utf8(text), "key-corrupt");
  }
  refused(utf8(utf8Decode(at({})).replace('"v":1', '"v":2')), "key-corrupt");
  assert.equal(parseBox(at({ m: 7_168, t: 5 }), "x").kdf.m, 7_168);
  // The least of the huge ones takes a gibibyte and seconds of work: it was not begun.
  assert.ok(processorMs() - before < 1_000);
});

Deno.test("envelope: an export restores everything somewhere else, and only with its passphrase", () =>
  withFolder(async (folder) => {
    const here = managerAt(`${folder}/here`);
    const first = (await here.init()).kid;
    const record = await here.storage().wrap(utf8("k"), "c");
    const second = (await here.rotate()).kid;
    const { file, kids } = await exportKeys(here, pass(), quickKdf());
    assert.deepEqual(kids, [second, first]);
    assert.equal(await code(here.exportTo(utf8("short"))), "usage");

    const there = managerAt(`${folder}/there`);
    assert.equal(await code(there.importFrom(file, utf8("a wrong passphrase"))), "key-locked");
    assert.equal(await code(there.read()), "key-not-initialised");
    const report = await there.importFrom(file, pass());
    assert.deepEqual([report.active, [...report.added].sort()], [second, [first, second].sort()]);
    assert.deepEqual(await there.storage().unwrap(record, "c"), utf8("k"));

    // Into a keyset of its own: added as decrypt-only, its active key stays.
    const third = managerAt(`${folder}/third`);
    const own = (await third.init()).kid;
    assert.equal((await third.importFrom(file, pass())).active, own);
    assert.deepEqual(
      (await third.list()).map((k) => k.state),
      ["active", "decrypt-only", "decrypt-only"],
    );
    assert.deepEqual((await third.importFrom(file, pass())).present.length, 2);
    await third.delete(first);
    const again = await third.importFrom(file, pass());
    assert.deepEqual([again.destroyed, again.added], [[first], []]);
    assert.equal(await code(third.storage().unwrap(record, "c")), "decrypt-failed");
    assert.deepEqual((await third.importFrom(file, pass(), { revive: true })).added, [first]);
    assert.deepEqual(await third.storage().unwrap(record, "c"), utf8("k"));
  }));

Deno.test("envelope: an import puts back what the store lost", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const manager = managerAt(folder, store);
    const first = (await manager.init()).kid;
    const second = (await manager.rotate()).kid;
    const { file } = await exportKeys(manager, pass(), quickKdf());
    store.clear();
    assert.equal(await code(manager.read()), "key-lost");
    const { restored, active } = await manager.importFrom(file, pass());
    assert.deepEqual([[...restored].sort(), active], [[first, second].sort(), second]);
    await store.put(first, utf8("sl1:damaged"));
    assert.deepEqual((await manager.importFrom(file, pass())).restored, [first]);
    assert.equal((await manager.status()).exitCode, 0);
  }));

Deno.test("key file: a whole life in one file, asked for its passphrase once", () =>
  withFolder(async (folder) => {
    const path = `${folder}/keys.json`;
    const asked: boolean[] = [];
    const open = (word: string | undefined) =>
      new FileStore({
        path,
        passphrase: ({ confirm }) => {
          asked.push(confirm);
          return Promise.resolve(word === undefined ? undefined : utf8(word));
        },
      });
    assert.equal(await code(managerAt(`${folder}/d`, open("short")).init()), "usage");
    assert.equal(await code(managerAt(`${folder}/d`, open(undefined)).init()), "key-locked");
    asked.length = 0;
    const manager = managerAt(`${folder}/d`, open("a long passphrase"));
    const { kid } = await manager.init();
    const record = await manager.storage().wrap(utf8("k"), "c");
    await manager.rotate();
    assert.deepEqual(asked, [true]);
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);

    const again = managerAt(`${folder}/d`, open("a long passphrase"));
    assert.deepEqual(await again.storage().unwrap(record, "c"), utf8("k"));
    await again.delete(kid);
    assert.equal((await again.status()).exitCode, 0);
    const wrong = managerAt(`${folder}/d`, open("another passphrase"));
    const before = await Deno.readFile(path);
    assert.equal(await code(wrong.read()), "key-locked");
    assert.equal(await code(wrong.rotate()), "key-locked");
    assert.equal((await wrong.status()).locked, true);
    assert.equal(await code(managerAt(`${folder}/d`, open(undefined)).read()), "key-locked");

    // Damaged files are shown, and never written over.
    for (const damaged of [before.slice(0, 80), concat(utf8("x"), before), new Uint8Array(0)]) {
      await Deno.writeFile(path, damaged);
      const reader = managerAt(`${folder}/d`, open("a long passphrase"));
      assert.equal(await code(reader.read()), "key-corrupt");
      assert.equal(await code(reader.rotate()), "key-corrupt");
      assert.deepEqual(await Deno.readFile(path), new Uint8Array(damaged));
    }
    await Deno.remove(path);
    const gone = managerAt(`${folder}/d`, open("a long passphrase"));
    assert.equal(await code(gone.read()), "key-lost");
    assert.equal(await code(gone.rotate()), "key-lost");
  }));
