import assert from "node:assert/strict";
import { Grouping } from "./grouping.ts";

function measured(alone: number, together: number): Grouping {
  const grouping = new Grouping();
  for (let i = 0; i < 5; i++) {
    grouping.record({ sequences: 1, ms: alone });
    grouping.record({ sequences: 4, ms: together });
  }
  return grouping;
}

Deno.test("grouping: slots share a step where that is quicker, or nothing is known", () => {
  assert.equal(new Grouping().limit(4), 4);
  assert.equal(measured(5, 12).limit(4), 4);
  assert.equal(measured(5, 21).limit(4), 4, "a tie is no reason");
  assert.equal(measured(5, 40).limit(1), 1);
  assert.equal(measured(5, 40).limit(3), 3, "three were never measured");
});

Deno.test("grouping: where a shared step is slower than one each, they take turns, and it is tried again", () => {
  const grouping = measured(5, 40);
  let shared = 0;
  for (let i = 0; i < 1000; i++) if (grouping.limit(4) === 4) shared++;
  assert.equal(shared, 2);
  for (let i = 0; i < 3; i++) grouping.record({ sequences: 4, ms: 8 });
  assert.equal(grouping.limit(4), 4, "it became quicker");
});

Deno.test("grouping: one step that was held up does not count", () => {
  const grouping = measured(5, 12);
  grouping.record({ sequences: 4, ms: 900 });
  grouping.record({ sequences: 1, ms: 900 });
  assert.equal(grouping.limit(4), 4);
});
