import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fromHex } from "../bytes.ts";
import { seeded } from "../../tests/support/seeds.ts";
import { Database } from "./database.ts";
import { CONVERSATIONS, Entries, type Opened } from "./entries.ts";
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

/** The sealed bytes of one conversation, as they lie in the database. */
function sealedBytes(dataDir: string, id: string): Uint8Array[] {
  const db = new DatabaseSync(join(historyFolder(dataDir), DATABASE_NAME), { readOnly: true });
  const bytes = fromHex(id);
  const all = [
    ...db.prepare("SELECT key, head, settings FROM conversations WHERE id = ?").all(bytes),
    ...db.prepare("SELECT sealed FROM messages WHERE conversation = ?").all(bytes),
    ...db.prepare("SELECT sealed FROM texts WHERE conversation = ?").all(bytes),
    ...db.prepare("SELECT sealed FROM filters WHERE conversation = ?").all(bytes),
  ].flatMap((row) => Object.values(row)) as Uint8Array[];
  db.close();
  // Of a long record that is spread over pages, a piece.
  return [bytes, ...all.map((value) => value.subarray(0, 500))];
}

Deno.test("history: of an erased conversation not even the sealed bytes are left, in no file", () =>
  withPlace((place) => {
    using history = place.open();
    const others = Array.from({ length: 20 }, (_, i) => {
      const { id } = history.create({ title: `other ${i}` });
      history.append(id, said("x".repeat(300 * i)));
      return id;
    });
    const { id } = history.create({ title: "gone", settings: { a: 1 } });
    for (let i = 0; i < 10; i++) history.append(id, said(`y${i}`.repeat(4000)));
    const traces = sealedBytes(place.dataDir, id);
    assert.equal(traces.length > 12, true);
    for (const trace of traces) assert.ok(holds(place.bytes(), trace));
    history.erase([id]);
    for (const trace of traces) assert.ok(!holds(place.bytes(), trace));
    assert.throws(() => history.get(id), { code: "not-found" });
    for (const [i, other] of others.entries()) {
      assert.equal(history.get(other).messages[0]!.content.length, 300 * i);
    }
  }));

Deno.test("history: what a reader kept in the log while it was erased goes with the next sweep", () =>
  withPlace((place) => {
    using history = place.open();
    const { id } = history.create({ title: "gone", settings: { a: 1 } });
    history.append(id, said("y".repeat(4000)));
    history.sweep();
    const traces = sealedBytes(place.dataDir, id);
    const reader = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    reader.exec("BEGIN");
    reader.prepare("SELECT COUNT(*) FROM messages").get();
    assert.throws(() => history.erase([id]), { code: "history-busy" });
    assert.throws(() => history.get(id), { code: "not-found" });
    // The control: they are still there.
    assert.ok(traces.some((trace) => holds(place.bytes(), trace)));
    reader.exec("COMMIT");
    reader.close();
    history.sweep();
    for (const trace of traces) assert.ok(!holds(place.bytes(), trace));
  }));

Deno.test("history: without overwriting, an erased conversation's bytes would be found", () => {
  const folder = Deno.makeTempDirSync();
  const db = new DatabaseSync(join(folder, "plain.db"));
  db.exec("PRAGMA secure_delete = OFF; PRAGMA journal_mode = WAL; CREATE TABLE t (word TEXT)");
  for (let i = 0; i < 50; i++) db.prepare("INSERT INTO t VALUES (?)").run(`${i}`.repeat(900));
  db.prepare("INSERT INTO t VALUES (?)").run("canary".repeat(100));
  db.exec("DELETE FROM t WHERE word LIKE 'canary%'; PRAGMA wal_checkpoint(TRUNCATE)");
  assert.ok(holds(bytesOf(folder), "canarycanary"));
  db.close();
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("history: a deletion can be taken back for ten seconds, and is for good after that", () =>
  withPlace((place) => {
    using history = place.open();
    const { id } = history.create({ title: "a" });
    const { id: other } = history.create({ title: "b" });
    history.remove(id);
    assert.deepEqual(history.list().conversations.map((one) => one.id), [other]);
    assert.throws(() => history.get(id), { code: "not-found" });
    assert.equal(history.search("a").length, 0);
    assert.equal(history.sweep(), 10_000);
    history.undelete(id);
    assert.equal(history.sweep(), undefined);
    assert.equal(history.list().total, 2);
    history.remove(id);
    place.now += 10_000;
    assert.equal(history.sweep(), undefined);
    assert.throws(() => history.undelete(id), { code: "not-found" });
    // Deleted by a process that died: the next one erases it, also if the clock was set back meanwhile.
    history.remove(other);
    place.now -= 1e9;
    assert.equal(history.sweep(), undefined);
    assert.equal(history.list().total, 0);
  }));

Deno.test("history: what is to be erased is looked for in pieces, so that no start opens all heads at once", () =>
  withPlace((place) => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const vault = () => [{ id: "0011223344556677", key: key.slice() }];
    const { now } = place;
    {
      const none = { title: "", model: "", pinned: false, folder: "", messages: 0, size: 0 };
      const head = { ...none, texts: 0, through: [], created: now, updated: now };
      using db = Database.open(historyFolder(place.dataDir), () => {});
      using entries = new Entries(db, vault(), CONVERSATIONS);
      db.transaction(() => {
        for (let i = 0; i < 1200; i++) {
          entries.add({ ...head, deleted: i === 0 ? now - 10_000 : null });
        }
      });
    }
    using history = new History({ dataDir: place.dataDir, vault: vault(), now: () => now });
    using other = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    const rows = () => other.prepare("SELECT COUNT(*) AS n FROM conversations").get()!["n"];
    assert.deepEqual([history.sweep(), history.sweep(), rows()], [0, 0, 1200]);
    assert.deepEqual([history.sweep(), rows()], [undefined, 1199]);
  }));

Deno.test("history: search finds words in titles and messages, in any case, across messages", () =>
  withPlace((place) => {
    using history = place.open();
    const { id } = history.create({ title: "Ärztliche Notiz" });
    history.append(id, said("The land   register of Ghent"));
    history.append(id, {
      parent: "1",
      role: "assistant",
      content: "ＦＵＬＬ width, and the deed.",
    });
    const { id: long } = history.create({});
    for (let i = 0; i < 40; i++) history.append(long, said(`number ${i} ${"pad ".repeat(600)}`));
    const ids = (query: string) => history.search(query).map((hit) => hit.id);
    assert.deepEqual(ids("ghent DEED"), [id]);
    assert.deepEqual(ids("full width"), [id]);
    assert.deepEqual(ids("ärztliche register"), [id]);
    assert.deepEqual(ids("ghent nothing"), []);
    assert.deepEqual(ids("  "), []);
    const [hit] = history.search("number 33");
    assert.equal(hit!.id, long);
    assert.deepEqual(ids("pad"), [long]);
    const [ghent] = history.search("ghent");
    assert.equal(ghent!.message, "1");
    assert.match(ghent!.snippet, /register of Ghent/);
    // The numbers that messages have in a record are no words of theirs.
    assert.deepEqual(ids("2"), [long]);
    history.append(id, said("3 months"));
    assert.deepEqual(ids("3").sort(), [long, id].sort());
    // In a folder, its own alone, and without a word all of them.
    history.update(long, { folder: "deeds" });
    const inside = (query: string, limit?: number, folder = "deeds") =>
      history.search(query, limit, folder).map((hit) => hit.id);
    const { id: other } = history.create({ folder: "deeds" });
    assert.deepEqual(inside("3"), [long]);
    assert.deepEqual(inside("").sort(), [long, other].sort());
    assert.equal(inside("", 1).length, 1);
    assert.deepEqual(inside("", 5, "none"), []);
    const counts = () => history.list({ query: "nothing" }).folders;
    assert.deepEqual(counts(), [{ name: "deeds", conversations: 2 }]);
    history.remove(other);
    assert.deepEqual(inside(""), [long]);
    assert.deepEqual(counts(), [{ name: "deeds", conversations: 1 }]);
    history.erase([long]);
    assert.deepEqual(counts(), []);
    assert.deepEqual(ids("pad"), []);
    assert.deepEqual(ids("2"), []);
    assert.deepEqual(ids("3"), [id]);
  }));

Deno.test("history: an earlier text or filter, put back in its place, or one that is gone, hides nothing from a search", () =>
  withPlace((place) => {
    const path = join(historyFolder(place.dataDir), DATABASE_NAME);
    let id = "";
    {
      using history = place.open();
      ({ id } = history.create());
      history.append(id, said("the heron"));
    }
    using db = new DatabaseSync(path);
    const rows = (table: string) =>
      db.prepare(`SELECT conversation, position, sealed FROM ${table}`).all() as {
        conversation: Uint8Array;
        position: number;
        sealed: Uint8Array;
      }[];
    const [text, filter] = [rows("texts"), rows("filters")];
    {
      using history = place.open();
      history.append(id, said("the osprey", "1"));
      assert.equal(history.search("osprey").length, 1);
    }
    for (const [table, [earlier]] of [["texts", text], ["filters", filter]] as const) {
      assert.equal(rows(table).length, 1);
      assert.notDeepEqual(rows(table)[0]!.sealed, earlier!.sealed);
      db.prepare(`UPDATE ${table} SET sealed = ?`).run(earlier!.sealed);
      using history = place.open();
      assert.equal(history.search("osprey heron").length, 1, table);
      assert.equal(history.search("osprey")[0]!.message, "2");
    }
    db.exec("DELETE FROM texts; DELETE FROM filters");
    using history = place.open();
    assert.equal(history.search("osprey heron").length, 1);
    assert.equal(history.search("wren").length, 0);
    // And it goes on from there.
    history.append(id, said("the wren", "2"));
    assert.equal(history.search("wren heron").length, 1);
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

Deno.test("history: what is opened in breaths, with others made, taken back and written by somebody else between them, is what lies on the disk", () =>
  withPlace((place) => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    using db = Database.open(historyFolder(place.dataDir), () => {});
    using other = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    const entries = () =>
      new Entries<{ title: string }>(db, [{ id: "0011223344556677", key }], CONVERSATIONS);
    const random = seeded(16);
    {
      using first = entries();
      db.transaction(() => {
        for (let i = 0; i < 100; i++) first.add({ title: `${i}` });
      });
    }
    for (let round = 0; round < 20; round++) {
      using warmed = entries();
      let pieces = 0;
      // In some rounds all are kept already, and out of date.
      if (round % 2) {
        warmed.all();
        other.exec("DELETE FROM conversations WHERE id = (SELECT id FROM conversations LIMIT 1)");
      }
      const added: Opened<{ title: string }>[] = [];
      while (!warmed.warm(7)) {
        // For a while: each of these may have it begin anew.
        const act = pieces < 8 ? Math.floor(random() * 6) : 6;
        if (act === 0) {
          added.push(db.transaction(() => warmed.add({ title: `new ${round} ${pieces}` })));
        }
        if (act === 1) {
          assert.throws(() =>
            db.transaction(() => {
              warmed.add({ title: "taken back" });
              throw new Error("full");
            }), /full/);
        }
        // Somebody else erases one.
        if (act === 2) {
          other.exec("DELETE FROM conversations WHERE id = (SELECT id FROM conversations LIMIT 1)");
        }
        pieces++;
      }
      assert.ok(pieces > 3, `${pieces}`);
      using fresh = entries();
      const told = (of: Entries<{ title: string }>) =>
        [...of.all().values()].map(({ id, opened }) => [id, opened?.head.title]).toSorted();
      assert.deepEqual(told(warmed), told(fresh));
      assert.ok(told(fresh).every(([, title]) => title !== undefined));
      // The keys are the right ones: what is changed under them can be read.
      for (const { id } of added) {
        const entry = warmed.readable().find((one) => one.id === id);
        if (entry) db.transaction(() => warmed.change(entry, { title: "changed" }));
      }
      using again = entries();
      assert.ok(told(again).every(([, title]) => title !== undefined), "a key was overwritten");
    }
  }));
