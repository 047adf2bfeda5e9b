import assert from "node:assert/strict";
import { BatchPolicy } from "./batch_policy.ts";

function measured(alone: number, together: number): BatchPolicy {
  const policy = new BatchPolicy();
  for (let i = 0; i < 5; i++) {
    policy.record({ sequences: 1, ms: alone });
    policy.record({ sequences: 4, ms: together });
  }
  return policy;
}

Deno.test("batch policy: slots share a step where that is quicker, or nothing is known", () => {
  assert.equal(new BatchPolicy().limit(4), 4);
  assert.equal(measured(5, 12).limit(4), 4);
  assert.equal(measured(5, 21).limit(4), 4, "a tie is no reason");
  assert.equal(measured(5, 40).limit(1), 1);
  assert.equal(measured(5, 40).limit(3), 3, "three were never measured");
});

Deno.test("batch policy: where a shared step is slower than one each, they take turns, and it is tried again", () => {
  const policy = measured(5, 40);
  let shared = 0;
  for (let i = 0; i < 1000; i++) if (policy.limit(4) === 4) shared++;
  assert.equal(shared, 2);
  for (let i = 0; i < 3; i++) policy.record({ sequences: 4, ms: 8 });
  assert.equal(policy.limit(4), 4, "it became quicker");
});

Deno.test("batch policy: one step that was held up does not count", () => {
  const policy = measured(5, 12);
  policy.record({ sequences: 4, ms: 900 });
  policy.record({ sequences: 1, ms: 900 });
  assert.equal(policy.limit(4), 4);
});
