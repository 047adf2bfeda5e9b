import assert from "node:assert/strict";
import { Newcomers } from "./newcomers.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

Deno.test("newcomers: a request behind 2,000 silent connections is waited with for less than half a second", () => {
  const newcomers = new Newcomers(DEFAULT_LIMITS.connections);
  const silent = new Promise<void>(() => {});
  let now = 5_000;
  for (let i = 0; i < 2_000; i++) now += newcomers.add(silent, now)?.ms ?? 0;
  assert.ok(now - 5_000 < 500, `${now - 5_000} ms`);
});

Deno.test("newcomers: none is pushed out before it had its time, and what accepting took counts", () => {
  for (const places of [1, 16, 512]) {
    const newcomers = new Newcomers(places);
    const silent = new Promise<void>(() => {});
    // A user's share is three quarters: after so many more the first of them goes.
    const share = Math.floor(places * 3 / 4);
    const cameAt: number[] = [];
    let now = 0;
    for (let i = 0; i < 4 * places; i++) {
      if (i >= share && share > 0) assert.ok(now - cameAt[i - share]! >= 20, `${places}, ${i}`);
      cameAt.push(now);
      now += newcomers.add(silent, now)?.ms ?? 0;
    }
  }
  const slow = new Newcomers(8);
  const heard = Promise.resolve();
  assert.equal(slow.add(heard, 0), undefined);
  assert.equal(slow.add(heard, 15)?.ms, 5);
  assert.equal(slow.add(heard, 20), undefined);
  assert.equal(slow.add(heard, 90)?.ms, 0);
});
