import assert from "node:assert/strict";
import { NextAnswer } from "./next_answer.ts";

Deno.test("next answer: who asks while one is on its way shares one that begins later", async () => {
  const answers = new NextAnswer<number>();
  const ready: (() => void)[] = [];
  let begun = 0;
  const find = () => {
    const mine = ++begun;
    return new Promise<number>((resolve) => ready.push(() => resolve(mine)));
  };
  const first = answers.ask("a", find);
  const later = [answers.ask("a", find), answers.ask("a", find), answers.ask("a", find)];
  const other = answers.ask("b", find);
  assert.equal(begun, 2);
  ready[0]!();
  assert.equal(await first, 1);
  await Promise.resolve();
  // A question that comes now is older than no answer either.
  while (ready.length < 3) await Promise.resolve();
  const last = answers.ask("a", find);
  ready[2]!();
  assert.deepEqual(await Promise.all(later), [3, 3, 3]);
  while (ready.length < 4) await Promise.resolve();
  ready[3]!();
  assert.equal(await last, 4);
  ready[1]!();
  assert.equal(await other, 2);
  const again = answers.ask("a", find);
  assert.equal(begun, 5);
  ready[4]!();
  assert.equal(await again, 5);
});

Deno.test("next answer: one that fails fails for those who shared it, and for nobody after", async () => {
  const answers = new NextAnswer<number>();
  const fails = () => Promise.reject(new Error("gone"));
  const asked = [answers.ask("a", fails), answers.ask("a", fails), answers.ask("a", fails)];
  for (const one of asked) await assert.rejects(one, /gone/);
  assert.equal(await answers.ask("a", () => Promise.resolve(1)), 1);
});
