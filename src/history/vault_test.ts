import assert from "node:assert/strict";
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import { managerAt, withFolder } from "../keys/testing.ts";
import { historyFolder } from "./folder.ts";
import { History } from "./history.ts";
import { countHistory, removeHistory } from "./remove.ts";
import { said } from "./testing.ts";
import { newVaultKey, Vault } from "./vault.ts";

type Manager = ReturnType<typeof managerAt>;

const vaultOf = (manager: Manager) =>
  new Vault(manager.file, () => Promise.resolve(manager.storage()));

async function opened(manager: Manager): Promise<History> {
  return new History({ dataDir: manager.file.dataDir, vault: await vaultOf(manager).open() });
}

Deno.test("vault: a rotation and the old key's end leave the history readable, once it was rewrapped", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    let id: string;
    {
      using history = await opened(manager);
      id = history.create({ title: "kept" }).id;
    }
    const { previous } = await manager.rotate();
    assert.equal(await vaultOf(manager).rewrap(), true);
    assert.equal(await vaultOf(manager).rewrap(), false);
    await manager.delete(previous);
    using history = await opened(manager);
    assert.equal(history.get(id).title, "kept");
  }));

Deno.test("vault: without it the key's end is the history's, which is said, counted, and can be given up", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    (await opened(manager))[Symbol.dispose]();
    {
      using history = await opened(manager);
      for (const title of ["a", "b"]) history.create({ title });
    }
    const { previous } = await manager.rotate();
    await manager.delete(previous);
    await assert.rejects(vaultOf(manager).open(), {
      code: "key-lost",
      message: /no conversation of the history can be opened/,
    });
    assert.equal(countHistory(folder)?.conversations, 2);
    await removeHistory(folder);
    assert.equal(countHistory(folder), undefined);
    using history = await opened(manager);
    assert.equal(history.list().total, 0);
  }));

Deno.test("vault: a store that is locked is not called a loss, and a missing or damaged file makes no new key", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    {
      using history = await opened(manager);
      history.create({ title: "a" });
    }
    const { get } = manager.store;
    manager.store.get = () => Promise.reject(new SecLlamaError("key-locked", "locked"));
    await assert.rejects(vaultOf(manager).open(), { code: "key-locked" });
    manager.store.get = get;
    const path = join(historyFolder(folder), "key.json");
    const text = await Deno.readTextFile(path);
    for (
      const bad of [
        "",
        "{",
        "[]",
        '{"v":1,"keys":[]}',
        text.replace(/("wrapped":"[^"]{60})./, "$1*"),
        "x".repeat(99_999),
      ]
    ) {
      await Deno.writeTextFile(path, bad);
      await assert.rejects(vaultOf(manager).open(), { code: "key-lost" }, bad.slice(0, 30));
    }
    await Deno.writeTextFile(path, text.replace('"v":1', '"v":2'));
    await assert.rejects(vaultOf(manager).open(), { code: "not-supported" });
    await Deno.remove(path);
    await assert.rejects(vaultOf(manager).open(), { code: "key-lost", message: /is missing/ });
    await Deno.writeTextFile(path, text);
    using history = await opened(manager);
    assert.equal(history.list().total, 1);
  }));

Deno.test("vault: a new key and the old one's end close older copies of the history; before, they open", () =>
  withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    const vault = vaultOf(manager);
    let gone: string, stays: string;
    {
      using history = await opened(manager);
      gone = history.create({ title: "gone" }).id;
      stays = history.create({ title: "stays" }).id;
      history.append(stays, said("x"));
      history.setPrompts([{ title: "p", text: "t" }]);
    }
    const backup = await Deno.makeTempDir();
    const copy = async () => {
      await Deno.mkdir(historyFolder(backup), { recursive: true });
      for await (const { name } of Deno.readDir(historyFolder(folder))) {
        await Deno.copyFile(join(historyFolder(folder), name), join(historyFolder(backup), name));
      }
    };
    await copy();
    const fromBackup = async () => {
      const file = managerAt(backup).file;
      const keys = await new Vault(file, () => Promise.resolve(manager.storage())).open();
      using history = new History({ dataDir: backup, vault: keys });
      return history.get(gone).title;
    };
    const old = await vault.open();
    const next = newVaultKey();
    const stale = new History({ dataDir: folder, vault: await vault.open() });
    stale[Symbol.dispose]();
    {
      using history = await opened(manager);
      history.erase([gone]);
      await vault.replace([next, ...old]);
      assert.equal(history.rekey(next), 1);
    }
    await vault.replace([next]);
    // The attack: the backup, with the master key that is still there.
    assert.equal(await fromBackup(), "gone");
    const { previous } = await manager.rotate();
    await vault.rewrap();
    await manager.delete(previous);
    await assert.rejects(fromBackup(), { code: "key-lost" });
    // Nor with the key that the history has now.
    using withNext = new History({ dataDir: backup, vault: [] });
    assert.equal(withNext.list().conversations.every((one) => one.damaged), true);
    using history = await opened(manager);
    assert.equal(history.get(stays).messages[0]!.content, "x");
    assert.deepEqual(history.prompts(), [{ title: "p", text: "t" }]);
    // Who still has the old key writes nothing that could not be read.
    assert.throws(() => new History({ dataDir: folder, vault: old }), { code: "key-refused" });
    await Deno.remove(backup, { recursive: true });
  }));
