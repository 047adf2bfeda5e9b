/** The loop by itself: a model that computes nothing, and requests that only count. Who waits for whom is all there is to see. */
import assert from "node:assert/strict";
import { until } from "../../tests/support/patience.ts";
import { AdaptiveThreads } from "./adaptive_threads.ts";
import { Batch } from "./batch.ts";
import type { BatchPolicy } from "./batch_policy.ts";
import type { Generation } from "./generation.ts";
import { PromptChunker } from "./prompt_chunker.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";
import type { LlamaSymbols } from "./symbols.ts";

const BATCH = 16;
let turn = 0;

const LLAMA = {
  llama_get_memory: () => null,
  llama_memory_seq_rm: () => true,
  llama_set_n_threads() {},
  async llama_decode_in_thread() {
    // As in a thread: others have their turn meanwhile.
    if (++turn % 64 === 0) await new Promise((resolve) => setTimeout(resolve));
    return 0;
  },
} as unknown as LlamaSymbols;

/** A request of so many tokens that wants so many more. */
class Counted {
  pending: Int32Array;
  turn: number | undefined;
  cancelled = false;
  congested = false;
  cachedTokens = 0;
  startedAt = 0;
  drawn = 0;
  ended = "";
  readonly wantsNoTokens = false;
  constructor(
    readonly client: string,
    readonly prompt: number,
    readonly wanted: number,
    readonly stopsReadingAt = 0,
  ) {
    this.pending = new Int32Array(prompt);
  }
  draw(): number | { reason: "length" } {
    if (++this.drawn === this.stopsReadingAt) this.congested = true;
    return this.drawn < this.wanted ? 1 : { reason: "length" };
  }
  finish({ reason }: { reason: string }) {
    this.ended = reason;
  }
  fail(error: Error) {
    this.ended = error.message;
  }
  abandon() {
    this.ended = "cancelled";
  }
}

async function withScheduler(
  o: { cells: number; slots: number; limit?: (decoding: number) => number },
  work: (submit: (one: Counted) => Counted, scheduler: Scheduler) => Promise<void>,
): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const options: SchedulerOptions = {
    llama: LLAMA,
    context: null,
    batch: new Batch(BATCH, o.slots),
    vision: undefined,
    promptChunker: new PromptChunker(BATCH),
    adaptiveThreads: new AdaptiveThreads({ threads: 1, aloneMs: 1, now: () => 0 }),
    batchPolicy: { limit: o.limit ?? ((n: number) => n), record() {} } as unknown as BatchPolicy,
    stopSignal: undefined,
    slots: o.slots,
    slotContextLength: o.cells,
    cells: o.cells,
    vocabularySize: 8,
    queueLimit: 100,
    onClosed: resolve,
  };
  const scheduler = new Scheduler(options);
  try {
    await work((one) => {
      scheduler.submit(one as unknown as Generation);
      return one;
    }, scheduler);
  } finally {
    scheduler.close();
    await closed;
  }
}

Deno.test("scheduler: two that generate end, however few go at once and whatever the pool holds", async () => {
  for (const limit of [undefined, () => 1]) {
    for (let cells = 760; cells <= 776; cells++) {
      await withScheduler({ cells, slots: 2, ...(limit && { limit }) }, async (submit) => {
        const asked = ["a", "b"].map((client) => submit(new Counted(client, 60, 420)));
        await until(() => asked.every(({ ended }) => ended), `${cells} cells: both have ended`);
        for (const { ended, drawn } of asked) assert.deepEqual([ended, drawn], ["length", 420]);
      });
    }
  }
});

Deno.test("scheduler: a long prompt that finds the pool full beside one that generates lets it go on", async () => {
  // So long that the elder outgrows what was left to it while the prompt is read.
  const cells = 12_000;
  for (let elder = 1; elder <= 17; elder++) {
    await withScheduler({ cells, slots: 2 }, async (submit) => {
      const first = submit(new Counted("a", elder, 1500));
      const second = submit(new Counted("b", cells - elder - 512, 10));
      await until(() => first.ended !== "" && second.ended !== "", `${elder}: both have ended`);
      assert.deepEqual([first.drawn, second.drawn], [1500, 10]);
    });
  }
});

Deno.test("scheduler: one whose reader is behind keeps nobody else out, and goes on when it is read", async () => {
  await withScheduler({ cells: 1000, slots: 2 }, async (submit, scheduler) => {
    const unread = submit(new Counted("slow", 900, 90, 10));
    await until(() => unread.congested, "its reader is behind");
    const others = ["a", "b", "c"].map((client) => submit(new Counted(client, 300, 50)));
    await until(() => others.every(({ ended }) => ended), "the others have ended");
    assert.equal(unread.ended, "");
    unread.congested = false;
    scheduler.wake();
    await until(() => unread.ended !== "", "it goes on");
    assert.equal(unread.drawn, 90);
  });
});
