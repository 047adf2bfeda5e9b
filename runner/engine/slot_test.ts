import assert from "node:assert/strict";
import { chooseWaiting } from "./slot.ts";

const wait = (...clients: string[]) => clients.map((client) => ({ client }));
// deno-lint-ignore no-explicit-any -- of a generation only its client is looked at
const slots = (...clients: string[]) => wait(...clients).map((generation: any) => ({ generation }));

Deno.test("slots: the client with the fewest running is next, then the one whose turn was longest ago", () => {
  const none = new Map<string, number>();
  assert.equal(chooseWaiting(wait("a", "a", "b"), slots("a"), none), 2);
  assert.equal(chooseWaiting(wait("a", "b"), slots(), none), 0, "else the one that waits longest");
  assert.equal(chooseWaiting(wait("a", "a", "b"), slots(), new Map([["a", 5]])), 2);
  assert.equal(
    chooseWaiting(wait("a", "b", "c"), slots(), new Map([["a", 5], ["b", 3], ["c", 4]])),
    1,
  );
});

Deno.test("slots: one slot, three clients with unequal queues: each is served in turn", () => {
  const waiting = wait(...Array(6).fill("a"), "b", "b", "c");
  const turns = new Map<string, number>();
  let order = "";
  for (let turn = 0; waiting.length > 0; turn++) {
    const [{ client }] = waiting.splice(chooseWaiting(waiting, [], turns), 1) as [
      { client: string },
    ];
    turns.set(client, turn);
    order += client;
  }
  assert.equal(order, "abcabaaaa");
});
