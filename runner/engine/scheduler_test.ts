/** The loop by itself: a model that computes nothing, and requests that only count. Who waits for whom is all there is to see. */
import assert from "node:assert/strict";
import { until } from "../../tests/support/patience.ts";
import { AdaptiveThreads } from "./adaptive_threads.ts";
import { Batch } from "./batch.ts";
import type { BatchPolicy } from "./batch_policy.ts";
import type { ContextShift } from "./types.ts";
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
  /** How often it had to wait again. */
  putBack = -1;
  #pending = new Int32Array(0);
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
    readonly shift?: ContextShift,
  ) {
    this.pending = new Int32Array(prompt);
  }
  get pending(): Int32Array<ArrayBuffer> {
    return this.#pending;
  }
  set pending(tokens: Int32Array<ArrayBuffer>) {
    this.#pending = tokens;
    this.putBack++;
  }
  tellProgress() {}
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
  o: { cells: number; slots: number; turnMs?: number; limit?: (decoding: number) => number },
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
    guessCosts: undefined,
    draft: undefined,
    stopSignal: undefined,
    slots: o.slots,
    slotContextLength: o.cells,
    cells: o.cells,
    vocabularySize: 8,
    queueLimit: 100,
    ...(o.turnMs === undefined ? {} : { turnMs: o.turnMs }),
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

Deno.test("scheduler: a client whose endless requests hold all slots makes way for another's", async () => {
  for (const slots of [1, 2, 4]) {
    // Without turns, as it was, the small request waits for the end of what has none.
    for (const turnMs of [Infinity, 0]) {
      await withScheduler({ cells: 40_000, slots, turnMs }, async (submit, scheduler) => {
        const endless = Array.from(
          { length: slots + 2 },
          () => submit(new Counted("endless", 5, 20_000)),
        );
        await until(() => endless.filter(({ drawn }) => drawn > 10).length === slots, "they run");
        const small = submit(new Counted("small", 40, 10));
        if (turnMs === 0) {
          await until(() => small.ended !== "", `${slots} slots: the small one ends`);
          assert.deepEqual([small.ended, small.drawn], ["length", 10]);
          assert.ok(endless.every(({ ended }) => ended === ""), "the others are not ended");
          const before = endless.map(({ drawn }) => drawn);
          await until(() => endless.some(({ drawn }, n) => drawn > before[n]!), "and go on");
        } else {
          const before = endless[0]!.drawn;
          await until(() => endless[0]!.drawn > before + 500, "they go on");
          assert.equal(small.drawn, 0, "without turns the attack works");
        }
        for (const one of [...endless, small]) {
          one.cancelled = true;
          scheduler.cancel(one as unknown as Generation);
        }
      });
    }
  }
});

Deno.test("scheduler: many clients with endless requests all get on, whatever the slots", async () => {
  await withScheduler({ cells: 40_000, slots: 2, turnMs: 0 }, async (submit, scheduler) => {
    const all = ["a", "b", "c", "d", "e"].map((client) => submit(new Counted(client, 5, 9_000)));
    await until(() => all.every(({ drawn }) => drawn >= 200), "each has its turns");
    for (const one of all) {
      one.cancelled = true;
      scheduler.cancel(one as unknown as Generation);
    }
  });
});

Deno.test("scheduler: nobody makes way for a client's own, or for one who has as much", async () => {
  await withScheduler({ cells: 40_000, slots: 2, turnMs: 0 }, async (submit) => {
    const first = submit(new Counted("a", 5, 3_000));
    const second = submit(new Counted("b", 5, 3_000));
    await until(() => first.drawn > 0 && second.drawn > 0, "both run");
    const more = [submit(new Counted("a", 5, 5)), submit(new Counted("b", 5, 5))];
    await until(() => first.drawn > 1_000, "it goes on");
    assert.deepEqual(more.map(({ drawn }) => drawn), [0, 0]);
    assert.deepEqual([first, second].map(({ putBack }) => putBack), [0, 0]);
    await until(() => more.every(({ ended }) => ended !== ""), "all end");
  });
});

Deno.test("scheduler: long prompts of one client in all slots do not keep another's from being read", async () => {
  await withScheduler({ cells: 100_000, slots: 4 }, async (submit) => {
    const long = Array.from({ length: 8 }, () => submit(new Counted("long", 12_000, 1)));
    await until(
      () => long.filter(({ turn }) => turn !== undefined).length >= 4,
      "all slots are taken",
    );
    const small = submit(new Counted("small", 40, 3));
    await until(() => small.ended !== "", "the small one ends");
    assert.ok(long.slice(1).every(({ ended }) => ended === ""), "before the others were read");
    await until(() => long.every(({ ended }) => ended !== ""), "all end");
  });
});

Deno.test("scheduler: where cells cannot be moved, a reply that shifts reads again what is left", async () => {
  const shift = { keep: 4, window: 32 };
  await withScheduler({ cells: 64, slots: 2 }, async (submit) => {
    const one = submit(new Counted("a", 20, 100, 0, shift));
    const ending = submit(new Counted("b", 20, 100));
    await until(() => one.ended !== "" && ending.ended !== "", "both end");
    assert.deepEqual([one.ended, one.drawn], ["length", 100]);
    assert.equal(ending.drawn, 64 - 20 + 1);
    // 4 are kept, 14 go, 14 and the next token are read again: room for 13 more.
    assert.equal(one.pending.length, 4 + 14 + 1);
    assert.equal(one.putBack, Math.floor((100 - 13) / 14) + 1);
  });
});
