import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../bytes.ts";
import { toProblem } from "../api/problems.ts";
import { randomBytes } from "./primitives.ts";
import { Recipient } from "./recipient.ts";
import { makeSuite, suiteById } from "./suite.ts";
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

Deno.test("nothing of the exchange is readable on the wire", async () => {
  const world = await makeWorld();
  const sealed = await seal(world, { path: "/api/canary" });
  const opened = await open(world.recipient, sealed.body);
  const reply = opened.reply.head(418, { "x-canary": "1" }, { body: utf8("canary"), final: true });
  for (const wire of [sealed.body, reply]) {
    const text = new TextDecoder("latin1").decode(wire);
    for (const word of ["canary", "demo", "POST", "isolation", "418"]) {
      assert.ok(!text.includes(word), word);
    }
  }
  assert.equal(utf8Decode(opened.body), utf8Decode(BODY));
});

Deno.test("every bit of a request, flipped, is refused, and leaves no trace in the window", async () => {
  for (const suite of [1, 2]) {
    const world = await makeWorld({ suites: [suite] });
    const { body } = await seal(world, { frameBytes: 100 });
    const { prefix } = dissect(body);
    let tried = 0;
    for (let at = 0; at < body.length; at++) {
      // Each byte of header, key and commitment in suite 1; suite 2's long encapsulated key is sampled.
      if (suite === 2 && at > 60 && at < prefix.length - 32 && at % 17 !== 0) continue;
      const codes = at < 4
        ? ["malformed"] as const
        : at === 4
        ? ["unsupported-suite"] as const
        : at === 5
        ? ["malformed"] as const
        : at < 14
        ? ["key-mismatch"] as const
        : at < 15 + PSK_ID.length
        ? ["auth", "malformed"] as const
        : ["auth"] as const;
      // Suite 2 takes longer: one bit of each byte.
      for (const bit of suite === 1 ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8]) {
        const flipped = body.slice();
        flipped[at]! ^= 1 << bit;
        await refused(open(world.recipient, flipped), ...codes);
        tried++;
      }
    }
    assert.ok(tried > (suite === 1 ? 3000 : 400), `only ${tried} flips`);
    assert.deepEqual((await open(world.recipient, body)).body, BODY);
  }
});

Deno.test("truncated anywhere: malformed inside the header, auth after it", async () => {
  const world = await makeWorld();
  const { body } = await seal(world, { frameBytes: 100 });
  const { prefix, frames } = dissect(body);
  assert.ok(frames.length >= 2);
  const cuts = [0, 3, 4, 14, 20, prefix.length - 64, prefix.length - 1, prefix.length];
  for (let at = prefix.length + 1; at < body.length; at += 13) cuts.push(at);
  // Cut exactly between frames: every frame there is verifies, only FINAL is missing.
  cuts.push(body.length - frames.at(-1)!.length);
  for (const at of cuts) {
    await refused(
      open(world.recipient, body.subarray(0, at)),
      at < 15 + PSK_ID.length ? "malformed" : "auth",
    );
  }
  await open(world.recipient, body);
});

Deno.test("frames dropped, swapped, doubled, retyped or appended are refused", async () => {
  const world = await makeWorld();
  const { body } = await seal(world, { body: randomBytes(900), frameBytes: 200 });
  const other = await seal(world, { body: randomBytes(900), frameBytes: 200 });
  const { prefix, frames } = dissect(body);
  const foreign = dissect(other.body).frames;
  assert.ok(frames.length >= 5);
  const last = frames.length - 1;
  const with_ = (...list: Uint8Array[]) => open(world.recipient, concat(prefix, ...list));
  await refused(with_(...frames.slice(1)), "auth");
  await refused(with_(frames[0]!, ...frames.slice(2)), "auth");
  await refused(with_(frames[1]!, frames[0]!, ...frames.slice(2)), "auth");
  await refused(with_(frames[0]!, frames[0]!, ...frames.slice(1)), "auth");
  await refused(with_(...frames, frames[last]!), "auth");
  await refused(with_(...frames, frames[0]!), "auth");
  await refused(with_(...frames, Uint8Array.of(0)), "auth");
  await refused(with_(frames[0]!, foreign[1]!, ...frames.slice(2)), "auth");
  // FINAL forged on the second frame, so that the rest looks like another message.
  const forged = frames[1]!.slice();
  forged[0] = 1;
  await refused(with_(frames[0]!, forged), "auth");
  const unfinal = frames[last]!.slice();
  unfinal[0] = 0;
  await refused(with_(...frames.slice(0, last), unfinal), "auth");
  const aborted = frames[last]!.slice();
  aborted[0] = 2;
  await refused(with_(...frames.slice(0, last), aborted), "auth");
  await with_(...frames);
});

Deno.test("an authentic abort is refused as cancelled", async () => {
  const world = await makeWorld();
  // The HPKE context is the client's own, so this abort verifies.
  const wire = await sealByHand(world, [[0, utf8("x")], [2, new Uint8Array(0)]]);
  await refused(open(world.recipient, wire), "cancelled");
});

Deno.test("authentic frames that hold no request are malformed", async () => {
  const world = await makeWorld();
  const bad: unknown[] = [
    { m: "post", p: "/", h: {}, t: 1 },
    { m: "POST", p: "//host/x", h: {}, t: 1 },
    { m: "POST", p: "/\\host/x", h: {}, t: 1 },
    { m: "POST", p: "/a b", h: {}, t: 1 },
    { m: "POST", p: "/", h: { "a b": "c" }, t: 1 },
    { m: "POST", p: "/", h: { a: "b\r\nc: d" }, t: 1 },
    { m: "POST", p: "/", h: { a: 1 }, t: 1 },
    { m: "POST", p: "/", h: [], t: 1 },
    { m: "POST", p: "/", h: {}, t: "1" },
    { m: "POST", p: "/", h: {}, t: 1.5 },
    { m: "POST", p: "/", h: { a: "1", A: "2" }, t: 1 },
    [],
    null,
    1,
  ];
  const data = bad.map((json) => prefixed(utf8(JSON.stringify(json))));
  data.push(
    utf8(""),
    utf8("\0"),
    prefixed(utf8("{")),
    Uint8Array.of(255, 255, 123),
    prefixed(Uint8Array.of(255)),
  );
  for (const first of data) {
    await refused(open(world.recipient, await sealByHand(world, [[1, first]])), "malformed");
  }
  const good = prefixed(
    utf8(JSON.stringify({ m: "GET", p: "/", h: {}, t: world.clock.now, later: 1 })),
  );
  const opened = await open(world.recipient, await sealByHand(world, [[1, good]]));
  assert.equal(opened.request.method, "GET");
});

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

Deno.test("a body above the limit is refused before it is held", async () => {
  const world = await makeWorld({ limits: { bodyBytes: 10_000 } });
  const sealed = await seal(world, { body: new Uint8Array(20_000) });
  let pulled = 0;
  async function* source() {
    for await (const chunk of chunks(sealed.body, 1000)) {
      pulled += chunk.length;
      yield chunk;
    }
  }
  await refused(world.recipient.open(source()), "too-large");
  assert.ok(pulled <= 10_000, `${pulled} bytes were read`);
  // Also in one chunk, whatever it holds.
  await refused(
    open(world.recipient, concat(sealed.body.subarray(0, 200), new Uint8Array(10_000))),
    "too-large",
  );
  // Endless frames of nothing count as well: the limit is on sealed bytes.
  const frames = Array.from({ length: 60 }, (): [0, Uint8Array] => [0, new Uint8Array(0)]);
  await refused(open(world.recipient, await sealByHand(world, frames)), "too-large");
  await open(world.recipient, (await seal(world, { body: new Uint8Array(5000) })).body);
});

Deno.test("the source is let go of when a request is refused", async () => {
  const world = await makeWorld();
  const { body } = await seal(world);
  body[40]! ^= 1;
  let released = false;
  async function* source() {
    try {
      for await (const chunk of chunks(body, 16)) yield chunk;
      // A client that keeps dripping forever.
      while (true) yield new Uint8Array(1);
    } finally {
      released = true;
    }
  }
  await refused(world.recipient.open(source()), "auth");
  assert.ok(released);
});

Deno.test("requests being opened at one time share a limit, which is given back", async () => {
  const world = await makeWorld({ limits: { openingBytes: 30_000 } });
  const sealed = await Promise.all(
    [1, 2, 3].map(() => seal(world, { body: new Uint8Array(12_000) })),
  );
  const gates = sealed.map(() => Promise.withResolvers<void>());
  const opening = sealed.map(({ body }, i) =>
    world.recipient.open((async function* () {
      yield body.subarray(0, body.length - 1);
      await gates[i]!.promise;
      yield body.subarray(body.length - 1);
    })())
  );
  await refused(opening[2]!, "busy");
  gates.forEach((gate) => gate.resolve());
  await Promise.all(opening.slice(0, 2));
  await open(world.recipient, (await seal(world, { body: new Uint8Array(25_000) })).body);
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

function prefixed(json: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(json.length >>> 8, json.length), json);
}

/** Seals frames of our own making in a context of our own: what a broken or hostile client with a PSK could send. */
async function sealByHand(
  world: Awaited<ReturnType<typeof makeWorld>>,
  frames: [type: number, data: Uint8Array][],
): Promise<Uint8Array> {
  const suite = makeSuite(1);
  const { encodeRequestHeader } = await import("./header.ts");
  const { COMMIT_BYTES, EXPORT_COMMIT, requestInfo } = await import("./suite.ts");
  const { encodeFrameHeader, pad } = await import("./frames.ts");
  const header = encodeRequestHeader({ suite: 1, rk: world.key.rk, pskId: PSK_ID });
  const { enc, context } = await suite.hpke.setupSender(world.key.publicKey, {
    info: requestInfo(header),
    psk: world.key.runnerPsk,
    pskId: utf8(PSK_ID),
  });
  const parts: Uint8Array[] = [header, enc, context.export(EXPORT_COMMIT, COMMIT_BYTES)];
  for (const [type, data] of frames) {
    const plaintext = pad(data, 256);
    const aad = encodeFrameHeader(type as 0, plaintext.length);
    parts.push(aad, await context.seal(plaintext, aad));
  }
  return concat(...parts);
}
