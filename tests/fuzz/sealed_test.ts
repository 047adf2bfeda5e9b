/** Generated input: whatever arrives, the parsers answer with one of their codes, and never crash, hang or accept. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { SEED } from "../support/seeds.ts";
import { concat, utf8 } from "../../src/bytes.ts";
import { type ErrorCode, SecLlamaError } from "../../src/errors.ts";
import { parseReplyEnvelope, parseRequestEnvelope } from "../../src/sealed/envelope.ts";
import { encodeRequestHeader, parseRequestHeader } from "../../src/sealed/header.ts";
import { randomBytes } from "../../src/sealed/primitives.ts";
import { ReplyOpener } from "../../src/sealed/reply_opener.ts";
import { ReplySealer } from "../../src/sealed/reply_sealer.ts";
import { fromProblem } from "../../src/api/problems.ts";
import { verifyKeyDocument } from "../../src/sealed/sender.ts";
import { chunks, makeWorld, open, PSK_ID, seal } from "../../src/sealed/testing.ts";

const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
const RUNS = FULL ? 1_000_000 : 5_000;

/** Waits for `promise` and returns the code it failed with; anything but a SecLlamaError fails the test. */
async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | "accepted"> {
  try {
    await promise;
    return "accepted";
  } catch (error) {
    if (error instanceof SecLlamaError) return error.code;
    throw error;
  }
}

/** What happens to captured bytes: cut, filled, spliced, doubled, some bytes set. */
function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(bytes.length - 1);
  return fc.oneof(
    fc.tuple(at, at).map(([a, b]) => concat(bytes.subarray(0, a), bytes.subarray(b))),
    fc.tuple(at, fc.uint8Array({ minLength: 1, maxLength: 300 })).map(([a, more]) =>
      concat(bytes.subarray(0, a), more, bytes.subarray(a))
    ),
    fc.tuple(at, fc.uint8Array({ maxLength: 300 })).map(([a, more]) =>
      concat(bytes.subarray(0, a), more)
    ),
    fc.array(fc.tuple(at, fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 5 })
      .map((changes) => {
        const out = bytes.slice();
        for (const [i, by] of changes) out[i]! ^= by;
        return out;
      }),
    at.map((a) => bytes.slice(0, a)),
  );
}

Deno.test("request bodies", async () => {
  const world = await makeWorld({ limits: { bodyBytes: 100_000 } });
  const captured = (await seal(world, { frameBytes: 150 })).body;
  const header = encodeRequestHeader({ suite: 1, rk: world.key.rk, pskId: PSK_ID });
  const bodies = fc.oneof(
    { weight: 4, arbitrary: fc.uint8Array({ maxLength: 400 }) },
    { weight: 3, arbitrary: fc.uint8Array({ maxLength: 300 }).map((x) => concat(utf8("SLQ1"), x)) },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 2000, size: "max" }).map((x) => concat(header, x)),
    },
    { weight: 2, arbitrary: mutated(captured) },
  );
  const allowed = new Set<string>();
  for (const code of ["malformed", "unsupported-suite", "key-mismatch", "auth", "too-large"]) {
    allowed.add(code);
  }
  const seen: { [code: string]: number } = {};
  await fc.assert(
    fc.asyncProperty(bodies, fc.integer({ min: 1, max: 500 }), async (body, size) => {
      // A mutation may undo itself; the message as it was captured is no attack.
      if (body.length === captured.length && body.every((b, i) => b === captured[i])) return;
      const bytes = new Uint8Array(body);
      const code = await codeOf(world.recipient.open(chunks(bytes, size)));
      assert.ok(allowed.has(code), code);
      seen[code] = (seen[code] ?? 0) + 1;
      // The gateway's parser sees the same prefix and must agree on what it refuses.
      if (code === "auth") assert.notEqual(parseRequestHeader(bytes), "need-more");
    }),
    { seed: SEED, numRuns: RUNS },
  );
  for (const code of ["malformed", "unsupported-suite", "key-mismatch", "auth"]) {
    assert.ok(seen[code]! > 0, `no input led to ${code}: the generator is too narrow`);
  }
  await open(world.recipient, captured);
  console.log(
    `generated request bodies: ${RUNS}${FULL ? "" : " (SECLLAMA_FULL=1 runs a million)"}`,
    seen,
  );
});

Deno.test("replies", async () => {
  const [secret, enc] = [randomBytes(32), randomBytes(32)];
  const sealer = new ReplySealer(secret, enc);
  const captured = concat(
    sealer.head(200, { a: "b" }),
    sealer.frame(utf8("hello")),
    sealer.final(randomBytes(100)),
  );
  const runs = RUNS / 5;
  const allowed = ["downgrade", "auth", "truncated"];
  await fc.assert(
    fc.asyncProperty(mutated(captured), fc.integer({ min: 1, max: 500 }), async (bytes, size) => {
      if (bytes.length === captured.length && bytes.every((b, i) => b === captured[i])) return;
      const opener = new ReplyOpener(secret, enc);
      const code = await codeOf((async () => {
        for await (const chunk of chunks(bytes, size)) await opener.push(chunk);
        opener.end();
      })());
      assert.ok(allowed.includes(code), code);
    }),
    { seed: SEED, numRuns: runs },
  );
  console.log(`generated replies: ${runs}`);
});

Deno.test("envelopes, key documents, problem documents", async () => {
  const runs = RUNS / 5;
  const anything = fc.anything({ withNullPrototype: true });
  const envelope = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.oneof(
      fc.json(),
      fc.record({ m: anything, p: fc.webPath(), h: anything, t: fc.nat() }, { requiredKeys: [] })
        .map((value) => JSON.stringify(value) ?? ""),
    ).map((text) => {
      const json = utf8(text.slice(0, 60_000));
      return concat(Uint8Array.of(json.length >>> 8, json.length), json);
    }),
  );
  fc.assert(
    fc.property(envelope, (data) => {
      for (const parse of [parseRequestEnvelope, parseReplyEnvelope]) {
        try {
          parse(new Uint8Array(data));
        } catch (error) {
          assert.ok(error instanceof SecLlamaError && error.code === "malformed", String(error));
        }
      }
    }),
    { seed: SEED, numRuns: runs },
  );
  const options = {
    psk: randomBytes(32),
    hid: randomBytes(16),
    model: "demo",
    challenge: randomBytes(16),
    sentAt: 0,
    receivedAt: 0,
  };
  const base64 = fc.oneof(fc.base64String(), fc.constant("A".repeat(43)), anything);
  const time = fc.oneof(fc.nat(), fc.double(), anything);
  const document = fc.oneof(
    anything,
    fc.record({
      suite: fc.oneof(fc.constant(1), anything),
      hid: fc.oneof(fc.constant("A".repeat(22)), anything),
      rn: base64,
      gen: time,
      pk: base64,
      nbf: time,
      exp: time,
      now: time,
      mac: base64,
    }),
  );
  await fc.assert(
    fc.asyncProperty(document, async (value) => {
      const code = await codeOf(verifyKeyDocument(value, options));
      assert.ok(["malformed", "unsupported-suite", "auth"].includes(code), code);
      fromProblem(value);
    }),
    { seed: SEED, numRuns: runs },
  );
  console.log(`generated envelopes and documents: ${2 * runs}`);
});
