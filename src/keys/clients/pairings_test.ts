import assert from "node:assert/strict";
import { listPairings, PairingStore } from "./pairings.ts";
import { MemoryStore } from "../stores/testing_memory.ts";
import { FileStore } from "../stores/file.ts";
import { code, withFolder } from "../testing.ts";

const A = "secllama-pair-1.first.00000000";
const B = "secllama-pair-1.second.00000000";

Deno.test("pairings: add, use, replace, remove; the file names gateways and holds no key", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const pairings = new PairingStore(folder, store);
    assert.deepEqual(await listPairings(folder), []);
    assert.equal(await code(pairings.read()), "not-found");
    assert.equal(await code(pairings.remove()), "not-found");
    await pairings.add("office", "https://a/", A);
    await pairings.add("home", "https://b/", B);
    assert.deepEqual(await listPairings(folder), [
      { name: "home", url: "https://b/", current: true },
      { name: "office", url: "https://a/", current: false },
    ]);
    assert.deepEqual(await pairings.read(), { name: "home", text: B });
    await pairings.use("office");
    assert.deepEqual(await pairings.read(), { name: "office", text: A });
    await pairings.replace("office", B);
    assert.equal((await pairings.read("office")).text, B);
    assert.equal((await store.list()).length, 2, "the replaced item is gone");
    const text = await Deno.readTextFile(`${folder}/pairings.json`);
    assert.ok(!text.includes("secllama-pair-1"));
    assert.equal((await Deno.stat(`${folder}/pairings.json`)).mode! & 0o777, 0o600);
    assert.equal(await pairings.remove(), "office");
    assert.equal(await code(pairings.read()), "not-found", "none is current any more");
    assert.equal(await code(pairings.use("office")), "not-found");
    await pairings.remove("home");
    assert.deepEqual(await store.list(), []);
    assert.equal(await code(pairings.add("../x", "https://a/", A)), "usage");
  }));

Deno.test("pairings: a lost item, a damaged file and another store are said, each for what it is", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const pairings = new PairingStore(folder, store);
    await pairings.add("office", "https://a/", A);
    const other = new PairingStore(
      folder,
      new FileStore({ path: `${folder}/k`, passphrase: () => Promise.resolve(undefined) }),
    );
    assert.equal(await code(other.read()), "key-refused");
    assert.equal(await code(other.add("x", "https://a/", A)), "key-refused");
    store.clear();
    assert.equal(await code(pairings.read()), "key-lost");
    for (const bad of ["{", "{}", `{"v":1,"backend":"memory","current":"y","gateways":{}}`]) {
      await Deno.writeTextFile(`${folder}/pairings.json`, bad);
      assert.equal(await code(pairings.read()), "key-corrupt");
      assert.equal(await code(listPairings(folder)), "key-corrupt");
    }
  }));

Deno.test("pairings: a failure of the store changes nothing", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const pairings = new PairingStore(folder, store);
    await pairings.add("office", "https://a/", A);
    store.put = () => Promise.reject(new Error("full"));
    await assert.rejects(pairings.add("home", "https://b/", B));
    await assert.rejects(pairings.replace("office", B));
    assert.deepEqual(await pairings.read(), { name: "office", text: A });
    assert.equal((await listPairings(folder)).length, 1);
  }));
