import assert from "node:assert/strict";
import {
  handledFsRights,
  handledNetRights,
  ruleRights,
  rulesetAttribute,
  scopedRights,
} from "./landlock.ts";

Deno.test("the ruleset attribute grows with the ABI", () => {
  assert.deepEqual([1, 3, 4, 5, 6, 7].map((abi) => rulesetAttribute(abi).length), [
    8,
    8,
    16,
    16,
    24,
    24,
  ]);
  const view = new DataView(rulesetAttribute(7).buffer);
  assert.equal(view.getBigUint64(0, true), 0xFFFFn, "every file right");
  assert.equal(view.getBigUint64(8, true), 3n, "bind and connect TCP");
  assert.equal(view.getBigUint64(16, true), 3n, "abstract Unix sockets and signals");
});

Deno.test("an ABI is asked only for what it knows", () => {
  assert.equal(handledFsRights(1), 0x1FFFn);
  assert.equal(handledFsRights(2), 0x3FFFn);
  assert.equal(handledFsRights(3), 0x7FFFn);
  assert.equal(handledFsRights(5), 0xFFFFn);
  assert.equal(handledNetRights(3), 0n);
  assert.equal(scopedRights(5), 0n);
});

Deno.test("a rule on a file has no folder rights, and none grants more than it names", () => {
  assert.equal(ruleRights("r", 7, true), 0b1100n);
  assert.equal(ruleRights("r", 7, false), 0b0100n);
  assert.equal(ruleRights("rx", 7, false), 0b0101n);
  assert.equal(ruleRights("rw", 7, false), 0b0110n | 1n << 14n | 1n << 15n);
  assert.equal(ruleRights("rw", 1, false), 0b0110n);
});
