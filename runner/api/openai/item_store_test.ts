import assert from "node:assert/strict";
import { runAtOnce } from "../../../src/budget.ts";
import { ItemStore } from "./item_store.ts";

Deno.test("item store: an item is its client's only", () => {
  const store = new ItemStore();
  runAtOnce(store.rememberItems("alice", [{ id: "msg_1", type: "message" }]));
  assert.deepEqual(store.item("alice", "msg_1"), { id: "msg_1", type: "message" });
  assert.equal(store.item("bob", "msg_1"), undefined);
  assert.equal(store.item("alice", "msg_2"), undefined);
});

Deno.test("item store: items are forgotten after half an hour", () => {
  let now = 0;
  const store = new ItemStore(() => now);
  runAtOnce(store.rememberItems("a", [{ id: "1" }]));
  now = 29 * 60_000;
  assert.ok(store.item("a", "1"));
  now = 31 * 60_000;
  assert.equal(store.item("a", "1"), undefined);
});

Deno.test("item store: the oldest go when there are too many, or too much", () => {
  const store = new ItemStore();
  for (let id = 0; id < 1100; id++) runAtOnce(store.rememberItems("a", [{ id: String(id) }]));
  assert.equal(store.item("a", "0"), undefined);
  assert.ok(store.item("a", "1099"));
  for (let id = 0; id < 3; id++) {
    runAtOnce(store.rememberItems("a", [{ id: `big${id}`, text: "x".repeat(3_000_000) }]));
  }
  assert.equal(store.item("a", "big0"), undefined);
  assert.equal(store.item("a", "1099"), undefined);
  assert.ok(store.item("a", "big2"));
});

Deno.test("item store: a conversation is its client's, and no item", () => {
  const store = new ItemStore();
  const turns = [{ role: "user", content: "x" }];
  runAtOnce(store.rememberConversation("alice", "resp_1", turns));
  assert.deepEqual(store.conversation("alice", "resp_1"), turns);
  assert.equal(store.conversation("bob", "resp_1"), undefined);
  assert.equal(store.item("alice", "resp_1"), undefined);
  runAtOnce(store.rememberItems("alice", [{ id: "msg_1", type: "message" }]));
  assert.equal(store.conversation("alice", "msg_1"), undefined);
});

/** As the store was: one map for all clients, whose oldest go first. */
class OneMap {
  readonly #entries = new Map<string, string>();
  remember(client: string, id: string): void {
    this.#entries.set(id, client);
    while (this.#entries.size > 1024) this.#entries.delete(this.#entries.keys().next().value!);
  }
  has = (client: string, id: string): boolean => this.#entries.get(id) === client;
}

Deno.test("item store: a client that floods pushes out its own, and nobody else's", () => {
  const unprotected = new OneMap();
  unprotected.remember("alice", "msg_alice");
  for (let id = 0; id < 1024; id++) unprotected.remember("mallory", `msg_${id}`);
  assert.ok(!unprotected.has("alice", "msg_alice"), "one map for all: the attack works");

  const store = new ItemStore();
  const turns = [{ role: "user", content: "y".repeat(100_000) }];
  runAtOnce(store.rememberItems("alice", [{ id: "msg_alice", type: "message" }]));
  runAtOnce(store.rememberConversation("bob", "resp_bob", turns));
  for (let id = 0; id < 5000; id++) {
    runAtOnce(store.rememberItems("mallory", [{ id: `msg_${id}` }]));
  }
  for (let id = 0; id < 20; id++) {
    runAtOnce(store.rememberItems("mallory", [{ id: `big${id}`, text: "x".repeat(3_000_000) }]));
  }
  assert.deepEqual(store.item("alice", "msg_alice"), { id: "msg_alice", type: "message" });
  assert.deepEqual(store.conversation("bob", "resp_bob"), turns);
  assert.ok(store.item("mallory", "big19"), "what is left is the flooder's");
  assert.equal(store.item("mallory", "msg_4999"), undefined);
});

Deno.test("item store: an id that two clients have is two items", () => {
  const store = new ItemStore();
  runAtOnce(store.rememberItems("alice", [{ id: "msg_1", text: "alice's" }]));
  runAtOnce(store.rememberItems("mallory", [{ id: "msg_1", text: "mallory's" }]));
  assert.equal(store.item("alice", "msg_1")?.text, "alice's");
  assert.equal(store.item("mallory", "msg_1")?.text, "mallory's");
});

Deno.test("item store: as many as fit are shared out, the latest of each", () => {
  const store = new ItemStore();
  const clients = Array.from({ length: 64 }, (_, n) => `client ${n}`);
  // As many of each as there are places in all, whoever writes first.
  for (const client of clients) {
    for (let id = 0; id < 1024; id++) runAtOnce(store.rememberItems(client, [{ id: `msg_${id}` }]));
  }
  for (const client of clients) {
    const held = Array.from({ length: 1024 }, (_, id) => store.item(client, `msg_${id}`))
      .filter((one) => one !== undefined);
    assert.ok(held.length >= 15, `${client} holds ${held.length}`);
    assert.equal(held.at(-1)!.id, "msg_1023");
  }
});

Deno.test("item store: what is remembered again under its id counts once", () => {
  const store = new ItemStore();
  runAtOnce(store.rememberItems("a", [{ id: "first" }]));
  for (let n = 0; n < 10; n++) {
    runAtOnce(store.rememberItems("a", [{ id: "same", text: "x".repeat(3_000_000) }]));
  }
  assert.ok(store.item("a", "first"));
});

Deno.test("item store: a large item is looked at in many pieces", () => {
  const store = new ItemStore();
  const item = { id: "1", content: Array.from({ length: 100_000 }, () => ({ text: "x" })) };
  let pieces = 0;
  for (const _ of store.rememberItems("a", [item])) pieces++;
  assert.ok(pieces >= 40, `${pieces} pieces`);
  assert.deepEqual(store.item("a", "1"), item);
  // What is not kept in the end is not looked at to its end.
  pieces = 0;
  const large = { id: "2", content: [["x".repeat(9_000_000)], item.content].toReversed() };
  for (const _ of store.rememberItems("a", [large])) pieces++;
  assert.ok(pieces < 5, `${pieces} pieces`);
  assert.equal(store.item("a", "2"), undefined);
});
