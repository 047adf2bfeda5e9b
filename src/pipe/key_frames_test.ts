import assert from "node:assert/strict";
import { concat } from "../bytes.ts";
import { encodeFrame, FRAME, FrameReader, MAX_PAYLOAD_BYTES } from "./frame.ts";
import { decodeKeyFrame, encodeGive, encodeTake, type GivenKey } from "./key_frames.ts";

const id = (i: number) => `client.00112233445566ff.${i.toString(16).padStart(32, "0")}`;
const key = (i: number): GivenKey => ({
  pskId: id(i),
  psk: new Uint8Array(32).fill(i),
  ...(i % 2 === 0 && { renewal: new Uint8Array(190).fill(i) }),
});

/** Through the pipe's own frames. */
function passed(payloads: readonly Uint8Array[]) {
  const reader = new FrameReader();
  const frames = payloads.map((payload) => encodeFrame(FRAME.secret, 0, payload));
  return reader.push(concat(...frames)).map((frame) => decodeKeyFrame(frame.payload));
}

Deno.test("key frames: thirty thousand keys pass in as many frames as it takes, and go as they came", () => {
  const count = 30_000;
  const payloads = encodeGive(Array.from({ length: count }, (_, i) => key(i)));
  const given = passed(payloads).flatMap((frame) => frame.kind === "give" ? frame.keys : []);
  assert.equal(given.length, count);
  for (const i of [0, 1, 2_945, count - 1]) assert.deepEqual(given[i], key(i));
  // The control: a thousand clients and two rotations were too much for one frame.
  const all = concat(...encodeGive(Array.from({ length: 2_946 }, (_, i) => key(2 * i + 1))));
  assert.ok(all.length > MAX_PAYLOAD_BYTES, `${all.length} bytes`);
  assert.throws(() => passed([all]), { code: "pipe-broken" });
  const ids = Array.from({ length: count }, (_, i) => id(i));
  for (const kind of ["forget", "revoke"] as const) {
    const taken = passed(encodeTake(kind, ids));
    assert.ok(taken.every((frame) => frame.kind === kind));
    assert.deepEqual(taken.flatMap((frame) => frame.kind === "give" ? [] : frame.ids), ids);
  }
  assert.deepEqual([encodeGive([]), encodeTake("forget", [])], [[], []]);
});

Deno.test("key frames: what is cut, of unknown kind or of another layout is garbage", () => {
  const [payload] = encodeGive([key(1), key(2)]);
  for (let length = 2; length < payload!.length; length++) {
    const cut = payload!.subarray(0, length);
    try {
      const frame = decodeKeyFrame(cut);
      assert.equal(frame.kind === "give" && frame.keys.length, 1, "cut between two keys");
    } catch (error) {
      assert.equal((error as { code?: string }).code, "pipe-broken");
    }
  }
  for (const bytes of [[], [0], [4], [2, 9], [1, 0]]) {
    assert.throws(() => decodeKeyFrame(Uint8Array.from(bytes)), { code: "pipe-broken" });
  }
  assert.throws(
    () => encodeGive([{ pskId: "x".repeat(256), psk: new Uint8Array(32) }]),
    RangeError,
  );
  assert.throws(() => encodeGive([{ pskId: "x", psk: new Uint8Array(31) }]), RangeError);
});
