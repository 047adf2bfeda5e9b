/** A log whose file holds what no program of ours writes: a verdict or an error with a code, and never "whole". */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { code } from "../keys/testing.ts";
import { AUDIT_FILE, AuditDatabase } from "./database.ts";
import { exportLines, proveLine, readExport } from "./export.ts";
import { type AuditEntry, LineHead, lineText, parseLine } from "./line.ts";
import { olderThan } from "./retention.ts";
import { type LogRig, withLog } from "./testing.ts";
import { verifyLog } from "./verify.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

/** The tables without what SQLite enforces of them: whoever can write the file can do that. */
function loosen(db: DatabaseSync): void {
  const tables: readonly (readonly [string, string])[] = [
    ["lines", "n, leaf, tag, text"],
    ["heads", "id, size, frontier, cose"],
    ["epochs", "n, kid"],
  ];
  for (const [name, columns] of tables) {
    db.exec(
      `ALTER TABLE ${name} RENAME TO old; CREATE TABLE ${name} (${columns});
       INSERT INTO ${name} SELECT * FROM old; DROP TABLE old`,
    );
  }
}

/** SQL of a value that a column may be given. */
const VALUES = [
  "NULL",
  "''",
  "'x'",
  "-1",
  "7",
  "1.5",
  "9007199254740993",
  "1e300",
  "x''",
  "x'00'",
  "zeroblob(32)",
  "zeroblob(100000)",
  "CAST(x'ff00fe' AS TEXT)",
  "char(0) || 'after'",
  "'{\"n\":5}'",
  "'null'",
];
const COLUMNS = [
  ["lines", "n"],
  ["lines", "leaf"],
  ["lines", "tag"],
  ["lines", "text"],
  ["heads", "size"],
  ["heads", "cose"],
] as const;

/** What a command comes to: done, or the code of its error. Anything else is a fault of ours. */
async function outcome(act: () => unknown): Promise<string> {
  try {
    await act();
    return "done";
  } catch (error) {
    if (error instanceof SecLlamaError) return error.code;
    throw error;
  }
}

async function checkAll(rig: LogRig, what: string): Promise<void> {
  const good = ["done", "audit-broken", "audit-failed"];
  let problems = 1;
  const verified = await outcome(async () => problems = (await rig.verify()).problems.length);
  assert.ok(good.includes(verified), `${what}: verify: ${verified}`);
  assert.ok(problems > 0, `${what}: is said to be whole`);
  const others: Record<string, (db: AuditDatabase) => unknown> = {
    list: (db) => [...db.lines()].map(({ text }) => text && parseLine(text)),
    export: (db) => [...exportLines(db)].length,
    prune: (db) => olderThan(db, Date.now()),
    // A line that is not there is no fault of the log.
    prove: (db) => db.line(5)?.text && db.lastHead()!.size > 5 && proveLine(db, 5),
    // A rotation, and what a receipt and a fleet's report read.
    leaves: (db) => db.leaves(0, 20),
  };
  for (const [name, act] of Object.entries(others)) {
    const said = await outcome(() => {
      using db = AuditDatabase.read(rig.folder)!;
      return act(db);
    });
    assert.ok(good.includes(said), `${what}: ${name}: ${said}`);
  }
}

/** Puts the file back as it was before. */
async function each(
  rig: LogRig,
  cases: readonly (readonly [string, (db: DatabaseSync) => void])[],
): Promise<void> {
  const path = join(rig.folder, AUDIT_FILE);
  const whole = await Deno.readFile(path);
  for (const [what, change] of cases) {
    for (const end of ["-wal", "-shm"]) await Deno.remove(path + end).catch(() => {});
    await Deno.writeFile(path, whole);
    rig.attack(change);
    await checkAll(rig, what);
  }
}

Deno.test("audit: whatever stands where a number, a hash, a tag, a text or a head belongs is found", () =>
  withLog(async (rig) => {
    await rig.fill(20);
    const cases = COLUMNS.flatMap(([table, column]) =>
      VALUES.map((value) => {
        const sql = `UPDATE ${table} SET ${column} = ${value} WHERE rowid = 5 + (
          SELECT min(rowid) FROM ${table}) * ('${table}' = 'lines') - 2 * ('${table}' = 'heads')`;
        return [`${table}.${column} = ${value}`, (db: DatabaseSync) => {
          loosen(db);
          const { changes } = db.prepare(sql).run();
          assert.equal(Number(changes), 1, `control: ${sql}`);
        }] as const;
      })
    );
    await each(rig, FULL ? cases : cases.filter((_, i) => i % 3 === 0));
  }));

Deno.test("audit: a page of the file that is damaged is a verdict or an error", () =>
  withLog(async (rig) => {
    await rig.fill(300, 50);
    const path = join(rig.folder, AUDIT_FILE);
    const whole = await Deno.readFile(path);
    const before = JSON.stringify((await rig.verify()).root);
    let hurt = 0;
    const random = seeded(SEED);
    for (let i = 0; i < (FULL ? 400 : 25); i++) {
      const bytes = whole.slice();
      const at = 100 + Math.floor(random() * (bytes.length - 164));
      const end = at + 1 + Math.floor(random() * 64);
      bytes.subarray(at, end).forEach((_, j, part) => part[j] = Math.floor(random() * 256));
      await Deno.writeFile(path, bytes);
      let verdict;
      const said = await outcome(async () => verdict = await rig.verify());
      assert.ok(["done", "audit-broken", "audit-failed"].includes(said), `byte ${at}: ${said}`);
      if (verdict === undefined) hurt++;
      else {
        const { problems, root, lines } = verdict as Awaited<ReturnType<LogRig["verify"]>>;
        // Free space, or a page of receipts, holds nothing of the record.
        const same = JSON.stringify(root) === before && lines === 301;
        assert.ok(problems.length > 0 || same, `byte ${at}: another record is said to be whole`);
        if (problems.length > 0) hurt++;
      }
    }
    assert.ok(hurt > 0, "control: some of it was found");
    await Deno.writeFile(path, whole);
  }));

Deno.test("audit: a log of another version is called so, and not changed", () =>
  withLog(async (rig) => {
    await rig.fill(5);
    for (const version of [1, 3]) {
      rig.attack((db) =>
        db.prepare("UPDATE meta SET value = ? WHERE name = 'version'").run(version)
      );
      for (const act of [() => rig.verify(), () => rig.open()]) {
        const error = await act().then(() => assert.fail("it was read"), (error) => error);
        assert.equal(error.code, "audit-broken");
        assert.match(error.message, new RegExp(`of version ${version}; this program .* version 2`));
        assert.match(error.hint, /move it away/);
      }
    }
    rig.attack((db) => db.exec("UPDATE meta SET value = 'two' WHERE name = 'version'"));
    assert.equal(await code(rig.verify()), "audit-broken");
  }));

Deno.test("audit: a line's number and time are read from its bytes as from its JSON", () => {
  const head = new LineHead();
  const entry = (event: string) => ({ event, fields: {} }) as unknown as AuditEntry;
  const numbers = [0, 1, 9, 10, 4_095, 2 ** 31, 2 ** 53 - 1];
  for (const n of numbers) {
    for (const t of numbers) {
      for (const event of ["exchange", "audit-key", "clock-moved", "client-paired", "a"]) {
        const text = lineText(n, t, entry(event));
        assert.equal(head.read(utf8(`\0${text}`), 1), true, text);
        assert.deepEqual([head.n, head.t], [n, t]);
        assert.equal(head.isOwn, /^(audit|clock)-/.test(event));
      }
    }
  }
  // Either it says what JSON.parse says, or it says nothing.
  const seed = lineText(12, 345, entry("exchange"));
  const random = seeded(SEED);
  for (let i = 0; i < 20_000; i++) {
    const bytes = utf8(seed);
    const at = Math.floor(random() * 36);
    const with_ = '0123456789-+.eE"{},:ntex '.charCodeAt(Math.floor(random() * 25));
    bytes[at] = with_;
    const text = new TextDecoder().decode(bytes);
    const line = parseLine(text);
    if (!head.read(bytes, 0) || line === undefined) continue;
    assert.deepEqual([head.n, head.t], [line.n, line.t], text);
  }
  assert.equal(head.read(utf8('{"n":12345678901234567,"t":1,"event":"x"}'), 0), false);
});

Deno.test("audit: an export with other line ends or spaces is the same; of no row anything else is believed", () =>
  withLog(async (rig) => {
    await rig.fill(20);
    using db = AuditDatabase.read(rig.folder)!;
    const rows = [...exportLines(db)];
    const root = (text: string) => verifyLog(readExport(utf8(text))).root;
    const whole = root(rows.join("\n"));
    assert.equal(root(rows.join("\r\n")), whole);
    assert.equal(root(`\n${rows.join("\n\n")}\n`), whole);
    assert.equal(root(rows.map((row) => row.replace(":", " : ")).join("\n")), whole);
    const said = (text: string) =>
      outcome(() => {
        assert.ok(verifyLog(readExport(utf8(text))).problems.length > 0, text);
      });
    for (
      const row of [
        '{"line":"',
        '{"line":"x"}',
        '{"line":5}',
        '{"head":"AAAA"}',
        "[]",
        "null",
        "{}",
      ]
    ) {
      for (const at of [0, 1, 5, rows.length]) {
        assert.equal(await said(rows.toSpliced(at, 0, row).join("\n")), "bad-request", row);
        assert.equal(await said(rows.toSpliced(at, 1, row).join("\n")), "bad-request", row);
      }
    }
  }));
