/** How a sink waits while its server is away. */
import assert from "node:assert/strict";
import { SinkClock } from "./sink.ts";

/** A server that is away `fails` times; how often it had been asked when `wakes` new lines had come. */
async function askedAfter(wakes: number, fails: number) {
  const clock = new SinkClock(60_000);
  const hold = setInterval(() => {}, 1_000);
  const pausing = Promise.withResolvers<void>();
  let asked = 0;
  const running = clock.run(
    () => ++asked <= fails ? Promise.reject(new Error("away")) : Promise.resolve(),
    () => pausing.resolve(),
  );
  await pausing.promise;
  const told: number[] = [];
  for (let i = 0; i < wakes; i++) {
    clock.wake();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    told.push(asked);
  }
  clock.close(0);
  await running;
  clearInterval(hold);
  return told;
}

Deno.test("sinks: new lines end no pause while the server is away; the end of the sink does", async () => {
  assert.deepEqual(await askedAfter(50, 1_000), Array(50).fill(1));
});

Deno.test("sinks: new lines do end the wait for new lines", async () => {
  const clock = new SinkClock();
  const waiting = clock.sleep(86_400_000);
  clock.wake();
  await waiting;
});
