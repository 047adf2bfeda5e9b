import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { secret } from "../../secret.ts";
import { isClientName, namedBy, parseClientList, serialiseClientList } from "./client_list.ts";
import { ClientRegistry } from "./registry.ts";
import { ManifestFile } from "../keyset/manifest_file.ts";
import type { KeySource } from "../key_source.ts";
import { openKeySource } from "../source.ts";
import { MemoryStore } from "../stores/testing_memory.ts";
import { code, entriesOf, managerAt, withFolder } from "../testing.ts";

const sourceAt = (folder: string, store: MemoryStore, clientGraceMs?: number) =>
  openKeySource({
    dataDir: folder,
    env: {},
    interactive: false,
    store,
    autoInit: true,
    ...(clientGraceMs === undefined ? {} : { clientGraceMs }),
  });

const remote = async (source: KeySource) =>
  (await entriesOf(source)).filter((e) => e.client !== undefined);

Deno.test("clients: pair, list, rename, revoke; every id is new, and the file holds no key", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store);
    const before = await keys.changes();
    const registry = keys.clients();
    assert.deepEqual(await registry.read(), { rev: 0, hid: "", clients: [] });
    const laptop = await registry.add("laptop");
    const phone = await registry.add("Amélie 2");
    assert.notEqual(await keys.changes(), before);
    const entries = await entriesOf(keys);
    assert.deepEqual(entries.map((e) => e.client), [undefined, laptop.id, phone.id]);
    assert.equal(entries[0]!.pskId, `local.${laptop.kid}`);
    assert.equal(entries[1]!.pskId, `client.${laptop.kid}.${laptop.id}`);
    using ring = await keys.ring();
    const text = await Deno.readTextFile(`${folder}/clients.json`);
    for (const client of [undefined, laptop.id, phone.id]) {
      const { psk } = ring.credentials(client)!;
      for (const form of [psk.toHex(), psk.toBase64(), psk.toBase64({ alphabet: "base64url" })]) {
        assert.ok(!text.includes(form.replace(/=+$/, "")));
      }
    }
    assert.equal((await Deno.stat(`${folder}/clients.json`)).mode! & 0o777, 0o600);

    assert.equal(await code(registry.add("laptop")), "key-refused");
    assert.equal(await code(registry.rename("laptop", phone.name)), "key-refused");
    assert.equal(await code(registry.rename("nobody", "x")), "not-found");
    assert.equal((await registry.rename("laptop", "Notebook")).id, laptop.id);
    await registry.revoke(laptop.id);
    assert.equal(await code(registry.revoke("Notebook")), "not-found");
    assert.deepEqual((await remote(keys)).map((e) => e.client), [phone.id]);
    const again = await registry.add("Notebook");
    assert.notEqual(again.id, laptop.id);
    const replaced = await registry.add("Notebook", { replace: true });
    assert.deepEqual((await remote(keys)).map((e) => e.client), [phone.id, replaced.id]);
    for (const name of ["", " x", "x ", "a/b", "x\ny", "-x", "x".repeat(65)]) {
      assert.equal(isClientName(name), false, name);
      assert.equal(await code(registry.add(name)), "usage");
    }
  }));

Deno.test("clients: one is meant by its name, its id, or as much of that as lists show, where that is one", () =>
  withFolder(async (folder) => {
    const all = [
      { name: "a", id: "0123456789ab" },
      { name: "b", id: "0123456700cd" },
      { name: "c", id: "0123456700ce" },
      { name: "01234567", id: "ffffffffffff" },
    ];
    const meant = (which: string) => namedBy(all, which)?.id;
    for (const { name, id } of all) assert.deepEqual([meant(name), meant(id)], [id, id]);
    assert.equal(meant("01234567"), "ffffffffffff", "a name goes before a part of an id");
    assert.equal(meant("012345678"), "0123456789ab");
    assert.equal(meant("0123456700"), undefined, "two of them");
    assert.equal(meant("fffffff"), undefined, "less than is shown");
    assert.equal(meant(""), undefined);
    const registry = (await sourceAt(folder, new MemoryStore())).clients();
    const laptop = await registry.add("laptop");
    // No name is taken because an id begins so.
    const other = await registry.add(laptop.id.slice(0, 8));
    assert.equal((await registry.rename(other.id, laptop.id.slice(0, 9))).id, other.id);
    assert.equal((await registry.revoke(laptop.id.slice(0, 8))).id, laptop.id);
    assert.equal(await code(registry.revoke(laptop.id.slice(0, 8))), "not-found");
  }));

Deno.test("clients: a list that was edited, put back, cut or removed lets nobody in", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const path = `${folder}/clients.json`;
    const keys = await sourceAt(folder, store);
    const registry = keys.clients();
    await registry.add("laptop");
    const earlier = await Deno.readFile(path);
    await registry.revoke("laptop");
    const good = await Deno.readTextFile(path);
    const forged = good.replace(/"revoked": "[^"]+"/, '"revoked": null');
    assert.notEqual(forged, good);
    // The control: were the list not authenticated, the revoked client would be back.
    assert.equal(parseClientList(new TextEncoder().encode(forged)).list.clients[0]!.revoked, null);
    for (
      const bytes of [earlier, forged, good.slice(0, -20), good.replace('"v": 1', '"v": 2'), "{}"]
    ) {
      await Deno.writeFile(
        path,
        typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes,
      );
      for (const source of [keys, await sourceAt(folder, store)]) {
        assert.equal(await code(source.clients().read()), "key-corrupt");
        assert.deepEqual(await remote(source), []);
        assert.equal((await entriesOf(source)).length, 1, "local clients go on");
        assert.equal(await code(source.clients().add("other")), "key-corrupt");
      }
    }
    await Deno.remove(path);
    assert.equal(await code(registry.read()), "key-corrupt");
    assert.deepEqual(await remote(keys), []);
    await registry.reset();
    assert.deepEqual((await registry.read()).clients, []);
    const fresh = await registry.add("laptop");
    assert.deepEqual((await remote(keys)).map((e) => e.client), [fresh.id]);
  }));

Deno.test("clients: a revision one behind, as a kill leaves it, is fine", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store);
    await keys.clients().add("a");
    const revision = await store.get("clients");
    await keys.clients().add("b");
    await store.put("clients", revision!);
    assert.equal((await keys.clients().read()).clients.length, 2);
    await keys.clients().revoke("a");
    assert.equal(new TextDecoder().decode(await store.get("clients")), "sl1c:3");
  }));

Deno.test("clients: rotation keeps both keys for the grace, and the older one only until the newer is shown", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store, 3_600_000);
    const manager = managerAt(folder, store);
    const { id, kid: first } = await keys.clients().add("laptop");
    const kids = async (source = keys) => (await remote(source)).map((e) => e.kid);
    const changes = await keys.changes();
    const { kid: second } = await manager.rotate();
    assert.notEqual(await keys.changes(), changes);
    assert.deepEqual(await kids(), [second, first]);
    assert.deepEqual(await kids(await sourceAt(folder, store, 0)), [second], "no grace");
    await keys.clients().confirm(new Map([[id, "0000000000000000"]]));
    assert.deepEqual(await kids(), [second, first]);
    await keys.clients().confirm(new Map([[id, second]]));
    assert.deepEqual(await kids(), [second]);
    // Back to the first, and on: what it has shown and what is newer stays.
    await manager.rotateTo(first);
    assert.deepEqual(await kids(), [first, second]);
    await keys.clients().confirm(new Map([[id, first]]));
    const { kid: third } = await manager.rotate({ compromised: true });
    assert.deepEqual(await kids(), [third], "nothing is accepted under a compromised key");
  }));

Deno.test("clients: after a compromise nobody is in under a key from before it, however old", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store, 3_600_000);
    const manager = managerAt(folder, store);
    const kids = async () => (await remote(keys)).map((e) => e.kid);
    const { kid: first } = await keys.clients().add("away since the first key");
    const { kid: second } = await manager.rotate();
    assert.deepEqual(await kids(), [second, first]);
    const { kid: third } = await manager.rotate({ compromised: true });
    assert.deepEqual(await kids(), [third]);
    await assert.rejects(manager.rotateTo(first), { code: "key-refused" });
    await manager.rotate();
    assert.ok(!(await kids()).includes(first), "nor after the next rotation");
  }));

Deno.test("clients: the list outlives the key that signed it", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store);
    const { kid } = await keys.clients().add("laptop");
    const manager = managerAt(folder, store);
    await manager.rotate();
    await manager.delete(kid);
    assert.equal((await keys.clients().read()).clients.length, 1);
    assert.equal((await remote(keys)).length, 1);
  }));

Deno.test("clients: a key from outside has clients too, one in memory has none", () =>
  withFolder(async (folder) => {
    const options = { dataDir: folder, env: {}, interactive: false };
    const ofByte = (byte: number) => ({
      ...options,
      env: { SECLLAMA_KEY: `sl1:${new Uint8Array(32).fill(byte).toBase64()}` },
    });
    const keys = await openKeySource(ofByte(9));
    const { id } = await keys.clients().add("laptop");
    const again = await openKeySource(ofByte(9));
    assert.deepEqual((await remote(again)).map((e) => e.client), [id]);
    const other = await openKeySource(ofByte(8));
    assert.equal(await code(other.clients().read()), "key-corrupt");
    assert.deepEqual(await remote(other), []);
    const memory = await openKeySource({ ...options, ephemeral: true });
    assert.throws(() => memory.clients(), SecLlamaError);
    assert.deepEqual(await remote(memory), []);
  }));

Deno.test("clients: changes by several processes at one time all arrive", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const keys = await sourceAt(folder, store);
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => managerAt(folder, store).clients().add(`c${i}`)),
    );
    const { rev, clients } = await keys.clients().read();
    assert.deepEqual([rev, clients.length], [12, 12]);
  }));

Deno.test("clients: a host that pairs and revokes for years keeps the latest thousand of those it ended", () =>
  withFolder(async (folder) => {
    const master = new Uint8Array(32).fill(1);
    const kid = "00112233445566ff";
    const registry = new ClientRegistry(new ManifestFile(folder), {
      active: () => Promise.resolve({ kid, key: secret(master.slice()) }),
      masterKey: () => Promise.resolve(secret(master.slice())),
    });
    const first = "2020-01-01T00:00:00.000Z";
    const client = (i: number, revoked: string | null) => ({
      ...{ id: i.toString(16).padStart(32, "0"), name: `${"n".repeat(55)}${i}`, created: first },
      ...{ revoked, kid },
    });
    const clients = Array.from({ length: 16_050 }, (_, i) => client(i, i === 0 ? null : first));
    const list = { rev: 1, hid: "0".repeat(32), clients };
    await Deno.writeFile(`${folder}/clients.json`, await serialiseClientList(list, kid, master));
    for (let i = 0; i < 20; i++) {
      const { id } = await registry.add(`${"n".repeat(55)}x${i}`);
      await registry.revoke(id);
    }
    const left = (await registry.read()).clients;
    assert.equal(left.find((c) => c.revoked === null)?.id, client(0, null).id);
    assert.equal(left.length, 1_001);
    assert.equal(left.at(-1)!.name, `${"n".repeat(55)}x19`);
  }));

Deno.test("host id: made once, kept in the list of clients too, and no other host's list is taken", () =>
  withFolder(async (folder) => {
    const store = new MemoryStore();
    const hidAt = async () => (await sourceAt(folder, store)).hid.toHex();
    const hid = await hidAt();
    assert.match(hid, /^[0-9a-f]{32}$/);
    assert.equal(await hidAt(), hid, "the same at the next start");
    const all = await Promise.all([hidAt(), hidAt(), hidAt()]);
    assert.deepEqual(new Set(all), new Set([hid]));
    const keys = await sourceAt(folder, store);
    await keys.clients().add("laptop");
    // Lost: the list still says by which id the clients know this host.
    await Deno.remove(`${folder}/host.json`);
    assert.equal(await hidAt(), hid);
    assert.equal(JSON.parse(await Deno.readTextFile(`${folder}/host.json`)).hid, hid);
    // Replaced: its clients know another host.
    await Deno.writeTextFile(`${folder}/host.json`, JSON.stringify({ v: 1, hid: "0".repeat(32) }));
    const other = await sourceAt(folder, store);
    assert.equal(await code(other.clients().read()), "key-corrupt");
    assert.deepEqual(await remote(other), []);
    for (const bad of ["", "{", "{}", `{"v":1,"hid":"xx"}`, `{"v":2,"hid":"${hid}"}`, "\xff"]) {
      await Deno.writeTextFile(`${folder}/host.json`, bad);
      assert.equal(await code(sourceAt(folder, store)), "key-corrupt", bad);
    }
  }));
