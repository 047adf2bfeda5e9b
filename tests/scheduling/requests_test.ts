/** Requests against each other: turns, queues, leaving, and what a runner's end does to whom. Real runners. */
import assert from "node:assert/strict";
import { makeRandomGguf } from "../../runner/engine/testing_gguf.ts";
import { BUSY_TEXT } from "../../src/api/texts.ts";
import { until } from "../support/patience.ts";
import { numbers, withWorld } from "./testing.ts";

const ONE = { model: "a", prompt: "Hi", stream: false, options: { num_predict: 1 } };

Deno.test("scheduling: one client's queue leaves room for another's, who has the next turn", () =>
  withWorld({ config: { parallel: 1, maxQueue: 7 } }, async ({ first, second, supervisor }) => {
    await first.ask("/api/generate", ONE);
    const [model] = supervisor.loaded();
    const order: string[] = [];
    const ask = async (who: typeof first, name: string, tokens: number) => {
      const answer = await who.ask("/api/generate", numbers("a", tokens));
      if (answer.status === 200) order.push(name);
      return answer;
    };
    const greedy = Array.from({ length: 9 }, () => ask(first, "greedy", 600));
    await until(() => model!.active === 6, "the greedy client has its share of 8");
    const modest = await ask(second, "modest", 5);
    assert.equal(modest.status, 200, JSON.stringify(modest.body));
    // One runs, another may have had its turn while this request was on its way; in the order of coming it were 6.
    assert.ok(order.indexOf("modest") <= 3, order.join(" "));
    const answers = await Promise.all(greedy);
    // A client tries again up to three times what is refused: by then there may be room.
    const served = answers.filter((a) => a.status === 200).length;
    assert.ok(served >= 6, `${served}`);
    const refused = answers.filter((a) => a.status === 503);
    assert.equal(refused.length, 9 - served);
    for (const { body } of refused) assert.equal(body.error, BUSY_TEXT);
  }));

Deno.test("scheduling: what is known of one client's prompt is reused for that client, never for another", () =>
  withWorld({}, async ({ first, second }) => {
    const cached = async (client: typeof first) => {
      const { body } = await client.ask("/v1/completions", {
        model: "a",
        prompt: "The gateway relays ciphertext between the proxy and the runner. ".repeat(4),
        max_tokens: 1,
      });
      return body.usage.prompt_tokens_details.cached_tokens as number;
    };
    assert.equal(await cached(first), 0);
    assert.equal(await cached(second), 0, "the same words from another client");
    assert.ok(await cached(first) > 20);
    assert.ok(await cached(second) > 20);
  }));

Deno.test("scheduling: a client that leaves frees its slot: queued, in its prompt, or in its text", async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    makeRandomGguf("135M", "q4_0", `${dir}/m.gguf`);
    await withWorld(
      { models: { m: `${dir}/m.gguf` }, config: { parallel: 1, contextLength: 2048 } },
      async ({ first, second, supervisor }) => {
        const short = {
          model: "m",
          prompt: "a",
          raw: true,
          stream: false,
          options: { num_predict: 1 },
        };
        const long = { ...short, prompt: "wabl ".repeat(300) };
        await first.ask("/api/generate", short);
        const [model] = supervisor.loaded();
        const started = performance.now();
        const whole = await first.ask("/api/generate", { ...long, prompt: `x ${long.prompt}` });
        const promptMs = performance.now() - started;
        assert.equal(whole.status, 200, JSON.stringify(whole.body));

        /** Leaves while `body` is at work, and measures until another client is served. */
        const leave = async (body: unknown, when: () => Promise<void>): Promise<number> => {
          const controller = new AbortController();
          const left = first.ask("/api/generate", body, controller.signal).catch(() => {});
          await when();
          const at = performance.now();
          controller.abort();
          await left;
          assert.equal((await second.ask("/api/generate", short)).status, 200);
          return performance.now() - at;
        };
        const working = async () => {
          await until(() => model!.active === 1, "it has come");
          await new Promise((resolve) => setTimeout(resolve, promptMs / 10));
        };

        await t.step("in its prompt", async () => {
          const ms = await leave(long, working);
          assert.ok(
            ms < promptMs / 2,
            `${ms} ms; the whole prompt takes ${promptMs}`,
          );
        });
        await t.step("in its text", async () => {
          const ms = await leave({ ...short, options: { num_predict: 1500 } }, working);
          assert.ok(ms < promptMs / 2, `${ms} ms`);
        });
        await t.step("queued", async () => {
          const controller = new AbortController();
          const blocking = second.ask("/api/generate", long);
          await until(() => model!.active === 1, "one works");
          const queued = first.ask("/api/generate", long, controller.signal).catch(() => {});
          await until(() => model!.active === 2, "one waits");
          controller.abort();
          await queued;
          await until(() => model!.active === 1, "the queue is empty");
          assert.equal((await blocking).status, 200);
        });
      },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

function exists(pid: number): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}

for (
  const [how, signal, config] of [
    ["is killed", "SIGKILL", {}],
    // Long enough for the other runner, which is not to be taken for hung on a busy machine.
    ["hangs", "SIGSTOP", { runnerTimeoutMs: 5_000 }],
  ] as const
) {
  Deno.test(`scheduling: a runner that ${how} is replaced, and only its own requests fail`, () =>
    withWorld(
      { config },
      async ({ first, second, supervisor, pidOf }) => {
        await Promise.all([
          first.ask("/api/generate", ONE),
          second.ask("/api/generate", { ...ONE, model: "b" }),
        ]);
        const before = pidOf("a");
        const active = () => supervisor.loaded().map((m) => m.active).join();
        const own = first.ask("/api/generate", numbers("a", 3000)).catch((error) => error);
        const other = second.ask("/api/generate", numbers("b", 900));
        await until(() => active() === "1,1", "both work");
        Deno.kill(before, signal);
        const failed = await own;
        assert.match(failed.code ?? failed.body.code, /^(runner-died|truncated)$/);
        assert.match(failed.message ?? failed.body.error, /runner|broke/);
        assert.equal((await first.ask("/api/generate", ONE)).status, 200);
        assert.notEqual(pidOf("a"), before);
        assert.equal(
          (await other).body.eval_count,
          900,
          "the other model's request was not touched",
        );
        await until(() => !exists(before), "the old runner is gone");
      },
    ));
}
