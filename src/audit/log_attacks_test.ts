/** What somebody may do to an audit log who can write its file and has no key: each is found and named. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { code } from "../keys/testing.ts";
import { AUDIT_FILE } from "./database.ts";
import { exchange, type LogRig, withLog } from "./testing.ts";
import { leafHash } from "./tree.ts";
import { utf8 } from "../bytes.ts";

type Sql = Parameters<Parameters<LogRig["attack"]>[0]>[0];

const textOf = (db: Sql, n: number) =>
  String(db.prepare("SELECT text FROM lines WHERE n = ?").get(n)!["text"]);
const setText = (db: Sql, n: number, text: string) =>
  db.prepare("UPDATE lines SET text = ? WHERE n = ?").run(text, n);
const setWhole = (db: Sql, n: number, text: string) =>
  db.prepare("UPDATE lines SET text = ?, leaf = ? WHERE n = ?").run(text, leafHash(utf8(text)), n);

/** What somebody may do who can write the file and has no key: what, how, and what must be said, by the host and in public. */
const ATTACKS: readonly {
  readonly name: string;
  readonly change: (db: Sql, n: number) => void;
  readonly says: RegExp;
  /** Seen by an auditor without the host's keys, too, for a line under a head. */
  readonly inPublic: RegExp;
}[] = [
  {
    name: "a text is edited",
    change: (db, n) => setText(db, n, textOf(db, n).replace("client-", "nobody-")),
    says: /^N N changed: its text/,
    inPublic: /^N N changed: its text/,
  },
  {
    name: "a text is edited, and its hash with it",
    change: (db, n) => setWhole(db, n, textOf(db, n).replace("client-", "nobody-")),
    says: /^N N changed, moved or added by somebody without/,
    inPublic: /one of these is not what was signed/,
  },
  {
    name: "a line is cut out",
    change: (db, n) => void db.prepare("DELETE FROM lines WHERE n = ?").run(n),
    says: /^N N missing/,
    inPublic: /^N N missing/,
  },
  {
    name: "two lines change places",
    change(db, n) {
      for (const column of ["text", "leaf", "tag"]) {
        const [a, b] = [n, n + 1].map((at) =>
          db.prepare(`SELECT ${column} AS v FROM lines WHERE n = ?`).get(at)!["v"]
        );
        db.prepare(`UPDATE lines SET ${column} = ? WHERE n = ?`).run(b as Uint8Array, n);
        db.prepare(`UPDATE lines SET ${column} = ? WHERE n = ?`).run(a as Uint8Array, n + 1);
      }
    },
    says: /^N N holds line M/,
    inPublic: /^N N holds line M/,
  },
  {
    name: "an earlier line is played again",
    change: (db, n) =>
      void db.exec(
        `UPDATE lines SET (text, leaf, tag) = (SELECT text, leaf, tag FROM lines WHERE n = 2) WHERE n = ${n}`,
      ),
    says: /^N N holds line 2/,
    inPublic: /^N N holds line 2/,
  },
  {
    name: "a text is taken away, as retention would",
    change: (db, n) => void db.prepare("UPDATE lines SET text = NULL WHERE n = ?").run(n),
    says: /a text is gone that no retention took/,
    inPublic: /a text is gone that no retention took/,
  },
  {
    name: "a line is cut out, and those behind it are moved up",
    change(db, n) {
      db.prepare("DELETE FROM lines WHERE n = ?").run(n);
      const rest = db.prepare("SELECT n, text FROM lines WHERE n > ? ORDER BY n").all(n);
      for (const row of rest) {
        const at = Number(row["n"]) - 1;
        setWhole(db, at + 1, String(row["text"]).replace(/^\{"n":\d+/, `{"n":${at}`));
        db.prepare("UPDATE lines SET n = ? WHERE n = ?").run(at, at + 1);
      }
    },
    says: /^N \d+ changed, moved or added by somebody without/,
    inPublic: /one of these is not what was signed|missing: a signed head/,
  },
];

for (const { name, change, says, inPublic } of ATTACKS) {
  Deno.test(`audit: ${name}: found, and the line named`, async () => {
    for (const n of [3, 8, 14, 19, 27]) {
      await withLog(async (rig) => {
        await rig.fill(30);
        rig.attack((db) => {
          const before = textOf(db, n);
          change(db, n);
          // Nothing but the check stands in the way: SQLite reads it as any other.
          const row = db.prepare("SELECT text FROM lines WHERE n = ?").get(n);
          assert.notEqual(row?.["text"], before);
        });
        const expected = (pattern: RegExp) =>
          new RegExp(pattern.source.replaceAll("N", String(n)).replace("M", String(n + 1)));
        const shown = (problems: readonly { from: number; to: number; what: string }[]) =>
          problems.map(({ from, to, what }) => `${from} ${to} ${what}`).join("\n");
        const host = shown((await rig.verify()).problems);
        assert.match(host, new RegExp(expected(says), "m"));
        assert.match(shown(rig.verifyPublic().problems), new RegExp(expected(inPublic), "m"));
      });
    }
  });
}

Deno.test("audit: an end that is cut off is missed, with its heads too", () =>
  withLog(async (rig) => {
    await rig.fill(30);
    rig.attack((db) => db.exec("DELETE FROM lines WHERE n >= 25"));
    assert.match(
      JSON.stringify(rig.verifyPublic().problems),
      /"from":25,"to":\d+,"what":"missing: a signed/,
    );
    rig.attack((db) => db.exec("DELETE FROM heads WHERE size > 24"));
    const { problems } = await rig.verify();
    assert.deepEqual(problems, [{
      from: 25,
      to: 30,
      what: "missing: this machine has seen them; put back from earlier",
    }]);
    assert.equal(await code(rig.open()), "audit-broken");
  }));

Deno.test("audit: a log that is put back from a copy is noticed, and nothing is added to it", () =>
  withLog(async (rig) => {
    await rig.fill(10);
    const copy = await Deno.readFile(join(rig.folder, AUDIT_FILE));
    await rig.fill(10);
    for (const end of ["", "-wal", "-shm"]) {
      await Deno.remove(join(rig.folder, AUDIT_FILE + end)).catch(() => {});
    }
    await Deno.writeFile(join(rig.folder, AUDIT_FILE), copy);
    assert.deepEqual(rig.verifyPublic().problems, [], "by itself it is whole");
    assert.match((await rig.verify()).problems[0]!.what, /put back from earlier/);
    assert.equal(await code(rig.open()), "audit-broken");
  }));

Deno.test("audit: a line that somebody adds is never signed", () =>
  withLog(async (rig) => {
    await rig.fill(10);
    rig.attack((db) => {
      const text = `{"n":11,"t":1,"event":"exchange"}`;
      const leaf = leafHash(utf8(text));
      const add = db.prepare("INSERT INTO lines (n, leaf, tag, text) VALUES (11, ?, ?, ?)");
      add.run(leaf, new Uint8Array(16), text);
    });
    assert.equal(await code(rig.open()), "audit-broken");
    assert.match((await rig.verify()).problems[0]!.what, /by somebody without the host's key/);
  }));

/** Appends a line with its hash, and a tag that is none. */
function addLine(db: Sql, fields: string): void {
  const n = Number(db.prepare("SELECT max(n) + 1 AS n FROM lines").get()!["n"]);
  const text = `{"n":${n},"t":${Date.now()},${fields}}`;
  db.prepare("INSERT INTO lines (n, leaf, tag, text) VALUES (?, ?, ?, ?)")
    .run(n, leafHash(utf8(text)), new Uint8Array(16), text);
}

const FORGED = `"event":"exchange","client":"nobody"`;
/** Ways to say that what follows is under a key that this host does not have. */
const OTHER_KEYS: Readonly<Record<string, (db: Sql) => void>> = {
  "a line names another key": (db) =>
    addLine(db, `"event":"audit-key","kid":"0000000000000000","key":"${"A".repeat(43)}"`),
  "the table of keys is emptied": (db) => db.exec("DELETE FROM epochs"),
  "the table of keys names another": (db) => db.exec("UPDATE epochs SET kid = '0000000000000000'"),
  "another key follows in the table": (db) =>
    db.exec("INSERT INTO epochs SELECT max(n), '0000000000000000' FROM lines"),
};
for (const [name, change] of Object.entries(OTHER_KEYS)) {
  Deno.test(`audit: a line that somebody adds is found and never signed where ${name}`, () =>
    withLog(async (rig) => {
      await rig.fill(10);
      rig.attack((db) => {
        change(db);
        addLine(db, FORGED);
      });
      const { problems, notes } = await rig.verify();
      assert.equal(problems.at(-1)?.to, (await sizeOf(rig)) - 1, JSON.stringify(notes));
      assert.equal(await code(rig.open()), "audit-broken");
      rig.attack((db) => {
        const heads = db.prepare("SELECT count(*) AS n FROM heads WHERE size > 11").get()!;
        assert.equal(heads["n"], 0);
      });
    }));
}

Deno.test("audit: a text is gone, and a line that somebody adds says that retention took it: found in public, too", () =>
  withLog(async (rig) => {
    await rig.fill(10);
    rig.attack((db) => {
      db.exec("UPDATE lines SET text = NULL WHERE n = 4");
      addLine(db, `"event":"audit-pruned","before":5`);
    });
    const gone = { from: 0, to: 4, what: "a text is gone that no retention took" };
    assert.deepEqual(rig.verifyPublic().problems, [gone]);
    assert.deepEqual((await rig.verify()).problems.at(-1), gone);
  }));

function sizeOf(rig: LogRig): Promise<number> {
  return new Promise((resolve) =>
    rig.attack((db) => resolve(Number(db.prepare("SELECT count(*) AS n FROM lines").get()!["n"])))
  );
}

Deno.test("audit: a log under other keys is not taken for this host's", () =>
  withLog(async (rig) => {
    await rig.fill(5);
    await withLog(async (other) => {
      await other.fill(5);
      await Deno.copyFile(join(other.folder, AUDIT_FILE), join(rig.folder, AUDIT_FILE));
    });
    const { problems } = rig.verifyPublic();
    assert.deepEqual(problems, [{ from: 0, to: 5, what: "no head is signed by the given key" }]);
  }));

Deno.test("audit: the old key signs for the new one; destroyed, it vouches for nothing any more", () =>
  withLog(async (rig) => {
    await rig.fill(10);
    const first = (await rig.manager.verifiedManifest()).active;
    await rig.manager.rotate();
    await rig.fill(10);
    const verdict = await rig.verify();
    assert.deepEqual([verdict.problems, verdict.notes], [[], []]);
    assert.equal(verdict.keys.length, 2);
    assert.deepEqual(rig.verifyPublic().problems, [], "the first key is enough");
    await rig.manager.rotate();
    await rig.manager.delete(first);
    const after = await rig.verify();
    assert.deepEqual(after.problems, []);
    assert.match(after.notes.join(), /tags of 11 lines were not checked/);
    // The key that signed last was destroyed before the log was opened again.
    const second = (await rig.manager.list()).find(({ kid, state }) =>
      state === "decrypt-only" && kid !== first
    )!;
    await rig.manager.delete(second.kid);
    await rig.fill(3);
    const gap = await rig.verify();
    assert.match(gap.problems[0]!.what, /took over without the word of the one before/);
  }));

Deno.test("audit: behind a line that somebody changed nothing may begin, however often it is asked", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    await log.record(exchange(1));
    rig.attack((db) => setText(db, 1, textOf(db, 1).replace("client-1", "nobody-1")));
    assert.equal(await code(log.record(exchange(2))), "audit-broken");
    for (let i = 0; i < 3; i++) assert.equal(await code(log.check()), "audit-broken");
    rig.attack((db) => setText(db, 1, textOf(db, 1).replace("nobody-1", "client-1")));
    await Promise.all([log.check(), log.check()]);
    assert.equal(await log.record(exchange(2)), 2);
    await log.close();
  }));
