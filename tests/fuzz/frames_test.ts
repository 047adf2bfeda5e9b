import assert from "node:assert/strict";
import fc from "fast-check";
import { SEED } from "../support/seeds.ts";
import {
  ByteQueue,
  encodeFrameHeader,
  FRAME_FINAL,
  frameNonce,
  MAX_DATA_BYTES,
  pad,
  parseFrameHeader,
  REPLY_BUCKET,
  REQUEST_BUCKET,
  unpad,
} from "../../src/sealed/frames.ts";

Deno.test("padding hides the length within a bucket and comes off again", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1000 }),
      fc.constantFrom(REPLY_BUCKET, REQUEST_BUCKET),
      (data, bucket) => {
        const padded = pad(data, bucket);
        assert.equal(padded.length % bucket, 0);
        assert.ok(padded.length > data.length && padded.length <= data.length + bucket);
        assert.deepEqual(unpad(padded), new Uint8Array(data));
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
  assert.equal(pad(new Uint8Array(63), 64).length, 64);
  assert.equal(pad(new Uint8Array(64), 64).length, 128);
  assert.equal(pad(new Uint8Array(MAX_DATA_BYTES), 256).length, 1 << 20);
});

Deno.test("larger steps of padding come off, a missing mark is found", () => {
  const wide = new Uint8Array(512);
  wide.set([1, 2, 0x80]);
  assert.deepEqual(unpad(wide), Uint8Array.of(1, 2));
  assert.equal(unpad(new Uint8Array(64)), undefined);
  assert.equal(unpad(new Uint8Array(0)), undefined);
  assert.equal(unpad(Uint8Array.of(0x80, 1, 0, 0)), undefined);
});

Deno.test("only the headers that a sender writes are frames", () => {
  const header = encodeFrameHeader(FRAME_FINAL, 256);
  assert.deepEqual([...header], [1, 0, 1, 16]);
  assert.deepEqual(parseFrameHeader(header, 256), { type: 1, sealedBytes: 272 });
  assert.notEqual(parseFrameHeader(encodeFrameHeader(0, 1 << 20), 256), undefined);
  const bad = [[3, 0, 1, 16], [255, 0, 1, 16], [0, 0, 0, 0], [0, 0, 0, 16], [0, 0, 0, 80]];
  bad.push([0, 0, 1, 17], [0, 16, 1, 16], [0, 255, 255, 255]);
  for (const bytes of bad) {
    assert.equal(parseFrameHeader(Uint8Array.from(bytes), 256), undefined, String(bytes));
  }
});

Deno.test("nonces of one key never repeat", () => {
  const base = Uint8Array.from([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 255, 254]);
  // The last eight bytes carry the counter; read as a number they must differ, and undo to it.
  const read = (nonce: Uint8Array) => new DataView(nonce.buffer).getBigUint64(4);
  const baseNumber = read(base);
  const check = (seq: number) => {
    assert.equal(read(frameNonce(base, seq)) ^ baseNumber, BigInt(seq));
  };
  const all = Deno.env.get("SECLLAMA_FULL") === "1";
  const count = all ? 10_000_000 : 100_000;
  for (let seq = 0; seq < count; seq++) check(seq);
  for (const seq of [2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]) check(seq);
  assert.throws(() => frameNonce(base, Number.MAX_SAFE_INTEGER + 1), RangeError);
  console.log(`nonces: ${count} checked${all ? "" : " (SECLLAMA_FULL=1 checks 10 million)"}`);
});

Deno.test("the queue gives back what went in, in any pieces", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 }),
      (chunks, takes) => {
        const queue = new ByteQueue();
        const all: number[] = [];
        const out: number[] = [];
        for (const chunk of chunks) {
          queue.push(new Uint8Array(chunk));
          all.push(...chunk);
          const n = takes.pop() ?? 1;
          const seen = queue.peek(n);
          const taken = queue.take(n);
          assert.deepEqual(taken, seen);
          if (taken === undefined) assert.ok(queue.length < n);
          else out.push(...taken);
        }
        out.push(...queue.take(queue.length)!);
        assert.equal(queue.length, 0);
        assert.deepEqual(out, all);
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});
