/** npm `ollama`, unmodified: every call it has for inference. */
// It has an isolate of its own: ./testing.ts holds every answer of fetch, which others are to do without.
import assert from "node:assert/strict";
import { type Message, Ollama } from "ollama";
import { startServe } from "../support/serve.ts";
import { idle, THINK_AND_CALL, WEATHER_SCHEMA, withScript } from "./testing.ts";
import { until } from "../support/patience.ts";

const QUESTION = "What is network isolation?";
const messages = [{ role: "user", content: QUESTION }];
const GREEDY = { temperature: 0, num_predict: 12 };
const tools = [{
  type: "function",
  function: { name: "weather", description: "Weather of a city", parameters: WEATHER_SCHEMA },
}];

Deno.test("ollama client over the whole path", async (t) => {
  const served = await startServe();
  const ollama = new Ollama({ host: served.proxyUrl });
  try {
    let text = "";
    await t.step("chat, whole and streamed", async () => {
      const whole = await ollama.chat({ model: "demo", messages, options: GREEDY });
      text = whole.message.content;
      assert.match(text, /network|socket|isolat/i);
      let joined = "";
      let last;
      for await (
        const part of await ollama.chat({ model: "demo", messages, options: GREEDY, stream: true })
      ) {
        joined += part.message.content;
        last = part;
      }
      assert.equal(joined, text);
      assert.equal(last!.eval_count, whole.eval_count);
    });

    await t.step("generate, whole, streamed, with system, context and raw", async () => {
      const whole = await ollama.generate({ model: "demo", prompt: QUESTION, options: GREEDY });
      assert.equal(whole.response, text);
      let joined = "";
      const ask = { model: "demo", prompt: QUESTION, options: GREEDY, stream: true } as const;
      for await (const part of await ollama.generate(ask)) joined += part.response;
      assert.equal(joined, text);
      const next = await ollama.generate({
        model: "demo",
        prompt: "Where are my keys?",
        context: whole.context,
        options: GREEDY,
      });
      assert.ok(next.prompt_eval_count > whole.prompt_eval_count);
      const raw = await ollama.generate({
        model: "demo",
        prompt: "Sec",
        raw: true,
        options: GREEDY,
      });
      assert.equal(raw.prompt_eval_count < whole.prompt_eval_count, true);
    });

    await t.step("format: a schema is kept to", async () => {
      const format = {
        type: "object",
        properties: { safe: { type: "boolean" }, n: { type: "integer", maximum: 9 } },
        required: ["safe", "n"],
      };
      const reply = await ollama.chat({ model: "demo", messages, format });
      assert.deepEqual(Object.keys(JSON.parse(reply.message.content)), ["safe", "n"]);
    });

    await t.step("logprobs", async () => {
      const reply = await ollama.chat({
        model: "demo",
        messages,
        options: GREEDY,
        logprobs: true,
        top_logprobs: 2,
      });
      assert.equal(reply.logprobs!.length, reply.eval_count);
      assert.equal(reply.logprobs![0]!.top_logprobs!.length, 2);
    });

    await t.step("embed and embeddings", async () => {
      const { embeddings } = await ollama.embed({
        model: "demo",
        input: ["a", "b"],
        dimensions: 8,
      });
      assert.deepEqual(embeddings.map((vector) => vector.length), [8, 8]);
      const { embedding } = await ollama.embeddings({ model: "demo", prompt: "a" });
      assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-4);
    });

    await t.step("list, ps, show and version", async () => {
      const { models } = await ollama.list();
      assert.deepEqual(models.map((model) => model.name), ["demo:latest"]);
      const { models: [loaded] } = await ollama.ps();
      assert.equal(loaded!.name, "demo:latest");
      assert.equal(loaded!.digest, models[0]!.digest);
      assert.ok(new Date(loaded!.expires_at).getTime() > Date.now());
      const shown = await ollama.show({ model: "demo" });
      assert.deepEqual(shown.capabilities, ["completion"]);
      assert.equal(shown.details.family, "llama");
      assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+/);
    });

    await t.step("what is true of the numbers of a reply", async () => {
      const asked = Date.now();
      const started = performance.now();
      const reply = await ollama.chat({ model: "demo", messages, options: GREEDY });
      const tookNs = (performance.now() - started) * 1e6;
      assert.equal(reply.eval_count, 12);
      assert.equal(reply.done_reason, "length");
      const parts = reply.prompt_eval_duration + reply.eval_duration;
      assert.ok(parts <= reply.total_duration && reply.total_duration <= tookNs);
      const made = new Date(reply.created_at).getTime();
      assert.ok(asked <= made && made <= Date.now());
    });

    await t.step("unload and load again by keep_alive", async () => {
      const gone = await ollama.generate({ model: "demo", prompt: "", keep_alive: 0 });
      assert.equal(gone.done_reason, "unload");
      await until(async () => (await ollama.ps()).models.length === 0, "it is unloaded");
      const back = await ollama.chat({
        model: "demo",
        messages,
        options: GREEDY,
        keep_alive: "2h",
      });
      assert.equal(back.message.content, text);
      const [loaded] = (await ollama.ps()).models;
      assert.ok(new Date(loaded!.expires_at).getTime() > Date.now() + 3_600_000);
    });

    await t.step("what is not offered says so: management 403, systemone 404", async () => {
      const status = (code: number) => (error: unknown) =>
        (error as { status_code: number }).status_code === code;
      const refused: [name: string, call: () => Promise<unknown>][] = [
        ["pull", () => ollama.pull({ model: "x" })],
        ["push", () => ollama.push({ model: "x" })],
        ["create", () => ollama.create({ model: "x", from: "demo" })],
        ["copy", () => ollama.copy({ source: "demo", destination: "x" })],
        ["delete", () => ollama.delete({ model: "demo" })],
      ];
      for (const [name, call] of refused) await assert.rejects(call(), status(403), name);
      await assert.rejects(
        ollama.systemone({ model: "demo", questions: [] } as never),
        status(404),
      );
      assert.equal((await ollama.list()).models.length, 1);
    });

    await t.step("load, and errors by name", async () => {
      const load = await ollama.generate({ model: "demo", prompt: "", keep_alive: "10m" });
      assert.equal(load.done_reason, "load");
      const refused = (pattern: RegExp, status: number) => (error: unknown) => {
        const { name, status_code, message } = error as Error & { status_code: number };
        return name === "ResponseError" && status_code === status && pattern.test(message);
      };
      await assert.rejects(
        ollama.chat({ model: "none", messages }),
        refused(/model 'none' not found/, 404),
      );
      await assert.rejects(
        ollama.chat({ model: "demo", messages, options: { temperature: -3 } }),
        refused(/options\.temperature/, 400),
      );
      await assert.rejects(
        ollama.chat({ model: "demo", messages, tools }),
        refused(/does not support tools/, 400),
      );
      await assert.rejects(
        ollama.chat({
          model: "demo",
          messages: [{ role: "user", content: "?", images: [new Uint8Array([1, 2])] }],
        }),
        refused(/does not support images/, 400),
      );
    });
  } finally {
    await served.stop();
  }
});

Deno.test("ollama client: a thought, text and a tool call", async () => {
  await withScript(THINK_AND_CALL, async ({ url, engine }) => {
    const ollama = new Ollama({ host: url });
    const reply = await ollama.chat({ model: "demo", messages, tools, think: "high" });
    assert.equal(reply.message.thinking, "Rain?");
    assert.equal(reply.message.content, "Let me see. ");
    assert.deepEqual(reply.message.tool_calls![0]!.function.arguments, { city: "Oslo" });
    assert.equal(engine.chats.at(-1)!.think, "high");
    const again = [...messages, reply.message, {
      role: "tool",
      content: "rain",
      tool_name: "weather",
    }];
    await ollama.chat({ model: "demo", messages: again, tools });
    const sent = engine.chats.at(-1)!.messages;
    assert.deepEqual(sent[1]!.toolCalls![0]!.arguments, { city: "Oslo" });
    assert.equal(sent[2]!.toolName, "weather");
  });
});

Deno.test("ollama client: no thought if none is wanted, a tool round trip in a stream", async () => {
  await withScript(
    { ...THINK_AND_CALL, pieces: THINK_AND_CALL.pieces! },
    async ({ url, engine }) => {
      const ollama = new Ollama({ host: url });
      const quiet = await ollama.generate({ model: "demo", prompt: "x", think: false });
      assert.equal(quiet.thinking, undefined);
      const history: Message[] = [...messages];
      const message: Message = { role: "assistant", content: "", tool_calls: [] };
      for await (
        const part of await ollama.chat({ model: "demo", messages, tools, stream: true })
      ) {
        message.content += part.message.content;
        message.tool_calls!.push(...part.message.tool_calls ?? []);
      }
      assert.equal(message.tool_calls!.length, 1);
      engine.script = { ...engine.script, pieces: ["It", " rains."] };
      history.push(message, { role: "tool", content: "rain", tool_name: "weather" });
      const last = await ollama.chat({ model: "demo", messages: history, tools });
      assert.equal(last.message.content, "It rains.");
      assert.equal(engine.chats.at(-1)!.messages.at(-1)!.content, "rain");
    },
  );
});

Deno.test("ollama client: abort of all its streams ends every generation", async () => {
  await withScript({ endless: true }, async ({ url, engine }) => {
    const ollama = new Ollama({ host: url });
    const one = await ollama.chat({ model: "demo", messages, stream: true });
    const two = await ollama.generate({ model: "demo", prompt: "x", stream: true });
    const drained = [one, two].map(async (stream) => {
      for await (const _ of stream) { /* until it is aborted */ }
    });
    while (engine.running < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    ollama.abort();
    await Promise.all(drained.map((end) => assert.rejects(end, { name: "AbortError" })));
    await idle(engine);
  });
});

Deno.test("ollama client: abort ends the generation, a failure in the middle is thrown", async () => {
  await withScript({ endless: true }, async ({ url, engine }) => {
    const ollama = new Ollama({ host: url });
    const stream = await ollama.chat({ model: "demo", messages, stream: true });
    await assert.rejects(async () => {
      for await (const _ of stream) stream.abort();
    }, { name: "AbortError" });
    await idle(engine);
  });
  await withScript({ failure: new Error("detail") }, async ({ url }) => {
    const stream = await new Ollama({ host: url }).chat({ model: "demo", messages, stream: true });
    await assert.rejects(async () => {
      for await (const _ of stream) { /* to its end */ }
    }, { message: "an internal error occurred" });
  });
});
