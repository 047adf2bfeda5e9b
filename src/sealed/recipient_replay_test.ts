import assert from "node:assert/strict";
import { Recipient } from "./recipient.ts";
import { suiteById } from "./suite.ts";
import { BODY, makeWorld, MODEL, open, refused, seal, verifiedKey } from "./testing.ts";

Deno.test("a replay is refused, at once and under another header or after the window filled", async () => {
  // The attack without the window: a recipient that has forgotten, here one with the same recipient key, takes it again.
  const pair = await suiteById(1).hpke.kem.GenerateKeyPair(false);
  const fixed = { keyPair: () => Promise.resolve(pair) };
  const world = await makeWorld({ fixed });
  const { body } = await seal(world);
  await open(world.recipient, body);
  const forgetful = new Recipient({
    model: MODEL,
    ...world.host.recipient,
    now: () => world.clock.now,
    fixed,
  });
  await forgetful.rollIfDue();
  assert.deepEqual((await open(forgetful, body)).body, BODY);
  // With it: never again, not even just inside the clock's tolerance.
  await refused(open(world.recipient, body), "replay");
  world.clock.now += 120_000;
  await refused(open(world.recipient, body), "replay");
});

Deno.test("two copies of a request that arrive together: one passes", async () => {
  const world = await makeWorld();
  const { body } = await seal(world);
  const results = await Promise.allSettled([1, 2, 3, 4].map(() => open(world.recipient, body)));
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
});

Deno.test("a restart makes new recipient keys, so what was sealed before it opens nowhere", async () => {
  const world = await makeWorld();
  const { body } = await seal(world);
  const restarted = await Recipient.init({ model: MODEL, ...world.host.recipient });
  await refused(open(restarted, body), "key-mismatch");
});

Deno.test("a full replay window ends the recipient key and evicts nothing", async () => {
  const world = await makeWorld({ limits: { replayEntries: 3 } });
  const sent = [];
  for (let i = 0; i < 3; i++) sent.push((await seal(world)).body);
  for (const body of sent) await open(world.recipient, body);
  const before = world.recipient.recipientIds();
  const late = (await seal(world)).body;
  await refused(open(world.recipient, sent[0]!), "replay");
  await refused(open(world.recipient, late), "replay-window-full");
  // The old key is gone with everything sealed to it; a new one is there.
  for (const body of [...sent, late]) await refused(open(world.recipient, body), "key-mismatch");
  world.key = await verifiedKey(world, world.clock.now);
  const after = world.recipient.recipientIds();
  assert.ok(after.length >= 1 && after.every((id) => !before.includes(id)));
  await open(world.recipient, (await seal(world)).body);
});

Deno.test("recipient keys roll hourly, two are valid, and an expired one opens nothing", async () => {
  const world = await makeWorld();
  const hour = 3_600_000;
  const first = world.recipient.recipientIds();
  assert.equal(first.length, 1);
  world.clock.now += hour - 1;
  await world.recipient.rollIfDue();
  assert.deepEqual(world.recipient.recipientIds(), first);
  world.clock.now += 1;
  await world.recipient.rollIfDue();
  const second = world.recipient.recipientIds();
  assert.equal(second.length, 2);
  assert.equal(second[1], first[0]);
  const sealedToFirst = await seal(world);
  await open(world.recipient, sealedToFirst.body);
  const kept = await seal(world, { now: world.clock.now + hour });
  world.clock.now += hour;
  // Expired even if nobody rolled meanwhile.
  assert.deepEqual(world.recipient.recipientIds(), [second[0]]);
  await refused(open(world.recipient, kept.body), "key-mismatch");
  await world.recipient.rollIfDue();
  assert.equal(world.recipient.recipientIds().length, 2);
  assert.ok(!world.recipient.recipientIds().includes(first[0]!));
});

Deno.test("a clock one hour off, either way, is refused; two minutes are not", async () => {
  const world = await makeWorld();
  for (const skew of [3_600_000, -3_600_000, 120_001, -120_001]) {
    const { body } = await seal(world, { now: world.clock.now + skew });
    await refused(open(world.recipient, body), "clock");
  }
  for (const skew of [120_000, -120_000, 0]) {
    await open(world.recipient, (await seal(world, { now: world.clock.now + skew })).body);
  }
});

Deno.test("a client an hour off learns the runner's clock from the key document", async () => {
  for (const skew of [3_600_000, -3_600_000]) {
    const world = await makeWorld();
    const local = world.clock.now + skew;
    world.key = await verifiedKey(world, local);
    await open(world.recipient, (await seal(world, { now: local })).body);
  }
});

Deno.test("a clock that is set does not make a key one of tomorrow, nor one that lives a day longer", async () => {
  const hour = 3_600_000;
  for (const set of [-24 * hour, -1, 24 * hour, 400 * 24 * hour]) {
    const own = { now: 5_000 };
    const world = await makeWorld({ own: () => own.now });
    const pass = (ms: number) => {
      own.now += ms;
      world.clock.now += ms;
    };
    pass(60_000);
    world.clock.now += set;
    for (const back of [0, -set]) {
      world.clock.now += back;
      // What a client fetches now is valid now, and what it seals is opened.
      world.key = await verifiedKey(world, world.clock.now);
      const kept = await seal(world, { now: world.clock.now });
      await open(world.recipient, kept.body);
      await refused(open(world.recipient, kept.body), "replay");
    }
    const [last] = world.recipient.recipientIds();
    pass(2 * hour - 60_001);
    await world.recipient.rollIfDue();
    assert.ok(world.recipient.recipientIds()[0] !== last, "announced for an hour");
    pass(2 * hour);
    assert.equal(world.recipient.recipientIds().includes(last!), false, "gone after two");
  }
});
