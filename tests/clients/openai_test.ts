/** npm `openai`, unmodified: chat, completions, embeddings and responses, with its stream helpers. */
// It has an isolate of its own: ./testing.ts holds every answer of fetch, which others are to do without.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, WEATHER_SCHEMA, withScript } from "./testing.ts";

const QUESTION = "What is network isolation?";
const messages = [{ role: "user" as const, content: QUESTION }];
const chat = { model: "demo", messages, temperature: 0, max_completion_tokens: 12 };
const tools = [{
  type: "function" as const,
  function: { name: "weather", description: "Weather", parameters: WEATHER_SCHEMA },
}];

/** A small model fills a free text with whatever comes to it, to the limit. */
const CITY_SCHEMA = { ...WEATHER_SCHEMA, properties: { city: { enum: ["Oslo", "Rome"] } } };
const cityTools = [{
  type: "function" as const,
  function: { name: "weather", description: "Weather", parameters: CITY_SCHEMA },
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
      assert.match(whole._request_id!, /^req_[0-9a-f]{24}$/);
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
      const whole = (await openai.completions.create(ask)).choices[0]!.text;
      assert.ok(whole !== "");
      let joined = "";
      for await (const chunk of await openai.completions.create({ ...ask, stream: true })) {
        joined += chunk.choices[0]?.text ?? "";
      }
      assert.equal(joined, whole);
      // The prompt is taken as it is.
      const echoed = await openai.completions.create({ ...ask, echo: true });
      assert.equal(echoed.choices[0]!.text, QUESTION + whole);
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

    await t.step("chat: choices, a seed, stop strings, a schema by zod", async () => {
      const two = await openai.chat.completions.create({
        ...chat,
        n: 2,
        max_completion_tokens: 80,
        temperature: 2,
        seed: 7,
      });
      assert.deepEqual(two.choices.map((choice) => choice.index), [0, 1]);
      const again = await openai.chat.completions.create({
        ...chat,
        max_completion_tokens: 80,
        temperature: 2,
        seed: 7,
      });
      assert.equal(again.choices[0]!.message.content, two.choices[0]!.message.content);
      const word = text.split(" ")[2]!;
      const stopped = await openai.chat.completions.create({ ...chat, stop: word });
      assert.equal(stopped.choices[0]!.message.content, text.slice(0, text.indexOf(word)));
      assert.equal(stopped.choices[0]!.finish_reason, "stop");
      const Answer = z.object({ safe: z.boolean(), level: z.enum(["low", "high"]) });
      const parsed = await openai.chat.completions.parse({
        ...chat,
        max_completion_tokens: 100,
        response_format: zodResponseFormat(Answer, "answer"),
      });
      Answer.parse(parsed.choices[0]!.message.parsed);
    });

    await t.step(
      "a tool that must be called, by the demo model itself, and its result",
      async () => {
        const first = await openai.chat.completions.create({
          ...chat,
          max_completion_tokens: 200,
          tools: cityTools,
          tool_choice: "required",
        });
        const message = first.choices[0]!.message;
        const call = message.tool_calls![0]!;
        assert.ok(call.type === "function" && call.function.name === "weather");
        assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
        assert.equal(first.choices[0]!.finish_reason, "tool_calls");
        const second = await openai.chat.completions.create({
          ...chat,
          tools: cityTools,
          tool_choice: "none",
          messages: [...messages, message, {
            role: "tool",
            tool_call_id: call.id,
            content: "rain",
          }],
        });
        assert.ok(second.choices[0]!.message.content!.length > 0);
        // Without the call and its result; `none` hides the tools from the prompt, here as there.
        const before = await openai.chat.completions.create({
          ...chat,
          tools: cityTools,
          tool_choice: "none",
          max_completion_tokens: 1,
        });
        assert.ok(second.usage!.prompt_tokens > before.usage!.prompt_tokens);
      },
    );

    await t.step(
      "completions: several prompts, echoed; a suffix needs a model for it",
      async () => {
        const ask = { model: "demo", temperature: 0, max_tokens: 12 };
        const reply = await openai.completions.create({
          ...ask,
          prompt: [QUESTION, "Where are my keys?"],
          echo: true,
          logprobs: null,
        });
        assert.ok(reply.choices[0]!.text.startsWith(QUESTION));
        assert.ok(reply.choices[1]!.text.startsWith("Where are my keys?"));
        await assert.rejects(
          openai.completions.create({ ...ask, prompt: "a", suffix: "b" }),
          OpenAI.BadRequestError,
        );
      },
    );

    await t.step("embeddings: fewer dimensions, one text, a text too long", async () => {
      const small = await openai.embeddings.create({
        model: "demo",
        input: "a key",
        dimensions: 8,
      });
      assert.equal(small.data[0]!.embedding.length, 8);
      const long = await openai.embeddings.create({ model: "demo", input: "word ".repeat(50_000) });
      assert.ok(long.usage.prompt_tokens > 100);
    });

    await t.step(
      "responses: a schema by zod, a conversation, a tool and its result, a count",
      async () => {
        const ask = { model: "demo", temperature: 0, max_output_tokens: 100 };
        const Answer = z.object({ safe: z.boolean() });
        const parsed = await openai.responses.parse({
          ...ask,
          input: QUESTION,
          text: { format: zodTextFormat(Answer, "answer") },
        });
        Answer.parse(parsed.output_parsed);
        const first = await openai.responses.create({ ...ask, input: QUESTION });
        const next = "Where are my keys?";
        const followed = await openai.responses.create({
          ...ask,
          input: next,
          previous_response_id: first.id,
        });
        const spelled = await openai.responses.create({
          ...ask,
          input: [
            { role: "user", content: QUESTION },
            ...first.output as OpenAI.Responses.ResponseOutputMessage[],
            { role: "user", content: next },
          ],
        });
        assert.equal(followed.output_text, spelled.output_text);
        assert.equal(followed.usage!.input_tokens, spelled.usage!.input_tokens);
        const counted = await openai.responses.inputTokens.count({
          model: "demo",
          input: QUESTION,
        });
        assert.equal(counted.input_tokens, first.usage!.input_tokens);
        const tool = {
          type: "function" as const,
          name: "weather",
          description: "Weather",
          parameters: CITY_SCHEMA,
          strict: true,
        };
        const called = await openai.responses.create({
          ...ask,
          max_output_tokens: 200,
          input: QUESTION,
          tools: [tool],
          tool_choice: { type: "function", name: "weather" },
        });
        const call = called.output.find((item) => item.type === "function_call")!;
        assert.equal(typeof JSON.parse(call.arguments).city, "string");
        const answered = await openai.responses.create({
          ...ask,
          tools: [tool],
          tool_choice: "none",
          previous_response_id: called.id,
          input: [{ type: "function_call_output", call_id: call.call_id, output: "rain" }],
        });
        assert.ok(answered.output_text.length > 0);
      },
    );

    await t.step("what is not offered answers 404, or says why not", async () => {
      const file = () => new File(["x"], "x.wav");
      const missing: [name: string, call: () => Promise<unknown>][] = [
        ["responses.retrieve", () => openai.responses.retrieve("resp_1")],
        ["responses.delete", () => openai.responses.delete("resp_1")],
        ["responses.cancel", () => openai.responses.cancel("resp_1")],
        ["responses.inputItems", () => openai.responses.inputItems.list("resp_1").then()],
        ["chat.completions.retrieve", () => openai.chat.completions.retrieve("chatcmpl-1")],
        ["moderations", () => openai.moderations.create({ input: "x" })],
        ["images", () => openai.images.generate({ prompt: "x" })],
        ["speech", () => openai.audio.speech.create({ input: "x", model: "demo", voice: "alloy" })],
        ["files.list", () => openai.files.list().then()],
        ["batches.list", () => openai.batches.list().then()],
        ["fineTuning", () => openai.fineTuning.jobs.list().then()],
        ["vectorStores", () => openai.vectorStores.list().then()],
        ["conversations", () => openai.conversations.create({})],
        ["evals", () => openai.evals.list().then()],
        ["containers", () => openai.containers.list().then()],
        ["videos", () => openai.videos.list().then()],
      ];
      for (const [name, call] of missing) {
        await assert.rejects(call(), (error) => error instanceof OpenAI.NotFoundError, name);
      }
      const status = (code: number) => (error: unknown) =>
        (error as { status: number }).status === code;
      await assert.rejects(openai.chat.completions.list().then(), status(405));
      await assert.rejects(openai.models.delete("demo"), status(405));
      // Forms are what a browser's page could send unasked.
      await assert.rejects(
        openai.audio.transcriptions.create({ file: file(), model: "demo" }),
        status(415),
      );
    });

    await t.step("models, and errors as its classes", async () => {
      assert.deepEqual((await openai.models.list()).data.map((model) => model.id), ["demo:latest"]);
      assert.equal((await openai.models.retrieve("demo")).id, "demo");
      await assert.rejects(openai.models.retrieve("none"), (error: unknown) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        return /model 'none' not found/.test(error.message);
      });
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
