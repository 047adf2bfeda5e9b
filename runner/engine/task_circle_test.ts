import assert from "node:assert/strict";
import { TaskCircle } from "./task_circle.ts";

Deno.test("task circle: each client's in turn, its own in order", async () => {
  const circle = new TaskCircle();
  const order: string[] = [];
  const add = (client: string, count: number) => {
    for (let index = 0; index < count; index++) {
      circle.add(client, () => {
        order.push(`${client}${index}`);
        return Promise.resolve();
      });
    }
  };
  add("a", 4);
  add("b", 1);
  add("c", 2);
  assert.equal(circle.size, 7);
  for (let task = circle.next(); task; task = circle.next()) await task();
  assert.deepEqual(order, ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]);
  assert.equal(circle.size, 0);
});
