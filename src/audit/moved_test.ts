/** A log whose files are moved away, replaced, damaged and put back while it is written: what cannot be recorded is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { SecLlamaError } from "../errors.ts";
import { databaseFiles } from "../database_files.ts";
import { isYoungAt } from "../file_stamp.ts";
import { code } from "../keys/testing.ts";
import { AUDIT_FILE, AuditDatabase } from "./database.ts";
import { withLog } from "./testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const ENDS = ["", "-wal", "-shm"];

/** The log's files, moved from one folder into another one. */
function move(from: string, to: string, ends = ENDS): void {
  for (const end of ends) Deno.renameSync(join(from, AUDIT_FILE + end), join(to, AUDIT_FILE + end));
}

function copy(from: string, to: string, ends = ENDS): void {
  for (const end of ends) {
    Deno.copyFileSync(join(from, AUDIT_FILE + end), join(to, AUDIT_FILE + end));
  }
}

Deno.test("audit: while the files are away nothing is recorded; put back, moved or as copies, the log goes on", () =>
  withLog(async (rig) => {
    const log = await rig.open({ lookMs: 0 });
    const away = join(rig.folder, "away");
    Deno.mkdirSync(away);
    let lines = 0;
    for (const [i, back] of [move, copy, move, copy].entries()) {
      await log.record({ event: "key-rotated" });
      lines++;
      // Its log alone, too: what is written there afterwards is in no file.
      const ends = i < 2 ? ENDS : [AUDIT_FILE].map(() => "-wal");
      move(rig.folder, away, ends);
      if (i < 2) {
        assert.equal(await code(log.check()), "audit-failed");
        assert.equal(await code(log.record({ event: "key-rotated" })), "audit-failed");
        assert.throws(() => Deno.statSync(join(rig.folder, AUDIT_FILE)), Deno.errors.NotFound);
        // A command's: beside what is left of the log it begins no other one.
        move(away, rig.folder, ["-wal"]);
        assert.equal(await code(rig.open()), "audit-failed");
        assert.throws(() => Deno.statSync(join(rig.folder, AUDIT_FILE)), Deno.errors.NotFound);
        move(rig.folder, away, ["-wal"]);
        back(away, rig.folder, ends);
      }
      await log.check();
      await log.record({ event: "key-rotated" });
      lines++;
    }
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
    using db = AuditDatabase.read(rig.folder)!;
    assert.equal([...db.lines()].filter(({ text }) => text!.includes("key-rotated")).length, lines);
  }));

Deno.test("audit: files that come back one by one, with calls between, bring all lines along", () =>
  withLog(async (rig) => {
    const line = { event: "key-rotated" } as const;
    const away = join(rig.folder, "away");
    Deno.mkdirSync(away);
    let lines = 0;
    for (const isRead of [false, true]) {
      for (const order of [["", "-wal"], ["-wal", ""], ["", "-shm", "-wal"]]) {
        const log = await rig.open({ lookMs: 0 });
        for (let i = 0; i < 3; i++) await log.record(line);
        lines += 3;
        // Whoever reads keeps SQLite's log from being moved into the file.
        const reader = isRead ? new DatabaseSync(join(rig.folder, AUDIT_FILE)) : undefined;
        reader?.exec("BEGIN; SELECT count(*) FROM lines");
        await log.record(line);
        lines++;
        move(rig.folder, away);
        assert.equal(await code(log.record(line)), "audit-failed");
        for (const end of order) {
          move(away, rig.folder, [end]);
          const isWritten = await code(log.record(line));
          assert.match(isWritten, /^(ok|audit-failed)$/, `${order} ${end}`);
          if (isWritten === "ok") lines++;
        }
        reader?.close();
        await log.check();
        await log.record(line);
        lines++;
        await log.close();
        assert.deepEqual((await rig.verify()).problems, [], `${order} ${isRead}`);
        using db = AuditDatabase.read(rig.folder)!;
        const there = [...db.lines()].filter(({ text }) => text!.includes("key-rotated"));
        assert.equal(there.length, lines, `${order} ${isRead}`);
      }
    }
  }));

Deno.test("audit: a log that is closed while its file is damaged keeps what SQLite's log alone has", () =>
  withLog(async (rig) => {
    await rig.fill(100);
    const at = join(rig.folder, AUDIT_FILE);
    const db = AuditDatabase.open(rig.folder, 0);
    const n = db.size();
    const leaf = new Uint8Array(32);
    await db.transaction(() => db.addLine({ n, leaf, tag: leaf, text: "late" }));
    const whole = Deno.readFileSync(at);
    Deno.writeFileSync(at, Uint8Array.from(whole, (byte, i) => i < 4_096 ? byte : 0xff));
    assert.equal(await code(db.transaction(() => [...db.lines()])), "audit-broken");
    db[Symbol.dispose]();
    Deno.writeFileSync(at, whole);
    using after = AuditDatabase.open(rig.folder);
    assert.equal(after.line(n)?.text, "late");
  }));

Deno.test("audit: a file that was refused is taken up when it is put right with its old time", () =>
  withLog(async (rig) => {
    await rig.fill(100);
    using db = AuditDatabase.open(rig.folder, 0);
    const at = join(rig.folder, AUDIT_FILE);
    const whole = Deno.readFileSync(at);
    const put = (bytes: Uint8Array) => {
      Deno.writeFileSync(at, bytes);
      for (const end of ENDS) Deno.utimeSync(at + end, 1_000, 1_000);
    };
    put(Uint8Array.from(whole, (byte, i) => i < 4_096 ? byte : 0xff));
    const use = () => db.transaction(() => db.lastHead());
    // So long that what is there is known, and not looked through again.
    while (databaseFiles(at).isYoung) assert.equal(await code(use()), "audit-broken");
    for (let i = 0; i < 3; i++) assert.equal(await code(use()), "audit-broken");
    put(whole);
    await use();
  }));

Deno.test("audit: where all files are away, who begins another log is told that this machine has seen one", () =>
  withLog(async (rig) => {
    const first = await rig.open();
    assert.equal(first.anew, undefined, "of the first log of all nothing is said");
    await first.record({ event: "key-rotated" });
    await first.close();
    const again = await rig.open();
    assert.equal(again.anew, undefined);
    await again.close();
    const away = join(rig.folder, "away");
    Deno.mkdirSync(away);
    move(rig.folder, away, [""]);
    const other = await rig.open();
    assert.match(other.anew!, /^a new audit log begins: .* of 2 lines, is not in .*audit\.db; /);
    await other.close();
    const next = await rig.open();
    assert.equal(next.anew, undefined, "it is said once");
    await next.close();
  }));

Deno.test("audit: another log, none, or an earlier copy in the place of a log that is written is refused until that is back", () =>
  withLog(async (rig) => {
    const log = await rig.open({ lookMs: 0 });
    const [away, other] = [join(rig.folder, "away"), join(rig.folder, "other")];
    Deno.mkdirSync(away);
    Deno.mkdirSync(other);
    AuditDatabase.open(other)[Symbol.dispose]();
    await log.record({ event: "key-rotated" });
    const earlier = join(rig.folder, "earlier");
    Deno.mkdirSync(earlier);
    copy(rig.folder, earlier);
    await log.record({ event: "key-rotated" });
    const at = join(rig.folder, AUDIT_FILE);
    const instead: Record<string, readonly ["audit-failed" | "audit-broken", () => void]> = {
      "another log": ["audit-broken", () => copy(other, rig.folder, [""])],
      "an earlier copy": ["audit-broken", () => copy(earlier, rig.folder)],
      "no database": ["audit-broken", () => Deno.writeTextFileSync(at, "no database ".repeat(99))],
      "nothing in it": ["audit-broken", () => Deno.writeTextFileSync(at, "")],
      "a folder": ["audit-failed", () => Deno.mkdirSync(at)],
      "a link in a circle": ["audit-failed", () => Deno.symlinkSync(at, at)],
    };
    for (const [name, [expected, put]] of Object.entries(instead)) {
      move(rig.folder, away);
      put();
      for (let i = 0; i < 2; i++) {
        assert.equal(await code(log.check()), expected, name);
        assert.equal(await code(log.check()), expected, name);
        assert.equal(await code(log.record({ event: "key-rotated" })), expected, name);
        await assert.rejects(log.receipt("none"), SecLlamaError, name);
      }
      for (const end of ENDS) await Deno.remove(at + end, { recursive: true }).catch(() => {});
      move(away, rig.folder);
      await log.check();
      await log.record({ event: "key-rotated" });
    }
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: what is put beside the log's own -wal gets none of its pages, and takes none of them away", () =>
  withLog(async (rig) => {
    const log = await rig.open({ lookMs: 0 });
    const [away, other] = [join(rig.folder, "away"), join(rig.folder, "other")];
    Deno.mkdirSync(away);
    Deno.mkdirSync(other);
    AuditDatabase.open(other)[Symbol.dispose]();
    const at = join(rig.folder, AUDIT_FILE);
    const wal = () => Deno.readFileSync(`${at}-wal`);
    const foreign = Deno.readFileSync(join(other, AUDIT_FILE));
    const instead: Record<string, () => void> = {
      "nothing": () => {},
      "an empty file": () => Deno.writeTextFileSync(at, ""),
      "another log": () => Deno.writeFileSync(at, foreign),
      "no database": () => Deno.writeTextFileSync(at, "no database ".repeat(999)),
    };
    for (const [name, put] of Object.entries(instead)) {
      await log.record({ event: "key-rotated" });
      const before = wal();
      move(rig.folder, away, [""]);
      put();
      const there = name === "nothing" ? undefined : Deno.readFileSync(at);
      for (let i = 0; i < 2; i++) {
        await assert.rejects(log.check(), SecLlamaError, name);
        await assert.rejects(log.record({ event: "key-rotated" }), SecLlamaError, name);
        if (name === "nothing" || name === "an empty file") {
          assert.throws(() => AuditDatabase.read(rig.folder), { code: "audit-failed" }, name);
          assert.throws(() => AuditDatabase.open(rig.folder), { code: "audit-failed" }, name);
        }
      }
      assert.deepEqual(wal(), before, `${name}: its log is as it was`);
      if (there !== undefined) {
        assert.deepEqual(Deno.readFileSync(at), there, `${name}: so is that`);
      }
      move(away, rig.folder, [""]);
      await log.check();
    }
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
    using db = AuditDatabase.read(rig.folder)!;
    assert.equal(db.size() >= Object.keys(instead).length, true);
  }));

Deno.test("audit: a file that was cut under a log, and is written over with what was there, is whole", () =>
  withLog(async (rig) => {
    await rig.fill(100);
    const log = await rig.open({ lookMs: 0 });
    await log.record({ event: "key-rotated" });
    const at = join(rig.folder, AUDIT_FILE);
    const whole = Deno.readFileSync(at);
    for (const bytes of [whole.subarray(0, whole.length / 2), new Uint8Array(whole.length)]) {
      Deno.writeFileSync(at, bytes);
      for (let i = 0; i < 3; i++) assert.equal(await code(log.check()), "audit-broken");
      assert.equal(await code(log.record({ event: "key-rotated" })), "audit-broken");
      Deno.writeFileSync(at, whole);
      await log.check();
      await log.record({ event: "key-rotated" });
    }
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: a file that is damaged and put right within a tick of the file system's clock is taken up at once", () =>
  withLog(async (rig) => {
    await rig.fill(100);
    using db = AuditDatabase.open(rig.folder, 0);
    const at = join(rig.folder, AUDIT_FILE);
    const whole = Deno.readFileSync(at);
    const first = Deno.statSync(at).mtime!.getTime();
    const pages = Uint8Array.from(whole, (byte, i) => i < 4_096 ? byte : 0xff);
    const write = (bytes: Uint8Array, ms: number) => {
      Deno.writeFileSync(at, bytes);
      Deno.utimeSync(at, ms / 1000, ms / 1000);
    };
    const use = () => db.transaction(() => db.lastHead());
    const refused = async () => {
      // The first time SQLite's log beside it goes, the next times it is the same.
      for (let i = 0; i < 3; i++) assert.equal(await code(use()), "audit-broken");
    };
    for (const damaged of [new Uint8Array(whole.length), pages]) {
      // Nothing is seen of either, unless a page is read.
      write(damaged, first);
      for (let i = 0; i < 3; i++) {
        await use().catch((error) => assert.equal(error.code, "audit-broken"));
      }
      write(whole, first);
      await use();
      let last = 0;
      for (let met = 0; met < 5;) {
        last = Math.max(Date.now(), last + 1);
        write(damaged, last);
        await refused();
        // Where this took too long, it is no case of it.
        if (isYoungAt(last)) met++;
        else last++;
        write(whole, last);
        await use();
      }
      write(whole, first);
      await use();
    }
  }));

Deno.test("audit: lines that are in SQLite's own log alone outlast a damaged file that is put right", () =>
  withLog(async (rig) => {
    await rig.fill(100);
    const at = join(rig.folder, AUDIT_FILE);
    const whole = Deno.readFileSync(at);
    const first = Deno.statSync(at).mtime!.getTime();
    const pages = Uint8Array.from(whole, (byte, i) => i < 4_096 ? byte : 0xff);
    for (const damaged of [new Uint8Array(whole.length), pages]) {
      for (const isSeen of [false, true]) {
        const db = AuditDatabase.open(rig.folder, 0);
        const n = db.size();
        const leaf = new Uint8Array(32);
        await db.transaction(() => db.addLine({ n, leaf, tag: leaf, text: "late" }));
        Deno.writeFileSync(at, damaged);
        if (!isSeen) Deno.utimeSync(at, first / 1000, first / 1000);
        let told = 0;
        for (let i = 0; i < 3; i++) {
          await db.transaction(() => [...db.lines()]).catch((error) => {
            assert.equal(error.code, "audit-broken");
            told++;
          });
        }
        assert.ok(told > 0, "control: the damage was met");
        Deno.writeFileSync(at, whole);
        assert.equal(await db.transaction(() => db.line(n)?.text), "late");
        await db.transaction(() => {});
        // As if the process were killed: what is closed last would write the file.
        const copy = Deno.makeTempDirSync({ dir: rig.folder });
        for (const end of ENDS) Deno.copyFileSync(at + end, join(copy, AUDIT_FILE + end));
        db[Symbol.dispose]();
        using after = AuditDatabase.open(copy);
        assert.equal(after.line(n)?.text, "late");
        Deno.writeFileSync(at, whole);
      }
    }
  }));

Deno.test("audit: where SQLite's own log alone is put right, a file that was refused is taken up", () =>
  withLog(async (rig) => {
    await rig.fill(10);
    using db = AuditDatabase.open(rig.folder, 0);
    const at = join(rig.folder, AUDIT_FILE);
    const wal = `${at}-wal`;
    const n = db.size();
    const leaf = new Uint8Array(32);
    await db.transaction(() => db.addLine({ n, leaf, tag: leaf, text: "late" }));
    const good = Deno.readFileSync(wal);
    // Long ago: what is refused is not looked at again while it stays as it is.
    Deno.writeFileSync(wal, new Uint8Array(good.length));
    Deno.utimeSync(wal, 1_000, 1_000);
    Deno.utimeSync(at, 1_001, 1_001);
    for (let i = 0; i < 2; i++) {
      assert.equal(await code(db.transaction(() => db.line(n))), "audit-broken");
    }
    Deno.writeFileSync(wal, good);
    assert.equal(await db.transaction(() => db.line(n)?.text), "late");
  }));

Deno.test(`audit: where the files are cut under a log, it is refused, or verify finds what is missing (seed: ${SEED})`, async () => {
  const random = seeded(SEED);
  const upTo = (n: number) => Math.floor(random() * n);
  let refused = 0;
  for (let i = 0; i < (FULL ? 200 : 12); i++) {
    await withLog(async (rig) => {
      await rig.fill(40 + upTo(200));
      const log = await rig.open({ lookMs: 0 });
      await log.record({ event: "key-rotated" });
      const at = join(rig.folder, AUDIT_FILE + (i % 3 === 0 ? "-wal" : ""));
      const { size } = Deno.statSync(at);
      using file = Deno.openSync(at, { write: true });
      file.truncateSync(upTo(size));
      let told = false;
      for (let n = 0; n < 3; n++) {
        await log.record({ event: "key-rotated" }).catch((error) => {
          assert.match(error.code, /^audit-(broken|failed)$/);
          told = true;
        });
      }
      await log.close().catch(() => {});
      if (told) refused++;
      // SQLite takes what is missing of the last page for zeros: where it was the end of a text alone, that text is another one.
      else for (const { what } of (await rig.verify()).problems) assert.match(what, /^changed: /);
    });
  }
  assert.ok(refused > 0, "control: some of it was refused");
});
