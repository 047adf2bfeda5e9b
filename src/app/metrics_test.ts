import assert from "node:assert/strict";
import { Metrics } from "./metrics.ts";

Deno.test("metrics: a model that is loaded anew while one of its name ends has one sample of each", async () => {
  const model = (name: string, active: number, level: string) => ({
    ...{ name, active, queued: active + 1, isolation: { level } },
  });
  const loaded = [model("a", 1, "strict"), model("b", 5, "strict"), model("a", 2, "partial")];
  loaded.push(model("a", 4, "strict"));
  const text = await new Metrics(undefined).text(
    {
      supervisor: { loaded: () => loaded, waiting: 0, keys: { paired: 0 } },
      models: { list: () => Promise.resolve([]) },
      keys: { active: { createdMs: null }, changes: () => Promise.resolve("") },
      activity: { startedMs: 0 },
    } as unknown as Parameters<Metrics["text"]>[0],
  );
  const samples = text.split("\n").filter((line) => line.includes("{model="));
  assert.deepEqual(samples, [
    'secllama_active_exchanges{model="a"} 7',
    'secllama_active_exchanges{model="b"} 5',
    'secllama_queued_exchanges{model="a"} 10',
    'secllama_queued_exchanges{model="b"} 6',
    'secllama_isolation_level{model="a",level="strict"} 1',
    'secllama_isolation_level{model="b",level="strict"} 1',
    'secllama_isolation_level{model="a",level="partial"} 1',
    'secllama_isolation_strict{model="a"} 0',
    'secllama_isolation_strict{model="b"} 1',
  ]);
});
