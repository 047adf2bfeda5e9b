/** npm `openai`, unmodified: chat, completions, embeddings and responses, with its stream helpers. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, WEATHER_SCHEMA, withScript } from "./support.ts";

const QUESTION = "What is network isolation?";
const messages = [{ role: "user" as const, content: QUESTION }];
const chat = { model: "demo", messages, temperature: 0, max_completion_tokens: 12 };
const tools = [{
  type: "function" as const,
  function: { name: "weather", description: "Weather", parameters: WEATHER_SCHEMA },
}];

const client = (url: string) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });

Deno.test("openai client over the whole path", async (t) => {
  const served = await startServe();
  const openai = client(served.proxyUrl);
  try {
    let text = "";
    await t.step("chat, whole, streamed and by the stream helper", async () => {
      const whole = await openai.chat.completions.create({
        ...chat,
        logprobs: true,
        top_logprobs: 1,
      });
      text = whole.choices[0]!.message.content!;
      assert.match(text, /network|socket|isolat/i);
      assert.equal(whole.choices[0]!.logprobs!.content!.length, whole.usage!.completion_tokens);
      let joined = "";
      let usage;
      const stream = await openai.chat.completions.create({
        ...chat,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const chunk of stream) {
        joined += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert.equal(joined, text);
      assert.equal(usage!.completion_tokens, whole.usage!.completion_tokens);
      const final = await openai.chat.completions.stream(chat).finalChatCompletion();
      assert.equal(final.choices[0]!.message.content, text);
    });

    await t.step("chat: structured output by the parse helper", async () => {
      const schema = {
        type: "object",
        properties: { safe: { type: "boolean" } },
        required: ["safe"],
        additionalProperties: false,
      };
      const reply = await openai.chat.completions.create({
        ...chat,
        max_completion_tokens: 100,
        response_format: { type: "json_schema", json_schema: { name: "a", strict: true, schema } },
      });
      assert.equal(typeof JSON.parse(reply.choices[0]!.message.content!).safe, "boolean");
    });

    await t.step("completions, whole and streamed", async () => {
      const ask = { model: "demo", prompt: QUESTION, temperature: 0, max_tokens: 12 };
      assert.equal((await openai.completions.create(ask)).choices[0]!.text, text);
      let joined = "";
      for await (const chunk of await openai.completions.create({ ...ask, stream: true })) {
        joined += chunk.choices[0]?.text ?? "";
      }
      assert.equal(joined, text);
    });

    await t.step("embeddings: base64, its default, is the same as float", async () => {
      const input = ["a key", "another"];
      const base64 = await openai.embeddings.create({ model: "demo", input });
      const float = await openai.embeddings.create({
        model: "demo",
        input,
        encoding_format: "float",
      });
      const a = base64.data[1]!.embedding;
      const b = float.data[1]!.embedding;
      assert.equal(a.length, b.length);
      assert.ok(a.every((value, index) => Math.abs(value - b[index]!) < 1e-6));
    });

    await t.step("responses, whole, streamed and by the stream helper", async () => {
      const ask = { model: "demo", input: QUESTION, temperature: 0, max_output_tokens: 12 };
      assert.equal((await openai.responses.create(ask)).output_text, text);
      let joined = "";
      const types: string[] = [];
      for await (const event of await openai.responses.create({ ...ask, stream: true })) {
        types.push(event.type);
        if (event.type === "response.output_text.delta") joined += event.delta;
      }
      assert.equal(joined, text);
      assert.equal(types[0], "response.created");
      const final = await openai.responses.stream(ask).finalResponse();
      assert.equal(final.output_text, text);
    });

    await t.step("models, and errors as its classes", async () => {
      assert.deepEqual((await openai.models.list()).data.map((model) => model.id), ["demo:latest"]);
      await assert.rejects(
        openai.chat.completions.create({ ...chat, model: "none" }),
        OpenAI.NotFoundError,
      );
      await assert.rejects(
        openai.chat.completions.create({ ...chat, n: 1000 }),
        (error: unknown) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.equal(error.param, "n");
          return true;
        },
      );
    });
  } finally {
    await served.stop();
  }
});

Deno.test("openai client: tool calls, whole, streamed and by the helpers", async () => {
  await withScript(THINK_AND_CALL, async ({ url }) => {
    const openai = client(url);
    const whole = await openai.chat.completions.create({ ...chat, tools });
    assert.equal(whole.choices[0]!.finish_reason, "tool_calls");
    const helped = await openai.chat.completions.stream({ ...chat, tools }).finalChatCompletion();
    for (const reply of [whole, helped]) {
      const call = reply.choices[0]!.message.tool_calls![0]!;
      assert.ok(call.type === "function");
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
    }
    const response = await openai.responses.stream({
      model: "demo",
      input: QUESTION,
      tools: [{ type: "function", name: "weather", parameters: WEATHER_SCHEMA, strict: true }],
    }).finalResponse();
    assert.deepEqual(response.output.map((item) => item.type), [
      "reasoning",
      "message",
      "function_call",
    ]);
    assert.equal(response.output_text, "Let me see. ");
  });
});

Deno.test("openai client: it runs a tool by itself, twice", async () => {
  await withScript(
    { ...THINK_AND_CALL, pieces: THINK_AND_CALL.pieces! },
    async ({ url, engine }) => {
      const cities: string[] = [];
      const runner = client(url).chat.completions.runTools({
        ...chat,
        tools: [{
          type: "function",
          function: {
            name: "weather",
            description: "Weather",
            parameters: WEATHER_SCHEMA,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => {
              cities.push(city);
              // From now on the model has nothing more to ask.
              engine.script = { ...engine.script, pieces: ["It", " rains."] };
              return "rain";
            },
          },
        }],
      });
      assert.equal(await runner.finalContent(), "It rains.");
      assert.deepEqual(cities, ["Oslo"]);
      assert.equal(engine.chats.at(-1)!.messages.at(-1)!.toolName, "weather");
    },
  );
});

Deno.test("openai client: abort ends the generation, a failure in the middle is thrown", async () => {
  await withScript({ endless: true }, async ({ url, engine }) => {
    const stream = await client(url).chat.completions.create({ ...chat, stream: true });
    for await (const _ of stream) stream.controller.abort();
    await idle(engine);
  });
  await withScript({ failure: new Error("detail") }, async ({ url }) => {
    const stream = await client(url).chat.completions.create({ ...chat, stream: true });
    await assert.rejects(async () => {
      for await (const _ of stream) { /* to its end */ }
    }, OpenAI.APIError);
    const responses = await client(url).responses.create({
      model: "demo",
      input: "x",
      stream: true,
    });
    const types: string[] = [];
    for await (const event of responses) types.push(event.type);
    assert.equal(types.at(-1), "response.failed");
  });
});
