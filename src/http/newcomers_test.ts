import assert from "node:assert/strict";
import { Newcomers } from "./newcomers.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

const silent = new Promise<void>(() => {});

/** A clock that goes on by so much in each round of the event loop, at first by nothing. */
class Clock {
  ms = 0;
  rounds = 0;
  constructor(readonly roundMs: number, readonly onRound = (_rounds: number) => {}) {}
  readonly now = () => this.ms;
  readonly round = async () => {
    this.ms += this.roundMs;
    this.onRound(++this.rounds);
    await Promise.resolve();
  };
}

Deno.test("newcomers: a request behind 2,000 silent connections is waited with for less than half a second", async () => {
  const newcomers = new Newcomers(DEFAULT_LIMITS.connections);
  const clock = new Clock(1);
  for (let i = 0; i < 2_000; i++) {
    await newcomers.add(silent, clock.ms)?.over(clock.round, clock.now);
  }
  assert.ok(clock.ms < 500, `${clock.ms} ms`);
});

Deno.test("newcomers: none is pushed out before it had its time, and what accepting took counts", async () => {
  for (const places of [1, 16, 512]) {
    const newcomers = new Newcomers(places);
    // A user's share is three quarters: after so many more the first of them goes.
    const share = Math.floor(places * 3 / 4);
    const cameAt: number[] = [];
    const clock = new Clock(1);
    for (let i = 0; i < 4 * places; i++) {
      if (i >= share && share > 0) {
        assert.ok(clock.ms - cameAt[i - share]! >= 20, `${places}, ${i}`);
      }
      cameAt.push(clock.ms);
      await newcomers.add(silent, clock.ms)?.over(clock.round, clock.now);
    }
  }
  const slow = new Newcomers(8);
  const clock = new Clock(1);
  for (const [at, ms] of [[0, undefined], [15, 16], [20, undefined], [90, 16]] as const) {
    const before = clock.ms = at;
    const turn = slow.add(silent, at);
    assert.equal(turn === undefined, ms === undefined);
    await turn?.over(clock.round, clock.now);
    if (ms !== undefined) assert.equal(clock.ms - before, ms, `${at}`);
  }
});

Deno.test("newcomers: where processors are taken, those who have sent are heard, however little time passes or much", async () => {
  for (const roundMs of [0, 1, 1000]) {
    const most = DEFAULT_LIMITS.connections / 4;
    const newcomers = new Newcomers(DEFAULT_LIMITS.connections);
    const all = Array.from({ length: most }, () => Promise.withResolvers<void>());
    // The event loop comes to one of them in every second round.
    const clock = new Clock(
      roundMs,
      (rounds) => rounds % 2 === 0 && all[rounds / 2 - 1]?.resolve(),
    );
    let heard = 0;
    for (const { promise } of all) {
      void promise.then(() => heard++);
      await newcomers.add(promise, clock.ms)?.over(clock.round, clock.now);
    }
    assert.equal(heard, most, `${roundMs} ms a round`);
  }
});
