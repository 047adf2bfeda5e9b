import assert from "node:assert/strict";
import { Budget, runAtOnce, type Work } from "./budget.ts";

const refused = (pattern: RegExp) => ({ code: "bad-request", message: pattern, field: "template" });
const budget = (limits = {}) => new Budget({ what: "template", field: "template" }, limits);

Deno.test("budget: steps, text, output and depth each end with an error that says which", () => {
  assert.throws(
    () => {
      for (const it = budget({ steps: 100 });;) it.step();
    },
    refused(/takes too many steps/),
  );
  // Asked before: the text is never made.
  assert.throws(() => budget({ steps: 100 }).charge(2 ** 30), refused(/takes too many steps/));
  assert.throws(() => budget({ output: 10 }).write(11), refused(/writes too much/));
  const deep = budget({ depth: 3 });
  for (let level = 0; level < 3; level++) deep.enter();
  deep.leave();
  deep.enter();
  assert.throws(() => deep.enter(), refused(/calls itself/));
});

Deno.test("budget: what makes nothing costs nothing", () => {
  const it = budget({ steps: 1 });
  for (const units of [0, -5, NaN]) it.charge(units);
  assert.equal(it.steps, 0);
});

Deno.test("budget: it is time to yield once in a while, not at each statement", () => {
  const it = budget();
  let yields = 0;
  function* work(): Work<string> {
    for (let at = 0; at < 10_000; at++) {
      it.step();
      if (it.due()) {
        yields++;
        yield;
      }
    }
    return "done";
  }
  assert.equal(runAtOnce(work()), "done");
  assert.ok(yields >= 5 && yields <= 20, `${yields}`);
});
