import assert from "node:assert/strict";
import { Admission, judgeRoom, type Occupant } from "./admission.ts";
import { estimateMemory, memoryBudget } from "./memory.ts";

const GIB = 2 ** 30;

function occupant(
  name: string,
  state: Occupant["state"],
  lastUsedMs: number,
  needBytes = GIB,
): Occupant {
  return { name, state, lastUsedMs, needBytes };
}

Deno.test("room: by number, the least recently used idle model goes", () => {
  const both = [occupant("new", "idle", 2), occupant("old", "idle", 1)];
  const room = { maxModels: 2, budgetBytes: 100 * GIB };
  assert.deepEqual(judgeRoom(both, GIB, room), { kind: "evict", names: ["old"] });
  assert.deepEqual(judgeRoom(both.slice(1), GIB, room), { kind: "fits" });
});

Deno.test("room: by memory, as many go as must, and none for a model that could never fit", () => {
  const three = [1, 2, 3].map((n) => occupant(`m${n}`, "idle", n));
  const room = { maxModels: 9, budgetBytes: 4 * GIB };
  assert.deepEqual(judgeRoom(three, GIB, room), { kind: "fits" });
  assert.deepEqual(judgeRoom(three, 2 * GIB, room), { kind: "evict", names: ["m1"] });
  assert.deepEqual(judgeRoom(three, 3 * GIB, room), { kind: "evict", names: ["m1", "m2"] });
  assert.deepEqual(judgeRoom(three, 4 * GIB + 1, room), { kind: "never" });
});

Deno.test("room: a busy model is not ended, it is drained; what leaves already is waited for", () => {
  const room = { maxModels: 2, budgetBytes: 100 * GIB };
  assert.deepEqual(judgeRoom([occupant("a", "busy", 2), occupant("b", "busy", 1)], GIB, room), {
    kind: "wait",
    drain: "b",
  });
  assert.deepEqual(judgeRoom([occupant("a", "busy", 2), occupant("b", "leaving", 1)], GIB, room), {
    kind: "wait",
  });
});

Deno.test("memory: the estimate has weights, the cache, and the process", () => {
  const shape = {
    sizeBytes: GIB,
    kvBytesPerToken: 32 * 1024,
    embeddingLength: 2048,
    cacheCells: 4 * 4096,
  };
  const need = estimateMemory(shape);
  // A token's own, and 512 tokens of a batch that may see it: 4 bytes, and 2 for flash attention.
  const more = estimateMemory({ ...shape, cacheCells: 8 * 4096 }) - need;
  assert.equal(more, 4 * 4096 * (32 * 1024 + 512 * 6));
  assert.equal(estimateMemory({ ...shape, sizeBytes: 2 * GIB }) - need, GIB);
  assert.ok(need > GIB + 4 * 4096 * 32 * 1024);
});

Deno.test("memory: the budget is the operator's, else the machine's, and never more than there is", () => {
  const machine = { totalBytes: 10 * GIB, availableBytes: 6 * GIB };
  assert.equal(memoryBudget(machine, { limitBytes: 2 * GIB, takenBytes: 0 }), 2 * GIB);
  assert.equal(memoryBudget(machine, { limitBytes: 0, takenBytes: 0 }), 6 * GIB);
  // Three taken by models: those can be had back, but a tenth stays free.
  assert.equal(memoryBudget(machine, { limitBytes: 0, takenBytes: 4 * GIB }), 9 * GIB);
});

Deno.test("admission: loads come in turn, wait for room, and give up in Ollama's words", async () => {
  const loaded = new Map<string, Occupant>();
  const drained: string[] = [];
  const make = (timeoutMs: number, maxWaiting = 9) =>
    new Admission({
      occupants: () => [...loaded.values()],
      room: () => ({ maxModels: 1, budgetBytes: 100 * GIB }),
      evict: (name) => Promise.resolve(loaded.delete(name)),
      drain: (name) => {
        drained.push(name);
        loaded.set(name, { ...loaded.get(name)!, state: "leaving" });
      },
      timeoutMs,
      maxWaiting,
    });
  const admission = make(60_000);
  await admission.enter("a", GIB);
  loaded.set("a", occupant("a", "busy", 1));
  admission.leave("a");
  const order: string[] = [];
  const enter = async (name: string) => {
    await admission.enter(name, GIB);
    order.push(name);
    loaded.set(name, occupant(name, "idle", 2));
    admission.leave(name);
  };
  const both = [enter("b"), enter("c")];
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([order, drained], [[], ["a"]]);
  loaded.delete("a");
  admission.changed();
  await Promise.all(both);
  assert.deepEqual(order, ["b", "c"]);
  assert.deepEqual([...loaded.keys()], ["c"], "b was idle and made room");

  loaded.set("c", occupant("c", "busy", 3));
  const busy = { code: "busy", message: /^server busy, please try again\. {2}maximum pending/ };
  await assert.rejects(make(20).enter("d", GIB), busy);
  const full = make(60_000, 0);
  const waits = full.enter("d", GIB);
  waits.catch(() => {});
  await assert.rejects(full.enter("e", GIB), busy);
  full.stop();
  await assert.rejects(waits, { code: "busy" });
});
