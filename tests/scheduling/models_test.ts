/** Which models are loaded, and for how long: by memory, by number, by lease. Real runners in the real sandbox. */
import assert from "node:assert/strict";
import { makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import { until } from "../support/patience.ts";
import { numbers, withWorld } from "./testing.ts";

const ONE = { prompt: "Hi", stream: false, options: { num_predict: 1 } };

Deno.test("scheduling: two models at once, each with its own runner", () =>
  withWorld({}, async ({ first, second, loaded, pidOf }) => {
    const [a, b] = await Promise.all([
      first.ask("/api/generate", numbers("a", 60)),
      second.ask("/api/generate", numbers("b", 60)),
    ]);
    assert.deepEqual([a.status, a.body.eval_count, b.status, b.body.eval_count], [
      200,
      60,
      200,
      60,
    ]);
    assert.deepEqual(loaded().toSorted(), ["a", "b"]);
    assert.notEqual(pidOf("a"), pidOf("b"));
  }));

Deno.test("scheduling: the least recently used model makes room when memory is short", async () => {
  let need = 0;
  await withWorld({}, async ({ supervisor }) => {
    const { model } = await supervisor.acquire("a");
    need = model.needBytes;
    const { pid } = model.isolation.measureNow();
    const taken = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`);
    const bytes = 1024 * Number(/^Pss: +(\d+) kB$/m.exec(taken)?.[1]);
    assert.ok(bytes > 0 && bytes <= need, `it takes ${bytes}, the estimate was ${need}`);
  });
  await withWorld(
    { config: { maxMemoryBytes: Math.floor(2.5 * need), maxLoadedModels: 9 } },
    async ({ first, loaded }) => {
      for (const model of ["a", "b", "a", "c"]) {
        assert.equal((await first.ask("/api/generate", { model, ...ONE })).status, 200);
      }
      assert.deepEqual(loaded().toSorted(), ["a", "c"], "b was used longest ago");
    },
  );
  await withWorld(
    { config: { maxMemoryBytes: Math.floor(0.5 * need) } },
    async ({ first, loaded }) => {
      const refused = await first.ask("/api/generate", { model: "a", ...ONE });
      assert.equal(refused.status, 500);
      assert.match(refused.body.error, /^model requires more system memory \(.* GiB\) than is/);
      assert.deepEqual(loaded(), []);
    },
  );
});

Deno.test("scheduling: a busy model ends its work, makes room, and comes back for who waits for it", () =>
  withWorld({ config: { maxLoadedModels: 1 } }, async ({ first, second, loaded, supervisor }) => {
    const order: string[] = [];
    const ask = async (client: typeof first, name: string, model: string, tokens: number) => {
      const answer = await client.ask("/api/generate", numbers(model, tokens));
      order.push(name);
      return answer;
    };
    // Has the key: what is at work from here on is the request itself, and no place is kept for another of this client's.
    assert.equal((await first.ask("/api/generate", numbers("a", 1))).status, 200);
    const long = ask(first, "long", "a", 900);
    await until(() => supervisor.loaded()[0]?.active === 1, "a works");
    const other = ask(second, "other", "b", 5);
    await until(
      () => supervisor.byRecipient(supervisor.loaded()[0]!.recipients[0]!, "x") === undefined,
      "a takes no more",
    );
    const again = ask(first, "again", "a", 5);
    for (const answer of await Promise.all([long, other, again])) {
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
    }
    assert.equal((await long).body.eval_count, 900, "nothing was cut short");
    assert.deepEqual(order, ["long", "other", "again"]);
    assert.deepEqual(loaded(), ["a"]);
  }));

Deno.test("scheduling: with keep_alive 0 each request is served, and the model goes after it", () =>
  withWorld({ config: { keepAliveMs: 0 } }, async ({ first, second, loaded }) => {
    for (let i = 0; i < 3; i++) {
      const answers = await Promise.all([
        first.ask("/api/generate", { model: "a", ...ONE }),
        second.ask("/api/generate", { model: "a", ...ONE }),
      ]);
      assert.deepEqual(answers.map((a) => a.status), [200, 200], JSON.stringify(answers));
    }
    await until(() => loaded().length === 0, "the model is gone");
  }));

Deno.test("scheduling: requests that come while a model is being unloaded are served", () =>
  withWorld({ config: { keepAliveMs: 1 } }, async ({ first, supervisor }) => {
    const pids = new Set<number>();
    for (let i = 0; i < 6; i++) {
      const answer = await first.ask("/api/generate", { model: "a", ...ONE });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      for (const model of supervisor.loaded()) pids.add(model.isolation.measureNow().pid);
      await new Promise((resolve) => setTimeout(resolve, i));
    }
    assert.ok(pids.size > 1, "it was unloaded between requests");
  }));

Deno.test("scheduling: the time that a request waited for the load is in its durations, once", () =>
  withWorld({}, async ({ first }) => {
    const started = performance.now();
    const { body: cold } = await first.ask("/api/generate", { model: "a", ...ONE });
    const wallNs = (performance.now() - started) * 1e6;
    const { body: warm } = await first.ask("/api/generate", { model: "a", ...ONE });
    assert.ok(cold.load_duration > 0.3 * wallNs, `${cold.load_duration} of ${wallNs}`);
    assert.ok(cold.load_duration < cold.total_duration && cold.total_duration <= wallNs);
    assert.ok(warm.load_duration < cold.load_duration / 5, `${warm.load_duration}`);
  }));

Deno.test("scheduling: a load that takes too long is given up, and the next one is tried", async () => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("15M", "q8_0", `${dir}/m.gguf`);
    await withWorld(
      { models: { m: `${dir}/m.gguf` }, config: { loadTimeoutMs: 30 } },
      async ({ first, loaded }) => {
        for (let i = 0; i < 2; i++) {
          const answer = await first.ask("/api/generate", { model: "m", ...ONE });
          assert.equal(answer.status, 500);
          assert.match(answer.body.error, /failed to load within 0\.03 s/);
        }
        assert.deepEqual(loaded(), []);
      },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
