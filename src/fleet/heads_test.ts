/** The audit logs of a fleet as one: what a host does to its own log, which its own key cannot show, the heads on the issuer do. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AUDIT_FILE,
  AuditDatabase,
  AuditLog,
  AuditSigner,
  exportLines,
  readExport,
  verifyLog,
} from "../audit/mod.ts";
import { fromHex, toBase64Url, toHex } from "../bytes.ts";
import { KeyManager } from "../keys/keyset/manager.ts";
import { ManifestFile } from "../keys/mod.ts";
import { label } from "../log.ts";
import { RECORDS } from "./bundle.ts";
import { signHead } from "../audit/head.ts";
import { HeadKeeper, kept, verifyFleet } from "./heads.ts";
import { asIssuer, fleetHosts, removeHost } from "./issuer.ts";
import { type HostReport, reportKeyOf, sealReport } from "./report.ts";
import type { KeptHead } from "./state.ts";
import { MemoryFleetStore } from "./store.ts";
import { type Machine, withFleet } from "./testing.ts";

/** As the host's own owner, who has its keys. @returns The newest head, as a report says it. */
async function write({ dataDir, keys }: Machine, lines: number, what = "demo"): Promise<string> {
  const log = await AuditLog.open({ dataDir, keys, hid: keys.hid, stateDir: undefined });
  for (let i = 0; i < lines; i++) {
    await log.record({ event: "exchange", fields: { model: label(what) } });
  }
  await log.sign();
  const head = toBase64Url(log.head()!);
  await log.close();
  return head;
}

function exported({ dataDir }: Machine): string {
  using db = AuditDatabase.read(dataDir)!;
  return [...exportLines(db)].join("\n");
}

const report = (audit: string): HostReport => ({
  ...{ label: "gpu", at: Date.now(), version: "0", head: 1, models: [], loaded: [] },
  ...{ active: 0, parallel: 1, audit },
});

Deno.test("fleet audit: each host's log whole, as long as it was, and none missing", async () => {
  await withFleet(async ({ issuer, hosts }) => {
    await using store = new MemoryFleetStore();
    const key = async () => {
      const { seed, hosts } = await asIssuer(issuer.state);
      return reportKeyOf(seed, hosts.filter(({ removed }) => removed !== null).length);
    };
    const say = async (machine: Machine, head: string, as = machine) => {
      const hid = toHex(as.keys.hid);
      await store.put(RECORDS.report(hid), sealReport(report(head), await key(), hid));
    };
    const keeper = await HeadKeeper.start(issuer.state, store);
    const [one, two] = hosts as [Machine, Machine];
    await say(one, await write(one, 5));
    await say(two, await write(two, 3));
    const before = exported(one);
    const folderBefore = await Deno.readFile(join(one.dataDir, AUDIT_FILE));
    await say(one, await write(one, 7));
    await keeper[Symbol.asyncDispose]();

    const verify = async (...texts: string[]) => {
      const all = await fleetHosts(issuer.state);
      const { hosts, foreign } = verifyFleet(
        all,
        await issuer.state.readHeads(),
        texts.map(readExport),
      );
      const problems = hosts.flatMap(({ label, logs, problems }) => [
        ...problems.map((what) => `${label}: ${what}`),
        ...logs.flatMap((log) => log.problems.map(({ what }) => `${label}: ${what}`)),
      ]);
      return { problems, foreign };
    };
    const good = exported(two);
    assert.deepEqual(await verify(exported(one), good), { problems: [], foreign: [] });

    // The export of before the last lines: a host that hides what it did since.
    const own = new KeyManager({ file: new ManifestFile(one.dataDir), store: one.store });
    using signer = await AuditSigner.of(own);
    const { publicKey } = signer.signing;
    assert.deepEqual(verifyLog(readExport(before), { key: publicKey }).problems, [], "control");
    assert.match((await verify(before, good)).problems.join(), /gpu-1: missing: a signed head/);
    assert.match((await verify(good)).problems.join(), /gpu-1: its log \w+ is missing: it had/);
    // Another host's, given twice: that of this one is missing all the same.
    assert.match((await verify(good, good)).problems.join(), /gpu-1: its log \w+ is missing/);

    // Put back from earlier by the host itself, and gone on from there past the length that it had.
    const now = exported(one);
    await Deno.writeFile(join(one.dataDir, AUDIT_FILE), folderBefore);
    const regrownHead = await write(one, 20, "other");
    const regrown = exported(one);
    assert.deepEqual(verifyLog(readExport(regrown), { key: publicKey }).problems, [], "control");
    assert.match((await verify(regrown, good)).problems.join(), /one of these is not what was/);
    // Told to an issuer that listens, it does not take the place of those of before.
    const path = join(issuer.dataDir, "fleet-heads.json");
    const untold = await Deno.readTextFile(path);
    const name = RECORDS.report(toHex(one.keys.hid));
    const reportBefore = (await store.get(name))!;
    {
      await using later = await HeadKeeper.start(issuer.state, store);
      await say(one, regrownHead);
      assert.ok(later);
    }
    assert.notEqual(await Deno.readTextFile(path), untold);
    assert.match((await verify(regrown, good)).problems.join(), /one of these is not what was/);
    assert.match((await verify(now, good)).problems.join(), /gpu-1: missing: a signed head/);
    await Deno.writeTextFile(path, untold);
    await store.put(name, reportBefore);

    // Begun anew.
    for (const end of ["", "-wal", "-shm"]) {
      await Deno.remove(join(one.dataDir, AUDIT_FILE + end)).catch(() => {});
    }
    const head = await write(one, 2);
    const anew = exported(one);
    assert.match((await verify(anew, good)).problems.join(), /gpu-1: its log \w+ is missing/);
    assert.deepEqual((await verify(anew, now, good)).problems, [], "both are there");

    // A rotation: the new key's head counts, and a log of before it is none.
    {
      await using later = await HeadKeeper.start(issuer.state, store);
      await say(one, head);
      await own.rotate();
      const rotated = { ...one, keys: await one.open() };
      await say(one, await write(rotated, 2));
      rotated.keys[Symbol.dispose]();
      assert.ok(later);
    }
    assert.deepEqual((await verify(exported(one), now, good)).problems, []);
    assert.match((await verify(anew, now, good)).problems.join(), /gpu-1: its log \w+ has no key/);

    // A host that was taken out says nothing any more; what it said stays.
    await removeHost(issuer.state, "gpu-2");
    assert.match((await verify(exported(one), now)).problems.join(), /gpu-2: its log \w+ is miss/);
    // Who can write the issuer's folder and has no key takes no head away.
    const { heads, ...rest } = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...rest, heads: "{}" }));
    await assert.rejects(issuer.state.readHeads(), { code: "key-corrupt" });
    await Deno.writeTextFile(path, JSON.stringify({ ...rest, heads }));
    // Somebody else's log is nobody's.
    const { foreign } = await verify(exported(one), now, good, exported(await stranger(issuer)));
    assert.equal(foreign.length, 1);
  });
});

async function stranger({ dataDir, open }: Machine): Promise<Machine> {
  const keys = await open();
  const machine = { dataDir, keys } as Machine;
  await write(machine, 1);
  keys[Symbol.dispose]();
  return machine;
}

Deno.test("fleet audit: a head is kept beside those of before, if it is one, and its host has not said too many", async () => {
  await withFleet(async ({ hosts }) => {
    const [one] = hosts as [Machine, Machine];
    const short = await write(one, 1);
    const long = await write(one, 3);
    using signer = await AuditSigner.of(one.keys);
    const { signing } = signer;
    const audit = signing.publicKey;
    const first = kept([], short, { at: 1, audit })!;
    const second = kept(first, long, { at: 2, audit })!;
    assert.deepEqual(second.map(({ cose }) => cose), [short, long]);
    assert.equal(kept(second, short, { at: 3, audit }), undefined, "known already");
    const forged = (fields: Partial<Parameters<typeof signHead>[1]>, by = signing) => {
      const head = { log: new Uint8Array(16), size: 1, root: new Uint8Array(32), timeMs: 1 };
      return signHead(by, { ...head, ...fields });
    };
    // Of the host's key, and not signed by it: nothing, however long it says to be.
    const junk = forged({ log: fromHex(first[0]!.log), size: Number.MAX_SAFE_INTEGER });
    junk[junk.length - 1]! ^= 1;
    const texts = ["", "x", long.slice(4), "A".repeat(200), toBase64Url(junk)];
    texts.push(toBase64Url(forged({ log: new Uint8Array(17) })));
    texts.push(toBase64Url(forged({ log: new Uint8Array(5000) })));
    for (const text of texts) assert.equal(kept(second, text, { at: 3, audit }), undefined, text);
    assert.equal(kept(second, toBase64Url(junk), { at: 3 })!.length, 3, "control: a key unknown");
    const many = Array.from({ length: 64 }, (_, i) => ({ ...second[0]!, log: `${i}` }));
    assert.equal(kept(many, long, { at: 3, audit }), undefined);

    // However many come: the first, the longest, the last; and what came in a flood goes before what came slowly.
    const log = new Uint8Array(16).fill(7);
    const sized = (size: number) => toBase64Url(forged({ log, size }));
    let all: readonly KeptHead[] = second;
    const say = (size: number, at: number) => all = kept(all, sized(size), { at, audit }) ?? all;
    for (let i = 1; i <= 20; i++) say(i, i * 60_000);
    say(1_000_000, 20 * 60_000 + 1);
    for (let i = 1; i <= 300; i++) say(100 + i, 20 * 60_000 + 2 + i);
    const sizes = all.slice(2).map(({ size }) => size);
    assert.equal(sizes.length, 32);
    assert.deepEqual(sizes.slice(0, 21), [...Array.from({ length: 20 }, (_, i) => i + 1), 1e6]);
    assert.equal(sizes.at(-1), 400);
    assert.deepEqual(all.slice(0, 2), second);
  });
});
