import assert from "node:assert/strict";
import { coded, collect, GREEDY, modelTest, request, WARM, withEngine } from "./testing.ts";
import { DEFAULT_SAMPLING } from "./types.ts";

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
  "engine: biases make a token certain, or keep it from coming, with a grammar too",
  (modelPath) =>
    withEngine({ modelPath }, async (engine) => {
      const prompt = "Once upon a";
      const plain = await collect(engine, request(prompt, { maxTokens: 3, sampling: GREEDY }));
      const [usual] = plain.tokens.map(({ id }) => id);
      for (const sampling of [GREEDY, { ...WARM, seed: 3, topK: 0, topP: 1 }]) {
        const forbidden = new Map([[usual!, -Infinity]]);
        const without = await collect(
          engine,
          request(prompt, { maxTokens: 12, sampling, logitBias: forbidden }),
        );
        assert.ok(without.tokens.every(({ id }) => id !== usual));
        const wanted = new Map([[usual!, 100]]);
        const only = await collect(
          engine,
          request(prompt, { maxTokens: 3, sampling, logitBias: wanted }),
        );
        assert.deepEqual(only.tokens.map(({ id }) => id), [usual, usual, usual]);
        const grammar = 'root ::= [a-z ]{4,8} "."';
        const kept = await collect(
          engine,
          request(prompt, { maxTokens: 20, sampling, grammar, logitBias: forbidden }),
        );
        assert.ok(kept.tokens.every(({ id }) => id !== usual));
      }
      for (const biases of [[[-1, 1]], [[1e9, 1]], [[0, NaN]], [[0, Infinity]]] as const) {
        const logitBias = new Map(biases as readonly (readonly [number, number])[]);
        await assert.rejects(
          collect(engine, request(prompt, { logitBias })),
          coded("bad-request", /logitBias/),
        );
      }
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
