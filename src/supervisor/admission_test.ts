import assert from "node:assert/strict";
import { HANG_MS, until } from "../../tests/support/patience.ts";
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
  await until(() => drained.length > 0, "a is asked to leave");
  await new Promise((resolve) => setTimeout(resolve, 20)); // nobody enters
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

/** A machine with room for so many models. Each load is one that is idle at once, used by who asked. */
function machine(maxModels: number) {
  const loaded = new Map<string, Occupant>();
  let clock = 0;
  let loads = 0;
  const admission = new Admission({
    occupants: () => [...loaded.values()],
    room: () => ({ maxModels, budgetBytes: 100 * GIB }),
    evict: (name) => Promise.resolve(loaded.delete(name)),
    drain: () => {},
    timeoutMs: HANG_MS,
    maxWaiting: 512,
  });
  const ask = async (client: string, name: string): Promise<boolean> => {
    const there = loaded.get(name);
    const users = [...new Set([...there?.users ?? [], client])];
    if (!there) {
      await admission.enter(name, GIB, client);
      loads++;
      admission.leave(name);
    }
    loaded.set(name, { ...occupant(name, "idle", ++clock), users });
    admission.changed();
    return there !== undefined;
  };
  return { ask, loaded, loads: () => loads };
}

Deno.test("admission: a client that asks for all models pushes out its own, not another's", async () => {
  // As it was: the least recently used goes, whoever used it.
  const lru = [occupant("b's", "idle", 1), occupant("a's", "idle", 2)];
  const room = { maxModels: 2, budgetBytes: 100 * GIB };
  assert.deepEqual(judgeRoom(lru, GIB, room), { kind: "evict", names: ["b's"] });

  const { ask, loads } = machine(3);
  await ask("b", "b's");
  for (let n = 0; n < 50; n++) {
    await ask("a", `model ${n}`);
    if (n % 10 === 9) assert.equal(await ask("b", "b's"), true, `${n}: b's model is still there`);
  }
  assert.equal(loads(), 51);
});

Deno.test("admission: who touches another's model before it floods does not make it go", async () => {
  const { ask } = machine(3);
  await ask("b", "b's");
  await ask("a", "b's");
  for (let n = 0; n < 10; n++) await ask("a", `model ${n}`);
  assert.equal(await ask("b", "b's"), true);
});

Deno.test("admission: loads of one client's wait in its own line; another's next one is next", async () => {
  const loaded = new Map([["old", occupant("old", "busy", 1)]]);
  const admission = new Admission({
    occupants: () => [...loaded.values()],
    room: () => ({ maxModels: 1, budgetBytes: 100 * GIB }),
    evict: (name) => Promise.resolve(loaded.delete(name)),
    drain: () => {},
    timeoutMs: HANG_MS,
    maxWaiting: 512,
  });
  const order: string[] = [];
  const load = async (client: string, name: string) => {
    await admission.enter(name, GIB, client);
    order.push(name);
    loaded.set(name, { ...occupant(name, "idle", order.length), users: [client] });
    admission.leave(name);
  };
  const flood = Array.from({ length: 100 }, (_, n) => load("a", `a${n}`));
  const real = load("b", "b0");
  loaded.delete("old");
  admission.changed();
  await Promise.all([...flood, real]);
  assert.ok(order.indexOf("b0") <= 2, order.slice(0, 5).join());
  assert.equal(order.length, 101);
});

Deno.test("admission: one client's loads that wait leave room for another's", async () => {
  const admission = new Admission({
    occupants: () => [occupant("old", "busy", 1)],
    room: () => ({ maxModels: 1, budgetBytes: 100 * GIB }),
    evict: () => Promise.resolve(),
    drain: () => {},
    timeoutMs: HANG_MS,
    maxWaiting: 15,
  });
  let refused = 0;
  const waits = Array.from({ length: 30 }, (_, n) => admission.enter(`a${n}`, GIB, "a"));
  for (const wait of waits) wait.catch(() => refused++);
  const other = admission.enter("b0", GIB, "b");
  let otherRefused = false;
  other.catch(() => otherRefused = true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([refused, otherRefused], [18, false]);
  admission.stop();
  await Promise.allSettled([...waits, other]);
});
