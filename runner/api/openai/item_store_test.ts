import assert from "node:assert/strict";
import { ItemStore } from "./item_store.ts";

Deno.test("item store: an item is its client's only", () => {
  const store = new ItemStore();
  store.rememberItems("alice", [{ id: "msg_1", type: "message" }]);
  assert.deepEqual(store.item("alice", "msg_1"), { id: "msg_1", type: "message" });
  assert.equal(store.item("bob", "msg_1"), undefined);
  assert.equal(store.item("alice", "msg_2"), undefined);
});

Deno.test("item store: items are forgotten after half an hour", () => {
  let now = 0;
  const store = new ItemStore(() => now);
  store.rememberItems("a", [{ id: "1" }]);
  now = 29 * 60_000;
  assert.ok(store.item("a", "1"));
  now = 31 * 60_000;
  assert.equal(store.item("a", "1"), undefined);
});

Deno.test("item store: the oldest go when there are too many, or too much", () => {
  const store = new ItemStore();
  for (let id = 0; id < 1100; id++) store.rememberItems("a", [{ id: String(id) }]);
  assert.equal(store.item("a", "0"), undefined);
  assert.ok(store.item("a", "1099"));
  for (let id = 0; id < 3; id++) {
    store.rememberItems("a", [{ id: `big${id}`, text: "x".repeat(3_000_000) }]);
  }
  assert.equal(store.item("a", "big0"), undefined);
  assert.equal(store.item("a", "1099"), undefined);
  assert.ok(store.item("a", "big2"));
});

Deno.test("item store: a conversation is its client's, and no item", () => {
  const store = new ItemStore();
  const turns = [{ role: "user", content: "x" }];
  store.rememberConversation("alice", "resp_1", turns);
  assert.deepEqual(store.conversation("alice", "resp_1"), turns);
  assert.equal(store.conversation("bob", "resp_1"), undefined);
  assert.equal(store.item("alice", "resp_1"), undefined);
  store.rememberItems("alice", [{ id: "msg_1", type: "message" }]);
  assert.equal(store.conversation("alice", "msg_1"), undefined);
});
