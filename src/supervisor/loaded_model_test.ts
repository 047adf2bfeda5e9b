import assert from "node:assert/strict";
import type { IsolationReport } from "./isolation.ts";
import { LoadedModel, type LoadedModelOptions } from "./loaded_model.ts";
import type { RunnerProcess } from "./runner_process.ts";

Deno.test("model: a client is served from its request's beginning to its end, and by nothing else", () => {
  const model = new LoadedModel(
    { open: () => ({}) } as unknown as RunnerProcess,
    {} as IsolationReport,
    {
      slots: 1,
      maxQueue: 1,
      keepAliveMs: 0,
      onIdle: () => {},
      onExpired: () => {},
    } as unknown as LoadedModelOptions,
  );
  const opener = { client: "a", shared: true };
  model.promise("a");
  const key = model.open({ kind: "key", id: "a", c: "", model: "", waitedMs: 0, suite: 1 }, opener);
  assert.ok(!model.serves("a"));
  const { done } = model.open({ kind: "sealed" }, opener);
  assert.deepEqual([model.serves("a"), model.serves("b")], [true, false]);
  done();
  assert.ok(!model.serves("a"));
  key.done();
  model.retire();
});
