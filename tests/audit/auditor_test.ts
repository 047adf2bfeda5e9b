/** An auditor with the key and the file alone, in another language: what our own check says, Python's cryptography says too. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AUDIT_EVENTS,
  AuditDatabase,
  AuditSigner,
  exportLines,
  forgetBefore,
  proveLine,
  readExport,
  verifyLog,
} from "../../src/audit/mod.ts";
import { type LogRig, withLog } from "../../src/audit/testing.ts";
import { utf8 } from "../../src/bytes.ts";
import { label } from "../../src/log.ts";
import { toPem } from "../../src/pem.ts";
import { SEED, seeded } from "../support/seeds.ts";

const AUDITOR = new URL("auditor.py", import.meta.url).pathname;

async function audit(...args: string[]): Promise<[code: number, said: string]> {
  const { code, stdout, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: [AUDITOR, ...args],
    stdout: "piped",
    stderr: "piped",
  }).output();
  return [code, new TextDecoder().decode(code === 0 ? stdout : stderr).trim()];
}

Deno.test("audit: Python's cryptography finds an export whole, and an edited one not", () =>
  withLog(async (rig) => {
    await rig.fill(50);
    using signer = await AuditSigner.of(rig.manager);
    using db = AuditDatabase.read(rig.folder)!;
    const [key, file, proof] = ["key.pem", "export.jsonl", "proof.json"].map((name) =>
      join(rig.folder, name)
    ) as [string, string, string];
    await Deno.writeTextFile(key, toPem("PUBLIC KEY", signer.signing.publicKey.spki()));
    const rows = [...exportLines(db)];
    await Deno.writeTextFile(file, rows.join("\n") + "\n");
    const heads = rows.filter((row) => row.startsWith('{"head"')).length;
    assert.deepEqual(await audit(key, file), [0, `whole 51 ${heads}`]);
    for (const n of [0, 17, 50]) {
      await Deno.writeTextFile(proof, JSON.stringify(proveLine(db, n)));
      assert.deepEqual(await audit(key, proof), [0, `proven ${n}`]);
    }
    await Deno.writeTextFile(proof, JSON.stringify({ ...proveLine(db, 17), index: 18 }));
    assert.equal((await audit(key, proof))[0], 1);
    await Deno.writeTextFile(file, rows.slice(0, -4).join("\n") + "\n");
    assert.match((await audit(key, file))[1], /not whole: AssertionError/);
    const edited = rows.map((row) => row.replace("client-3", "client-4"));
    await Deno.writeTextFile(file, edited.join("\n") + "\n");
    const [code, said] = await audit(key, file);
    assert.equal(code, 1);
    assert.match(said, /not what was signed/);
    await withLog(async (other) => {
      using stranger = await AuditSigner.of(other.manager);
      await Deno.writeTextFile(key, toPem("PUBLIC KEY", stranger.signing.publicKey.spki()));
      await Deno.writeTextFile(file, rows.join("\n") + "\n");
      assert.match((await audit(key, file))[1], /not whole: AssertionError cut/);
    });
  }));

/** Lines of every kind in any order, under keys that change, some of their texts taken away since. */
async function fillWithAll(rig: LogRig, random: () => number): Promise<void> {
  const one = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)]!;
  const own = ["audit-begun", "audit-key", "audit-pruned", "clock-moved"];
  const events = AUDIT_EVENTS.filter((event) => !own.includes(event));
  const texts = ["demo:latest", 'a "b"\n', "ü\u2028", "\\", "", "x".repeat(300)].map(label);
  const value = () => one([...texts, true, false, 0, -1, 1.5e-7, 2 ** 53 - 1, 1e21]);
  for (let keys = 0; keys < 4; keys++) {
    const log = await rig.open();
    for (const event of events.toSorted(() => random() - 0.5)) {
      await log.record({ event, fields: { client: one(texts), a: value(), b: value() } });
      if (random() < 0.2) await log.sign();
    }
    if (keys === 2) {
      const before = 1 + Math.floor(random() * (log.size - 1));
      await log.record({ event: "audit-pruned", fields: { before } });
      await log.sign();
      using db = AuditDatabase.open(rig.folder);
      await forgetBefore(db, before);
    }
    await log.close();
    await rig.manager.rotate();
  }
}

/** One change to the rows, or several. */
function changed(rows: readonly string[], random: () => number): string[] {
  if (rows.length < 2) return [...rows]; // the first row alone, by an earlier change
  const at = () => 1 + Math.floor(random() * (rows.length - 1));
  const [i, j] = [at(), at()];
  const row = rows[i]!;
  const k = Math.floor(random() * row.length);
  const digit = String((Number(/\d/.exec(row)?.[0] ?? 0) + 1) % 10);
  const kinds: (() => string[])[] = [
    () => rows.toSpliced(i, 1),
    () => rows.toSpliced(i, 0, rows[j]!),
    () => rows.with(i, rows[j]!).with(j, row),
    () => rows.slice(0, i),
    () => rows.with(i, row.replace(/\d/, digit)),
    () => rows.with(i, row.slice(0, k) + (row[k] === "A" ? "B" : "A") + row.slice(k + 1)),
    () => rows.with(i, row.replace("demo:latest", "demo:oldest")),
    () => rows.map((one) => one.replace("token-created", "token-revoked")),
  ];
  return kinds[Math.floor(random() * kinds.length)]!();
}

const EDITS = Deno.env.get("SECLLAMA_FULL") === "1" ? 500 : 100;

Deno.test(`audit: every kind of line, keys that change, retention: of ${EDITS} edited exports Python says what we say`, () =>
  withLog(async (rig) => {
    const random = seeded(SEED);
    using signer = await AuditSigner.of(rig.manager);
    const key = signer.signing.publicKey;
    const pem = join(rig.folder, "key.pem");
    await Deno.writeTextFile(pem, toPem("PUBLIC KEY", key.spki()));
    await fillWithAll(rig, random);
    using db = AuditDatabase.read(rig.folder)!;
    const rows = [...exportLines(db)];
    const files: string[] = [];
    const ours: boolean[] = [];
    for (let n = 0; n <= EDITS; n++) {
      let edited = rows;
      for (let more = n === 0 ? 0 : n % 8 === 0 ? 2 : 1; more > 0; more--) {
        edited = changed(edited, random);
      }
      const file = join(rig.folder, `${n}.jsonl`);
      await Deno.writeTextFile(file, edited.join("\n") + "\n");
      files.push(file);
      ours.push(isWhole(edited.join("\n")));
    }
    function isWhole(text: string): boolean {
      try {
        return verifyLog(readExport(utf8(text)), { key }).problems.length === 0;
      } catch {
        return false; // no export at all
      }
    }
    const done = await new Deno.Command("/usr/bin/python3", { args: [AUDITOR, pem, ...files] })
      .output();
    const theirs = new TextDecoder().decode(done.stdout).trim().split("\n");
    assert.equal(theirs.length, files.length, new TextDecoder().decode(done.stderr));
    assert.match(theirs[0]!, /^whole 1\d\d \d+$/);
    const differs = theirs.flatMap((said, n) =>
      said.startsWith("whole") === ours[n] ? [] : `${n}: ${said}`
    );
    assert.deepEqual(differs, []);
    assert.ok(ours.filter((whole) => whole).length < EDITS / 3, "most edits do harm");
  }));
