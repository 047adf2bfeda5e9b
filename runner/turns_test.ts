import assert from "node:assert/strict";
import type { Work } from "../src/budget.ts";
import { type LongWork, Turns } from "./turns.ts";

const busy = (ms: number) => {
  for (const until = performance.now() + ms; performance.now() < until;);
};

/** Work of so many pieces, each as long as a turn. */
function* long(pieces: number, done: () => void): Work<number> {
  for (let piece = 0; piece < pieces; piece++) {
    busy(6);
    done();
    yield;
  }
  return pieces;
}

Deno.test("turns: work goes on between rounds of the event loop, and returns its value", async () => {
  let pieces = 0, rounds = 0;
  const timer = setInterval(() => rounds++, 0);
  assert.equal(await new Turns().run(long(20, () => pieces++), { client: "a" }), 20);
  clearInterval(timer);
  assert.equal(pieces, 20);
  assert.ok(rounds >= 10, `${rounds} rounds`);
});

Deno.test("turns: each client has its turn, whatever another has waiting", async () => {
  const turns = new Turns();
  const order: string[] = [];
  const flood = Array.from(
    { length: 30 },
    (_, index) => turns.run(long(3, () => order.push(`a${index}`)), { client: "a" }),
  );
  const small = turns.run(long(1, () => order.push("b")), { client: "b" });
  await small;
  // One that runs, one whose turn was next.
  assert.ok(order.indexOf("b") <= 2, order.join());
  await Promise.all(flood);
  assert.equal(order.length, 91);
});

Deno.test("turns: work that nobody wants any more is given up, and its clean-up runs", async () => {
  const turns = new Turns();
  const abort = new AbortController();
  let cleaned = false;
  function* endless(): Work<never> {
    try {
      for (;;) {
        busy(1);
        yield;
      }
    } finally {
      cleaned = true;
    }
  }
  const running = turns.run(endless(), { client: "a", signal: abort.signal });
  setTimeout(() => abort.abort(new Error("gone")), 20);
  await assert.rejects(running, /gone/);
  assert.ok(cleaned);
  // The next is not held up by it.
  assert.equal(await turns.run(long(1, () => {}), { client: "b" }), 1);
});

Deno.test("turns: short work is done at once, in the same round", async () => {
  let round = 0;
  const timer = setTimeout(() => round++, 0);
  const turns = new Turns();
  function* short(): Work<string> {
    yield;
    return "done";
  }
  assert.equal(await turns.run(short(), { client: "a" }), "done");
  assert.equal(round, 0);
  clearTimeout(timer);
});

Deno.test("turns: what a taker does next in its turn waits for no other round; after the turn it does", async () => {
  function* short(): Work<string> {
    yield;
    return "done";
  }
  /** Rounds that went by during three takes at once, and after a fourth that comes when the turn is over. */
  const attempt = async (): Promise<[number, number]> => {
    const [turns, taker] = [new Turns(), { client: "a" }];
    let rounds = 0;
    setImmediate(() => rounds++);
    for (let i = 0; i < 3; i++) assert.equal(await turns.run(short(), taker), "done");
    const atOnce = rounds;
    busy(6);
    await turns.take(taker);
    return [atOnce, rounds];
  };
  // A machine that others use may take away more than a turn's time between two of them: not a hundred times.
  for (let left = 100; left > 0; left--) {
    const [atOnce, after] = await attempt();
    assert.equal(after, 1);
    if (atOnce === 0) return;
  }
  assert.fail("a short request waited for the event loop each time");
});

Deno.test("turns: what another thread does for long keeps no other client's short work waiting, nor its own", async () => {
  const turns = new Turns();
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  function* aside(name: string, isLong: boolean): LongWork<void> {
    yield Object.assign(() => isLong ? gate.promise : Promise.resolve(), { isLong });
    order.push(name);
  }
  const long = ["a", "b"].map((client) => turns.run(aside(`${client} long`, true), { client }));
  for (const client of ["b", "a"]) await turns.run(aside(`${client} short`, false), { client });
  assert.deepEqual(order, ["b short", "a short"]);
  gate.resolve();
  await Promise.all(long);
  assert.deepEqual(order.slice(2), ["a long", "b long"]);
});
