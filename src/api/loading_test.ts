import assert from "node:assert/strict";
import { loadOf } from "./loading.ts";

const row = { name: "a:latest", model: "a:latest", digest: "sha256:0", status: "loading" };

Deno.test("loading: the asked model's row, and nothing of what is none", () => {
  const good = { ...row, completed: 1, total: 2 };
  assert.deepEqual(loadOf({ models: [], loading: [good] }, "a"), good);
  assert.equal(loadOf({ models: [], loading: [good] }, "b"), undefined);
  assert.equal(loadOf({ models: [{ name: "library/a" }] }, "a"), "loaded");
  // It is loaded, and loaded again with more context.
  assert.deepEqual(loadOf({ models: [{ name: "a:latest" }], loading: [good] }, "a"), good);
  for (
    const bad of [
      { ...row, completed: 3, total: 2 },
      { ...row, completed: -1, total: 2 },
      { ...row, completed: "1", total: 2 },
      { ...row, status: "\x1b]52;", completed: 1, total: 2 },
      null,
      7,
    ]
  ) assert.equal(loadOf({ models: [], loading: [bad] }, "a"), undefined, JSON.stringify(bad));
  for (const answer of [null, 1, "x", {}, { models: 1, loading: {} }]) {
    assert.equal(loadOf(answer, "a"), undefined);
  }
});
