import assert from "node:assert/strict";
import {
  busy,
  coded,
  collect,
  demoTest,
  libraryFolder,
  modelTest,
  PROMPTS,
  rendered,
  request,
  WARM,
  withEngine,
} from "./testing.ts";
import { loadEngine } from "./mod.ts";
import { makeRandomGguf } from "./testing_gguf.ts";

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

modelTest(
  "engine: it tells how much of the file is loaded, more each time, and all of it",
  async (modelPath) => {
    const shares: number[] = [];
    await withEngine(
      { modelPath, onLoading: (share) => shares.push(share) },
      () => Promise.resolve(),
    );
    assert.ok(shares.length > 2, `${shares}`);
    assert.deepEqual(
      shares,
      shares.toSorted((a, b) => a - b),
    );
    assert.equal(shares.at(-1), 1);
    const failing = {
      modelPath,
      onLoading: () => {
        throw new Error("nobody watches any more");
      },
    };
    await withEngine(
      failing,
      (engine) => collect(engine, request("Once", { maxTokens: 1 })).then(() => {}),
    );
  },
);
