/** Who waits for a model learns how far its load has come, and nobody else does. */
import assert from "node:assert/strict";
import { numbers, withWorld } from "./testing.ts";

Deno.test("loading: the client that caused a load sees it come, another client sees nothing of it", async () => {
  await withWorld({}, async ({ first, second }) => {
    let ended = false;
    const asking = first.ask("/api/generate", numbers("a", 3)).finally(() => ended = true);
    const seen = { own: [] as string[], other: 0 };
    let far = 0;
    while (!ended) {
      const [own, other] = await Promise.all([
        first.metadata("/api/ps"),
        second.metadata("/api/ps"),
      ]);
      if ("loading" in other) seen.other++;
      for (const row of own.loading ?? []) {
        assert.deepEqual([row.name, row.model], ["a:latest", "a:latest"]);
        assert.ok(row.completed <= row.total && row.total > 1e6, JSON.stringify(row));
        if (row.status === "loading") {
          assert.ok(row.completed >= far, "it only grows");
          far = row.completed;
        }
        seen.own.push(row.status);
      }
    }
    assert.equal((await asking).status, 200);
    assert.ok(seen.own.includes("loading"), `seen: ${seen.own}`);
    assert.equal(seen.other, 0);
    assert.equal("loading" in await first.metadata("/api/ps"), false, "it is loaded");
  });
});

Deno.test("loading: a load that fails leaves no row, and who comes to a load that is under way sees it too", async () => {
  await withWorld({}, async ({ first, second }) => {
    assert.notEqual((await first.ask("/api/generate", numbers("nothing", 1))).status, 200);
    assert.equal("loading" in await first.metadata("/api/ps"), false);
    let ended = false;
    const both = Promise.all([
      first.ask("/api/generate", numbers("b", 2)),
      second.ask("/api/generate", numbers("b", 2)),
    ]).finally(() => ended = true);
    const saw = [false, false];
    while (!ended) {
      for (const [i, client] of [first, second].entries()) {
        if ("loading" in await client.metadata("/api/ps")) saw[i] = true;
      }
    }
    assert.deepEqual((await both).map(({ status }) => status), [200, 200]);
    assert.deepEqual(saw, [true, true]);
  });
});

Deno.test("loading: who wants more context than the load under way will have sees how far it has come", async () => {
  await withWorld({}, async ({ supervisor }) => {
    const turn = () => new Promise((resolve) => setTimeout(resolve));
    let ended = false;
    const first = supervisor.acquire("a", { client: "one" }).finally(() => ended = true);
    while (supervisor.awaited("one").length === 0) await turn();
    const larger = supervisor.acquire("a", { client: "two", contextLength: 512 });
    let seen = 0;
    for (; !ended; await turn()) seen += supervisor.awaited("two").length;
    assert.ok(seen > 0, "it waits for that load too");
    assert.equal(supervisor.awaited("three").length, 0);
    await first;
    assert.ok((await larger).model.contextLength > 0);
  });
});
