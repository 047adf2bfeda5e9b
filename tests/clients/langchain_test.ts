/** npm `@langchain/ollama` and `@langchain/openai`, unmodified: invoke, stream, structured output, tools, embeddings, abort. */
import assert from "node:assert/strict";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOllama, Ollama, OllamaEmbeddings } from "@langchain/ollama";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, withScript } from "./support.ts";

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
    await t.step("the text model", async () => {
      const model = new Ollama({ baseUrl: url, model: "demo", temperature: 0, numPredict: 12 });
      assert.match(await model.invoke(QUESTION), /network|socket|isolat/i);
    });
    await t.step("embeddings, by both", async () => {
      const a = await new OllamaEmbeddings({ baseUrl: url, model: "demo" }).embedQuery("a key");
      const b = await new OpenAIEmbeddings({
        model: "demo",
        apiKey: "unused",
        configuration: { baseURL: `${url}/v1` },
      }).embedQuery("a key");
      assert.ok(a.every((value, index) => Math.abs(value - b[index]!) < 1e-6));
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
