/** No key meets a nonce twice: over many frames of one reply, over many replies and requests, and over restarts. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SEED } from "../support/seeds.ts";
import { toHex, utf8 } from "../../src/bytes.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { Recipient } from "../../src/sealed/recipient.ts";
import { ReplyOpener } from "../../src/sealed/reply_opener.ts";
import { ReplySealer } from "../../src/sealed/reply_sealer.ts";
import { makeWorld, MODEL, open, PSK_ID, seal, verifiedKey } from "../../src/sealed/testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const hint = (what: string) => FULL ? "" : ` (SECLLAMA_FULL=1 makes ${what})`;

Deno.test("nonces: every frame of one long reply opens under its own number", async () => {
  const frames = FULL ? 10_000_000 : 50_000;
  const [secret, enc] = [randomBytes(32), randomBytes(32)];
  const sealer = new ReplySealer(secret, enc);
  const opener = new ReplyOpener(secret, enc);
  await opener.push(sealer.head(200, {}));
  const piece = utf8("x");
  let before = "";
  for (let i = 0; i < frames; i++) {
    const frame = sealer.frame(piece);
    // Same data, same key: a nonce used again would give the same bytes. The opener counts by itself.
    const bytes = i % 1000 < 2 ? toHex(frame) : "";
    if (bytes !== "") assert.notEqual(bytes, before);
    before = bytes;
    assert.equal((await opener.push(frame)).length, 1);
  }
  await opener.push(sealer.final());
  opener.end();
  console.log(`frames of one reply: ${frames}${hint("10 million")}`);
});

Deno.test("nonces: any order of pieces, sizes and ends takes each number once", async () => {
  const piece = fc.oneof(
    { weight: 9, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.nat(2_200_000) },
  );
  const runs = FULL ? 2_000 : 60;
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.boolean(), async (sizes, abort) => {
      const [secret, enc] = [randomBytes(32), randomBytes(32)];
      const sealer = new ReplySealer(secret, enc);
      const wire = [sealer.head(200, {}), ...sizes.map((n) => sealer.frame(new Uint8Array(n)))];
      wire.push(abort ? sealer.abort() : sealer.final());
      // After its end a sealer makes nothing more, whatever it is asked.
      for (const more of ["frame", "final", "abort"] as const) {
        assert.throws(() => sealer[more](new Uint8Array(1)));
      }
      const opener = new ReplyOpener(secret, enc);
      let bytes = 0;
      const read = (async () => {
        for (const part of wire) {
          for (const opened of await opener.push(part)) {
            if (opened instanceof Uint8Array) bytes += opened.length;
          }
        }
        opener.end();
      })();
      if (abort) await assert.rejects(read, { code: "truncated" });
      else await read;
      assert.equal(bytes, sizes.reduce((a, b) => a + b, 0));
    }),
    { seed: SEED, numRuns: runs },
  );
});

Deno.test("nonces: replies under one secret, and requests to one key, have keys of their own", async () => {
  const count = FULL ? 200_000 : 5_000;
  // The worst case: a client that sent the same bytes to a runner that forgot them.
  const [secret, enc] = [randomBytes(32), randomBytes(32)];
  const prefixes = new Set<string>();
  for (let i = 0; i < count; i++) {
    // "SLR1" | rn | commit: the commitment follows from the key.
    prefixes.add(toHex(new ReplySealer(secret, enc).head(200, {}).subarray(36, 68)));
  }
  assert.equal(prefixes.size, count);
  const world = await makeWorld();
  const encs = new Set<string>();
  const requests = FULL ? 20_000 : 500;
  const start = 15 + PSK_ID.length;
  for (let i = 0; i < requests; i++) {
    encs.add(toHex((await seal(world)).body.subarray(start, start + 64)));
  }
  assert.equal(encs.size, requests);
  console.log(`replies ${count}, requests ${requests}${hint("200,000 and 20,000")}`);
});

Deno.test("nonces: a restarted runner has another key for the same client and message", async () => {
  const restarts = FULL ? 2_000 : 50;
  const world = await makeWorld();
  const keys = new Set<string>();
  for (let i = 0; i < restarts; i++) {
    world.recipient = await Recipient.init({
      model: MODEL,
      ...world.host.recipient,
      now: () => world.clock.now,
    });
    world.key = await verifiedKey(world, world.clock.now);
    keys.add(toHex(world.key.rk));
    const { body, reply } = await seal(world);
    const opened = await open(world.recipient, body);
    const head = opened.reply.head(200, {}, { final: true });
    keys.add(toHex(head.subarray(36, 68)));
    await reply.push(head);
    reply.end();
  }
  assert.equal(keys.size, 2 * restarts);
});
