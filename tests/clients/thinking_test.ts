/** A model that thinks, over the whole sealed path: its thought in each dialect's own form, signed and sent back. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { startScripted, TEXT } from "../support/agent_model.ts";

const THOUGHT = "Let me see.";

Deno.test("thinking: each dialect tells the thought apart, and Anthropic's comes back with its signature", async (t) => {
  await using served = await startScripted({ thinks: true });
  const post = async (path: string, body: Record<string, unknown>) => {
    const answer = await fetch(served.proxyUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "scripted", ...body }),
    });
    assert.equal(answer.status, 200);
    return await answer.json();
  };
  const messages = [{ role: "user", content: "Hello. USE:text" }] as const;

  await t.step("Ollama", async () => {
    const { message } = await post("/api/chat", { messages, stream: false, think: true });
    assert.deepEqual([message.thinking, message.content], [THOUGHT, TEXT]);
  });
  await t.step("OpenAI's chat and responses", async () => {
    const [{ message }] = (await post("/v1/chat/completions", { messages })).choices;
    assert.deepEqual([message.reasoning_content ?? message.reasoning, message.content], [
      THOUGHT,
      TEXT,
    ]);
    const { output } = await post("/v1/responses", { input: "Hello. USE:text" });
    assert.deepEqual(output.map(({ type }: { type: string }) => type), ["reasoning", "message"]);
    assert.ok(JSON.stringify(output[0]).includes(THOUGHT));
  });
  await t.step("Anthropic's, streamed, and sent back with what came", async () => {
    const client = new Anthropic({ baseURL: served.proxyUrl, apiKey: "unused" });
    const asked: Omit<Anthropic.MessageCreateParamsNonStreaming, "messages"> = {
      model: "scripted",
      max_tokens: 2000,
      thinking: { type: "enabled", budget_tokens: 1024 },
      system: [{
        type: "text",
        text: "Be brief. ".repeat(60),
        cache_control: { type: "ephemeral" },
      }],
    };
    const stream = client.messages.stream({ ...asked, messages: [...messages] });
    const deltas: string[] = [];
    stream.on("streamEvent", (event) => {
      if (event.type === "content_block_delta") deltas.push(event.delta.type);
    });
    const { content } = await stream.finalMessage();
    const [thought, text] = content;
    assert.ok(thought?.type === "thinking" && text?.type === "text");
    assert.deepEqual([thought.thinking, text.text], [THOUGHT, TEXT]);
    assert.notEqual(thought.signature, "");
    // The signature is the last that is said of a thought.
    assert.equal(deltas.lastIndexOf("thinking_delta") + 1, deltas.indexOf("signature_delta"));
    const { usage } = await client.messages.create({
      ...asked,
      messages: [...messages, { role: "assistant", content }, {
        role: "user",
        content: "And again. USE:after",
      }],
    });
    assert.ok((usage.cache_read_input_tokens ?? 0) > 100, JSON.stringify(usage));
  });
});
