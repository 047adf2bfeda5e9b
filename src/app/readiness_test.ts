import assert from "node:assert/strict";
import { notReady, shared } from "./readiness.ts";

Deno.test("readyz: however many ask, the model store is read once at a time", async () => {
  let reads = 0;
  const look = shared(() =>
    notReady({
      models: { list: () => Promise.resolve((reads++, [])) },
      keys: { changes: () => Promise.reject(new Error("x")) },
      audit: undefined,
      fleet: { isFresh: false },
    })
  );
  const found = await Promise.all(Array.from({ length: 50 }, look));
  assert.deepEqual(found[49], ["keys: internal", "fleet: fleet-silent"]);
  assert.equal(reads, 1);
  await look();
  assert.equal(reads, 2);
});
