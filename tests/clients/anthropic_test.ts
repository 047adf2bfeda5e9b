/** npm `@anthropic-ai/sdk`, unmodified: messages, streams and token counts. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, WEATHER_SCHEMA, withScript } from "./support.ts";

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
