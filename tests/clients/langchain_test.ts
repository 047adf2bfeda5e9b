/** npm `@langchain/ollama` and `@langchain/openai`, unmodified: invoke, stream, structured output, tools, embeddings, abort. */
// It has an isolate of its own: ./testing.ts holds every answer of fetch, which others are to do without.
import assert from "node:assert/strict";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { AIMessage, AIMessageChunk, BaseMessageLike } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOllama, Ollama, OllamaEmbeddings } from "@langchain/ollama";
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, withScript } from "./testing.ts";

const QUESTION = "What is network isolation?";

function chatModels(url: string, limit: number): [name: string, model: BaseChatModel][] {
  const openai = {
    model: "demo",
    apiKey: "unused",
    temperature: 0,
    maxTokens: limit,
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  };
  const ollama = { baseUrl: url, model: "demo", temperature: 0, numPredict: limit, maxRetries: 0 };
  return [
    ["ChatOllama", new ChatOllama(ollama)],
    ["ChatOpenAI", new ChatOpenAI(openai)],
    ["ChatOpenAI over responses", new ChatOpenAI({ ...openai, useResponsesApi: true })],
  ];
}

Deno.test("langchain over the whole path", async (t) => {
  const served = await startServe();
  const url = served.proxyUrl;
  try {
    for (const [name, model] of chatModels(url, 12)) {
      await t.step(`${name}: invoke and stream say the same`, async () => {
        const whole = await model.invoke(QUESTION);
        assert.match(whole.text, /network|socket|isolat/i);
        let text = "";
        let parts = 0;
        for await (const part of await model.stream(QUESTION)) {
          text += part.text;
          parts++;
        }
        assert.equal(text, whole.text);
        assert.ok(parts > 5);
      });
    }
    for (const [name, model] of chatModels(url, 100)) {
      await t.step(`${name}: structured output`, async () => {
        const schema = z.object({ safe: z.boolean() });
        const answer = await model.withStructuredOutput(schema, { method: "jsonSchema" })
          .invoke(QUESTION);
        assert.equal(typeof answer.safe, "boolean");
      });
    }
    for (const [name, model] of chatModels(url, 12)) {
      await t.step(`${name}: batch, events, usage, messages of every role`, async () => {
        const [first, second] = await model.batch([QUESTION, "Where are my keys?"]) as AIMessage[];
        assert.equal(first!.text, (await model.invoke(QUESTION)).text);
        assert.notEqual(first!.text, second!.text);
        const usage: unknown = first!.usage_metadata;
        assert.ok((usage as { output_tokens: number }).output_tokens > 5);
        let streamed = "";
        for await (const event of model.streamEvents(QUESTION, { version: "v2" })) {
          if (event.event === "on_chat_model_stream") streamed += event.data.chunk.text;
        }
        assert.equal(streamed, first!.text);
        const answer = await model.invoke([
          { role: "system", content: "Be kind." },
          { role: "user", content: [{ type: "text", text: "Hi" }] },
          { role: "assistant", content: "Hello." },
          { role: "user", content: QUESTION },
        ]);
        assert.ok(answer.text.length > 0);
      });
    }
    await t.step("the text models: invoke, stream, several prompts, several answers", async () => {
      const ollama = new Ollama({ baseUrl: url, model: "demo", temperature: 0, numPredict: 12 });
      const openai = new OpenAI({
        model: "demo",
        apiKey: "unused",
        temperature: 0,
        maxTokens: 12,
        maxRetries: 0,
        configuration: { baseURL: `${url}/v1` },
      });
      // The text goes into Ollama's template; to OpenAI's text models it goes as it is.
      const raw = await fetch(`${url}/api/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          ...{ model: "demo", prompt: QUESTION, raw: true, stream: false },
          options: { temperature: 0, num_predict: 12 },
        }),
      });
      const { response: continued } = await raw.json();
      assert.ok(continued.length > 10, continued);
      for (const model of [ollama, openai]) {
        const whole = await model.invoke(QUESTION);
        if (model === openai) assert.equal(whole, continued);
        else assert.match(whole, /network|socket|isolat/i);
        let joined = "";
        for await (const part of await model.stream(QUESTION)) joined += part;
        assert.equal(joined, whole);
        const { generations } = await model.generate([QUESTION, QUESTION]);
        assert.deepEqual(generations.map(([one]) => one!.text), [whole, whole]);
      }
      openai.n = 2;
      const { generations } = await openai.generate([QUESTION]);
      assert.equal(generations[0]!.length, 2);
    });
    await t.step(
      "ChatOllama: a model that is here is found, one that is not cannot be pulled",
      async () => {
        const here = new ChatOllama({
          baseUrl: url,
          model: "demo",
          numPredict: 2,
          checkOrPullModel: true,
        });
        assert.ok((await here.invoke("Hi")).text.length >= 0);
        const gone = new ChatOllama({
          baseUrl: url,
          model: "none",
          checkOrPullModel: true,
          maxRetries: 0,
        });
        await assert.rejects(gone.invoke("Hi"), /model management over the network is off/);
      },
    );
    await t.step("embeddings, by both", async () => {
      const a = await new OllamaEmbeddings({ baseUrl: url, model: "demo" }).embedQuery("a key");
      const b = await new OpenAIEmbeddings({
        model: "demo",
        apiKey: "unused",
        configuration: { baseURL: `${url}/v1` },
      }).embedQuery("a key");
      assert.ok(a.every((value, index) => Math.abs(value - b[index]!) < 1e-6));
      const documents = ["a key", "another", "a third"];
      const ollama = new OllamaEmbeddings({ baseUrl: url, model: "demo", dimensions: 8 });
      const openai = new OpenAIEmbeddings({
        model: "demo",
        apiKey: "unused",
        dimensions: 8,
        batchSize: 2,
        configuration: { baseURL: `${url}/v1` },
      });
      for (const model of [ollama, openai]) {
        const vectors = await model.embedDocuments(documents);
        assert.deepEqual(vectors.map((vector) => vector.length), [8, 8, 8]);
      }
    });
  } finally {
    await served.stop();
  }
});

const weather = tool(({ city }: { city: string }) => `rain in ${city}`, {
  name: "weather",
  description: "Weather of a city",
  schema: z.object({ city: z.string() }),
});

Deno.test("langchain: tools, whole and streamed, and their results", async (t) => {
  await withScript(THINK_AND_CALL, async ({ url, engine }) => {
    for (const [name, model] of chatModels(url, 100)) {
      await t.step(name, async () => {
        const bound = model.bindTools!([weather]);
        const asked = await bound.invoke(QUESTION);
        assert.deepEqual(asked.tool_calls!.map((call) => call.args), [{ city: "Oslo" }]);
        let whole: AIMessageChunk | undefined;
        for await (const part of await bound.stream(QUESTION)) whole = whole?.concat(part) ?? part;
        assert.deepEqual(whole!.tool_calls!.map((call) => call.args), [{ city: "Oslo" }]);
        const result = await weather.invoke(asked.tool_calls![0]!);
        await bound.invoke([{ role: "user", content: QUESTION }, asked, result]);
        const sent = engine.chats.at(-1)!.messages;
        assert.equal(sent.at(-1)!.content, "rain in Oslo");
        assert.deepEqual(sent.at(-2)!.toolCalls![0]!.arguments, { city: "Oslo" });
      });
    }
  });
});

Deno.test("langchain: structured output by a tool, and an agent's loop by hand", async (t) => {
  const ANSWER = z.object({ city: z.string() });
  await withScript(THINK_AND_CALL, async ({ url, engine }) => {
    for (const [name, model] of chatModels(url, 100)) {
      await t.step(name, async () => {
        engine.script = { ...engine.script, pieces: THINK_AND_CALL.pieces! };
        const structured = model.withStructuredOutput(ANSWER, {
          method: "functionCalling",
          name: "weather",
        });
        assert.deepEqual(await structured.invoke(QUESTION), { city: "Oslo" });
        const bound = model.bindTools!([weather]);
        const history: BaseMessageLike[] = [{ role: "user", content: QUESTION }];
        for (let turn = 0; turn < 3; turn++) {
          const answer = await bound.invoke(history) as AIMessage;
          history.push(answer);
          if (answer.tool_calls!.length === 0) break;
          for (const call of answer.tool_calls!) history.push(await weather.invoke(call));
          engine.script = { ...engine.script, pieces: ["It", " rains."] };
        }
        assert.equal((history.at(-1) as AIMessage).text, "It rains.");
        assert.equal(history.length, 4);
      });
    }
  });
});

// Not ChatOllama: it looks at the signal only when a further part arrives, so the connection stays open.
Deno.test("langchain: abort ends the generation", async (t) => {
  for (const at of [1, 2]) {
    await withScript({ endless: true }, async ({ url, engine }) => {
      const [name, model] = chatModels(url, 100)[at]!;
      await t.step(name, async () => {
        const controller = new AbortController();
        await assert.rejects(async () => {
          for await (const _ of await model.stream(QUESTION, { signal: controller.signal })) {
            controller.abort();
          }
        });
        await idle(engine);
      });
    });
  }
});
