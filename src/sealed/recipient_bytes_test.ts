import assert from "node:assert/strict";
import { concat, utf8, utf8Decode } from "../bytes.ts";
import { randomBytes } from "./primitives.ts";
import { makeSuite } from "./suite.ts";
import { BODY, chunks, dissect, makeWorld, open, PSK_ID, refused, seal } from "./testing.ts";

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

/** Two bits of each byte, or with SECLLAMA_FULL=1 all of them. */
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";

Deno.test("bits of a request, flipped, are refused, and leave no trace in the window", async () => {
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
      const some = FULL ? [0, 1, 2, 3, 4, 5, 6, 7] : [at % 8, (at + 3) % 8];
      for (const bit of suite === 1 ? some : [at % 8]) {
        const flipped = body.slice();
        flipped[at]! ^= 1 << bit;
        await refused(open(world.recipient, flipped), ...codes);
        tried++;
      }
    }
    assert.ok(tried > (suite === 1 ? (FULL ? 3000 : 800) : 400), `only ${tried} flips`);
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
