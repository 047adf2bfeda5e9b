/** Receipts: what holds, by our own check and by Python's cryptography, and by generation what does not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SEED, seeded } from "../../tests/support/seeds.ts";
import { newReceiptSecret, readReceiptSecret } from "../api/receipt.ts";
import { receiptId, receiptMac } from "../api/receipt_mac.ts";
import { type Bytes, toBase64Url, toHex, utf8 } from "../bytes.ts";
import { label } from "../log.ts";
import { toPem } from "../pem.ts";
import { Blocks } from "./blocks.ts";
import { AuditDatabase } from "./database.ts";
import type { SigningKey } from "./cose.ts";
import { checkReceipt } from "./receipt.ts";
import { AuditSigner } from "./signer.ts";
import { exchange, type LogRig, withLog } from "./testing.ts";
import { inclusionProof, leafHash } from "./tree.ts";
import { notOn } from "../../tests/support/systems.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const SCRIPT = new URL("../../scripts/receipt.py", import.meta.url).pathname;

async function signerOf(rig: LogRig): Promise<SigningKey> {
  using signer = await AuditSigner.of(rig.manager);
  return signer.signing;
}

interface Told {
  readonly id: string;
  readonly secret: Bytes;
  readonly request: Bytes;
  readonly reply: Bytes;
}

/** An exchange whose client wants a receipt, as the gateway records it. */
function wanted(i: number) {
  const secret = readReceiptSecret(newReceiptSecret())!;
  const [request, reply] = [utf8(`question ${i}`), utf8(`answer ${i}`)];
  const mac = (of: "request" | "reply", body: Bytes) => {
    const made = receiptMac(secret, of);
    // In pieces, as a reply comes.
    for (const byte of body) made.update(Uint8Array.of(byte));
    return label(made.digest());
  };
  const { event, fields } = exchange(i);
  return {
    told: { id: receiptId(secret), secret, request, reply } satisfies Told,
    entry: {
      event,
      fields: {
        ...fields,
        receipt: label(receiptId(secret)),
        request_mac: mac("request", request),
        reply_mac: mac("reply", reply),
      },
    },
  };
}

Deno.test("receipt: of a line that no head counted yet, asked of the process that wrote it, of another, of one that was idle, and after a kill", () =>
  withLog(async (rig) => {
    for (const asked of ["itself", "another", "idle", "the next"] as const) {
      const idle = asked === "idle" ? await rig.open() : undefined;
      const log = await rig.open();
      const { told, entry } = wanted(1);
      await log.record(entry);
      // Not closed: whoever is killed signs no last head.
      const from = asked === "itself" ? log : idle ?? await rig.open();
      if (asked === "the next") await from.record(exchange(2));
      const verdict = checkReceipt(
        await from.receipt(told.id),
        (await signerOf(rig)).publicKey,
        told,
      );
      assert.ok(verdict.ok && verdict.proven.length === 2, `${asked}: ${JSON.stringify(verdict)}`);
      // Whoever comes first writes it down for all.
      assert.deepEqual(await log.receipt(told.id), await from.receipt(told.id), asked);
      for (const one of new Set([log, from])) await one.close();
    }
    assert.deepEqual((await rig.verify()).problems, []);
  }));

Deno.test("receipt: each of many lines, and no other's; after a rotation, too", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    const made: Told[] = [];
    // Over two blocks of lines, and an odd rest.
    for (let i = 0; i < 700; i++) {
      if (i % 7 !== 0) {
        await log.record(exchange(i));
        continue;
      }
      const { told, entry } = wanted(i);
      made.push(told);
      await log.record(entry);
    }
    using first = await AuditSigner.of(rig.manager);
    const key = first.signing.publicKey;
    for (const [i, told] of made.entries()) {
      const receipt = await log.receipt(told.id);
      const verdict = checkReceipt(receipt, key, told);
      assert.ok(verdict.ok, JSON.stringify(verdict));
      assert.equal(verdict.line["receipt"], told.id);
      assert.deepEqual(verdict.proven, ["request", "reply"]);
      const other = made[(i + 1) % made.length]!;
      const { secret, request, reply } = told;
      assert.equal(checkReceipt(receipt, key, other).ok, false);
      assert.equal(checkReceipt(receipt, key, { secret, request: reply }).ok, false);
      assert.equal(checkReceipt(receipt, key, { secret, reply: request }).ok, false);
      assert.equal(checkReceipt(receipt, key, { request }).ok, false, "without its secret");
    }
    await assert.rejects(log.receipt("0".repeat(32)), { code: "not-found" });
    await rig.manager.rotate();
    using second = await AuditSigner.of(rig.manager);
    await log.close();
    // Who opens it next has the new key; the line is the same.
    const again = await rig.open();
    const newest = await again.receipt(made[3]!.id);
    assert.ok(checkReceipt(newest, second.signing.publicKey, made[3]).ok);
    assert.equal(checkReceipt(newest, key, made[3]).ok, false, "the old key signs no more");
    await again.close();
  }));

if (!FULL) console.log("skipped: three proofs of four by kept blocks; set SECLLAMA_FULL=1");
Deno.test("receipt: proofs by kept blocks are those by all leaves", async () => {
  const leaves = Array.from({ length: 2_100 }, (_, i) => leafHash(utf8(String(i))));
  const blocks = new Blocks({ leaves: (from, end) => leaves.slice(from, end) });
  const hex = (path: readonly Uint8Array[]) => path.map((hash) => toHex(hash)).join();
  for (const size of [1, 255, 256, 257, 511, 512, 768, 1_000, 1_025, 1_792, 2_048, 2_100]) {
    for (let i = 0; i < size; i += 1 + (size % 97) * (FULL ? 1 : 4)) {
      assert.equal(
        hex(await blocks.proof(i, size)),
        hex(inclusionProof((n) => leaves[n]!, i, size)),
        `${i} of ${size}`,
      );
    }
  }
});

Deno.test("receipt: of a line that was changed in the file there is none, and none that retention took", () =>
  withLog(async (rig) => {
    const log = await rig.open();
    const { told, entry } = wanted(1);
    await log.record(entry);
    for (let i = 0; i < 300; i++) await log.record(exchange(i));
    assert.ok(await log.receipt(told.id));
    await log.close();
    rig.attack((db) => db.exec("UPDATE lines SET leaf = zeroblob(32) WHERE n = 1"));
    const reopened = await rig.open();
    await assert.rejects(reopened.receipt(told.id), { code: "audit-broken" });
    await reopened.close();
    const { forgetBefore } = await import("./retention.ts");
    using db = AuditDatabase.open(rig.folder);
    await forgetBefore(db, 100);
    assert.equal(db.receiptLine(told.id), undefined);
  }));

Deno.test({
  name: "receipt: forged, cut, swapped and changed ones hold nowhere, here nor in Python",
  ignore: notOn("linux"),
  fn: () =>
    withLog(async (rig) => {
      const log = await rig.open();
      const { told, entry } = wanted(1);
      const second = wanted(2);
      await log.record(entry);
      await rig.fill(20);
      await log.record(second.entry);
      await rig.fill(17);
      const [good, other] = [await log.receipt(told.id), await log.receipt(second.told.id)];
      await log.close();
      using signer = await AuditSigner.of(rig.manager);
      const key = signer.signing.publicKey;
      const cases: Uint8Array[] = [good];
      const next = seeded(SEED);
      const flips = FULL ? good.length * 8 : 400;
      for (let i = 0; i < flips; i++) {
        const bad = good.slice();
        const at = FULL ? i >> 3 : Math.floor(next() * good.length);
        bad[at]! ^= 1 << (FULL ? i & 7 : i % 8);
        cases.push(bad);
      }
      for (let i = 0; i < good.length; i += FULL ? 1 : 9) cases.push(good.slice(0, i));
      // Parts of two receipts in every mixture: cut where they first differ, and behind.
      for (let i = 1; i < good.length; i += FULL ? 1 : 11) {
        const mixed = Uint8Array.from([...good.slice(0, i), ...other.slice(i)]);
        if (!same(mixed, good)) cases.push(mixed);
      }
      cases.push(Uint8Array.from([...good, 0]));
      // A list of 2^40 items, in ten bytes: who makes room first has none left.
      cases.push(Uint8Array.of(0xd2, 0x9b, 0, 0, 1, 0, 0, 0, 0, 0));
      await withLog(async (stranger) => {
        const log = await stranger.open();
        await log.record(entry);
        cases.push(await log.receipt(told.id));
        await log.close();
      });
      const ours = cases.map((one) => checkReceipt(one, key, told).ok);
      assert.deepEqual(ours.map((ok, i) => ok ? i : -1).filter((i) => i >= 0), [0]);
      const pem = join(rig.folder, "key.pem");
      await Deno.writeTextFile(pem, toPem("PUBLIC KEY", key.spki()));
      const paths: string[] = [];
      for (const [i, one] of cases.entries()) {
        const path = join(rig.folder, `${i}.cose`);
        await Deno.writeFile(path, one);
        paths.push(path);
      }
      const [secret, request, reply] = ["secret", "request", "reply"].map((name) =>
        join(rig.folder, name)
      ) as [string, string, string];
      await Deno.writeTextFile(secret, toBase64Url(told.secret));
      await Deno.writeFile(request, told.request);
      await Deno.writeFile(reply, told.reply);
      const theirs = await python([pem, secret, request, reply, ...paths]);
      assert.deepEqual(theirs.filter((line) => line.startsWith("holds")), [`holds ${paths[0]}`]);
      assert.equal(theirs.length, cases.length);
      await Deno.writeTextFile(request, "another question");
      assert.deepEqual(
        (await python([pem, secret, request, reply, paths[0]!]))[0]?.split(" ")[0],
        "no",
      );
    }),
});

const same = (a: Uint8Array, b: Uint8Array) => toBase64Url(a) === toBase64Url(b);

async function python(args: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: [SCRIPT, ...args],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout).trim();
  assert.ok(said !== "", new TextDecoder().decode(stderr));
  return said.split("\n");
}
