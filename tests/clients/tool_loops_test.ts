/** Libraries' own loops over tools, over the whole path with the scripted model: the tool is called, its result read, the loop ends. */
import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { join } from "node:path";
import OpenAI from "openai";
import { z } from "zod";
import { AFTER, PROOF, startScripted, TEXT, working } from "../support/agent_model.ts";
import { until } from "../support/patience.ts";

const LONG = "Read the file, then change a line of it. ".repeat(2000);
const MCP = new URL("./agents/mcp_server.mjs", import.meta.url).pathname;
const NAME = "write_proof";
const ONCE = [`${NAME}-once`];
const BOTH = [`${NAME}-first`, `${NAME}-second`];

Deno.test("tool loops over the whole path, each over a prompt of 20,000 tokens", async (t) => {
  await using served = await startScripted();
  const baseURL = `${served.proxyUrl}/v1`;
  const lines: string[] = [];
  const written = () => lines.splice(0);
  const write = ({ line }: { line: string }) => {
    lines.push(line);
    return "written";
  };

  const provider = createOpenAI({ baseURL, apiKey: "unused" });
  const tools = {
    [NAME]: tool({
      description: "Writes",
      inputSchema: z.object({ line: z.string() }),
      execute: write,
    }),
  };
  for (
    const [name, model] of [
      ["chat", provider.chat("scripted")],
      ["responses", provider.responses("scripted")],
    ] as const
  ) {
    await t.step(`ai: generateText and streamText over ${name}`, async () => {
      const ask = { model, tools, stopWhen: stepCountIs(4), maxRetries: 0 };
      const { text, steps } = await generateText({ ...ask, prompt: `Do it. ${LONG}` });
      assert.deepEqual([text, steps.length, written()], [AFTER, 2, ONCE]);
      const streamed = streamText({ ...ask, prompt: `Do both. USE:two_${NAME}` });
      assert.equal(await streamed.text, AFTER);
      assert.deepEqual(written(), BOTH);
    });
    await t.step(`ai: a second turn over ${name}`, async () => {
      const ask = { model, tools, stopWhen: stepCountIs(4), maxRetries: 0 };
      const first = { role: "user" as const, content: "Do it." };
      const { responseMessages } = await generateText({ ...ask, messages: [first] });
      assert.deepEqual(written(), ONCE);
      const then = { role: "user" as const, content: "And now say hello. USE:text" };
      const { text, steps } = await generateText({
        ...ask,
        messages: [first, ...responseMessages, then],
      });
      assert.deepEqual([text, steps.length, written()], [TEXT, 1, []]);
    });
    await t.step(`ai: cancelled in an answer without an end over ${name}`, async () => {
      const stop = new AbortController();
      const streamed = streamText({
        ...{ model, tools, maxRetries: 0, prompt: "Go on. USE:endless" },
        abortSignal: stop.signal,
        onError() {},
      });
      let read = 0;
      for await (const piece of streamed.textStream) {
        read += piece.length;
        if (read < 100 || stop.signal.aborted) continue;
        assert.ok(await working(served), "the model answers");
        stop.abort();
      }
      assert.ok(stop.signal.aborted, "it would have gone on");
      await until(async () => !await working(served), "the model is free");
    });
  }

  await t.step("ai: a tool of an MCP server", async () => {
    const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
    const client = await createMCPClient({
      transport: new StdioMCPTransport({
        command: Deno.execPath(),
        args: ["run", "-A", "--no-lock", "--no-config", MCP, folder],
      }),
    });
    try {
      const { text } = await generateText({
        model: provider.chat("scripted"),
        tools: await client.tools(),
        stopWhen: stepCountIs(4),
        maxRetries: 0,
        prompt: "Use it.",
      });
      assert.equal(text, AFTER);
      assert.equal(await Deno.readTextFile(join(folder, PROOF)), `${ONCE[0]}\n`);
      assert.deepEqual(written(), [], "the server's, and not ours");
    } finally {
      await client.close();
      await Deno.remove(folder, { recursive: true });
    }
  });

  await t.step("openai: runTools, whole and streamed", async () => {
    const openai = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
    const parameters = { type: "object", properties: { line: { type: "string" } } };
    const fn = {
      name: NAME,
      description: "Writes",
      parameters,
      parse: JSON.parse,
      function: write,
    };
    const ask = (content: string) => ({
      model: "scripted",
      messages: [{ role: "user" as const, content }],
      tools: [{ type: "function" as const, function: fn }],
    });
    const whole = openai.chat.completions.runTools(ask(`Do it. ${LONG}`));
    assert.equal(await whole.finalContent(), AFTER);
    assert.deepEqual(written(), ONCE);
    const both = ask(`Do both. USE:two_${NAME}`);
    const streamed = openai.chat.completions.runTools({ ...both, stream: true });
    assert.equal(await streamed.finalContent(), AFTER);
    assert.deepEqual(written(), BOTH);
  });

  await t.step("anthropic: toolRunner", async () => {
    const anthropic = new Anthropic({
      baseURL: served.proxyUrl,
      apiKey: "unused",
      maxRetries: 0,
    });
    const run = async (content: string) => {
      const last = await anthropic.beta.messages.toolRunner({
        model: "scripted",
        max_tokens: 1000,
        messages: [{ role: "user", content }],
        tools: [{
          name: NAME,
          input_schema: { type: "object", properties: { line: { type: "string" } } },
          parse: (input: unknown) => input as { line: string },
          run: write,
        }],
      });
      const [block] = last.content;
      return block?.type === "text" ? block.text : undefined;
    };
    assert.equal(await run(`Do it. ${LONG}`), AFTER);
    assert.deepEqual(written(), ONCE);
    assert.equal(await run(`Do both. USE:two_${NAME}`), AFTER);
    assert.deepEqual(written(), BOTH);
  });
});
