import assert from "node:assert/strict";
import type { SecLlamaError } from "../errors.ts";
import { encodeFrame, FRAME } from "./frame.ts";
import { CONTROL_RATE, EMPTY_RATE, FrameBudget } from "./frame_budget.ts";
import { Pipe } from "./pipe.ts";

Deno.test("frame budget: a burst, then no more than what time brings back", () => {
  let ms = 0;
  const budget = new FrameBudget({ burst: 10, perSecond: 5 }, () => ms);
  const taken = (most: number) => {
    let count = 0;
    while (count < most && budget.take()) count++;
    return count;
  };
  assert.equal(taken(100), 10);
  ms += 1000;
  assert.equal(taken(100), 5);
  ms += 3_600_000;
  assert.equal(taken(100), 10, "an hour of silence is one burst");
});

/** How a gateway's pipe ends that gets `count` frames of a runner's at once, and how many messages it passed on. */
async function flooded(count: number, frame: Uint8Array<ArrayBuffer>) {
  let messages = 0;
  let chunks = Math.ceil(count / 1024);
  const pipe = new Pipe({
    side: "gateway",
    readable: new ReadableStream({
      pull(controller) {
        if (chunks-- === 0) return controller.close();
        const many = new Uint8Array(1024 * frame.length);
        for (let i = 0; i < 1024; i++) many.set(frame, i * frame.length);
        controller.enqueue(many);
      },
    }),
    write: () => {},
    onControl: () => messages++,
    now: () => 0,
  });
  // An exchange that is over: its late frames are expected.
  pipe.open({}).cancel("client-gone");
  const code = await pipe.run().then(() => "end", (error: SecLlamaError) => error.code);
  return { code, messages };
}

Deno.test("pipe: a runner that floods its gateway is ended, one that is busy is not", async () => {
  const control = encodeFrame(
    FRAME.control,
    0,
    new TextEncoder().encode('{"t":"keep_alive","ms":1}'),
  );
  assert.deepEqual(await flooded(2048, control), { code: "end", messages: 2048 });
  const { code, messages } = await flooded(CONTROL_RATE.burst * 4, control);
  assert.deepEqual([code, messages], ["pipe-broken", CONTROL_RATE.burst]);
  const late = encodeFrame(FRAME.data, 1, new Uint8Array(8));
  assert.equal((await flooded(16_384, late)).code, "end");
  assert.equal((await flooded(EMPTY_RATE.burst + 2048, late)).code, "pipe-broken");
});
