import assert from "node:assert/strict";
import { Watchdog } from "./watchdog.ts";

function watched() {
  const hung: string[] = [];
  let pings = 0;
  const dog = new Watchdog({
    timeoutMs: 1000,
    ping: () => void pings++,
    onHung: (reason) => hung.push(reason),
  });
  return { dog, hung, pings: () => pings };
}

Deno.test("watchdog: a runner that answers lives, one that is silent for four pings does not", () => {
  const { dog, hung, pings } = watched();
  for (let i = 0; i < 20; i++) {
    dog.tick();
    dog.pong({ busy: 0, steps: 0 });
  }
  assert.deepEqual(hung, []);
  for (let i = 0; i < 4; i++) dog.tick();
  assert.deepEqual(hung, [], "the fourth may still be answered");
  dog.tick();
  assert.deepEqual(hung, ["silent"]);
  assert.equal(pings(), 24);
});

Deno.test("watchdog: an engine that works without a step is stuck, in the end", () => {
  const { dog, hung } = watched();
  for (let steps = 0; steps < 200; steps++) {
    dog.tick();
    dog.pong({ busy: 1, steps });
  }
  for (let i = 0; i < 200; i++) {
    dog.tick();
    dog.pong({ busy: 0, steps: 7 });
  }
  assert.deepEqual(hung, [], "steps, or nothing to do");
  for (let i = 0; i < 40 && hung.length === 0; i++) {
    dog.tick();
    dog.pong({ busy: 1, steps: 7 });
  }
  assert.deepEqual(hung, ["stuck"]);
});
