/** The audit log: what is recorded is there and can be proven; what happens to it does no harm. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Bytes, toHex, utf8 } from "../bytes.ts";
import { SecLlamaError, toSecLlamaError } from "../errors.ts";
import { label } from "../log.ts";
import { code } from "../keys/testing.ts";
import { isConsistent } from "./consistency.ts";
import { AUDIT_FILE, AuditDatabase } from "./database.ts";
import { checkProof, exportLines, proveLine, readExport } from "./export.ts";
import { readHead } from "./head.ts";
import { parseLine } from "./line.ts";
import { AuditSigner } from "./signer.ts";
import { forgetBefore, olderThan } from "./retention.ts";
import { exchange, HID, withLog } from "./testing.ts";
import { verifyLog } from "./verify.ts";

Deno.test("audit: what is recorded is there, in order, and whole", () =>
  withLog(async (rig) => {
    await rig.fill(25);
    await rig.fill(5);
    const verdict = await rig.verify();
    assert.deepEqual(verdict.problems, []);
    assert.deepEqual(verdict.notes, []);
    assert.equal(verdict.lines, 31);
    assert.equal(verdict.proven, 31);
    assert.deepEqual(rig.verifyPublic().problems, []);
    using db = AuditDatabase.read(rig.folder)!;
    const lines = [...db.lines()].map(({ text }) => parseLine(text!)!);
    assert.deepEqual(lines.map(({ n }) => n), lines.map((_, i) => i));
    assert.deepEqual(lines.slice(0, 2).map(({ event }) => event), ["audit-begun", "exchange"]);
    const mode = Deno.statSync(join(rig.folder, AUDIT_FILE)).mode! & 0o777;
    if (Deno.build.os !== "windows") assert.equal(mode, 0o600);
  }));

Deno.test("audit: many at once, of two processes' worth of logs, lose nothing", () =>
  withLog(async (rig) => {
    const logs = [await rig.open(), await rig.open()];
    const numbers = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve));
        return await logs[i % 2]!.record(exchange(i));
      }),
    );
    assert.equal(new Set(numbers).size, 500);
    for (const log of logs) await log.close();
    const verdict = await rig.verify();
    assert.deepEqual([verdict.problems, verdict.lines, verdict.proven], [[], 501, 501]);
  }));

Deno.test("audit: a running log takes up a rotation by itself", () =>
  withLog(async (rig) => {
    let active = (await rig.manager.verifiedManifest()).active;
    const log = await rig.open({ activeKid: () => active });
    await log.record(exchange(1));
    active = (await rig.manager.rotate()).kid;
    await log.record(exchange(2));
    await log.close();
    using db = AuditDatabase.read(rig.folder)!;
    assert.deepEqual(db.epochs().map(({ kid }) => kid).at(-1), active);
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: a clock that is moved by a day either way is a line, and no fault", () =>
  withLog(async (rig) => {
    const clock = { wall: 1_800_000_000_000, own: 0 };
    const log = await rig.open({ now: () => clock.wall, monotonic: () => clock.own });
    const pass = (ms: number, setBy = 0) => {
      clock.own += ms;
      clock.wall += ms + setBy;
    };
    for (const setBy of [0, 86_400_000, 0, -86_400_000, -86_400_000, 3_000]) {
      pass(1_000, setBy);
      await log.record(exchange(1));
    }
    await log.close();
    using db = AuditDatabase.read(rig.folder)!;
    const moved = [...db.lines()].map(({ text }) => parseLine(text!)!)
      .filter(({ event }) => event === "clock-moved").map((line) => line["by_ms"]);
    assert.deepEqual(moved, [86_400_000, -86_400_000, -86_400_000]);
    const verdict = await rig.verify();
    assert.deepEqual(verdict.problems, []);
    assert.match(verdict.notes.join(), /time goes back 2 times; the clock was moved 3 times/);
    // It was started anew with a clock behind the last line.
    pass(1_000, -3_600_000);
    const later = await rig.open({ now: () => clock.wall, monotonic: () => 0 });
    await later.record(exchange(2));
    await later.close();
    assert.match([...db.lines()].map(({ text }) => text).at(-2)!, /clock-moved/);
  }));

Deno.test("audit: retention takes texts and leaves what proves the rest", () =>
  withLog(async (rig) => {
    await rig.fill(20);
    await rig.manager.rotate();
    await rig.fill(20);
    const log = await rig.open();
    {
      using db = AuditDatabase.open(rig.folder);
      const future = Date.now() + 1_000;
      assert.equal(olderThan(db, 0), 0);
      assert.equal(olderThan(db, future), log.size);
      await log.record({ event: "audit-pruned", fields: { before: 30 } });
      await log.sign();
      assert.equal(await forgetBefore(db, 30), 28);
    }
    await log.close();
    const verdict = await rig.verify();
    assert.deepEqual([verdict.problems, verdict.forgotten], [[], 28]);
    assert.deepEqual(rig.verifyPublic().problems, []);
    // Under somebody else's key nothing is known of retention, and that is not what is said.
    await withLog(async (other) => {
      using stranger = await AuditSigner.of(other.manager);
      using db = AuditDatabase.read(rig.folder)!;
      const { problems } = verifyLog(db, { key: stranger.signing.publicKey });
      assert.deepEqual(problems.map(({ what }) => what), ["no head is signed by the given key"]);
    });
    const file = new TextDecoder("latin1").decode(
      await Deno.readFile(join(rig.folder, AUDIT_FILE)),
    );
    assert.equal(file.includes('"n":7,'), false, "it is not in the file any more");
    assert.equal(file.includes('"n":35,'), true);
    using db = AuditDatabase.read(rig.folder)!;
    const exported = readExport(utf8([...exportLines(db)].join("\n")));
    assert.deepEqual(verifyLog(exported).problems, []);
  }));

Deno.test("audit: an export is checked with the public key alone; each row that is changed is found", () =>
  withLog(async (rig) => {
    await rig.fill(30);
    using signer = await AuditSigner.of(rig.manager);
    const key = signer.signing.publicKey;
    using db = AuditDatabase.read(rig.folder)!;
    const rows = [...exportLines(db)];
    const check = (changed: readonly string[]) =>
      verifyLog(readExport(utf8(changed.join("\n"))), { key });
    assert.deepEqual(check(rows).problems, []);
    assert.equal(check(rows).proven, 31);
    const lines = rows.flatMap((row, i) => row.startsWith('{"line"') ? [i] : []);
    const last = rows.findLastIndex((row) => row.startsWith('{"head"'));
    for (const i of lines) {
      const edited = rows.toSpliced(i, 1, rows[i]!.replace(/(\\"t\\":)\d/, "$19"));
      assert.notEqual(edited[i], rows[i]);
      const from = Number(/\\"n\\":(\d+)/.exec(rows[i]!)![1]);
      const found = check(edited).problems;
      assert.ok(found.some((p) => p.from <= from && from <= p.to), `line ${from}`);
      assert.ok(check(rows.toSpliced(i, 1)).problems.length > 0, "cut out");
      assert.ok(check(rows.toSpliced(i, 0, rows[i]!)).problems.length > 0, "twice");
    }
    // However it is cut: its first row says how long it was, and what no head counts is nobody's word.
    const counted = (cut: readonly string[], lines: number) => [
      rows[0]!.replace(/"lines":\d+/, `"lines":${lines}`),
      ...cut.slice(1),
    ];
    for (let end = 1; end < rows.length; end++) {
      const cut = rows.slice(0, end);
      const there = cut.filter((row) => row.startsWith('{"line"')).length;
      if (there < 31) assert.match(check(cut).problems[0]!.what, /the export says that it has/);
      const atHead = cut.at(-1)!.startsWith('{"head"');
      // Cut behind a head, with the first row changed too, it is a shorter log, which only a newer head can tell.
      assert.equal(check(counted(cut, there)).problems.length === 0, atHead, `${end} rows`);
    }
    // Without its last heads, what these counted can be changed at will.
    const before = rows.findLastIndex((row, i) => i < last && row.startsWith('{"head"'));
    const beheaded = rows.toSpliced(last, 1).map((row, i) =>
      i > before ? row.replace(/(\\"t\\":)\d/, "$19") : row
    );
    assert.match(check(beheaded).problems[0]!.what, /not under a signed head/);
    for (const lines of [0, -1, 1e17, "31", null]) {
      const first = JSON.stringify({ ...JSON.parse(rows[0]!), lines });
      const read = () => check([first, ...rows.slice(1)]).problems.length;
      if (lines === 0) assert.ok(read() > 0);
      else assert.throws(read, (error) => toSecLlamaError(error).code === "bad-request");
    }
    for (const bad of ["{}", "no", ""]) {
      assert.throws(
        () => readExport(utf8(bad)),
        (error) => toSecLlamaError(error).code === "bad-request",
      );
    }
  }));

Deno.test("audit: a head is shown to go on from one that was given before; of a log that was put back, from none", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    const seen: Bytes[] = [];
    const record = async (count: number) => {
      for (let i = 0; i < count; i++) await log.record(exchange(i));
      await log.sign();
      seen.push(log.head()!);
    };
    for (const count of [1, 1, 5, 9, 40]) await record(count);
    const newest = readHead(seen.at(-1)!);
    for (const before of seen) {
      const { size, root } = readHead(before);
      const { cose, since } = log.headSince(before)!;
      assert.equal(toHex(cose), toHex(seen.at(-1)!));
      const two = { second: newest.size, secondRoot: newest.root, path: since!.path };
      assert.equal(since!.size, size);
      assert.equal(isConsistent({ first: size, firstRoot: root, ...two }), true, `${size}`);
    }
    assert.equal(log.headSince()!.since, undefined);
    assert.equal(log.headSince(new Uint8Array(9))!.since, undefined, "no head");
    await log.close();
    // Another log has heads of these lengths, too.
    await withLog(async (other) => {
      const log = await other.open();
      for (let i = 0; i < 60; i++) {
        await log.record(exchange(i));
        await log.sign();
      }
      for (const before of seen) assert.equal(log.headSince(before)!.since, undefined);
      await log.close();
    });
  }));

Deno.test("audit: a line's proof holds under the key, and nothing else does", () =>
  withLog(async (rig) => {
    await rig.fill(30);
    using signer = await AuditSigner.of(rig.manager);
    const key = signer.signing.publicKey;
    using db = AuditDatabase.read(rig.folder)!;
    for (let n = 0; n <= 30; n++) {
      const proof = proveLine(db, n);
      assert.deepEqual(checkProof(proof, key), { ok: true });
      const other = proveLine(db, (n + 1) % 31);
      for (
        const wrong of [
          { ...proof, line: proof.line.replace('"t":', '"t":1') },
          { ...proof, line: other.line },
          { ...proof, index: other.index, line: other.line },
          { ...proof, size: 30 },
          { ...proof, path: proof.path.slice(1) },
          { ...proof, head: proof.head.replace(/.{8}$/, "AAAAAAA=") },
          null,
          {},
        ]
      ) assert.equal(checkProof(wrong, key).ok, false);
    }
    assert.throws(() => proveLine(db, 31), /the log has 31/);
  }));

Deno.test("audit: while another process writes, this one goes on with its other work, and the line is written", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    const other = new DatabaseSync(join(rig.folder, AUDIT_FILE));
    try {
      other.exec("BEGIN IMMEDIATE");
      const written = log.record(exchange(1));
      // Were this thread held up, the lock would never be given back.
      await new Promise((resolve) => setTimeout(resolve, 200));
      other.exec("ROLLBACK");
      assert.equal(await written, 1);
    } finally {
      other.close();
    }
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: a new key that could not be read at first is taken up later", () =>
  withLog(async (rig) => {
    let active = (await rig.manager.verifiedManifest()).active;
    let locked = false;
    const log = await rig.open({
      activeKid: () => active,
      keys: {
        auditKeys(kid) {
          if (locked) throw new SecLlamaError("key-locked", "locked");
          return rig.manager.auditKeys(kid);
        },
      },
    });
    await log.record(exchange(1));
    active = (await rig.manager.rotate()).kid;
    locked = true;
    for (let i = 0; i < 2; i++) assert.equal(await code(log.record(exchange(2))), "key-locked");
    assert.equal(await code(log.check()), "key-locked");
    locked = false;
    await log.record(exchange(3));
    await log.close();
    using db = AuditDatabase.read(rig.folder)!;
    assert.equal(db.epochs().at(-1)!.kid, active);
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: while much is taken away others write", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    await Promise.all(Array.from({ length: 2_500 }, (_, i) => log.record(exchange(i))));
    await log.record({ event: "audit-pruned", fields: { before: 2_400 } });
    await log.sign();
    using db = AuditDatabase.open(rig.folder);
    let gone = false;
    const taken = forgetBefore(db, 2_400).finally(() => gone = true);
    let meanwhile = 0;
    for (; !gone; meanwhile++) {
      await log.record(exchange(meanwhile));
      // A turn for the other's timer: a line that waits for nobody is written within one turn.
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert.equal(await taken, 2_399, "all but the line that it begins with");
    assert.ok(meanwhile > 1, `${meanwhile} lines meanwhile`);
    await log.close();
    const { problems, forgotten } = await rig.verify();
    assert.deepEqual([problems, forgotten], [[], 2_399]);
  }));

Deno.test("audit: content cannot be in a line", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    await log.record({ event: "exchange", fields: { client: label('secret"}\n prompt') } });
    await log.close();
    using db = AuditDatabase.read(rig.folder)!;
    assert.match(db.line(1)!.text!, /"client":"secret\?\?\?\?prompt"/);
    assert.equal(HID.length, 16);
  }));

Deno.test("audit: SQLite's own log is moved into the file at a head, and not before", () =>
  withLog(async (rig) => {
    // Its files would be seen to have changed.
    const log = await rig.open({ lookMs: 0 });
    const path = join(rig.folder, AUDIT_FILE);
    const bytes = () => [path, `${path}-wal`].map((file) => Deno.statSync(file).size);
    const before = bytes();
    // A page for each line: 4 MiB are a thousand of them.
    for (let i = 0; i < 900; i++) await log.record(exchange(i));
    assert.equal(bytes()[0], before[0], "a line has written the file");
    await log.sign();
    const [, most] = bytes();
    for (let i = 0; i < 4_000; i++) await log.record(exchange(i));
    await log.sign();
    const [file, wal] = bytes();
    assert.ok(file! > 400_000, `${file} bytes`);
    assert.ok(wal! < 3 * most!, `${wal} bytes of log, ${most} after 900 lines`);
    // The log's file keeps its length. Were that gone by, each head would write the file, and others would look it all through.
    const long = 1_000;
    for (let i = 0; i < 20; i++) {
      await log.record(exchange(i));
      Deno.utimeSync(path, long, long);
      await log.sign();
      assert.equal(Deno.statSync(path).mtime!.getTime(), long * 1_000, `head ${i} wrote the file`);
    }
    await log.close();
    assert.equal((await rig.verify()).problems.length, 0);
  }));

Deno.test("audit: a head that cannot be signed is told, though lines can be written, and tried again by itself", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    rig.attack((db) =>
      db.exec("CREATE TRIGGER full BEFORE INSERT ON heads BEGIN SELECT RAISE(FAIL, 'no head'); END")
    );
    await log.record(exchange(1));
    assert.equal(await code(log.sign()), "audit-failed");
    assert.equal(log.unsigned, 2);
    await log.record(exchange(2));
    assert.equal(await code(log.check()), "audit-failed", "the line after it made it good");
    rig.attack((db) => db.exec("DROP TRIGGER full"));
    // Nobody asks, and no line comes.
    while (log.unsigned > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(readHead(log.head()!).size, 3);
    await log.check();
    rig.attack((db) =>
      db.exec("CREATE TRIGGER full BEFORE INSERT ON heads BEGIN SELECT RAISE(FAIL, 'no head'); END")
    );
    await log.record(exchange(3));
    assert.equal(await code(log.sign()), "audit-failed");
    rig.attack((db) => db.exec("DROP TRIGGER full"));
    await log.check();
    assert.equal(log.unsigned, 0, "who asks tries it");
    await log.close();
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("audit: a log that is closed stays closed, whoever records late", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    await log.record(exchange(1));
    const late = log.record(exchange(2));
    await log.close();
    assert.equal(await late, 2);
    for (const call of [() => log.record(exchange(3)), () => log.sign(), () => log.receipt("x")]) {
      assert.equal(await code(call()), "audit-failed");
    }
    await log.close();
    assert.equal((await rig.verify()).lines, 3);
    assert.deepEqual((await rig.verify()).problems, []);
    await (await rig.open()).close();
  }));
