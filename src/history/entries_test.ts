import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { seeded } from "../../tests/support/seeds.ts";
import { Database } from "./database.ts";
import { CONVERSATIONS, Entries, type Opened } from "./entries.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import { withPlace } from "./testing.ts";

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
