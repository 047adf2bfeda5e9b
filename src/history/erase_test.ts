import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fromHex } from "../bytes.ts";
import { Database } from "./database.ts";
import { CONVERSATIONS, Entries } from "./entries.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { History } from "./history.ts";
import { bytesOf, holds, said, withPlace } from "./testing.ts";

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
