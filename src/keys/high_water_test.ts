/** A backup that is put back over the data folder and the key file, and what a machine still knows. */
import assert from "node:assert/strict";
import { HighWaterMark } from "./high_water.ts";
import { destroyAll } from "./keyset/destroy_all.ts";
import { openKeySource } from "./source.ts";
import { MemoryStore } from "./stores/testing_memory.ts";
import { code, entriesOf, managerAt, withFolder } from "./testing.ts";

/** A key file, without the time that its passphrase takes. */
class KeyFile extends MemoryStore {
  override readonly backend = "file";
}

/** A data folder and a key file, and what is kept apart. */
function place(folder: string) {
  const [dataDir, stateDir] = [`${folder}/data`, `${folder}/state`];
  const store = new KeyFile();
  const options = { dataDir, store, env: {}, interactive: false, autoInit: true };
  const open = (noted = true) => openKeySource({ ...options, ...(noted && { stateDir }) });
  return {
    ...{ dataDir, stateDir, open, store },
    manager: () => managerAt(dataDir, store),
    /** What a backup has of the key file and these files, and puts back. */
    async backup(names = ["keyset.json", "clients.json", "host.json"]) {
      const files = await Promise.all(names.map((name) => Deno.readFile(`${dataDir}/${name}`)));
      const items = new Map<string, Uint8Array>();
      for (const account of await store.list()) items.set(account, (await store.get(account))!);
      return async () => {
        for (const [i, name] of names.entries()) {
          await Deno.writeFile(`${dataDir}/${name}`, files[i]!);
        }
        for (const account of await store.list()) await store.remove(account);
        for (const [account, value] of items) await store.put(account, value);
      };
    },
  };
}

Deno.test("mark: a backup of keys and clients together is noticed, and can be taken on purpose", () =>
  withFolder(async (folder) => {
    const { open, backup, manager, stateDir } = place(folder);
    const keys = await open();
    const { id } = await keys.clients().add("laptop");
    assert.deepEqual(keys.warnings, []);
    const restore = await backup();
    await manager().rotate({ compromised: true });
    await keys.clients().revoke("laptop");
    (await open())[Symbol.dispose]();
    await restore();
    // The control: all that was put back fits together, so without the mark it is believed, and the client is back.
    const believing = await open(false);
    assert.ok((await entriesOf(believing)).some(({ client }) => client === id));
    await assert.rejects(open(), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, "key-corrupt");
      assert.match(error.message, /generation 1, this machine has used generation 2.*put back/);
      assert.match(error.hint!, new RegExp(`remove ${stateDir}/marks/[0-9a-f]{32}\\.json`));
      return true;
    });
    const [, path] = /remove (\S+\.json)/.exec(await open().catch((e) => e.hint))!;
    await Deno.remove(path!);
    assert.deepEqual((await open()).warnings, []);
  }));

Deno.test("mark: a list of clients that was put back lets nobody in, and the start says so", () =>
  withFolder(async (folder) => {
    const { open, backup } = place(folder);
    const keys = await open();
    const { id } = await keys.clients().add("laptop");
    await keys.clients().add("phone");
    const restore = await backup(["clients.json"]);
    await keys.clients().revoke("laptop");
    await restore();
    const believing = await open(false);
    assert.ok((await entriesOf(believing)).some(({ client }) => client === id), "the control");
    const source = await open();
    assert.match(source.warnings.join(), /no paired client is let in: .*put back from earlier/);
    using ring = await source.ring();
    assert.equal(ring.holders, 1);
    assert.equal(await code(source.clients().read()), "key-corrupt");
    await source.clients().reset();
    assert.deepEqual((await source.clients().read()).clients, []);
    assert.deepEqual((await open()).warnings, []);
  }));

Deno.test("mark: also for a key from outside, which has no store at all", () =>
  withFolder(async (folder) => {
    const options = {
      ...{ dataDir: `${folder}/data`, stateDir: `${folder}/state`, interactive: false },
      env: { SECLLAMA_KEY: `sl1:${new Uint8Array(32).fill(5).toBase64()}` },
    };
    const keys = await openKeySource(options);
    await keys.clients().add("laptop");
    const earlier = await Deno.readFile(`${folder}/data/clients.json`);
    await keys.clients().revoke("laptop");
    await Deno.writeFile(`${folder}/data/clients.json`, earlier);
    const { stateDir: _, ...without } = options;
    const believing = await openKeySource(without);
    assert.equal((await believing.clients().read()).clients[0]!.revoked, null, "the control");
    const source = await openKeySource(options);
    assert.match(source.warnings.join(), /put back from earlier/);
    assert.equal(await code(source.clients().read()), "key-corrupt");
    // Removed altogether, the same.
    await Deno.remove(`${folder}/data/clients.json`);
    assert.match((await openKeySource(options)).warnings.join(), /clients.json is missing/);
  }));

Deno.test("mark: keys that were destroyed on purpose, and new ones made in their place, are no older keys", () =>
  withFolder(async (folder) => {
    const { open, manager, dataDir, store } = place(folder);
    const first = await open();
    await first.clients().add("laptop");
    for (let i = 0; i < 3; i++) await manager().rotate();
    (await open())[Symbol.dispose]();
    await destroyAll(store, dataDir);
    const again = await open();
    assert.equal((await again.ring()).gen, 1);
    assert.notDeepEqual(again.hid, first.hid);
  }));

Deno.test("mark: it only rises, holds for one machine and host, and where it cannot be kept that is said", () =>
  withFolder(async (folder) => {
    const hid = new Uint8Array(16).fill(1);
    const mark = await HighWaterMark.open(folder, hid);
    assert.deepEqual(mark.height, { gen: 0, rev: 0 });
    await mark.raise({ gen: 3 });
    await (await HighWaterMark.open(folder, hid)).raise({ gen: 2, rev: 9 });
    await mark.raise({ rev: 4 });
    assert.deepEqual((await HighWaterMark.open(folder, hid)).height, { gen: 3, rev: 9 });
    assert.deepEqual((await HighWaterMark.open(folder, new Uint8Array(16))).height.gen, 0);
    assert.equal((await Deno.stat(mark.path)).mode! & 0o777, 0o600);
    const good = await Deno.readTextFile(mark.path);
    for (
      const bad of [
        "",
        "{",
        "null",
        good.slice(0, 40),
        good.replace(/[0-9a-f]{32}/, "0".repeat(32)),
        good.replace('"gen":3', '"gen":-3'),
      ]
    ) {
      await Deno.writeTextFile(mark.path, bad);
      assert.deepEqual((await HighWaterMark.open(folder, hid)).height, { gen: 0, rev: 0 }, bad);
    }
    await Deno.writeTextFile(`${folder}/file`, "");
    const nowhere = await HighWaterMark.open(`${folder}/file`, hid);
    await nowhere.raise({ gen: 1 });
    assert.match(nowhere.failure!, /cannot be written.*not be noticed/);
    assert.equal(nowhere.height.gen, 1, "this process still knows");
  }));

Deno.test("mark: one that a newer version wrote is said, and stays as it is", async () => {
  const folder = await Deno.makeTempDir();
  const hid = new Uint8Array(16).fill(7);
  try {
    await (await HighWaterMark.open(folder, hid)).raise({ gen: 3, rev: 2 });
    const { path } = await HighWaterMark.open(folder, hid);
    const text = (await Deno.readTextFile(path)).replace('"v":1', '"v":2');
    await Deno.writeTextFile(path, text);
    const mark = await HighWaterMark.open(folder, hid);
    assert.match(mark.failure!, /is version 2, this secllama reads 1.*not be noticed/);
    await mark.raise({ gen: 4, rev: 9 });
    assert.deepEqual(mark.height, { gen: 4, rev: 9 });
    assert.equal(await Deno.readTextFile(path), text);
    assert.match(mark.failure!, /is version 2/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
