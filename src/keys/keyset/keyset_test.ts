/** What a reader makes of a manifest and a store that were tampered with, lost or put back. */
import assert from "node:assert/strict";
import { utf8 } from "../../bytes.ts";
import type { SecLlamaError } from "../../errors.ts";
import { encodeHead, readKey, readKeyset } from "./keyset.ts";
import { encodeKey, kidOf, newKey } from "./kid.ts";
import type { KeyManager } from "./manager.ts";
import { ManifestFile } from "./manifest_file.ts";
import { FileStore } from "../stores/file.ts";
import { MemoryStore } from "../stores/testing_memory.ts";
import { code, managerAt, withFolder } from "../testing.ts";

async function withKeyset(
  test: (
    o: { manager: KeyManager; store: MemoryStore; path: string; old: string },
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const store = new MemoryStore();
    const manager = managerAt(folder, store);
    const old = (await manager.init()).kid;
    await manager.rotate();
    await test({ manager, store, path: `${folder}/keyset.json`, old });
  });
}

Deno.test("keyset: any edit of the manifest is noticed", () =>
  withKeyset(async ({ manager, path, old }) => {
    const text = await Deno.readTextFile(path);
    const original = JSON.parse(text);
    const { active } = original;
    const edits: [string, (m: typeof original) => void][] = [
      ["gen raised", (m) => m.gen++],
      ["dates moved", (m) => m.keys[active].created = "2020-01-01T00:00:00.000Z"],
      ["compromised cleared", (m) => m.keys[old].compromised = true],
      ["tombstone", (m) => m.keys[old].state = "destroyed"],
      ["key dropped", (m) => delete m.keys[old]],
      ["key added", (m) => m.keys["0123456789abcdef"] = m.keys[old]],
      ["pending deletion", (m) => m.pending = { op: "delete", kids: [old] }],
      ["older key active", (m) => {
        m.active = old;
        m.keys[old].state = "active";
        m.keys[active].state = "decrypt-only";
      }],
      ["mac", (m) => m.mac = "0".repeat(64)],
    ];
    for (const [what, edit] of edits) {
      const copy = structuredClone(original);
      edit(copy);
      await Deno.writeTextFile(path, JSON.stringify(copy));
      assert.equal(await code(manager.read()), "key-corrupt", what);
      assert.equal(await code(manager.rotate()), "key-corrupt", what);
    }
    await Deno.writeTextFile(path, text);
    assert.equal(await code(manager.read()), "ok", "the control: the original");
    await Deno.writeTextFile(path, JSON.stringify(original));
    assert.equal(await code(manager.read()), "ok", "white space is not covered");
  }));

Deno.test("keyset: a manifest cut at any length is corrupt and never a new keyset", () =>
  withKeyset(async ({ manager, store, path }) => {
    const bytes = await Deno.readFile(path);
    const items = (await store.list()).length;
    for (let length = 0; length < bytes.length - 1; length += 7) {
      await Deno.writeFile(path, bytes.slice(0, length));
      assert.equal(await code(manager.read()), "key-corrupt", String(length));
      assert.equal(await code(manager.init()), "key-corrupt", String(length));
      assert.equal((await manager.status()).exitCode, 6);
    }
    assert.equal((await store.list()).length, items);
  }));

Deno.test("keyset: fields of the wrong kind, unknown fields and huge files are corrupt", () =>
  withKeyset(async ({ manager, path }) => {
    const original = JSON.parse(await Deno.readTextFile(path));
    const bad: unknown[] = [
      null,
      [],
      "x",
      { ...original, v: 0 },
      { ...original, v: "1" },
      { ...original, gen: -1 },
      { ...original, gen: 1.5 },
      { ...original, gen: 2 ** 53 },
      { ...original, backend: "toString" },
      { ...original, profile: "../x" },
      { ...original, active: "ABCDEF0123456789" },
      { ...original, active: null },
      { ...original, keys: [] },
      { ...original, keys: { __proto__x: 1 } },
      { ...original, pending: { op: "explode", kids: [] } },
      { ...original, pending: { op: "add", kids: ["x"] } },
      { ...original, extra: 1 },
      { ...original, mac: "" },
      { ...original, mac: "zz" },
    ];
    for (const value of bad) {
      await Deno.writeTextFile(path, JSON.stringify(value));
      assert.equal(await code(manager.read()), "key-corrupt", JSON.stringify(value)?.slice(0, 80));
    }
    await Deno.writeFile(path, new Uint8Array(1_048_577).fill(0x20));
    assert.equal(await code(manager.read()), "key-corrupt");
    await Deno.writeFile(path, Uint8Array.of(0xff, 0xfe));
    assert.equal(await code(manager.read()), "key-corrupt");
  }));

Deno.test("keyset: a newer version is left alone, also by init --recover", () =>
  withKeyset(async ({ manager, path }) => {
    const newer = JSON.stringify({ ...JSON.parse(await Deno.readTextFile(path)), v: 2 });
    await Deno.writeTextFile(path, newer);
    await assert.rejects(manager.read(), { code: "key-corrupt", message: /version 2/ });
    assert.equal(await code(manager.rebuild()), "key-corrupt");
    assert.equal(await Deno.readTextFile(path), newer);
  }));

Deno.test("keyset: a manifest put back from before a rotation is noticed", () =>
  withKeyset(async ({ manager, store, path, old }) => {
    const before = await Deno.readFile(path);
    await manager.rotate();
    await Deno.writeFile(path, before);
    await assert.rejects(manager.read(), { code: "key-corrupt", message: /put back from earlier/ });
    assert.equal(await code(manager.rotate()), "key-corrupt");
    // The attack is real: with the head put back as well, the old manifest verifies.
    const { gen, active } = JSON.parse(new TextDecoder().decode(before));
    await store.put("head", encodeHead({ gen, active }));
    assert.equal(await code(manager.read()), "ok");
    assert.notEqual(active, old);
  }));

Deno.test("keyset: a head one behind is accepted by readers and completed by the next change", () =>
  withKeyset(async ({ manager, store, old }) => {
    await store.put("head", encodeHead({ gen: 1, active: old }));
    assert.equal(await code(manager.read()), "ok");
    assert.equal((await manager.status()).headBehind, true);
    await manager.rotate();
    assert.equal((await manager.status()).headBehind, false);
  }));

Deno.test("keyset: a head whose writer was killed before its value is taken for none, and completed", () =>
  withKeyset(async ({ manager, store }) => {
    await store.put("head", new Uint8Array());
    assert.equal(await code(manager.read()), "ok");
    assert.equal((await manager.status()).headBehind, true);
    await manager.rotate();
    assert.equal((await manager.status()).headBehind, false);
  }));

Deno.test("keyset: a store put back from earlier passes only if it has every key", () =>
  withKeyset(async ({ manager, store, old }) => {
    await manager.rotate();
    await manager.rotate();
    await store.put("head", encodeHead({ gen: 1, active: old }));
    assert.equal(await code(manager.read()), "ok");
    await store.remove(old);
    assert.equal(await code(manager.read()), "key-lost");
  }));

Deno.test("keyset: a damaged head, and one that names another active key, are corrupt", () =>
  withKeyset(async ({ manager, store, old }) => {
    for (
      const text of ["sl1h:0:" + old, "sl1h:2:xyz", "sl1h:2", "sl1h:9999999999999999:" + old]
    ) {
      await store.put("head", utf8(text));
      assert.equal(await code(manager.read()), "key-corrupt", text);
    }
    await store.put("head", encodeHead({ gen: 2, active: old }));
    assert.equal(await code(manager.read()), "key-corrupt");
  }));

Deno.test("keyset: swapped, truncated and foreign items are corrupt, missing ones lost", () =>
  withKeyset(async ({ manager, store, old }) => {
    const active = (await manager.list())[0]!.kid;
    const [a, b] = [(await store.get(active))!, (await store.get(old))!];
    for (
      const value of [b, a.slice(0, 47), utf8("sl1:"), encodeKey(newKey()), new Uint8Array(0)]
    ) {
      await store.put(active, value);
      assert.equal(await code(manager.read()), "key-corrupt");
      assert.equal(await code(manager.rotate()), "key-corrupt");
      const status = await manager.status();
      assert.deepEqual([status.exitCode, status.keys[0]!.item], [6, "corrupt"]);
    }
    await store.put(active, a);
    await store.put(old, a);
    assert.equal((await manager.status()).keys[1]!.item, "corrupt");
    assert.equal((await manager.status()).exitCode, 6);
    await store.remove(active);
    assert.equal(await code(manager.read()), "key-lost");
    assert.equal(await code(manager.init()), "key-already-initialised");
  }));

Deno.test("keyset: another store or profile than the manifest's explains itself", () =>
  withKeyset(async ({ manager, store, path }) => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    const file = new ManifestFile(folder);
    await assert.rejects(
      readKeyset(file, Object.assign(Object.create(store), { backend: "file" }), "default"),
      { code: "key-refused", message: /lives in memory only, not in a passphrase-wrapped file/ },
    );
    await assert.rejects(readKeyset(file, store, "work"), { code: "key-refused" });
    assert.equal(await code(manager.read()), "ok");
  }));

Deno.test("keyset: readers during rotations see a whole keyset each time", () =>
  withKeyset(async ({ manager, store, path }) => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    let running = true;
    const writer = (async () => {
      for (let i = 0; i < 25; i++) await manager.rotate();
      running = false;
    })();
    let reads = 0;
    while (running) {
      const { manifest, activeKey } = await managerAt(folder, store).read();
      assert.equal(await kidOf(activeKey), manifest.active);
      reads++;
    }
    await writer;
    assert.ok(reads > 5, `${reads} reads`);
  }));

Deno.test("keyset: init --recover rebuilds a lost, edited or old manifest and loses no key", () =>
  withKeyset(async ({ manager, path, old }) => {
    const record = await manager.storage().wrap(utf8("k"), "c");
    const active = (await manager.list())[0]!.kid;
    const early = await Deno.readFile(path);
    await manager.delete((await manager.rotate()).previous === active ? old : "");
    const now = (await manager.list())[0]!.kid;
    assert.equal(await code(manager.rebuild()), "key-already-initialised");
    const damage: [string, () => Promise<void>][] = [
      ["lost", () => Deno.remove(path)],
      ["empty", () => Deno.writeFile(path, new Uint8Array(0))],
      ["old", () => Deno.writeFile(path, early)],
    ];
    for (const [what, harm] of damage) {
      await harm();
      const report = await manager.rebuild();
      assert.equal(report.active, now, what);
      assert.deepEqual([...report.kids].sort(), [active, now].sort());
      assert.equal(report.oldManifest === null, what === "lost");
      assert.deepEqual(await manager.storage().unwrap(record, "c"), utf8("k"));
      assert.equal((await manager.status()).exitCode, 0);
    }
  }));

Deno.test("keyset: init --recover without a head asks which key is active", () =>
  withKeyset(async ({ manager, store, path, old }) => {
    await store.remove("head");
    await Deno.remove(path);
    assert.equal(await code(manager.rebuild()), "usage");
    assert.equal(await code(manager.rebuild({ active: "0123456789abcdef" })), "key-lost");
    assert.equal((await manager.rebuild({ active: old })).active, old);
    assert.equal((await manager.list())[0]!.kid, old);
  }));

Deno.test("keyset: a key file that is not there is called that, and first its path is to be corrected", () =>
  withFolder(async (folder) => {
    const path = `${folder}/mistyped`;
    const store = new FileStore({ path, passphrase: () => Promise.resolve(undefined) });
    await assert.rejects(readKey(store, "0123456789abcdef"), (error: SecLlamaError) => {
      assert.deepEqual([error.code, error.message], ["key-lost", `there is no key file ${path}`]);
      assert.match(error.hint!, /^correct the path of --key-file/);
      return true;
    });
    // What is there and has other keys is another case.
    await Deno.writeTextFile(path, "");
    assert.equal(await code(readKey(store, "0123456789abcdef")), "key-corrupt");
  }));
