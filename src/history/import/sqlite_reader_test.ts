import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { withPlace } from "../testing.ts";
import { SqliteReader } from "./sqlite_reader.ts";

/** A repeatable source of numbers. */
function random(seed: number): () => number {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

Deno.test("import: our reader of SQLite gives what SQLite gives, for tables of any shape", () => {
  const folder = Deno.makeTempDirSync();
  try {
    for (let seed = 1; seed <= 6; seed++) {
      const next = random(seed);
      const path = join(folder, `${seed}.db`);
      const db = new DatabaseSync(path);
      const size = [512, 1024, 4096, 65536][Math.floor(next() * 4)]!;
      db.exec(
        `PRAGMA synchronous = OFF; PRAGMA page_size = ${size}; PRAGMA encoding = '${
          ["UTF-8", "UTF-16le", "UTF-16be"][seed % 3]
        }'; CREATE TABLE other (x); CREATE TABLE t (a INTEGER PRIMARY KEY, b, "c d" TEXT, e BLOB)`,
      );
      const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
      for (let i = 0; i < 100; i++) {
        const length = Math.floor(10 ** (next() * 4.5));
        const number = Math.round((next() - 0.5) * 10 ** Math.floor(next() * 16));
        insert.run(
          i * 3,
          next() < 0.3 ? null : next() < 0.5 ? number : number / 7,
          "ü€😀".repeat(length / 12),
          new Uint8Array(Math.floor(length / 3)).fill(i),
        );
      }
      for (let i = 0; i < 50; i++) {
        db.exec(`DELETE FROM t WHERE a = ${3 * Math.floor(next() * 100)}`);
      }
      const wanted = db.prepare("SELECT * FROM t").all();
      db.close();
      const found = new SqliteReader(Deno.readFileSync(path)).table("t");
      // As texts: comparing thousands of arrays byte by byte takes minutes.
      const lines = (rows: readonly object[]) =>
        rows.map((row) =>
          Object.entries(row).map(([name, value]) =>
            `${name} ${value instanceof Uint8Array ? value.toHex() : JSON.stringify(value)}`
          ).sort().join("\n")
        );
      assert.equal(lines(found).join("\n\n") === lines(wanted).join("\n\n"), true, `seed ${seed}`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("import: a broken file of SQLite is refused or read in part, and never hangs", () =>
  withPlace((place) => {
    const path = join(place.dataDir, "db.sqlite");
    const db = new DatabaseSync(path);
    db.exec("PRAGMA synchronous = OFF; PRAGMA page_size = 512");
    db.exec("CREATE TABLE chats (id TEXT, title TEXT, created_at TEXT)");
    for (let i = 0; i < 100; i++) {
      db.exec(`INSERT INTO chats VALUES ('${i}', '${"t".repeat(i * 20)}', '')`);
    }
    db.close();
    const whole = Deno.readFileSync(path);
    // A leaf page whose cells are all one row: more than the file holds.
    const shared = whole.slice();
    const view = new DataView(shared.buffer);
    for (let page = 1; page < shared.length / 512; page++) {
      const count = view.getUint16(page * 512 + 3);
      if (shared[page * 512] !== 0x0d || count < 2) continue;
      const cell = view.getUint16(page * 512 + 8);
      const room = Math.floor((cell - 8) / 2);
      view.setUint16(page * 512 + 3, room);
      for (let i = 0; i < room; i++) view.setUint16(page * 512 + 8 + 2 * i, cell);
    }
    assert.throws(() => new SqliteReader(shared).table("chats"), {
      code: "bad-request",
      message: /its rows are longer than the file/,
    });
    const next = random(9);
    let refused = 0;
    for (let i = 0; i < 500; i++) {
      const bytes = whole.slice(0, i % 2 ? Math.floor(next() * whole.length) : whole.length);
      for (let k = 0; k < 4; k++) {
        bytes[Math.floor(next() * bytes.length)]! = Math.floor(next() * 256);
      }
      try {
        new SqliteReader(bytes).table("chats");
      } catch (error) {
        assert.equal((error as { code?: string }).code, "bad-request", String(error));
        refused++;
      }
    }
    assert.ok(refused > 100, String(refused));
  }));
