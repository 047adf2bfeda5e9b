import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Database } from "./database.ts";
import { Documents } from "./documents.ts";
import { DATABASE_NAME, historyFolder } from "./folder.ts";
import type { History } from "./history.ts";
import { PassageIndex } from "./passage_index.ts";
import { KIND, open as unsealed } from "./seal.ts";
import { holds, withPlace } from "./testing.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
/** Seventy passages: of two packs. */
const LONG = Array.from({ length: 70 }, (_, i) => `${"filler ".repeat(100)} bird${i}.`).join(
  "\n\n",
);

async function found(history: History, question: string, vector?: Float32Array, model = "m") {
  const asked = vector && { model, vector };
  const passages = await history.searchDocuments(question, 3, undefined, asked);
  return passages.map(({ name, passage }) => `${name} ${passage}`);
}

/** Vectors that a model would make: as `of` says, for each passage that has none yet. */
async function embed(history: History, model: string, of: (text: string) => Float32Array) {
  for (;;) {
    const next = await history.unembedded(model);
    if (next === null) return;
    history.addVectors(next, model, next.texts.map(of));
  }
}

const axis = (at: number) => Float32Array.from({ length: 64 }, (_, i) => i === at ? 1 : 0);

Deno.test("passage index: kept sealed, taken up as it lies, made anew where it is damaged or of an earlier version", () =>
  withPlace(async (place) => {
    const path = join(historyFolder(place.dataDir), DATABASE_NAME);
    {
      using history = place.open();
      await history.addDocument("long.txt", bytes(LONG));
      assert.deepEqual(await found(history, "bird69"), ["long.txt 70"]);
    }
    const words = () => {
      using db = new DatabaseSync(path);
      return db.prepare("SELECT sealed FROM words").all() as { sealed: Uint8Array }[];
    };
    const [first] = words();
    {
      using history = place.open();
      assert.deepEqual(await found(history, "bird69"), ["long.txt 70"]);
      assert.deepEqual(words(), [first], "nothing was made anew");
    }
    for (
      const damage of [
        "DELETE FROM words",
        "UPDATE words SET sealed = x'00'",
        "DROP TABLE words; DROP TABLE vectors",
      ]
    ) {
      {
        using db = new DatabaseSync(path);
        db.exec(damage);
      }
      {
        using history = place.open();
        assert.deepEqual(await found(history, "bird69"), ["long.txt 70"], damage);
        assert.equal(words().length, 1, damage);
        assert.ok(words()[0]!.sealed.length > 1000, damage);
      }
      {
        // And a reader of such a database, while another process has the lock.
        using writer = place.open();
        writer.create();
        using db = new DatabaseSync(path);
        db.exec(damage);
        using reader = place.open();
        assert.deepEqual(await found(reader, "bird69"), ["long.txt 70"], damage);
      }
    }
  }));

Deno.test("passage index: a document whose passages all fit leaves room for others, where the best of each is asked for", () =>
  withPlace(async (place) => {
    using history = place.open();
    await history.addDocument("many.txt", bytes(`${"stork ".repeat(160)}\n\n`.repeat(150)));
    await history.addDocument("one.txt", bytes(`A stork. ${"filler ".repeat(100)}`));
    const names = async (each: boolean) =>
      (await history.searchDocuments("stork", 100, undefined, undefined, each))
        .map(({ name }) => name);
    assert.deepEqual(await names(false), Array(100).fill("many.txt"));
    assert.deepEqual(await names(true), ["many.txt", "one.txt"]);
  }));

Deno.test("passage index: vectors find what words do not, of the named model only; they are sealed, and end with their document and their model", () =>
  withPlace(async (place) => {
    using history = place.open();
    const { id } = await history.addDocument("long.txt", bytes(LONG));
    await history.addDocument("short.txt", bytes("The heron sleeps."));
    assert.deepEqual(await found(history, "stork"), []);
    const sleeps = (text: string) =>
      axis(/heron/.test(text) ? 3 : Number(text.match(/\d+/g)!.at(-1)) % 2);
    await embed(history, "m", sleeps);
    assert.deepEqual(await found(history, "stork", axis(3)), ["short.txt 1"]);
    assert.deepEqual(await found(history, "stork", axis(3), "another"), []);
    // Both rankings count: the word alone says bird69, the vector all odd ones.
    assert.equal((await found(history, "bird69", axis(1)))[0], "long.txt 70");
    assert.deepEqual(
      await history.searchDocuments("stork", 3, [id], { model: "m", vector: axis(3) }),
      [],
    );
    assert.deepEqual(await history.embedding(), { chosen: null, passages: 71, embedded: 0 });
    history.setEmbedding({ name: "n", digest: "m" });
    assert.deepEqual(await history.embedding(), {
      chosen: { name: "n", digest: "m" },
      passages: 71,
      embedded: 71,
    });
    assert.equal(await history.unembedded("m"), null);
    assert.equal((await history.unembedded("other"))!.texts.length, 64);
    // A vector of one number, in eight bits: 127 among zeros.
    const canary = new Uint8Array(64);
    canary[3] = 127;
    assert.ok(!holds(place.bytes(), canary.subarray(0, 32)), "vectors lie in the clear");
    using later = place.open();
    assert.deepEqual(await found(later, "stork", axis(3)), ["short.txt 1"]);
    for (
      const wrong of [[axis(1)], Array.from({ length: 64 }, () => Float32Array.of(NaN))]
    ) {
      assert.throws(() => history.addVectors({ document: id, pack: 0 }, "m", wrong), {
        code: "bad-request",
      });
    }
    history.removeDocument(id);
    assert.throws(() => history.addVectors({ document: id, pack: 0 }, "m", []), {
      code: "not-found",
    });
    const count = (table: string) => {
      using db = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
      return (db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get() as { n: number }).n;
    };
    assert.deepEqual([count("vectors"), count("words")], [1, 1]);
    history.setEmbedding(null);
    assert.deepEqual([count("vectors"), count("words")], [0, 1]);
    assert.deepEqual(await found(history, "stork", axis(3)), []);
  }));

Deno.test("passage index: made anew under the document's own key, also if all keys were overwritten and opened anew meanwhile; and in breaths", () =>
  withPlace(async (place) => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const open = () => new Documents(db, [{ id: "0011223344556677", key }]);
    using db = Database.open(historyFolder(place.dataDir), () => {});
    using documents = open();
    const passages = Array.from({ length: 2100 }, (_, i) => ({ page: null, text: `bird${i}` }));
    const head = { type: "text", size: 1, pages: null, added: 1 } as const;
    let breaths = 0;
    const counting = setInterval(() => breaths++, 0);
    await documents.add({ name: "birds", ...head, passages });
    assert.ok(breaths > 0, "the other calls of this thread had to wait");
    clearInterval(counting);

    db.transaction(() => db.run("DELETE FROM words"));
    using later = open();
    let disturbed = 0;
    let underNoKey = 0;
    const disturbing = setInterval(() => {
      for (const row of db.rows("SELECT document, position, sealed FROM words")) {
        const position = Number(row["position"]);
        const at = { kind: KIND.words, conversation: row["document"] as Uint8Array, position };
        try {
          unsealed(new Uint8Array(32), at, row["sealed"] as Uint8Array);
          underNoKey++;
        } catch { /* as it should be */ }
      }
      if (disturbed === 3) return;
      const fail = () =>
        db.transaction(() => {
          throw new Error("taken back");
        });
      assert.throws(fail, /taken back/);
      disturbed += later.list().length;
    }, 0);
    const search = async (where: Documents, word: string) =>
      (await where.search(word, 3)).map(({ passage }) => passage);
    try {
      assert.deepEqual(await search(later, "bird2050"), [2051]);
    } finally {
      clearInterval(disturbing);
    }
    assert.deepEqual([disturbed, underNoKey], [3, 0]);
    const words = () => db.rows("SELECT sealed FROM words ORDER BY position");
    const kept = words();
    assert.equal(kept.length, 3);
    using third = open();
    assert.deepEqual(await search(third, "bird3"), [4]);
    assert.deepEqual(words(), kept, "they open: none was made anew");
  }));

Deno.test("passage index: the model for embeddings and all vectors end together, or neither does", () =>
  withPlace(async (place) => {
    using history = place.open();
    history.setEmbedding({ name: "n", digest: "m" });
    using db = new DatabaseSync(join(historyFolder(place.dataDir), DATABASE_NAME));
    db.exec("DROP TABLE vectors");
    assert.throws(() => history.setEmbedding(null), { code: "history-corrupt" });
    assert.equal((await history.embedding()).chosen?.name, "n");
  }));

Deno.test("passage index: where there is no room for it, it is made in memory, once", () =>
  withPlace(async (place) => {
    using db = Database.open(historyFolder(place.dataDir), () => {});
    const id = new Uint8Array(16).fill(1);
    db.transaction(() => {
      db.run("INSERT INTO documents VALUES (?, ?, ?, ?)", id, id, id, id);
      db.run(
        "CREATE TRIGGER full BEFORE INSERT ON words BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
      );
    });
    let read = 0;
    using index = new PassageIndex(db, () => {
      // Without the bound it begins anew for ever.
      if (++read > 20) throw new Error("it begins again and again");
      return ["The heron sleeps."];
    });
    const head = { name: "birds", passages: 1 };
    const document = {
      id: id.toHex(),
      bytes: id,
      opened: { key: new Uint8Array(32).fill(7), head },
    };
    await index.load(() => [document]);
    const found = index.rank([document], { text: "heron" }, 3, () => true);
    assert.deepEqual(found.map(({ at }) => at), [0]);
    assert.deepEqual(db.rows("SELECT * FROM words"), []);
  }));
