import assert from "node:assert/strict";
import { concat, utf8 } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import type { ReplyEnvelope } from "./envelope.ts";
import { MAX_DATA_BYTES } from "./frames.ts";
import { randomBytes } from "./primitives.ts";
import { ReplyOpener } from "./reply_opener.ts";
import { ReplySealer } from "./reply_sealer.ts";
import { refused, splitFrames } from "./testing.ts";

const PREFIX = 4 + 32 + 32;

function pair() {
  const secret = randomBytes(32);
  const enc = randomBytes(32);
  return {
    secret,
    enc,
    sealer: new ReplySealer(secret, enc),
    opener: () => new ReplyOpener(secret, enc),
  };
}

/** Reads a whole reply; whatever is wrong with it is thrown. */
async function read(opener: ReplyOpener, wire: Uint8Array, size = wire.length) {
  let head: ReplyEnvelope | undefined;
  const body: Uint8Array[] = [];
  for (let at = 0; at < wire.length; at += size) {
    for (const part of await opener.push(wire.slice(at, at + size))) {
      if (part instanceof Uint8Array) body.push(part);
      else head = part;
    }
  }
  opener.end();
  return { head, body: concat(...body) };
}

Deno.test("every bit of a reply, flipped, is refused", async () => {
  const { sealer, opener } = pair();
  const wire = concat(sealer.head(200, {}), sealer.frame(utf8("one")), sealer.final(utf8("two")));
  for (let place = 0; place < wire.length * 8; place++) {
    const at = place >>> 3;
    const flipped = wire.slice();
    flipped[at]! ^= 1 << (place % 8);
    // A length that grew asks for bytes that never come; everything else fails to verify.
    await refused(read(opener(), flipped), at < 4 ? "downgrade" : "auth", "truncated");
  }
  assert.equal((await read(opener(), wire)).body.length, 6);
});

Deno.test("a frame's bytes leave only after it has verified, and nothing of a bad one", async () => {
  const { sealer, opener } = pair();
  const head = sealer.head(200, {});
  const good = sealer.frame(utf8("good"));
  const bad = sealer.frame(utf8("bad"));
  bad[30]! ^= 1;
  const o = opener();
  await o.push(head);
  for (let at = 0; at < good.length - 1; at++) {
    assert.deepEqual(await o.push(good.subarray(at, at + 1)), [], `released at byte ${at}`);
  }
  // In one chunk: what verified comes out, the bad frame's error at the next call and ever after.
  const parts = await o.push(concat(good.subarray(good.length - 1), bad));
  assert.deepEqual(parts, [utf8("good")]);
  assert.throws(() => o.end(), (error: unknown) => (error as SecLlamaError).code === "auth");
  await refused(o.push(head), "auth");
  assert.ok(!o.done);
});

Deno.test("frames dropped, swapped, doubled, appended after FINAL, or cut before it", async () => {
  const { sealer, opener } = pair();
  const head = sealer.head(200, {});
  const [a, b] = [sealer.frame(utf8("a")), sealer.frame(utf8("b"))];
  const final = sealer.final();
  const whole = [head, a, b, final];
  await refused(read(opener(), concat(head, b, final)), "auth");
  await refused(read(opener(), concat(head, b, a, final)), "auth");
  await refused(read(opener(), concat(head, a, a, b, final)), "auth");
  await refused(read(opener(), concat(...whole, final)), "auth");
  await refused(read(opener(), concat(...whole, a)), "auth");
  await refused(read(opener(), concat(...whole, Uint8Array.of(0))), "auth");
  const forged = b.slice();
  forged[0] = 1;
  await refused(read(opener(), concat(head, a, forged)), "auth");
  for (const cut of [head, concat(head, a), concat(head, a, b)]) {
    await refused(read(opener(), cut), "truncated");
  }
  const wire = concat(...whole);
  for (let at = 0; at < wire.length; at += 11) {
    await refused(read(opener(), wire.subarray(0, at)), "truncated");
  }
  assert.equal((await read(opener(), wire, 3)).body.length, 2);
});

Deno.test("a reply to another request, or with its prefix swapped, does not open", async () => {
  const one = pair();
  const two = pair();
  const wire = concat(one.sealer.head(200, {}), one.sealer.final());
  const other = concat(two.sealer.head(200, {}), two.sealer.final());
  await refused(read(two.opener(), wire), "auth");
  await refused(read(new ReplyOpener(one.secret, two.enc), wire), "auth");
  await refused(
    read(one.opener(), concat(wire.subarray(0, PREFIX), other.subarray(PREFIX))),
    "auth",
  );
  // The same request answered twice has different keys: frames cannot move between the answers.
  const again = new ReplySealer(one.secret, one.enc);
  const second = concat(again.head(200, {}), again.final());
  assert.notDeepEqual(wire.subarray(4, 36), second.subarray(4, 36));
  await refused(
    read(one.opener(), concat(wire.subarray(0, PREFIX), second.subarray(PREFIX))),
    "auth",
  );
});

Deno.test("plaintext instead of a sealed reply is a downgrade", async () => {
  for (const text of ['{"response":"hi"}', "S", "SLQ1", "SLR2"]) {
    const code = text === "S" ? "truncated" : "downgrade";
    await refused(read(pair().opener(), utf8(text)), code);
  }
});

Deno.test("abort tells the client that the runner broke off", async () => {
  const { sealer, opener } = pair();
  const wire = concat(sealer.head(200, {}), sealer.frame(utf8("half")), sealer.abort());
  const error = await refused(read(opener(), wire), "truncated");
  assert.match(error.message, /runner/);
});

Deno.test("a sealer refuses any other order", () => {
  const fresh = () => pair().sealer;
  assert.throws(() => fresh().frame(utf8("a")));
  assert.throws(() => fresh().final());
  const twice = fresh();
  twice.head(200, {});
  assert.throws(() => twice.head(200, {}));
  twice.final();
  assert.throws(() => twice.frame(utf8("a")));
  assert.throws(() => twice.final());
  assert.throws(() => twice.abort());
  const short = fresh();
  short.head(200, {}, { body: utf8("x"), final: true });
  assert.throws(() => short.final());
});

Deno.test("data above 1 MiB becomes several frames", async () => {
  const { sealer, opener } = pair();
  const data = new Uint8Array(2 * MAX_DATA_BYTES + 5).fill(7);
  const frames = sealer.head(200, {});
  const wire = sealer.frame(data);
  assert.equal(splitFrames(wire).length, 3);
  const { body } = await read(opener(), concat(frames, wire, sealer.final()), 100_000);
  assert.equal(body.length, data.length);
});

Deno.test("sizes on the wire come in steps of 64, or of the bucket asked for", async () => {
  const sizes = new Set<number>();
  const { sealer } = pair();
  sealer.head(200, {});
  for (let n = 0; n < 64; n++) sizes.add(sealer.frame(new Uint8Array(n)).length);
  assert.deepEqual([...sizes], [4 + 64 + 16]);
  const secret = randomBytes(32);
  const wide = new ReplySealer(secret, secret, { bucket: 1024 });
  const wire = concat(wide.head(200, {}), wide.final(new Uint8Array(1000)));
  assert.deepEqual(splitFrames(wire.subarray(PREFIX)).map((frame) => frame.length), [1044, 1044]);
  assert.equal((await read(new ReplyOpener(secret, secret), wire)).body.length, 1000);
  for (const bucket of [0, 32, 96, 192, 2 << 20]) {
    assert.throws(() => new ReplySealer(secret, secret, { bucket }), RangeError, String(bucket));
  }
});

Deno.test("headers too large for the first frame are refused by name", () => {
  const { sealer } = pair();
  assert.throws(
    () => sealer.head(200, { a: "b".repeat(70_000) }),
    (error: unknown) => error instanceof SecLlamaError && error.code === "too-large",
  );
});
