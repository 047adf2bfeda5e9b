import assert from "node:assert/strict";
import { Crew } from "./crew.ts";

/** Steps a crew on a machine where all threads and one take so long; returns the threads of each step. */
function run(crew: Crew, clock: { ms: number }, steps: number, all: number, one: number): number[] {
  return Array.from({ length: steps }, () => {
    const { threads } = crew;
    const ms = threads === 1 ? one : all;
    clock.ms += ms;
    crew.record({ sequences: 1, ms });
    return threads;
  });
}

function make(): { crew: Crew; clock: { ms: number } } {
  const clock = { ms: 0 };
  return { crew: new Crew({ threads: 2, aloneMs: 10, now: () => clock.ms }), clock };
}

Deno.test("crew: an idle machine always uses all threads", () => {
  const { crew, clock } = make();
  assert.ok(run(crew, clock, 1000, 6, 10).every((threads) => threads === 2));
});

Deno.test("crew: on a busy machine one thread takes over, and all come back when it is idle", () => {
  const { crew, clock } = make();
  const busy = run(crew, clock, 200, 160, 12);
  assert.ok(busy.slice(10).filter((threads) => threads === 1).length > 180);
  const idle = run(crew, clock, 4000, 6, 10);
  assert.ok(idle.slice(-1000).every((threads) => threads === 2));
});

Deno.test("crew: a long context, slow with any number of threads, keeps all of them", () => {
  const { crew, clock } = make();
  const steps = run(crew, clock, 2000, 40, 70);
  assert.ok(steps.filter((threads) => threads === 1).length < 60);
});

Deno.test("crew: one outlier changes nothing; steps of many sequences count for each", () => {
  const { crew, clock } = make();
  run(crew, clock, 3, 100, 10);
  run(crew, clock, 1, 6, 10);
  assert.ok(run(crew, clock, 3, 100, 10).every((threads) => threads === 2));
  const other = make().crew;
  for (let at = 0; at < 50; at++) other.record({ sequences: 8, ms: 70 });
  assert.equal(other.threads, 2);
});
