import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fromHex } from "../bytes.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { History } from "./history.ts";
import { bytesOf, holds, said, withPlace } from "./testing.ts";
import { newVaultKey } from "./vault.ts";

Deno.test("history: what was saved is there again, as a tree, and sorted as it should be", () =>
  withPlace((place) => {
    let older: string, newer: string;
    {
      using history = place.open();
      older = history.create({ title: "one", settings: { temperature: 0.5 } }).id;
      place.now += 1000;
      newer = history.create({ model: "demo", folder: "work" }).id;
      assert.equal(history.append(older, said("first")).id, "1");
      const answer = { parent: "1", role: "assistant" as const, content: "a", thinking: "t" };
      assert.equal(history.append(older, { ...answer, model: "demo" }).id, "2");
      assert.equal(history.append(older, said("edited")).id, "3");
      place.now += 1000;
      history.append(newer, said("  A title from this\nand not from that "));
    }
    using history = place.open();
    const { conversations, total } = history.list();
    assert.equal(total, 2);
    assert.deepEqual(conversations.map(({ id, title }) => [id, title]), [
      [newer, "A title from this"],
      [older, "one"],
    ]);
    const tree = history.get(older).messages;
    assert.deepEqual(tree.map(({ id, parent, content }) => [id, parent, content]), [
      ["1", null, "first"],
      ["2", "1", "a"],
      ["3", null, "edited"],
    ]);
    assert.equal(tree[1]!.thinking, "t");
    assert.deepEqual(history.get(older).settings, { temperature: 0.5 });
    assert.throws(() => history.append(older, said("x", "4")), { code: "bad-request" });
    history.update(older, { pinned: true, title: "renamed" });
    assert.deepEqual(history.list().conversations.map(({ title }) => title), [
      "renamed",
      "A title from this",
    ]);
    assert.deepEqual(history.list({ query: "WORK" }).conversations.map(({ id }) => id), [newer]);
    assert.deepEqual(history.list({ limit: 1 }).conversations.map(({ id }) => id), [older]);
    assert.deepEqual(history.list({ before: older }).conversations.map(({ id }) => id), [newer]);
  }));

Deno.test("history: no word of it lies on the disk, and in an unsealed one all of them are found", () =>
  withPlace((place) => {
    const words = ["canary-title", "canary-said", "canary-thought", "canary-folder", "canary-set"];
    using history = place.open();
    const { id } = history.create({
      title: words[0]!,
      folder: words[3]!,
      settings: { system: words[4]! },
    });
    history.append(id, { ...said(words[1]!), thinking: words[2]! });
    history.search("canary-said");
    for (const word of words) assert.ok(!holds(place.bytes(), word), word);
    // The control: the same words, unsealed, are seen by the same search while the log is full and after it was emptied.
    const folder = Deno.makeTempDirSync();
    const plain = new DatabaseSync(join(folder, "plain.db"));
    plain.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (word TEXT)");
    for (const word of words) plain.prepare("INSERT INTO t VALUES (?)").run(word);
    for (const word of words) assert.ok(holds(bytesOf(folder), word), word);
    plain.close();
    Deno.removeSync(folder, { recursive: true });
  }));

Deno.test("history: a record that was moved, or changed in any byte, is damaged and nothing else is", () =>
  withPlace((place) => {
    let ids: string[];
    {
      using history = place.open();
      ids = ["a", "b", "c"].map((title) => history.create({ title }).id);
      for (const id of ids) for (const text of ["one", "two"]) history.append(id, said(text));
    }
    const [a, b] = ids.map(fromHex);
    const db = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    const sealed = (id: Uint8Array, at: number) =>
      db.prepare("SELECT sealed FROM messages WHERE conversation = ? AND position = ?")
        .get(id, at)!["sealed"] as Uint8Array;
    const put = (id: Uint8Array, at: number, bytes: Uint8Array) =>
      db.prepare("UPDATE messages SET sealed = ? WHERE conversation = ? AND position = ?")
        .run(bytes, id, at);
    const contents = (id: string) => {
      using history = place.open();
      return history.get(id).messages.map((one) => one.damaged ? "damaged" : one.content);
    };
    const whole = sealed(a!, 1);
    for (let i = 0; i < whole.length; i++) {
      const changed = whole.slice();
      changed[i]! ^= 1;
      put(a!, 1, changed);
      assert.deepEqual(contents(ids[0]!), ["damaged", "two"]);
    }
    // Of the same conversation, and of another one.
    for (const other of [sealed(a!, 2), sealed(b!, 1), new Uint8Array(), whole.subarray(1)]) {
      put(a!, 1, other);
      assert.deepEqual(contents(ids[0]!), ["damaged", "two"]);
    }
    put(a!, 1, whole);
    assert.deepEqual(contents(ids[0]!), ["one", "two"]);
    db.prepare("DELETE FROM messages WHERE conversation = ? AND position = 2").run(a!);
    // A head of another conversation, and a key of another one.
    for (const column of ["head", "key"]) {
      const before = db.prepare(`SELECT ${column} AS v FROM conversations WHERE id = ?`).get(b!)!;
      db.exec(`UPDATE conversations SET ${column} =
        (SELECT ${column} FROM conversations WHERE id = x'${ids[2]}') WHERE id = x'${ids[1]}'`);
      using history = place.open();
      assert.deepEqual(history.list().conversations.map((one) => one.damaged ?? false).sort(), [
        false,
        false,
        true,
      ]);
      assert.throws(() => history.get(ids[1]!), { code: "decrypt-failed" });
      assert.equal(history.get(ids[0]!).missing, 1);
      db.prepare(`UPDATE conversations SET ${column} = ? WHERE id = ?`).run(before["v"]!, b!);
    }
    assert.deepEqual(contents(ids[1]!), ["one", "two"]);
    db.close();
  }));

Deno.test("history: of what could not be saved as a whole nothing is listed", () =>
  withPlace(async (place) => {
    using history = place.open();
    history.create({ title: "there" });
    const file = { conversations: [{ title: "half", messages: [{ id: "1", ...said("x") }] }] };
    const bytes = new TextEncoder().encode(
      JSON.stringify({ format: "secllama-history", ...file }),
    );
    using db = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    db.exec("ALTER TABLE filters RENAME TO away");
    await assert.rejects(history.importFile(bytes), { code: "history-corrupt" });
    assert.deepEqual(history.list().conversations.map(({ title }) => title), ["there"]);
    db.exec("ALTER TABLE away RENAME TO filters");
    assert.equal((await history.importFile(bytes)).imported, 1);
  }));

Deno.test("history: what is damaged does not keep the rest from coming under a new key", () =>
  withPlace((place) => {
    let id: string;
    {
      using history = place.open();
      id = history.create({ title: "whole" }).id;
      history.setPrompts([{ title: "p", text: "t" }]);
    }
    const db = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    db.exec("UPDATE drawers SET sealed = zeroblob(99)");
    db.close();
    const next = newVaultKey();
    const copy = { ...next, key: next.key.slice() };
    {
      using history = place.open();
      assert.throws(() => history.prompts(), { code: "decrypt-failed" });
      assert.equal(history.rekey(next), 1);
    }
    using history = new History({ dataDir: place.dataDir, vault: [copy] });
    assert.equal(history.get(id).title, "whole");
  }));

Deno.test("history: two processes over one: one writes, the other reads and says so, until the first ends", () =>
  withPlace((place) => {
    const first = place.open();
    const { id } = first.create({ title: "x" });
    using second = place.open();
    assert.equal(first.list().writable, true);
    assert.equal(second.list().writable, false);
    assert.throws(() => second.append(id, said("y")), { code: "history-busy" });
    first.append(id, said("z"));
    assert.equal(second.get(id).messages[0]!.content, "z");
    first[Symbol.dispose]();
    second.append(id, said("y", "1"));
    assert.deepEqual(second.get(id).messages.map(({ content }) => content), ["z", "y"]);
  }));

Deno.test("history: of a newer version, or something else, is refused and left as it is", () =>
  withPlace((place) => {
    place.open()[Symbol.dispose]();
    const path = join(historyFolder(place.dataDir), DATABASE_NAME);
    const refused = (code: string) => {
      const before = Deno.readFileSync(path);
      assert.throws(() => place.open(), { code });
      assert.deepEqual(Deno.readFileSync(path), before);
    };
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)");
    db.close();
    refused("not-supported");
    Deno.writeTextFileSync(path, "This is no database at all. ".repeat(1000));
    refused("history-corrupt");
  }));
