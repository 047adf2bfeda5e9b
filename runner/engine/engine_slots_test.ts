import assert from "node:assert/strict";
import { busy, coded, collect, modelTest, request, withEngine } from "./testing.ts";
import type { GenerateEvent } from "./types.ts";

modelTest(
  "engine: aborting frees the slot, and the next request takes it",
  (modelPath) =>
    withEngine({ modelPath, slots: 1 }, async (engine) => {
      const controller = new AbortController();
      const events: GenerateEvent[] = [];
      const running = (async () => {
        for await (
          const event of engine.generate(request("Once", { maxTokens: -1 }), controller.signal)
        ) {
          events.push(event);
          if (events.length === 3) controller.abort();
        }
      })();
      await assert.rejects(running, coded("cancelled"));
      assert.ok(events.length < 10);
      const left = performance.now();
      await collect(engine, request("One", { maxTokens: 1 }));
      const leftMs = performance.now() - left;
      const started = performance.now();
      await collect(engine, request("Once", { maxTokens: -1 }));
      const wholeMs = performance.now() - started;
      assert.ok(leftMs < wholeMs / 2, `${leftMs} ms; the whole text takes ${wholeMs}`);
      assert.equal(engine.slotsBusy(), 0);
    }),
);

modelTest(
  "engine: leaving the iteration frees the slot",
  (modelPath) =>
    withEngine({ modelPath, slots: 1 }, async (engine) => {
      const signal = new AbortController().signal;
      for await (const _ of engine.generate(request("Once", { maxTokens: -1 }), signal)) break;
      await collect(engine, request("One", { maxTokens: 1 }));
      assert.equal(engine.slotsBusy(), 0);
    }),
);

modelTest(
  "engine: a waiting request can be cancelled, and the queue has an end",
  (modelPath) =>
    withEngine({ modelPath, slots: 1, queueLimit: 2 }, async (engine) => {
      const first = new AbortController();
      const running = collect(engine, request("Once", { maxTokens: -1 }), first.signal);
      await busy(engine);
      const second = new AbortController();
      const waiting = collect(engine, request("One", { maxTokens: 1 }), second.signal);
      const third = collect(engine, request("One", { maxTokens: 1 }));
      await assert.rejects(collect(engine, request("One")), coded("busy"));
      second.abort();
      await assert.rejects(waiting, coded("cancelled"));
      first.abort();
      await assert.rejects(running, coded("cancelled"));
      assert.equal((await third).tokens.length, 1);
    }),
);

modelTest(
  "engine: a client's hundredth request waits for another client's first",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const order: string[] = [];
      const run = async (client: string) => {
        await collect(engine, request("Once", { maxTokens: 8, client }));
        order.push(client);
      };
      const all = [...Array.from({ length: 8 }, () => run("greedy")), run("modest")];
      await Promise.all(all);
      assert.ok(order.indexOf("modest") < 5, order.join(" "));
    }),
);

modelTest(
  "engine: a consumer that reads nothing pauses its slot only",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const controller = new AbortController();
      const lazy = engine.generate(
        request("Once", { maxTokens: -1, grammar: `root ::= [a-z ]+` }),
        controller.signal,
      )[Symbol.asyncIterator]();
      await lazy.next();
      const other = await collect(engine, request("One day", { maxTokens: 400, client: "b" }));
      assert.ok(other.done);
      controller.abort();
      await assert.rejects(async () => {
        while (!(await lazy.next()).done);
      }, coded("cancelled"));
    }),
);

modelTest(
  "engine: a long prompt does not hold up a text: a token at every second step, at least",
  (modelPath) =>
    withEngine({ modelPath, slots: 2, batchSize: 64 }, async (engine) => {
      const at: number[] = [];
      let prompt: Promise<unknown> | undefined;
      const text = request("Once", { maxTokens: 60, grammar: `root ::= [a-z ]+` });
      for await (const event of engine.generate(text, new AbortController().signal)) {
        if (event.type !== "token") continue;
        at.push(engine.steps());
        prompt ??= collect(
          engine,
          request("", { prompt: new Int32Array(450).fill(5), client: "b", maxTokens: 1 }),
        );
      }
      await prompt;
      const gaps = at.slice(1).map((step, index) => step - (at[index] ?? 0));
      assert.ok(Math.max(...gaps) <= 2, gaps.join(" "));
      assert.ok(gaps.filter((gap) => gap === 2).length >= 450 / 128, gaps.join(" "));
    }),
);

modelTest(
  "engine: one slot, two clients: each is served in turn",
  (modelPath) =>
    withEngine({ modelPath, slots: 1 }, async (engine) => {
      const order: string[] = [];
      const run = async (client: string) => {
        await collect(engine, request("Once", { maxTokens: 4, client }));
        order.push(client);
      };
      await Promise.all(["a", "a", "a", "a", "b", "b"].map(run));
      assert.equal(order.join(""), "ababaa");
    }),
);

modelTest(
  "engine: a prompt that is broken off leaves nothing wrong behind",
  (modelPath) =>
    withEngine({ modelPath, slots: 1, contextLength: 2048 }, async (engine) => {
      const prompt = Int32Array.from({ length: 1500 }, (_, at) => 5 + (at * 7) % 400);
      const whole = await collect(engine, request("", { prompt, client: "x", maxTokens: 8 }));
      let broken = 0;
      for (let ms = 0; ms < 12; ms++) {
        const before = engine.steps();
        const left = collect(
          engine,
          request("", { prompt, client: `c${ms}`, maxTokens: 8 }),
          AbortSignal.timeout(ms),
        );
        await left.then(() => {}, (error) => assert.ok(coded("cancelled")(error), String(error)));
        if (engine.steps() - before < 4) broken++;
        // The same client: whatever part of its prompt is known by now must be right.
        const again = await collect(
          engine,
          request("", { prompt, client: `c${ms}`, maxTokens: 8 }),
        );
        assert.equal(again.tokens[0]?.id, whole.tokens[0]?.id, `after ${ms} ms`);
      }
      assert.ok(broken > 0, "no prompt was broken off");
    }),
  { notStories: "its context has 512 tokens" },
);
