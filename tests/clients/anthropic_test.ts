/** npm `@anthropic-ai/sdk`, unmodified: messages, streams and token counts. */
// It has an isolate of its own: ./testing.ts holds every answer of fetch, which others are to do without.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, WEATHER_SCHEMA, withScript } from "./testing.ts";

const QUESTION = "What is network isolation?";
const messages = [{ role: "user" as const, content: QUESTION }];
const ask = { model: "demo", messages, max_tokens: 12, temperature: 0 };
const tools = [{
  name: "weather",
  description: "Weather",
  input_schema: { ...WEATHER_SCHEMA, type: "object" as const },
}];

const client = (url: string) => new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });

const textOf = (message: Anthropic.Message) =>
  message.content.map((block) => block.type === "text" ? block.text : "").join("");

Deno.test("anthropic client over the whole path", async (t) => {
  const served = await startServe();
  const anthropic = client(served.proxyUrl);
  try {
    await t.step("messages, whole, streamed and by the stream helper", async () => {
      const whole = await anthropic.messages.create(ask);
      assert.match(whole._request_id!, /^req_[0-9a-f]{24}$/);
      const text = textOf(whole);
      assert.match(text, /network|socket|isolat/i);
      let joined = "";
      for await (const event of await anthropic.messages.create({ ...ask, stream: true })) {
        if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
          joined += event.delta.text;
        }
      }
      assert.equal(joined, text);
      const final = await anthropic.messages.stream(ask).finalMessage();
      assert.equal(textOf(final), text);
      assert.equal(final.stop_reason, whole.stop_reason);
      assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
    });

    await t.step("count_tokens is what the messages cost", async () => {
      const { input_tokens } = await anthropic.messages.countTokens({ model: "demo", messages });
      assert.equal(input_tokens, (await anthropic.messages.create(ask)).usage.input_tokens);
    });

    await t.step("system blocks, stop sequences, a limit, a seed of its own sampling", async () => {
      const plain = textOf(await anthropic.messages.create(ask));
      const word = plain.split(" ")[2]!;
      const stopped = await anthropic.messages.create({ ...ask, stop_sequences: ["zzz", word] });
      assert.equal(stopped.stop_reason, "stop_sequence");
      assert.equal(stopped.stop_sequence, word);
      assert.equal(textOf(stopped), plain.slice(0, plain.indexOf(word)));
      const cut = await anthropic.messages.create({ ...ask, max_tokens: 2 });
      assert.equal(cut.stop_reason, "max_tokens");
      assert.equal(cut.usage.output_tokens, 2);
      const blocks = await anthropic.messages.create({
        ...ask,
        system: [{ type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } }],
        messages: [{ role: "user", content: [{ type: "text", text: QUESTION }] }],
        metadata: { user_id: "u" },
        service_tier: "auto",
      });
      assert.ok(blocks.usage.input_tokens > cut.usage.input_tokens);
    });

    await t.step("structured output by zod, whole and streamed", async () => {
      const Answer = z.object({ safe: z.boolean() });
      const body = { ...ask, max_tokens: 100, output_config: { format: zodOutputFormat(Answer) } };
      Answer.parse((await anthropic.messages.parse(body)).parsed_output);
      Answer.parse(JSON.parse(textOf(await anthropic.messages.stream(body).finalMessage())));
    });

    await t.step("a tool that must be used, by the demo model itself, and its result", async () => {
      const properties = { city: { enum: ["Oslo", "Rome"] } };
      const city = [{ ...tools[0]!, input_schema: { ...tools[0]!.input_schema, properties } }];
      const first = await anthropic.messages.create({
        ...ask,
        max_tokens: 200,
        tools: city,
        tool_choice: { type: "any", disable_parallel_tool_use: true },
      });
      assert.equal(first.stop_reason, "tool_use");
      const use = first.content.find((block) => block.type === "tool_use")!;
      assert.ok(["Oslo", "Rome"].includes((use.input as { city: string }).city));
      const second = await anthropic.messages.create({
        ...ask,
        tools: city,
        tool_choice: { type: "none" },
        messages: [
          ...messages,
          { role: "assistant", content: first.content },
          {
            role: "user",
            content: [{
              type: "tool_result",
              tool_use_id: use.id,
              content: [{ type: "text", text: "rain" }],
              is_error: false,
            }],
          },
        ],
      });
      assert.ok(textOf(second).length > 0);
    });

    await t.step("the beta calls are the same", async () => {
      const whole = textOf(await anthropic.messages.create(ask));
      const beta = await anthropic.beta.messages.create({ ...ask, betas: ["x-2025-01-01"] });
      assert.equal(textOf(beta as Anthropic.Message), whole);
      const final = await anthropic.beta.messages.stream(ask).finalMessage();
      assert.equal(textOf(final as Anthropic.Message), whole);
      const counted = await anthropic.beta.messages.countTokens({ model: "demo", messages });
      assert.equal(counted.input_tokens, beta.usage.input_tokens);
    });

    await t.step("models", async () => {
      const { data, has_more } = await anthropic.models.list();
      assert.deepEqual(data.map((model) => [model.type, model.id]), [["model", "demo:latest"]]);
      assert.equal(has_more, false);
      assert.equal((await anthropic.models.retrieve("demo")).display_name, "demo:latest");
    });

    await t.step("what is not offered answers 404", async () => {
      const missing: [name: string, call: () => Promise<unknown>][] = [
        ["batches.create", () => anthropic.messages.batches.create({ requests: [] })],
        ["batches.list", () => anthropic.messages.batches.list().then()],
        ["batches.retrieve", () => anthropic.messages.batches.retrieve("b")],
        ["files", () => anthropic.beta.files.list().then()],
        ["skills", () => anthropic.beta.skills.list().then()],
      ];
      for (const [name, call] of missing) {
        await assert.rejects(call(), (error) => error instanceof Anthropic.NotFoundError, name);
      }
      await assert.rejects(
        anthropic.messages.create({
          ...ask,
          tools: [{ type: "web_search_20250305", name: "web_search" }],
        }),
        (error: unknown) => {
          assert.ok(error instanceof Anthropic.BadRequestError);
          return /tools that run on the server are not supported/.test(error.message);
        },
      );
    });

    await t.step("errors as its classes", async () => {
      await assert.rejects(
        anthropic.messages.create({ ...ask, model: "none" }),
        Anthropic.NotFoundError,
      );
      await assert.rejects(
        anthropic.messages.create({ ...ask, max_tokens: -7 }),
        Anthropic.BadRequestError,
      );
    });
  } finally {
    await served.stop();
  }
});

Deno.test("anthropic client: thought, text and tool use, and the tool's result", async () => {
  await withScript(THINK_AND_CALL, async ({ url, engine }) => {
    const anthropic = client(url);
    const thinking = { type: "enabled" as const, budget_tokens: 1024 };
    const whole = await anthropic.messages.create({ ...ask, max_tokens: 2048, tools, thinking });
    const streamed = await anthropic.messages
      .stream({ ...ask, max_tokens: 2048, tools, thinking }).finalMessage();
    for (const message of [whole, streamed]) {
      const [thought, text, use] = message.content;
      assert.ok(thought?.type === "thinking" && thought.thinking === "Rain?");
      assert.ok(text?.type === "text" && text.text === "Let me see. ");
      assert.ok(use?.type === "tool_use");
      assert.deepEqual(use.input, { city: "Oslo" });
      assert.equal(message.stop_reason, "tool_use");
    }
    const use = streamed.content[2] as Anthropic.ToolUseBlock;
    await anthropic.messages.create({
      ...ask,
      tools,
      messages: [
        ...messages,
        { role: "assistant", content: streamed.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] },
      ],
    });
    const sent = engine.chats.at(-1)!.messages;
    assert.equal(sent[1]!.thinking, "Rain?");
    assert.equal(sent[2]!.toolName, "weather");
  });
});

Deno.test("anthropic client: abort ends the generation, a failure in the middle is thrown", async () => {
  await withScript({ endless: true }, async ({ url, engine }) => {
    const stream = client(url).messages.stream(ask);
    await assert.rejects(async () => {
      for await (const event of stream) {
        if (event.type === "content_block_delta") stream.abort();
      }
    }, Anthropic.APIUserAbortError);
    await idle(engine);
  });
  await withScript({ failure: new Error("detail") }, async ({ url }) => {
    await assert.rejects(client(url).messages.stream(ask).finalMessage(), Anthropic.APIError);
  });
});

Deno.test("anthropic client: its tool runner, with a tool by zod", async () => {
  await withScript(
    { ...THINK_AND_CALL, pieces: THINK_AND_CALL.pieces! },
    async ({ url, engine }) => {
      const cities: string[] = [];
      const weather = betaZodTool({
        name: "weather",
        description: "Weather",
        inputSchema: z.object({ city: z.string() }),
        run: ({ city }) => {
          cities.push(city);
          // From now on the model has nothing more to ask.
          engine.script = { ...engine.script, pieces: ["It", " rains."] };
          return "rain";
        },
      });
      const final = await client(url).beta.messages.toolRunner({ ...ask, tools: [weather] });
      assert.deepEqual(cities, ["Oslo"]);
      assert.equal(textOf(final as Anthropic.Message), "It rains.");
      assert.equal(engine.chats.at(-1)!.messages.at(-1)!.content, "rain");
    },
  );
});
