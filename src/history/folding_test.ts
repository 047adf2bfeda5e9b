import assert from "node:assert/strict";
import { utf8 } from "../bytes.ts";
import { Database } from "./database.ts";
import { CONVERSATIONS, Entries, type Head } from "./entries.ts";
import { filterOf } from "./filter.ts";
import { historyFolder } from "./folder.ts";
import { KIND, seal } from "./seal.ts";
import { withPlace } from "./testing.ts";

const said = (content: string) => ({ parent: null, role: "user" as const, content });

Deno.test("search: a word is found in each of its spellings", () =>
  withPlace((place) => {
    using history = place.open();
    const { id } = history.create({ title: "Notiz" });
    history.append(id, said("Die Straße nach İstanbul, ΑΘΉΝΑ und Ciudad Real: la mañana."));
    for (
      const query of ["strasse", "STRASSE", "straße", "istanbul", "İSTANBUL", "αθηνα", "Αθήνα"]
        .concat("manana", "MAÑANA", "strasse manana αθήνα")
    ) {
      const [hit, ...more] = history.search(query);
      assert.deepEqual([hit?.id, more.length], [id, 0], query);
      assert.equal(hit!.message, "1", query);
    }
    assert.deepEqual(history.search("strasze"), []);
    const { id: titled } = history.create({ title: "Die Größe" });
    assert.deepEqual(history.search("grosse").map((hit) => hit.id), [titled]);
    assert.equal(history.list({ query: "GRÖSSE" }).total, 1);
  }));

Deno.test("search: what an earlier version of this program wrote is found as it was", () =>
  withPlace((place) => {
    const content = "Die Straße am Étang de Thau, 한글";
    let id: string;
    {
      using history = place.open();
      ({ id } = history.create({ title: "An old one" }));
      history.append(id, said(content));
    }
    {
      using db = Database.open(historyFolder(place.dataDir), () => {});
      using entries = new Entries<Head>(db, place.vault(), CONVERSATIONS);
      const { bytes, opened: { key } } = entries.get(id);
      const text = utf8("\u001e1\u001f" + content.normalize("NFKC").toLowerCase());
      const at = { conversation: bytes, position: 0, version: 1 };
      db.transaction(() => {
        for (
          const [table, kind, plain] of [
            ["texts", KIND.text, text],
            ["filters", KIND.filter, filterOf(text)],
          ] as const
        ) db.run(`UPDATE ${table} SET sealed = ?`, seal(key, { ...at, kind }, plain));
      });
    }
    using history = place.open();
    for (const query of ["straße", "STRAßE", "étang", "ÉTANG thau", "한글"]) {
      assert.deepEqual(history.search(query).map((hit) => hit.id), [id], query);
    }
    // The control: it is the earlier text, which knows one spelling.
    assert.deepEqual(history.search("strasse"), []);
    history.append(id, said("Straße"));
    assert.deepEqual(history.search("strasse étang").map((hit) => hit.id), [id]);
  }));
