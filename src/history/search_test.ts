import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { said, withPlace } from "./testing.ts";

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
