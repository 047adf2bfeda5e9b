import assert from "node:assert/strict";
import { ItemStore } from "./item_store.ts";

Deno.test("item store: an item is its client's only", () => {
  const store = new ItemStore();
  store.remember("alice", [{ id: "msg_1", type: "message" }]);
  assert.deepEqual(store.find("alice", "msg_1"), { id: "msg_1", type: "message" });
  assert.equal(store.find("bob", "msg_1"), undefined);
  assert.equal(store.find("alice", "msg_2"), undefined);
});

Deno.test("item store: items are forgotten after half an hour", () => {
  let now = 0;
  const store = new ItemStore(() => now);
  store.remember("a", [{ id: "1" }]);
  now = 29 * 60_000;
  assert.ok(store.find("a", "1"));
  now = 31 * 60_000;
  assert.equal(store.find("a", "1"), undefined);
});

Deno.test("item store: the oldest go when there are too many, or too much", () => {
  const store = new ItemStore();
  for (let id = 0; id < 1100; id++) store.remember("a", [{ id: String(id) }]);
  assert.equal(store.find("a", "0"), undefined);
  assert.ok(store.find("a", "1099"));
  for (let id = 0; id < 3; id++) {
    store.remember("a", [{ id: `big${id}`, text: "x".repeat(3_000_000) }]);
  }
  assert.equal(store.find("a", "big0"), undefined);
  assert.equal(store.find("a", "1099"), undefined);
  assert.ok(store.find("a", "big2"));
});
