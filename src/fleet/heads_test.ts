/** The audit logs of a fleet as one: what a host does to its own log, which its own key cannot show, the heads on the issuer do. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AUDIT_FILE,
  AuditDatabase,
  AuditLog,
  AuditSigner,
  exportLines,
  headNames,
  readExport,
  SigningKey,
  verifyLog,
} from "../audit/mod.ts";
import { type Bytes, fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from "../bytes.ts";
import { KeyManager } from "../keys/keyset/manager.ts";
import { ManifestFile } from "../keys/mod.ts";
import { label } from "../log.ts";
import { RECORDS } from "./bundle.ts";
import { consistencyProofBy } from "../audit/consistency.ts";
import { signHead } from "../audit/head.ts";
import { leafHash, rootOf } from "../audit/tree.ts";
import { HeadKeeper, kept, verifyFleet } from "./heads.ts";
import { saidHeads } from "./said_heads.ts";
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
        texts.map((text) => readExport(utf8(text))),
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
    assert.deepEqual(
      verifyLog(readExport(utf8(before)), { key: publicKey }).problems,
      [],
      "control",
    );
    assert.match((await verify(before, good)).problems.join(), /gpu-1: missing: a signed head/);
    assert.match((await verify(good)).problems.join(), /gpu-1: its log \w+ is missing: it had/);
    // Another host's, given twice: that of this one is missing all the same.
    assert.match((await verify(good, good)).problems.join(), /gpu-1: its log \w+ is missing/);

    // Put back from earlier by the host itself, and gone on from there past the length that it had.
    const now = exported(one);
    await Deno.writeFile(join(one.dataDir, AUDIT_FILE), folderBefore);
    const regrownHead = await write(one, 20, "other");
    const regrown = exported(one);
    assert.deepEqual(
      verifyLog(readExport(utf8(regrown)), { key: publicKey }).problems,
      [],
      "control",
    );
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
    assert.match(
      (await verify(anew, now, good)).problems.join(),
      /gpu-1: its log \w+ has no key \w+, .* could not be checked/,
    );
    // Another host that can write its report tells of a log that there never was.
    {
      await using later = await HeadKeeper.start(issuer.state, store);
      const other = new SigningKey(crypto.getRandomValues(new Uint8Array(32)));
      const log = new Uint8Array(16).fill(3);
      const never = { log, size: 9, root: new Uint8Array(32), timeMs: 1 };
      const kept = await Deno.readTextFile(path);
      await say(one, toBase64Url(signHead(other, never)));
      assert.ok(later);
      await later[Symbol.asyncDispose]();
      assert.match(
        (await verify(exported(one), now, good)).problems.join(),
        /gpu-1: its log 0303\w+ is missing: it had 9 lines \(its signature could not be checked/,
      );
      await Deno.writeTextFile(path, kept);
    }

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
    // As many as there can be of keys that nobody knows, and the host's own head is kept all the same.
    const strange = new SigningKey(crypto.getRandomValues(new Uint8Array(32)));
    let flooded: readonly KeptHead[] = first;
    for (let i = 0; i < 100; i++) {
      const text = toBase64Url(forged({ log: new Uint8Array(16).fill(i) }, strange));
      flooded = kept(flooded, text, { at: 3, audit }) ?? flooded;
    }
    assert.equal(flooded.length, 1 + 64);
    const began = toBase64Url(forged({ log: new Uint8Array(16).fill(200) }));
    assert.equal(kept(flooded, began, { at: 4, audit })!.length, 1 + 64 + 1);

    // However many come: the first, the longest, the last; and what came in a flood goes before what came slowly.
    const log = new Uint8Array(16).fill(7);
    const sized = (size: number) => toBase64Url(forged({ log, size }));
    let all: readonly KeptHead[] = second;
    const say = (size: number, at: number) => all = kept(all, sized(size), { at, audit }) ?? all;
    for (let i = 1; i <= 20; i++) say(i, i * 60_000);
    say(1_000_000, 20 * 60_000 + 1);
    for (let i = 1; i <= 300; i++) say(100 + i, 20 * 60_000 + 2 + i);
    const sizes = all.slice(2).map(({ size }) => size);
    assert.equal(sizes.length, 128);
    assert.deepEqual(sizes.slice(0, 21), [...Array.from({ length: 20 }, (_, i) => i + 1), 1e6]);
    assert.equal(sizes.at(-1), 400);
    assert.deepEqual(all.slice(0, 2), second);
  });
});

/** A log of `hashes` as its host can sign it at any length, put back and grown again. */
function logOf(leaves: readonly Bytes[], signing: SigningKey, log = new Uint8Array(16).fill(9)) {
  const root = (start: number, end: number) => rootOf((i) => leaves[i]!, start, end);
  return {
    head: (size: number) =>
      toBase64Url(signHead(signing, { log, size, root: root(0, size), timeMs: size })),
    since: (first: number, second: number) => ({
      size: first,
      path: consistencyProofBy(root, first, second).map((hash) => toBase64Url(hash)),
    }),
  };
}

Deno.test("fleet audit: a log that was put back for a while is seen however many heads came since; without proofs it was not", async () => {
  await withFleet(async ({ hosts }) => {
    using signer = await AuditSigner.of(hosts[0]!.keys);
    const { signing } = signer;
    const leaf = (i: number, what: string) => leafHash(utf8(`${what} ${i}`));
    const grown = Array.from({ length: 400 }, (_, i) => leaf(i, "line"));
    // The lines from 180 on are taken back, and others come in their place.
    const other = grown.map((one, i) => i < 180 ? one : leaf(i, "other"));
    const [before, after] = [logOf(grown, signing), logOf(other, signing)];
    const run = (proven: boolean) => {
      let all: readonly KeptHead[] = [];
      const say = (log: typeof before, size: number, from?: number) => {
        const since = from === undefined || !proven ? undefined : log.since(from, size);
        const audit = signing.publicKey;
        all = kept(all, log.head(size), { at: size * 60_000, audit, since }) ?? all;
      };
      for (let size = 1; size <= 200; size++) say(before, size, size > 1 ? size - 1 : undefined);
      // It says that it goes on, and cannot show it.
      say(after, 201, 200);
      for (let size = 202; size <= 400; size++) say(after, size, size - 1);
      const roots = new Set(all.map(({ cose }) => headNames(fromBase64Url(cose)).root));
      const heads = all.filter(({ size }) => size > 180 && size <= 200);
      const seen = heads.some(({ size }) => {
        const root = toHex(rootOf((i) => grown[i]!, 0, size));
        return roots.has(root);
      });
      return { count: all.length, seen, newest: all.at(-1)!.size };
    };
    assert.deepEqual(run(true), { count: 32, seen: true, newest: 400 });
    // Without proofs none stands for another: more are kept, and it is seen by number alone.
    assert.equal(run(false).count, 128);
  });
});

Deno.test("fleet audit: of a log that grows as it says any heads may go, and what is no proof makes none", async () => {
  await withFleet(async ({ hosts }) => {
    using signer = await AuditSigner.of(hosts[0]!.keys);
    const { signing } = signer;
    const leaves = Array.from({ length: 300 }, (_, i) => leafHash(Uint8Array.of(i)));
    const log = logOf(leaves, signing);
    const audit = signing.publicKey;
    let all: readonly KeptHead[] = [];
    let last = 0;
    // Now and then one is missed, and what follows stands alone.
    const alone: number[] = [];
    for (let size = 1; size <= 300; size++) {
      const missed = size % 37 === 0;
      if (missed || last === 0) alone.push(size);
      const since = last === 0 ? undefined : log.since(missed ? last - 1 || 1 : last, size);
      all = kept(all, log.head(size), { at: size, audit, since })!;
      last = size;
    }
    assert.equal(all.length, 32);
    // Each that nothing later stands for is there: those before one that stands alone, and the newest.
    for (const size of alone.slice(1)) {
      assert.ok(all.some((one) => one.size === size - 1), `${size}`);
    }
    const one = kept([], log.head(5), { at: 1, audit })!;
    const good = log.since(5, 9);
    const follows = (since: typeof good) =>
      kept(one, log.head(9), { at: 2, audit, since })!.at(-1)!.follows;
    assert.equal(follows(good), true);
    for (const size of [0, 4, 6, 9]) assert.equal(follows({ ...good, size }), undefined);
    assert.equal(follows({ ...good, path: good.path.slice(1) }), undefined);
    assert.equal(follows({ ...good, path: [...good.path.slice(1), "A".repeat(43)] }), undefined);
    assert.equal(follows({ ...good, path: [] }), undefined);
  });
});

Deno.test("fleet audit: a host shows that its log has grown, over its own end and while it says the same again", async () => {
  await withFleet(async ({ issuer, hosts }) => {
    await using store = new MemoryFleetStore();
    const [host] = hosts as [Machine];
    const hid = toHex(host.keys.hid);
    const { seed } = await asIssuer(issuer.state);
    const key = reportKeyOf(seed, 0);
    const keeper = await HeadKeeper.start(issuer.state, store);
    let before: string | undefined;
    for (let process = 0; process < 3; process++) {
      const log = await AuditLog.open({ ...host, hid: host.keys.hid, stateDir: undefined });
      const said = saidHeads((from) => log.headSince(from));
      for (let i = 0; i < 4; i++) {
        await log.record({ event: "exchange", fields: { model: label(`model ${i}`) } });
        await log.sign();
        for (let again = 0; again < 2; again++) {
          const heads = said(before);
          before = heads.audit;
          await store.put(RECORDS.report(hid), sealReport({ ...report(""), ...heads }, key, hid));
        }
      }
      assert.equal(said("no head").audit, before);
      await log.close();
    }
    await keeper[Symbol.asyncDispose]();
    const kept = (await issuer.state.readHeads())[hid]!;
    assert.equal(kept.length, 12);
    assert.deepEqual(kept.map(({ follows }) => follows === true), kept.map((_, i) => i > 0));
    const log = await AuditLog.open({ ...host, hid: host.keys.hid, stateDir: undefined });
    const { audit, auditSince } = saidHeads((from) => log.headSince(from))("no head");
    assert.deepEqual([typeof audit, auditSince], ["string", undefined]);
    await log.close();
  });
});
