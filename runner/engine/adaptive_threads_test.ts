import assert from "node:assert/strict";
import { AdaptiveThreads } from "./adaptive_threads.ts";

/** Steps an AdaptiveThreads on a machine where all threads and one take so long; returns the threads of each step. */
function run(
  adaptive: AdaptiveThreads,
  clock: { ms: number },
  steps: number,
  all: number,
  one: number,
): number[] {
  return Array.from({ length: steps }, () => {
    const { threads } = adaptive;
    const ms = threads === 1 ? one : all;
    clock.ms += ms;
    adaptive.record({ sequences: 1, ms });
    return threads;
  });
}

function make(): { adaptive: AdaptiveThreads; clock: { ms: number } } {
  const clock = { ms: 0 };
  return { adaptive: new AdaptiveThreads({ threads: 2, aloneMs: 10, now: () => clock.ms }), clock };
}

Deno.test("adaptive threads: an idle machine always uses all threads", () => {
  const { adaptive, clock } = make();
  assert.ok(run(adaptive, clock, 1000, 6, 10).every((threads) => threads === 2));
});

Deno.test("adaptive threads: on a busy machine one thread takes over, and all come back when it is idle", () => {
  const { adaptive, clock } = make();
  const busy = run(adaptive, clock, 200, 160, 12);
  assert.ok(busy.slice(10).filter((threads) => threads === 1).length > 180);
  const idle = run(adaptive, clock, 4000, 6, 10);
  assert.ok(idle.slice(-1000).every((threads) => threads === 2));
});

Deno.test("adaptive threads: a long context, slow with any number of threads, keeps all of them", () => {
  const { adaptive, clock } = make();
  const steps = run(adaptive, clock, 2000, 40, 70);
  assert.ok(steps.filter((threads) => threads === 1).length < 60);
});

Deno.test("adaptive threads: one outlier changes nothing; steps of many sequences count for each", () => {
  const { adaptive, clock } = make();
  run(adaptive, clock, 3, 100, 10);
  run(adaptive, clock, 1, 6, 10);
  assert.ok(run(adaptive, clock, 3, 100, 10).every((threads) => threads === 2));
  const other = make().adaptive;
  for (let at = 0; at < 50; at++) other.record({ sequences: 8, ms: 70 });
  assert.equal(other.threads, 2);
});
