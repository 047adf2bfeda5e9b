import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../bytes.ts";
import { toProblem } from "../api/problems.ts";
import { randomBytes } from "./primitives.ts";
import { Recipient } from "./recipient.ts";
import {
  BODY,
  chunks,
  dissect,
  makeWorld,
  MODEL,
  open,
  OTHER_PSK_ID,
  PSK_ID,
  refused,
  seal,
  verifiedKey,
} from "./testing.ts";

for (const suite of [1, 2]) {
  Deno.test(`suite ${suite}: a request and its reply pass, whatever the chunks`, async () => {
    const world = await makeWorld({ suites: [suite] });
    for (const size of [1, 7, 1000, 1 << 20]) {
      const sealed = await seal(world);
      const opened = await world.recipient.open(chunks(sealed.body, size));
      assert.equal(opened.pskId, PSK_ID);
      assert.deepEqual({ ...opened.request, headers: { ...opened.request.headers } }, {
        method: "POST",
        path: "/api/generate",
        headers: { "content-type": "application/json" },
        time: world.clock.now,
      });
      assert.deepEqual(opened.body, BODY);
      const wire = concat(opened.reply.head(200, { a: "b" }), opened.reply.final(utf8("hello")));
      const parts = [];
      for await (const chunk of chunks(wire, size)) parts.push(...await sealed.reply.push(chunk));
      sealed.reply.end();
      assert.equal((parts[0] as { status: number }).status, 200);
      assert.equal(utf8Decode(parts[1] as Uint8Array), "hello");
    }
  });
}

Deno.test("a body of several frames arrives whole, at every frame size", async () => {
  const world = await makeWorld();
  const body = randomBytes(5000);
  for (const frameBytes of [100, 255, 256, 1000, 4999, 5000, 6000]) {
    const sealed = await seal(world, { body, frameBytes });
    assert.deepEqual((await open(world.recipient, sealed.body)).body, body);
  }
  const large = new Uint8Array(3 << 20).fill(65);
  const sealed = await seal(world, { body: large });
  assert.ok(dissect(sealed.body).frames.length >= 4);
  const opened = await world.recipient.open(chunks(sealed.body, 65_536));
  assert.equal(opened.body.length, large.length);
  assert.ok(opened.body.every((byte) => byte === 65));
});

Deno.test("unknown, wrong and another client's psk_id, wrong key: one shape", async () => {
  const world = await makeWorld();
  const { body } = await seal(world);
  const { prefix, frames } = dissect(body);
  const tampered = frames[0]!.slice();
  tampered[50]! ^= 1;
  const otherPsk = world.host.runnerPsk(OTHER_PSK_ID)!;
  const errors = [
    await refused(
      open(world.recipient, (await seal(world, { pskId: "local.nobody" })).body),
      "auth",
    ),
    await refused(open(world.recipient, (await seal(world, { pskId: OTHER_PSK_ID })).body), "auth"),
    await refused(open(world.recipient, (await seal(world, { runnerPsk: otherPsk })).body), "auth"),
    await refused(open(world.recipient, concat(prefix, tampered)), "auth"),
    await refused(open(world.recipient, prefix), "auth"),
    await refused(open(world.recipient, body.subarray(0, body.length - 1)), "auth"),
    await refused(
      world.host.document(world.recipient, {
        pskId: "local.no",
        challenge: randomBytes(16),
        model: MODEL,
      }),
      "auth",
    ),
  ];
  const shapes = new Set(errors.map((error) => JSON.stringify(toProblem(error))));
  assert.equal(shapes.size, 1, [...shapes].join("\n"));
  assert.equal(new Set(errors.slice(0, -1).map((error) => error.message)).size, 1);
  // The other client is fine under its own name.
  await open(
    world.recipient,
    (await seal(world, { runnerPsk: otherPsk, pskId: OTHER_PSK_ID })).body,
  );
});

Deno.test("a client revoked while its request arrives is refused", async () => {
  let revoked = false;
  const world = await makeWorld();
  const { runnerPsk } = world.key;
  world.recipient = await Recipient.init({
    model: MODEL,
    ...world.host.recipient,
    psk: () => revoked ? undefined : runnerPsk,
    now: () => world.clock.now,
  });
  world.key = await verifiedKey(world, world.clock.now);
  const { body } = await seal(world, { frameBytes: 100 });
  async function* slow() {
    yield body.subarray(0, body.length - 10);
    await Promise.resolve();
    revoked = true;
    yield body.subarray(body.length - 10);
  }
  await refused(world.recipient.open(slow()), "auth");
});

Deno.test("keys replaced and zeroed during a set-up do not fail it", async () => {
  const world = await makeWorld();
  const psk = world.key.runnerPsk;
  let shared = psk.slice();
  world.recipient = await Recipient.init({
    model: MODEL,
    ...world.host.recipient,
    psk: () => shared,
    now: () => world.clock.now,
  });
  world.key = await verifiedKey(world, world.clock.now);
  const { body } = await seal(world);
  const opening = open(world.recipient, body);
  const old = shared;
  queueMicrotask(() => {
    shared = psk.slice();
    old.fill(0);
  });
  await opening;
});

Deno.test("requests hold their bytes until they are released, also those that were opened", async () => {
  const world = await makeWorld({ limits: { heldBytes: 80_000 } });
  const large = async () => (await seal(world, { body: new Uint8Array(12_000) })).body;
  // As it was, an opened request counted for nothing: any number of them could wait for its turn.
  const opened = [];
  for (let n = 0; n < 4; n++) opened.push(await open(world.recipient, await large()));
  await refused(open(world.recipient, await large()), "busy");
  opened[0]!.release();
  opened.push(await open(world.recipient, await large()));
  await refused(open(world.recipient, await large()), "busy");
  // What is refused leaves nothing behind.
  opened.forEach((one) => one.release());
  for (let n = 0; n < 4; n++) await open(world.recipient, await large());
});

Deno.test("requests that are being opened count, and are given back if they are refused", async () => {
  const world = await makeWorld({ limits: { heldBytes: 80_000 } });
  const sealed = await Promise.all(
    Array.from({ length: 5 }, () => seal(world, { body: new Uint8Array(12_000) })),
  );
  const gates = sealed.map(() => Promise.withResolvers<void>());
  const opening = sealed.map(({ body }, i) =>
    world.recipient.open((async function* () {
      yield body.subarray(0, body.length - 1);
      await gates[i]!.promise;
      yield Uint8Array.of(body.at(-1)! ^ 1);
    })())
  );
  await refused(opening[4]!, "busy");
  gates.forEach((gate) => gate.resolve());
  for (const one of opening.slice(0, 4)) await refused(one, "auth");
  await open(world.recipient, (await seal(world, { body: new Uint8Array(40_000) })).body);
});

Deno.test("a client that holds its share leaves room for another's requests", async () => {
  const world = await makeWorld({ limits: { heldBytes: 800_000 } });
  const other = () =>
    seal(world, { runnerPsk: world.host.runnerPsk(OTHER_PSK_ID)!, pskId: OTHER_PSK_ID });
  let held = 0;
  const flood = async () => {
    for (;; held++) {
      await open(world.recipient, (await seal(world, { body: new Uint8Array(30_000) })).body);
    }
  };
  await refused(flood(), "busy");
  assert.ok(held > 10, `${held}`);
  for (let n = 0; n < 20; n++) await open(world.recipient, (await other()).body);
  // Nor does one who knows the other's id, without its key, hold anything of it.
  const forged = (await seal(world, { pskId: OTHER_PSK_ID, body: new Uint8Array(30_000) })).body;
  const stalled = Array.from({ length: 50 }, () =>
    world.recipient.open((async function* () {
      yield forged.subarray(0, 40);
      await new Promise<void>(() => {});
    })()));
  stalled.forEach((one) => one.catch(() => {}));
  await open(world.recipient, (await other()).body);
});

Deno.test("suites that are not offered are refused", async () => {
  const world = await makeWorld({ suites: [1] });
  const two = await makeWorld({ suites: [2] });
  await refused(open(world.recipient, (await seal(two)).body), "unsupported-suite");
  await refused(
    world.host.document(world.recipient, {
      pskId: PSK_ID,
      challenge: randomBytes(16),
      model: MODEL,
      suite: 2,
    }),
    "unsupported-suite",
  );
  const both = await makeWorld({ suites: [1, 2] });
  assert.equal(both.recipient.recipientIds().length, 1, "the second is made when asked for");
  const document = { pskId: PSK_ID, challenge: randomBytes(16), model: MODEL };
  assert.equal((await both.host.document(both.recipient, { ...document, suite: 2 })).suite, 2);
  assert.equal(both.recipient.recipientIds().length, 2);
  assert.equal((await both.host.document(both.recipient, document)).suite, 1);
  await open(both.recipient, (await seal(both)).body);
});

Deno.test("a key document for another model or with a bad challenge is refused", async () => {
  const { host, recipient } = await makeWorld();
  const challenge = randomBytes(16);
  await refused(
    host.document(recipient, { pskId: PSK_ID, challenge, model: "other" }),
    "model-not-found",
  );
  await refused(
    host.document(recipient, { pskId: PSK_ID, challenge: randomBytes(15), model: MODEL }),
    "malformed",
  );
});
