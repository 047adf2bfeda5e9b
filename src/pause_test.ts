/** Waiting with an end: for something, no longer than a time. */
import assert from "node:assert/strict";
import { settlesWithin } from "./pause.ts";

const DAY_MS = 86_400_000;

// Deno's own check of timers finds one that was left: of a day, and of more than a timer can be.
Deno.test("what settles within the time is told, however it does, and no timer stays", async () => {
  assert.equal(await settlesWithin(Promise.resolve(1), DAY_MS), true);
  assert.equal(await settlesWithin(Promise.reject(new Error("x")), DAY_MS), true);
  const later = Promise.withResolvers<void>();
  const waiting = settlesWithin(later.promise, 1_000 * DAY_MS);
  later.resolve();
  assert.equal(await waiting, true);
});

Deno.test("what does not settle is given up after the time, at once where there is none, and may still fail", async () => {
  const never = new Promise<never>(() => {});
  assert.equal(await settlesWithin(never, 1), false);
  assert.equal(await settlesWithin(never, -1), false);
  assert.equal(await settlesWithin(never, -Infinity), false);
  const failing = Promise.withResolvers<never>();
  assert.equal(await settlesWithin(failing.promise, 0), false);
  // Nobody's rejection: it would end this process.
  failing.reject(new Error("late"));
  await new Promise((resolve) => setTimeout(resolve, 0));
});

Deno.test("a time beyond a timer's is waited for, not none", async () => {
  const soon = new Promise<void>((resolve) => setTimeout(resolve, 20));
  assert.equal(await settlesWithin(soon, 2 ** 40), true);
  assert.equal(await settlesWithin(Promise.resolve(), Infinity), true);
});
