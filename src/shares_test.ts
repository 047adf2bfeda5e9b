import assert from "node:assert/strict";
import { Pot } from "./shares.ts";

/** Takes one at a time, as often as it may. */
function takeAll(pot: Pot, who: string): number {
  let taken = 0;
  while (pot.take(who, 1)) taken++;
  return taken;
}

Deno.test("shares: one alone has three quarters; others come to hold as much as what is held goes round", () => {
  const pot = new Pot({ limit: 1000 });
  assert.equal(takeAll(pot, "a"), 750);
  const second = takeAll(pot, "b");
  assert.ok(second > 150, `${second}`);
  // A tenth of what each holds is done, and both take what they may, the larger one first.
  for (let round = 0; round < 200; round++) {
    for (const who of ["a", "b"]) pot.give(who, Math.ceil(pot.held(who) / 10));
    for (let more = true; more;) more = [pot.take("a", 1), pot.take("b", 1)].includes(true);
  }
  for (const who of ["a", "b"]) {
    assert.ok(Math.abs(pot.held(who) - 3000 / 7) < 10, `${who} holds ${pot.held(who)}`);
  }
});

Deno.test("shares: what was taken is given back, and nobody is kept who holds nothing", () => {
  const pot = new Pot({ limit: 100 });
  const before = takeAll(pot, "a");
  pot.give("a", before);
  assert.equal(pot.total, 0);
  assert.equal(pot.held("a"), 0);
  assert.equal(takeAll(pot, "b"), before);
});

Deno.test("shares: the reserve is for those who hold no more than the floor", () => {
  const pot = new Pot({ limit: 100, floor: 2, reserve: 20 });
  // So many that together they take all that is not reserved.
  for (let n = 0; n < 200; n++) takeAll(pot, `hog ${n}`);
  const fair = new Pot({ limit: 100, floor: 2, reserve: 20 });
  assert.equal(takeAll(fair, "hog"), 60);
  assert.ok(pot.total <= 100);
  for (let n = 0; n < 10; n++) assert.equal(fair.take(`small ${n}`, 2), true);
});

Deno.test("shares: a pot of one place gives it to whoever comes first", () => {
  const pot = new Pot({ limit: 1, floor: 1 });
  assert.equal(pot.take("a", 1), true);
  assert.equal(pot.take("b", 1), false);
});

Deno.test("shares: by generation, the sum is right, the limit holds, and one small request finds room", () => {
  let seed = 7;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
  for (let round = 0; round < 50; round++) {
    const limit = 1000 + random(10_000);
    const [floor, reserve] = [1 + random(10), 100];
    const pot = new Pot({ limit, floor, reserve });
    const held = new Map<string, number>();
    for (let step = 0; step < 500; step++) {
      const who = `client ${random(1 + random(8))}`;
      const own = held.get(who) ?? 0;
      const amount = 1 + random(200);
      if (random(3) === 0 && own > 0) {
        const back = Math.min(own, amount);
        pot.give(who, back);
        held.set(who, own - back);
      } else if (pot.take(who, amount)) held.set(who, own + amount);
      const sum = [...held.values()].reduce((a, b) => a + b, 0);
      assert.equal(pot.total, sum);
      assert.ok(sum <= limit);
      // At most eight clients here: the reserve has a floor for each.
      assert.ok(pot.has("one that comes new", floor), `${sum} of ${limit}`);
    }
  }
});
