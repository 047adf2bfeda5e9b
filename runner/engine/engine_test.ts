import assert from "node:assert/strict";
import { SecLlamaError } from "../../src/errors.ts";
import {
  collect,
  demoTest,
  GREEDY,
  libraryFolder,
  modelTest,
  rendered,
  request,
  withEngine,
} from "./testing.ts";
import { loadEngine } from "./mod.ts";
import { makeRandomGguf } from "./testing_gguf.ts";
import { DEFAULT_SAMPLING, type Engine, type GenerateEvent } from "./types.ts";

const coded = (code: string, pattern = /./) => (error: unknown) =>
  error instanceof SecLlamaError && error.code === code && pattern.test(error.message);

const WARM = { ...DEFAULT_SAMPLING, temperature: 1.2 };
const PROMPTS = ["Once upon a time", "The little dog", "She was", "One day"];

modelTest(
  "engine: the same seed gives the same text, another seed another",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const run = async (seed: number, client: string) =>
        (await collect(
          engine,
          request("Once upon a time", { sampling: { ...WARM, seed }, client }),
        )).done.context;
      const first = await run(7, "a");
      assert.deepEqual(await run(7, "b"), first);
      assert.notDeepEqual(await run(8, "c"), first);
    }),
);

modelTest(
  "engine: requests together do not mix",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      // A batch of four is rounded differently than one token: compare the beginnings.
      const start = async (prompt: string, client: string) =>
        (await collect(engine, request(prompt, { client, maxTokens: 4 }))).tokens.map(({ id }) =>
          id
        );
      const alone: number[][] = [];
      for (const [index, prompt] of PROMPTS.entries()) alone.push(await start(prompt, `a${index}`));
      assert.ok(new Set(alone.map(String)).size > 1, "the prompts must lead to different texts");
      const together = await Promise.all(
        PROMPTS.map((prompt, index) => start(prompt, `b${index}`)),
      );
      assert.deepEqual(together, alone);
      assert.equal(engine.slotsBusy(), 0);
    }),
);

demoTest(
  "engine: a trained model's greedy text is the same alone and among three others",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const questions = [
        "What is network isolation?",
        "Where are my keys?",
        "How do I rotate a key?",
        "What is a sealed request?",
      ];
      const ask = (question: string, client: string) => {
        const prompt = rendered(engine, { messages: [{ role: "user", content: question }] });
        return collect(engine, request("", { prompt, client, maxTokens: 100 }));
      };
      const alone: string[] = [];
      for (const [index, question] of questions.entries()) {
        alone.push((await ask(question, `a${index}`)).text);
      }
      assert.ok(new Set(alone).size > 1, "the questions must have different answers");
      const together = await Promise.all(questions.map((question, at) => ask(question, `b${at}`)));
      assert.deepEqual(together.map(({ text }) => text), alone);
    }),
);

modelTest(
  "engine: a stop string in the middle of tokens ends the text before it",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const whole = await collect(engine, request("Once upon a time", { maxTokens: 24 }));
      assert.ok(whole.text.length > 12);
      // From the last character of one token into the next: a stop string no token is.
      const lengths = whole.tokens.map(({ text }) => text.length);
      const boundary = lengths.slice(0, 6).reduce((sum, length) => sum + length, 0);
      const stop = whole.text.slice(boundary - 1, boundary + 3);
      assert.equal(stop.length, 4);
      const at = whole.text.indexOf(stop);
      const stopped = await collect(
        engine,
        request("Once upon a time", { maxTokens: 24, stop: [stop], client: "x" }),
      );
      assert.equal(stopped.text, whole.text.slice(0, at));
      assert.equal(stopped.done.reason, "stop");
      assert.equal(stopped.done.stopSequence, stop);
    }),
);

modelTest(
  "engine: text held back for a stop string that never comes is given out",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const whole = await collect(engine, request("Once upon a time", { maxTokens: 8 }));
      const stop = whole.text.slice(-1) + "\u0000never";
      const again = await collect(
        engine,
        request("Once upon a time", { maxTokens: 8, stop: [stop], client: "x" }),
      );
      assert.equal(again.text, whole.text);
      assert.equal(again.tokens.at(-1)?.continued, true);
    }),
);

modelTest(
  "engine: counts and times are those of the request",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const { done, tokens } = await collect(engine, request("Once upon", { maxTokens: 5 }));
      assert.equal(done.reason, "length");
      assert.equal(tokens.length, 5);
      assert.equal(done.evalTokens, 5);
      const prompt = engine.tokenizePrompt([{ text: "Once upon", special: false }]);
      assert.equal(done.promptTokens, prompt.length);
      assert.deepEqual(done.context, [...prompt, ...tokens.map(({ id }) => id)]);
      assert.ok(done.promptMs > 0 && done.evalMs > 0);
      const none = await collect(engine, request("Once upon", { maxTokens: 0 }));
      assert.equal(none.text, "");
      assert.equal(none.done.evalTokens, 0);
    }),
);

modelTest(
  "engine: a full context ends the text with length",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 64, slots: 1 }, async (engine) => {
      // Without an end token in reach: a grammar that permits none.
      const { done } = await collect(
        engine,
        request("Once", { maxTokens: -1, grammar: `root ::= [^\\x00]+ "\\x00"`, sampling: WARM }),
      );
      assert.equal(done.reason, "length");
      assert.equal(done.context.length, 65);
    }),
);

modelTest(
  "engine: a prompt as long as the context is refused",
  (modelPath) =>
    withEngine({ modelPath, contextLength: 64 }, async (engine) => {
      const prompt = new Int32Array(64).fill(5);
      await assert.rejects(
        collect(engine, request("", { prompt })),
        coded("context-too-long", /64/),
      );
      const fits = await collect(engine, request("", { prompt: prompt.subarray(1) }));
      assert.equal(fits.done.promptTokens, 63);
      await assert.rejects(
        collect(engine, request("", { prompt: Int32Array.of(1, 1 << 30) })),
        coded("bad-request", /not a token/),
      );
      await assert.rejects(
        collect(engine, request("", { prompt: [], bos: false })),
        coded("bad-request", /empty/),
      );
    }),
);

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
  "engine: a prefix is reused for the same client, never for another",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const prompt = "Once upon a time there was a little girl named Lily and a big dog. ";
      const first = await collect(engine, request(prompt, { client: "a" }));
      assert.equal(first.done.cachedTokens, 0);
      const other = await collect(engine, request(prompt, { client: "b" }));
      assert.equal(other.done.cachedTokens, 0);
      assert.equal(other.text, first.text);
      // The same client again: all but the last token, which must be evaluated to have an output.
      const again = await collect(engine, request(prompt, { client: "a" }));
      assert.equal(again.done.cachedTokens, again.done.promptTokens - 1);
      // A token alone is rounded differently than in a batch: the texts may part, but not at once.
      assert.equal(again.tokens[0]?.id, first.tokens[0]?.id);
      // Both slots now hold tokens of a and b; a third client gets one of them, emptied.
      const third = await collect(engine, request(prompt, { client: "c" }));
      assert.equal(third.done.cachedTokens, 0);
      assert.equal(third.text, first.text);
    }),
);

modelTest(
  "engine: a second turn reuses the first turn's reply",
  (modelPath) =>
    withEngine({ modelPath, slots: 2 }, async (engine) => {
      const first = await collect(engine, request("Once upon a time there was", { maxTokens: 12 }));
      const next = Int32Array.from([...first.done.context, first.done.context.at(-1) ?? 0]);
      const second = await collect(engine, request("", { prompt: next }));
      // Every token of the first turn was decoded but the last one, which only ended it.
      assert.equal(second.done.cachedTokens, first.done.context.length - 1);
    }),
);

modelTest(
  "engine: logprobs are those of the model, best first",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const { tokens } = await collect(
        engine,
        request("Once upon a", { maxTokens: 4, logprobs: 5 }),
      );
      for (const { id, logprob, top } of tokens) {
        assert.ok(logprob && top);
        assert.equal(top.length, 5);
        assert.equal(logprob.id, id);
        // Greedy: the chosen token is the most probable.
        assert.equal(top[0]?.id, id);
        assert.equal(top[0]?.logprob, logprob.logprob);
        const probabilities = top.map((entry) => Math.exp(entry.logprob));
        assert.ok(
          probabilities.every((value, at) => value > 0 && value <= (probabilities[at - 1] ?? 1)),
        );
        assert.ok(probabilities.reduce((sum, value) => sum + value) <= 1.0001);
      }
      const without = await collect(engine, request("Once upon a", { maxTokens: 1 }));
      assert.equal(without.tokens[0]?.logprob, undefined);
    }),
);

modelTest(
  "engine: a grammar is kept to, token for token",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const grammar = `root ::= "{\\"answer\\": " ("true" | "false") ", \\"n\\": " [0-9]{3} "}"`;
      for (const sampling of [GREEDY, { ...WARM, seed: 1 }, { ...WARM, seed: 2, topK: 0 }]) {
        const { text, done } = await collect(
          engine,
          request("Say", { grammar, sampling, maxTokens: 60 }),
        );
        assert.equal(done.reason, "stop", text);
        const value = JSON.parse(text);
        assert.deepEqual(Object.keys(value), ["answer", "n"]);
      }
      await assert.rejects(
        collect(engine, request("Say", { grammar: "root ::= (" })),
        coded("bad-request", /grammar/),
      );
      await assert.rejects(
        collect(engine, request("Say", { grammar: "root ::= root" })),
        coded("bad-request", /grammar/),
      );
    }),
);

modelTest(
  "engine: a grammar that permits nothing more ends the text, not the process",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      // A character outside of most vocabularies' tokens, then one no byte token makes.
      const { done } = await collect(
        engine,
        request("Say", { grammar: `root ::= "a" [\\uFFFF] "b"` }),
      );
      assert.ok(["stop", "length"].includes(done.reason));
      assert.equal((await collect(engine, request("Say", { maxTokens: 2 }))).tokens.length, 2);
    }),
);

modelTest(
  "engine: penalties change the text, and a narrowed first cut does not",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const penalised = { ...GREEDY, repeatPenalty: 1.5, repeatLastN: 32 };
      const plain = await collect(engine, request("Once upon a time", { maxTokens: 48 }));
      const narrowed = await collect(
        engine,
        request("Once upon a time", { maxTokens: 48, sampling: penalised }),
      );
      assert.notEqual(narrowed.text, plain.text);
      // The same penalties over the whole vocabulary: too long a look back for the first cut.
      const whole = await collect(
        engine,
        request("Once upon a time", {
          maxTokens: 48,
          sampling: { ...penalised, presencePenalty: -1e-9 },
        }),
      );
      assert.equal(whole.text, narrowed.text);
    }),
);

modelTest(
  "engine: sampling values that native code would not survive are refused",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      for (
        const bad of [{ temperature: NaN }, { repeatPenalty: 0 }, { topK: 1.5 }, { topP: Infinity }]
      ) {
        await assert.rejects(
          collect(engine, request("Once", { sampling: { ...DEFAULT_SAMPLING, ...bad } })),
          coded("bad-request"),
        );
      }
      for (
        const odd of [
          { temperature: -1 },
          { topK: -5 },
          { topP: 0 },
          { minP: 2 },
          { typicalP: 0 },
          { seed: 0xffffffff },
          { seed: -1 },
          { repeatLastN: -1 },
          { repeatLastN: 0x7fffffff },
          { temperature: 1e30 },
        ]
      ) {
        const sampling = { ...DEFAULT_SAMPLING, ...odd };
        assert.ok((await collect(engine, request("Once", { sampling, maxTokens: 3 }))).done);
      }
    }),
);

modelTest(
  "engine: embeddings have length 1 and tell texts apart",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const { signal } = new AbortController();
      const embed = (text: string) =>
        engine.embed(engine.tokenize(text, { special: false }), { client: "a", signal });
      // Between two requests that generate: their cache must not notice.
      const before = await collect(engine, request("Once upon a time"));
      const [a, b, c] = await Promise.all([
        embed("a red ball"),
        embed("a red ball"),
        embed("the sea"),
      ]);
      assert.equal(a.length, engine.info.embeddingLength);
      const dot = (x: Float32Array, y: Float32Array) =>
        x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
      assert.ok(Math.abs(dot(a, a) - 1) < 1e-5);
      assert.ok(Math.abs(dot(a, b) - 1) < 1e-5);
      assert.ok(dot(a, c) < 0.999);
      assert.equal(
        (await collect(engine, request("Once upon a time", { client: "x" }))).text,
        before.text,
      );
      await assert.rejects(
        engine.embed(new Int32Array(0), { client: "a", signal }),
        coded("bad-request"),
      );
      await assert.rejects(
        engine.embed(new Int32Array(600).fill(5), { client: "a", signal }),
        coded("bad-request"),
      );
      await assert.rejects(
        engine.embed(Int32Array.of(-1), { client: "a", signal }),
        coded("bad-request"),
      );
      const aborted = AbortSignal.abort();
      await assert.rejects(
        engine.embed(Int32Array.of(5), { client: "a", signal: aborted }),
        coded("cancelled"),
      );
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
);

modelTest("engine: closing ends what runs and what waits", async (modelPath) => {
  const engine = await loadEngine({
    libDir: libraryFolder(),
    modelPath,
    contextLength: 128,
    slots: 1,
    threads: 1,
  });
  const running = collect(engine, request("Once", { maxTokens: -1 }));
  await busy(engine);
  const waiting = collect(engine, request("One"));
  const ended = Promise.allSettled([running, waiting]);
  engine.close();
  engine.close();
  for (const result of await ended) {
    assert.equal(result.status, "rejected");
    assert.ok(coded("cancelled")(result.reason));
  }
  await assert.rejects(collect(engine, request("One")), coded("cancelled"));
  assert.throws(() => engine.tokenize("a", { special: false }), coded("cancelled"));
});

modelTest("engine: text to tokens and back", (modelPath) =>
  withEngine({ modelPath }, (engine) => {
    const text = "the dog said hello";
    const tokens = engine.tokenize(text, { special: false });
    assert.equal(engine.detokenize(tokens).trim(), text);
    const bos = engine.tokenizePrompt([{ text, special: false }], { bos: true });
    const without = engine.tokenizePrompt([{ text, special: false }], { bos: false });
    assert.ok(bos.length === without.length + 1 || bos.length === without.length);
    assert.equal(engine.detokenize([-1, 1 << 30]), "");
    return Promise.resolve();
  }));

Deno.test("engine: files that are no models are refused with llama.cpp's reason", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const load = (path: string) =>
      loadEngine({
        libDir: libraryFolder(),
        modelPath: path,
        contextLength: 64,
        slots: 1,
        threads: 1,
      });
    await Deno.writeTextFile(`${dir}/text.gguf`, "not a model");
    await assert.rejects(load(`${dir}/text.gguf`), coded("model-failed", /could not be loaded: ./));
    await assert.rejects(load(`${dir}/none.gguf`), coded("model-failed", /could not be loaded: ./));
    {
      makeRandomGguf("tiny", "q8_0", `${dir}/half.gguf`);
      await Deno.truncate(`${dir}/half.gguf`, 100_000);
      await assert.rejects(
        load(`${dir}/half.gguf`),
        coded("model-failed", /could not be loaded: ./),
      );
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function busy(engine: Engine): Promise<void> {
  while (engine.slotsBusy() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
