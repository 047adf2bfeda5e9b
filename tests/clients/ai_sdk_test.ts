/** npm `ai` with ai-sdk-ollama, ollama-ai-provider-v2 and @ai-sdk/openai, unmodified. */
// It has an isolate of its own: ./testing.ts holds every answer of fetch, which others are to do without.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import {
  cosineSimilarity,
  embed,
  type EmbeddingModel,
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  type LanguageModel,
  Output,
  rerank,
  streamObject,
  streamText,
  tool,
  ToolLoopAgent,
} from "ai";
import { createOllama as createAiSdkOllama } from "ai-sdk-ollama";
import { createOllama as createOllamaV2 } from "ollama-ai-provider-v2";
import { z } from "zod";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, withScript } from "./testing.ts";

const prompt = "What is network isolation?";
const limits = { temperature: 0, maxOutputTokens: 12, maxRetries: 0 };

interface Provided {
  readonly name: string;
  readonly model: LanguageModel;
  readonly embedding: EmbeddingModel;
}

function providers(url: string): Provided[] {
  const ollama = createAiSdkOllama({ baseURL: url });
  const v2 = createOllamaV2({ baseURL: `${url}/api` });
  const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
  return [
    { name: "ai-sdk-ollama", model: ollama("demo"), embedding: ollama.embedding("demo") },
    { name: "ollama-ai-provider-v2", model: v2("demo"), embedding: v2.embeddingModel("demo") },
    {
      name: "@ai-sdk/openai responses",
      model: openai("demo"),
      embedding: openai.embedding("demo"),
    },
    {
      name: "@ai-sdk/openai chat",
      model: openai.chat("demo"),
      embedding: openai.embedding("demo"),
    },
  ];
}

Deno.test("ai over the whole path", async (t) => {
  const served = await startServe();
  try {
    for (const { name, model, embedding } of providers(served.proxyUrl)) {
      await t.step(`${name}: generateText and streamText say the same`, async () => {
        const whole = await generateText({ model, prompt, ...limits });
        assert.match(whole.text, /network|socket|isolat/i);
        assert.ok(whole.usage.outputTokens! > 5);
        const stream = streamText({ model, prompt, ...limits });
        let text = "";
        let parts = 0;
        for await (const part of stream.textStream) {
          text += part;
          parts++;
        }
        assert.equal(text, whole.text);
        assert.ok(parts > 5);
      });
      await t.step(`${name}: an object by its schema`, async () => {
        const { output } = await generateText({
          model,
          prompt,
          ...limits,
          maxOutputTokens: 100,
          output: Output.object({ schema: z.object({ safe: z.boolean() }) }),
        });
        assert.equal(typeof output.safe, "boolean");
      });
      await t.step(`${name}: streamed objects, arrays and choices`, async () => {
        const ask = { model, prompt, ...limits, maxOutputTokens: 100 };
        const schema = z.object({ safe: z.boolean() });
        assert.equal(typeof (await generateObject({ ...ask, schema })).object.safe, "boolean");
        const stream = streamObject({ ...ask, schema });
        for await (const _ of stream.partialObjectStream) { /* to its end */ }
        assert.equal(typeof (await stream.object).safe, "boolean");
        const choice = await generateText({
          ...ask,
          output: Output.choice({ options: ["a", "b"] }),
        });
        assert.ok(["a", "b"].includes(choice.output));
        const streamed = streamText({ ...ask, output: Output.object({ schema }) });
        assert.equal(typeof (await streamed.output).safe, "boolean");
      });
      await t.step(`${name}: a conversation, with system, stop and finish reasons`, async () => {
        const reply = await generateText({
          model,
          system: "Be kind.",
          messages: [
            { role: "user", content: "Hi" },
            { role: "assistant", content: "Hello." },
            { role: "user", content: [{ type: "text", text: prompt }] },
          ],
          ...limits,
          maxOutputTokens: 2,
          seed: 1,
          topP: 0.9,
        });
        // It sends the limit beside `options`, where Ollama does not look either.
        if (name !== "ollama-ai-provider-v2") assert.equal(reply.finishReason, "length");
        assert.ok(reply.usage.inputTokens! > 5);
      });
      await t.step(`${name}: a picture is refused, by name`, async () => {
        const image = { type: "file" as const, mediaType: "image/png", data: "iVBORw0KGgo=" };
        await assert.rejects(
          generateText({ model, messages: [{ role: "user", content: [image] }], ...limits }),
          // That provider reads errors of OpenAI's shape only.
          name === "ollama-ai-provider-v2" ? { statusCode: 400 } : /does not support images/,
        );
      });
      await t.step(`${name}: one embedding`, async () => {
        const one = await embed({ model: embedding, value: "a key" });
        const two = await embed({ model: embedding, value: "a key" });
        assert.ok(cosineSimilarity(one.embedding, two.embedding) > 0.999);
      });
      await t.step(`${name}: embeddings`, async () => {
        const { embeddings } = await embedMany({ model: embedding, values: ["a", "b"] });
        assert.equal(embeddings.length, 2);
      });
    }
  } finally {
    await served.stop();
  }
});

Deno.test("ai: a tool is run, and its result given back", async (t) => {
  for (const at of [0, 1, 2, 3]) {
    await withScript(THINK_AND_CALL, async ({ url, engine }) => {
      const { name, model } = providers(url)[at]!;
      const weather = tool({
        description: "Weather of a city",
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => {
          // From now on the model has nothing more to ask.
          engine.script = { ...engine.script, pieces: ["It", " rains."] };
          return `rain in ${city}`;
        },
      });
      for (const streamed of [false, true]) {
        await t.step(`${name}, ${streamed ? "streamed" : "whole"}`, async () => {
          engine.script = { ...engine.script, pieces: THINK_AND_CALL.pieces! };
          const ask = {
            model,
            prompt,
            tools: { weather },
            stopWhen: isStepCount(3),
            maxRetries: 0,
          };
          const text = streamed ? await streamText(ask).text : (await generateText(ask)).text;
          assert.equal(text, "It rains.");
          assert.match(engine.chats.at(-1)!.messages.at(-1)!.content, /rain in Oslo/);
        });
      }
    });
  }
});

Deno.test("ai: an agent runs its tool until it has an answer; thoughts arrive as reasoning", async (t) => {
  for (const at of [0, 1, 2, 3]) {
    await withScript(THINK_AND_CALL, async ({ url, engine }) => {
      const { name, model } = providers(url)[at]!;
      await t.step(name, async () => {
        const weather = tool({
          description: "Weather of a city",
          inputSchema: z.object({ city: z.string() }),
          execute: ({ city }) => {
            engine.script = { ...engine.script, pieces: ["It", " rains."] };
            return `rain in ${city}`;
          },
        });
        const agent = new ToolLoopAgent({ model, tools: { weather }, maxRetries: 0 });
        const result = await agent.generate({ prompt });
        assert.equal(result.text, "It rains.");
        assert.equal(result.steps.length, 2);
        assert.deepEqual(result.steps[0]!.toolCalls.map((call) => call.input), [{ city: "Oslo" }]);
      });
    });
  }
});

Deno.test("ai: ollama-ai-provider-v2's completions; ranking is not offered, as in Ollama", async () => {
  const served = await startServe();
  try {
    const v2 = createOllamaV2({ baseURL: `${served.proxyUrl}/api` });
    const answer = await generateText({ model: v2.completion("demo"), prompt, ...limits });
    assert.match(answer.text, /network|socket|isolat/i);
    const ollama = createAiSdkOllama({ baseURL: served.proxyUrl });
    await assert.rejects(
      rerank({
        model: ollama.rerankingModel("demo"),
        query: "keys",
        documents: ["the weather", "where keys are"],
        maxRetries: 0,
      }),
      { statusCode: 404 },
    );
  } finally {
    await served.stop();
  }
});

// Not ai-sdk-ollama: it does not pass the signal on to its client, so the connection stays open.
Deno.test("ai: abort ends the generation", async (t) => {
  for (const at of [1, 2, 3]) {
    await withScript({ endless: true }, async ({ url, engine }) => {
      const { name, model } = providers(url)[at]!;
      await t.step(name, async () => {
        const controller = new AbortController();
        const ask = { model, prompt, maxRetries: 0, abortSignal: controller.signal };
        for await (const _ of streamText(ask).textStream) controller.abort();
        await idle(engine);
      });
    });
  }
});
